#ifndef TESTS_UNIT_CLUSTER_TAG_FIXTURE_H
#define TESTS_UNIT_CLUSTER_TAG_FIXTURE_H

#include "unit/cluster/cluster_fixture.h"

#include "base/rand.h"
#include "cluster/tag_index.h"

/*
 * Nodes whose states and tags change at random. Their tags are some of many arrays that stay where
 * they are, as the bodies of a registry do.
 *
 * Of these keys, and of these values of `k`, two have the same hash with fixture_secret.
 */
static const char *const tag_keys[] = {"role", "zone", "71602", "190761", "k", "r"};
static const char *const tag_values[] = {"worker", "director", "132787", "163741", "", "w"};
#define TAG_KEYS   (sizeof tag_keys / sizeof tag_keys[0])
#define TAG_VALUES (sizeof tag_values / sizeof tag_values[0])

#define TAG_TABLES    300
#define TAG_NODES_MAX 64

struct tag_pool {
    struct cv_rand rand;
    struct covey_tag tables[TAG_TABLES][TAG_KEYS];
    size_t counts[TAG_TABLES];
};

/* Nodes sorted by id. */
struct tag_moment {
    struct covey_node nodes[TAG_NODES_MAX];
    size_t count;
};

static inline struct covey_tag tag_pool_tag(struct tag_pool *p)
{
    return (struct covey_tag){.key = tag_keys[cv_rand_below(&p->rand, TAG_KEYS)],
                              .value = tag_values[cv_rand_below(&p->rand, TAG_VALUES)]};
}

static inline void tag_pool_init(struct tag_pool *p, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    cv_rand_seed(&p->rand, seed);
    for (size_t i = 0; i < TAG_TABLES; i++) {
        for (size_t key = 0; key < TAG_KEYS; key++) {
            struct covey_tag tag = tag_pool_tag(p);
            tag.key = tag_keys[key];
            if (cv_rand_below(&p->rand, 2) == 0)
                p->tables[i][p->counts[i]++] = tag;
        }
    }
}

static inline struct covey_node tag_pool_node(struct tag_pool *p, uint32_t number)
{
    const size_t table = (size_t)cv_rand_below(&p->rand, TAG_TABLES);
    const uint64_t dice = cv_rand_below(&p->rand, 8); /* most are alive */
    return (struct covey_node){
        .id = id_of(number),
        .state = dice < 4 ? (enum covey_node_state)dice : COVEY_NODE_ALIVE,
        .tag_count = p->counts[table],
        .tags = p->tables[table],
    };
}

/* What comes after `old`: most nodes as they were, some changed, some gone, some new. */
static inline struct tag_moment tag_moment_next(struct tag_pool *p, const struct tag_moment *old)
{
    struct tag_moment next = {.count = 0};
    size_t place = 0;
    for (uint32_t number = 0; number < TAG_NODES_MAX; number++) {
        const covey_node_id id = id_of(number);
        const bool is_there = place < old->count && id_equal(&old->nodes[place].id, &id);
        const uint64_t dice = cv_rand_below(&p->rand, 16);
        if (is_there && dice > 1)
            next.nodes[next.count++] = old->nodes[place];
        else if (dice > 0 && dice < 6)
            next.nodes[next.count++] = tag_pool_node(p, number);
        place += is_there;
        if (next.count > 0 && dice == 8) /* the same tags in another state */
            next.nodes[next.count - 1].state ^= COVEY_NODE_SUSPECT;
    }
    return next;
}

/* What a query must find, found the long way. */
static inline bool node_has_tags(const struct covey_node *node, const struct covey_tag *tags,
                                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = covey_node_tag(node, tags[i].key);
        if (value == NULL || (tags[i].value != NULL && strcmp(value, tags[i].value) != 0))
            return false;
    }
    return node->state == COVEY_NODE_ALIVE;
}

#endif
