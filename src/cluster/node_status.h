#ifndef CV_CLUSTER_NODE_STATUS_H
#define CV_CLUSTER_NODE_STATUS_H

#include <covey/node.h>
#include <stdbool.h>

/* What is said about one node's life, ordered: the later incarnation stands; at equal ones Left >
 * Failed > Suspect > Alive; then the accuser with the greater id, so that all choose the same. */
struct cv_node_status {
    uint64_t incarnation;
    enum covey_node_state state;
    covey_node_id accuser; /* who said Suspect or Failed; zero otherwise */
};

/* Less than, equal to or greater than 0. Two that differ in the accuser only are not equal. */
int cv_node_status_compare(const struct cv_node_status *a, const struct cv_node_status *b);

/* The same without the accuser: is `a` news to one that knows `b`? */
bool cv_node_status_is_after(const struct cv_node_status *a, const struct cv_node_status *b);

/* The one of the two that stands. */
struct cv_node_status cv_node_status_resolve(const struct cv_node_status *a,
                                             const struct cv_node_status *b);

#endif
