#include "rpc/dispatch.h"

#include "rpc/frame.h"

#include <covey/error.h>

struct entry {
    struct cv_rpc_method method;
    uint8_t name[CV_RPC_METHOD_SIZE_MAX];
};

void cv_rpc_dispatch_init(struct cv_rpc_dispatch *d, const struct cv_alloc *alloc,
                          const uint64_t secret[2], size_t count_max)
{
    *d = (struct cv_rpc_dispatch){.alloc = alloc};
    cv_map_init(&d->methods, alloc, secret, count_max);
}

void cv_rpc_dispatch_fini(struct cv_rpc_dispatch *d)
{
    size_t cursor = 0;
    struct entry *entry;
    while ((entry = cv_map_next(&d->methods, &cursor)) != NULL)
        cv_release(d->alloc, entry);
    cv_map_fini(&d->methods);
}

int cv_rpc_dispatch_add(struct cv_rpc_dispatch *d, const struct cv_rpc_method *method)
{
    if (!cv_rpc_method_name_valid(method->name))
        return COVEY_ERR_INVALID_ARGUMENT;
    struct entry *entry = cv_allocate(d->alloc, sizeof *entry);
    if (entry == NULL)
        return COVEY_ERR_NO_MEMORY;
    entry->method = *method;
    memcpy(entry->name, method->name.data, method->name.size);
    entry->method.name = cv_slice_of(entry->name, method->name.size);

    int error = cv_map_put(&d->methods, entry->method.name, entry);
    if (error != 0)
        cv_release(d->alloc, entry);
    return error;
}

const struct cv_rpc_method *cv_rpc_dispatch_find(const struct cv_rpc_dispatch *d,
                                                 struct cv_slice name)
{
    const struct entry *entry = cv_map_get(&d->methods, name);
    return entry == NULL ? NULL : &entry->method;
}

size_t cv_rpc_dispatch_count(const struct cv_rpc_dispatch *d)
{
    return d->methods.count;
}
