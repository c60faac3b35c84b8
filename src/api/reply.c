#include "api/reply.h"

#include <string.h>

struct block {
    covey_runtime *runtime;
    struct block *next;
    struct cv_metadata metadata; /* of one block at most, as the details */
    void *memory;                /* of an answer that was not copied */
    const void *details;
    size_t details_size;
    size_t size; /* of `bytes` */
    uint8_t bytes[];
};

static struct block *block_new(struct covey_reply *reply, covey_runtime *runtime, size_t size)
{
    struct block *block = cv_pool_take(&runtime->pool, sizeof *block + size);
    if (block == NULL)
        return NULL;
    *block = (struct block){.runtime = runtime, .next = reply->owner, .size = size};
    reply->owner = block;
    cv_runtime_retain(runtime);
    return block;
}

static void block_free(struct block *block)
{
    covey_runtime *runtime = block->runtime;
    cv_metadata_clear(runtime, &block->metadata);
    cv_release(&runtime->pool.buffers, block->memory);
    cv_pool_give(&runtime->pool, block, sizeof *block + block->size);
    cv_runtime_release(runtime);
}

static void copy(uint8_t *to, struct cv_slice bytes)
{
    if (bytes.size > 0)
        memcpy(to, bytes.data, bytes.size);
}

void cv_reply_set_constant(struct covey_reply *reply, enum covey_status_code code, const char *text)
{
    *reply = (struct covey_reply){.code = code, .message = text};
}

void cv_reply_init(struct covey_reply *reply)
{
    cv_reply_set_constant(reply, COVEY_STATUS_OK, "");
}

void cv_reply_set_status(struct covey_reply *reply, covey_runtime *runtime,
                         const struct cv_rpc_status *status)
{
    reply->code = status->code;
    reply->message = "";
    if (status->code != COVEY_STATUS_OK) {
        reply->data = NULL;
        reply->size = 0;
    }
    if (status->message.size == 0 && status->details.size == 0)
        return;
    struct block *block =
        block_new(reply, runtime, status->message.size + 1 + status->details.size);
    if (block == NULL)
        return;
    copy(block->bytes, status->message);
    block->bytes[status->message.size] = 0;
    reply->message = (const char *)block->bytes;
    if (status->details.size == 0)
        return;
    block->details = block->bytes + status->message.size + 1;
    block->details_size = status->details.size;
    copy(block->bytes + status->message.size + 1, status->details);
}

/* With a NUL behind it, for who knows that it is a text. */
void cv_reply_lend_data(struct covey_reply *reply, uint8_t *room, struct cv_slice data)
{
    copy(room, data);
    room[data.size] = 0;
    reply->data = room;
    reply->size = data.size;
}

int cv_reply_set_data(struct covey_reply *reply, covey_runtime *runtime, struct cv_slice data)
{
    struct block *block = block_new(reply, runtime, data.size + 1);
    if (block == NULL)
        return COVEY_ERR_NO_MEMORY;
    cv_reply_lend_data(reply, block->bytes, data);
    return 0;
}

int cv_reply_take_data(struct covey_reply *reply, covey_runtime *runtime, struct cv_slice data,
                       void *memory)
{
    struct block *block = block_new(reply, runtime, 0);
    if (block == NULL)
        return COVEY_ERR_NO_MEMORY;
    block->memory = memory;
    *(uint8_t *)(uintptr_t)(data.data + data.size) = 0;
    reply->data = data.data;
    reply->size = data.size;
    return 0;
}

int cv_reply_set_metadata(struct covey_reply *reply, covey_runtime *runtime,
                          const struct cv_rpc_metadata *set, size_t count)
{
    struct block *block = block_new(reply, runtime, 0);
    return block == NULL ? COVEY_ERR_NO_MEMORY
                         : cv_metadata_copy(runtime, set, count, &block->metadata);
}

void cv_reply_move(struct covey_reply *to, struct covey_reply *from)
{
    *to = *from;
    cv_reply_init(from);
}

const struct covey_metadata *covey_reply_metadata(const struct covey_reply *reply, size_t *count)
{
    for (const struct block *block = reply->owner; block != NULL; block = block->next) {
        if (block->metadata.count > 0) {
            *count = block->metadata.count;
            return block->metadata.set;
        }
    }
    *count = 0;
    return NULL;
}

const void *covey_reply_details(const struct covey_reply *reply, size_t *size)
{
    for (const struct block *block = reply->owner; block != NULL; block = block->next) {
        if (block->details_size > 0) {
            *size = block->details_size;
            return block->details;
        }
    }
    *size = 0;
    return NULL;
}

void covey_reply_clear(struct covey_reply *reply)
{
    struct block *block = reply->owner;
    while (block != NULL) {
        struct block *next = block->next;
        block_free(block);
        block = next;
    }
    cv_reply_init(reply);
}
