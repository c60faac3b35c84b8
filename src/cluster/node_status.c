#include "cluster/node_status.h"

#include "cluster/incarnation.h"

static int compare_rank(const struct cv_node_status *a, const struct cv_node_status *b)
{
    int order = cv_incarnation_compare(a->incarnation, b->incarnation);
    if (order != 0)
        return order;
    return (a->state > b->state) - (a->state < b->state);
}

int cv_node_status_compare(const struct cv_node_status *a, const struct cv_node_status *b)
{
    int order = compare_rank(a, b);
    if (order != 0)
        return order;
    return covey_node_id_compare(&a->accuser, &b->accuser);
}

bool cv_node_status_is_after(const struct cv_node_status *a, const struct cv_node_status *b)
{
    return compare_rank(a, b) > 0;
}

struct cv_node_status cv_node_status_resolve(const struct cv_node_status *a,
                                             const struct cv_node_status *b)
{
    return cv_node_status_compare(a, b) >= 0 ? *a : *b;
}
