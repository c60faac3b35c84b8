#include "api/denied.h"

#include <covey/error.h>

int cv_denied_new(const struct cv_alloc *alloc, const covey_node_id *ids, size_t count,
                  struct cv_denied **out)
{
    struct cv_denied *denied = cv_allocate_zeroed(alloc, 1, sizeof *denied);
    if (denied == NULL)
        return COVEY_ERR_NO_MEMORY;
    denied->alloc = *alloc;
    atomic_init(&denied->references, 1);
    const int error = cv_deny_list_set(&denied->list, alloc, ids, count);
    if (error != 0) {
        cv_release(alloc, denied);
        return error;
    }
    *out = denied;
    return 0;
}

struct cv_denied *cv_denied_retain(struct cv_denied *denied)
{
    if (denied != NULL)
        atomic_fetch_add_explicit(&denied->references, 1, memory_order_relaxed);
    return denied;
}

void cv_denied_release(struct cv_denied *denied)
{
    if (denied == NULL || atomic_fetch_sub(&denied->references, 1) > 1)
        return;
    const struct cv_alloc alloc = denied->alloc;
    cv_deny_list_fini(&denied->list, &alloc);
    cv_release(&alloc, denied);
}

bool cv_denied_has(const struct cv_denied *denied, const covey_node_id *id)
{
    return denied != NULL && cv_deny_list_has(&denied->list, id);
}
