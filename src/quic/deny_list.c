#include "quic/deny_list.h"

#include <covey/error.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return covey_node_id_compare(a, b);
}

int cv_deny_list_set(struct cv_deny_list *list, const struct cv_alloc *alloc,
                     const covey_node_id *ids, size_t count)
{
    covey_node_id *copy = NULL;
    if (count > CV_DENIED_MAX)
        return COVEY_ERR_LIMIT;
    if (count > 0) {
        copy = cv_allocate(alloc, count * sizeof *copy);
        if (copy == NULL)
            return COVEY_ERR_NO_MEMORY;
        memcpy(copy, ids, count * sizeof *copy);
        qsort(copy, count, sizeof *copy, compare);
    }
    cv_deny_list_fini(list, alloc);
    *list = (struct cv_deny_list){.ids = copy, .count = count};
    return 0;
}

void cv_deny_list_fini(struct cv_deny_list *list, const struct cv_alloc *alloc)
{
    cv_release(alloc, list->ids);
    *list = (struct cv_deny_list){0};
}

bool cv_deny_list_has(const struct cv_deny_list *list, const covey_node_id *id)
{
    return list->count > 0 &&
           bsearch(id, list->ids, list->count, sizeof *list->ids, compare) != NULL;
}
