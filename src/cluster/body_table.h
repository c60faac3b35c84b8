#ifndef CV_CLUSTER_BODY_TABLE_H
#define CV_CLUSTER_BODY_TABLE_H

#include "base/map.h"
#include "cluster/node.h"

/*
 * Bodies that several cores of one process share: what each of them hears of a node is the same
 * statement, kept once. Not thread-safe. A core without a table keeps bodies of its own.
 */
struct cv_body_table {
    const struct cv_alloc *alloc;
    struct cv_map bodies;
    size_t sweep_at; /* so many entries, and those that nobody else holds go */
};

void cv_body_table_init(struct cv_body_table *t, const struct cv_alloc *alloc,
                        const uint64_t secret[2]);
/* Nobody else need hold a body any more, but may. */
void cv_body_table_fini(struct cv_body_table *t);

/* Takes the reference to `body` and gives one to a body of the same content: that which is in the
 * table, or `body` itself. Without memory for the table it is `body`, unshared. */
struct cv_cluster_node *cv_body_table_intern(struct cv_body_table *t, struct cv_cluster_node *body);
/* How many bodies are in it. */
size_t cv_body_table_count(const struct cv_body_table *t);

#endif
