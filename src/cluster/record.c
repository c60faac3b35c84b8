#include "cluster/record.h"

#include "cluster/incarnation.h"

#include <assert.h>

int cv_body_compare(const struct cv_cluster_node *a, const struct cv_cluster_node *b)
{
    if (a == NULL || b == NULL)
        return (a != NULL) - (b != NULL);
    int order = cv_incarnation_compare(a->incarnation, b->incarnation);
    if (order != 0)
        return order;
    return (a->version > b->version) - (a->version < b->version);
}

struct cv_record cv_record_merge(const struct cv_record *a, const struct cv_record *b)
{
    assert(cv_node_id_equal(&a->id, &b->id));
    return (struct cv_record){
        .id = a->id,
        .status = cv_node_status_resolve(&a->status, &b->status),
        .body = cv_body_compare(a->body, b->body) >= 0 ? a->body : b->body,
    };
}
