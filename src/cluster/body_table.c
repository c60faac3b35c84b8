#include "cluster/body_table.h"

#include <covey/error.h>

/* Below this a sweep is not worth it. */
#define SWEEP_MIN 1024

void cv_body_table_init(struct cv_body_table *t, const struct cv_alloc *alloc,
                        const uint64_t secret[2])
{
    *t = (struct cv_body_table){.alloc = alloc, .sweep_at = SWEEP_MIN};
    cv_map_init(&t->bodies, alloc, secret, SIZE_MAX / sizeof(struct cv_map_slot) / 4);
}

void cv_body_table_fini(struct cv_body_table *t)
{
    size_t cursor = 0;
    struct cv_cluster_node *body;
    while ((body = cv_map_next(&t->bodies, &cursor)) != NULL)
        cv_cluster_node_release(body);
    cv_map_fini(&t->bodies);
}

static struct cv_slice key_of(const struct cv_cluster_node *body)
{
    return cv_slice_of(&body->hash, sizeof(body->hash));
}

static void sweep(struct cv_body_table *t)
{
    size_t cursor = 0;
    struct cv_cluster_node *body;
    while ((body = cv_map_next(&t->bodies, &cursor)) != NULL) {
        if (!cv_cluster_node_is_shared(body)) {
            cv_map_remove(&t->bodies, key_of(body));
            cv_cluster_node_release(body);
        }
    }
    t->sweep_at = t->bodies.count * 2 < SWEEP_MIN ? SWEEP_MIN : t->bodies.count * 2;
}

struct cv_cluster_node *cv_body_table_intern(struct cv_body_table *t, struct cv_cluster_node *body)
{
    struct cv_cluster_node *known = cv_map_get(&t->bodies, key_of(body));
    if (known == body)
        return body;
    if (known != NULL && cv_cluster_node_equal(known, body)) {
        cv_cluster_node_release(body);
        return cv_cluster_node_retain(known);
    }
    if (t->bodies.count >= t->sweep_at)
        sweep(t);
    if (known == NULL && cv_map_put(&t->bodies, key_of(body), body) == COVEY_OK)
        cv_cluster_node_retain(body);
    return body;
}

size_t cv_body_table_count(const struct cv_body_table *t)
{
    return t->bodies.count;
}
