#include "api/metadata.h"

#include <string.h>

const struct covey_metadata *covey_metadata_find(const struct covey_metadata *set, size_t count,
                                                 const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(set[i].key, key) == 0)
            return &set[i];
    }
    return NULL;
}

int cv_metadata_borrow(const struct covey_metadata *set, size_t count, struct cv_rpc_metadata *out)
{
    if (count > CV_RPC_METADATA_COUNT_MAX)
        return COVEY_ERR_TOO_LARGE;
    if (set == NULL && count > 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    for (size_t i = 0; i < count; i++) {
        if (set[i].key == NULL || (set[i].value == NULL && set[i].size > 0))
            return COVEY_ERR_INVALID_ARGUMENT;
        out[i] = (struct cv_rpc_metadata){
            .key = cv_slice_text(set[i].key),
            .value = cv_slice_of(set[i].value, set[i].size),
        };
    }
    return 0;
}

static size_t size_of(const struct cv_rpc_metadata *set, size_t count)
{
    size_t size = count * sizeof(struct covey_metadata);
    for (size_t i = 0; i < count; i++)
        size += set[i].key.size + 1 + set[i].value.size;
    return size;
}

/* The bytes and a NUL; *next moves on. */
static uint8_t *copy(uint8_t **next, struct cv_slice bytes, bool with_nul)
{
    uint8_t *begin = *next;
    if (bytes.size > 0)
        memcpy(begin, bytes.data, bytes.size);
    if (with_nul)
        begin[bytes.size] = 0;
    *next = begin + bytes.size + with_nul;
    return begin;
}

int cv_metadata_copy(covey_runtime *runtime, const struct cv_rpc_metadata *set, size_t count,
                     struct cv_metadata *out)
{
    *out = (struct cv_metadata){.count = count};
    if (count == 0)
        return 0;
    out->size = size_of(set, count);
    out->set = cv_pool_take(&runtime->pool, out->size);
    if (out->set == NULL) {
        *out = (struct cv_metadata){0};
        return COVEY_ERR_NO_MEMORY;
    }
    uint8_t *next = (uint8_t *)(out->set + count);
    for (size_t i = 0; i < count; i++) {
        out->set[i].key = (const char *)copy(&next, set[i].key, true);
        out->set[i].value = copy(&next, set[i].value, false);
        out->set[i].size = set[i].value.size;
    }
    return 0;
}

void cv_metadata_clear(covey_runtime *runtime, struct cv_metadata *metadata)
{
    cv_pool_give(&runtime->pool, metadata->set, metadata->size);
    *metadata = (struct cv_metadata){0};
}
