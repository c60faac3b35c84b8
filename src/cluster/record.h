#ifndef CV_CLUSTER_RECORD_H
#define CV_CLUSTER_RECORD_H

#include "cluster/node.h"
#include "cluster/node_status.h"

/*
 * All that is known about one node: its status and its body. They are merged apart, the status by
 * (incarnation, state, accuser), the body by (incarnation, version), so a merge is commutative,
 * associative and idempotent: in whatever order news comes, all end with the same.
 */
struct cv_record {
    covey_node_id id;
    struct cv_node_status status;
    struct cv_cluster_node *body; /* NULL: not known, or not part of this update */
};

/* Which of its owner's two statements is later: less than, equal to or greater than 0. NULL is
 * before everything. */
int cv_body_compare(const struct cv_cluster_node *a, const struct cv_cluster_node *b);

/* Two records of the same node; the body is borrowed from one of them. */
struct cv_record cv_record_merge(const struct cv_record *a, const struct cv_record *b);

#endif
