#include "api/reply.h"

#include "base/alloc.h"

#include <assert.h>
#include <string.h>

struct block {
    covey_runtime *runtime;
    uint8_t bytes[];
};

/* Holds a NUL-terminated copy. */
static struct block *block_new(covey_runtime *runtime, struct cv_slice bytes)
{
    struct block *block = cv_allocate(&runtime->alloc, sizeof *block + bytes.size + 1);
    if (block == NULL)
        return NULL;
    block->runtime = runtime;
    if (bytes.size > 0)
        memcpy(block->bytes, bytes.data, bytes.size);
    block->bytes[bytes.size] = 0;
    cv_runtime_retain(runtime);
    return block;
}

static void block_free(struct block *block)
{
    if (block == NULL)
        return;
    covey_runtime *runtime = block->runtime;
    cv_release(&runtime->alloc, block);
    cv_runtime_release(runtime);
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
                         enum covey_status_code code, struct cv_slice text)
{
    assert(reply->owner == NULL);
    struct block *block = text.size == 0 ? NULL : block_new(runtime, text);
    const char *message = block == NULL ? "" : (const char *)block->bytes;
    *reply = (struct covey_reply){.code = code, .message = message, .owner = block};
}

int cv_reply_set_data(struct covey_reply *reply, covey_runtime *runtime, struct cv_slice data)
{
    assert(reply->owner == NULL);
    struct block *block = block_new(runtime, data);
    if (block == NULL)
        return COVEY_ERR_NO_MEMORY;
    *reply = (struct covey_reply){
        .code = COVEY_STATUS_OK,
        .message = "",
        .data = block->bytes,
        .size = data.size,
        .owner = block,
    };
    return 0;
}

void cv_reply_move(struct covey_reply *to, struct covey_reply *from)
{
    *to = *from;
    cv_reply_init(from);
}

void covey_reply_clear(struct covey_reply *reply)
{
    block_free(reply->owner);
    cv_reply_init(reply);
}
