#ifndef COVEY_BALANCER_H
#define COVEY_BALANCER_H

#include <covey/cluster.h>
#include <stdbool.h>

COVEY_BEGIN

/*
 * Chooses one member after the other among those of a cluster that say certain things of themselves.
 * It follows what this node learns as queries do, and is as new as the snapshot that they read: a
 * member whose tag changed is chosen, or not, before the event about it is heard of. Only alive
 * members are chosen; a suspect is not, until it has refuted; nor is one that covey_server_deny()
 * names. Tags are what each member says of itself: one that lies is believed about itself only.
 *
 * A pick neither locks, waits nor allocates, from any number of threads. All functions but free may
 * be called from any thread; free when nobody is inside another.
 */
typedef struct covey_balancer covey_balancer;

/* Which members: alive ones that have all of the first tags and none of the second. A value of NULL
 * stands for any value. */
struct covey_selector {
    const struct covey_tag *all; /* NULL and 0: every member */
    size_t all_count;
    const struct covey_tag *none;
    size_t none_count;
    bool with_self; /* this node may be chosen, too; false */
};
#define COVEY_SELECTOR_TAGS_MAX 16 /* of each kind */

/*
 *   ROUND_ROBIN  in the order of their ids, each after the one that was chosen last: who comes or goes
 *                makes nobody be skipped and nobody's turn come twice
 *   RANDOM       each with the same probability
 *   LEAST_CALLS  the one with the fewest picks that are not given back, of those one after the other
 *   TWO_CHOICES  of two random ones the one with fewer picks that are not given back: nearly as even,
 *                and as cheap with any number of members
 */
enum covey_balance_policy {
    COVEY_BALANCE_ROUND_ROBIN = 0,
    COVEY_BALANCE_RANDOM = 1,
    COVEY_BALANCE_LEAST_CALLS = 2,
    COVEY_BALANCE_TWO_CHOICES = 3
};

struct covey_balancer_config {
    size_t size;
    struct covey_selector selector; /* texts are copied */
    enum covey_balance_policy policy;
    unsigned
        nodes_max; /* chooses among so many, those with the lowest ids, about 600 bytes each: 1024;
                           at most 131,072. Others are counted, see nodes_left_out */
};
#define covey_balancer_config_init(config)                                                         \
    covey_balancer_config_init_sized((config), sizeof *(config))
COVEY_API void covey_balancer_config_init_sized(struct covey_balancer_config *config, size_t size);

/*
 * `config` may be NULL: every other member, in turn. The balancer may outlive the cluster, and finds
 * nobody then; it must be freed before the runtime. 0, or
 *   COVEY_ERR_INVALID_ARGUMENT  a tag without a key, too many tags, a policy, nodes_max
 *   COVEY_ERR_LIMIT             the cluster has COVEY_BALANCERS_MAX
 *   COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM
 */
COVEY_API COVEY_MUST_USE int covey_balancer_new(covey_cluster *cluster,
                                                const struct covey_balancer_config *config,
                                                covey_balancer **out);
#define COVEY_BALANCERS_MAX 64
/* Picks need not be given back before. NULL is allowed. */
COVEY_API void covey_balancer_free(covey_balancer *balancer);

#define COVEY_ADDRESS_TEXT_SIZE 80

/* Who was chosen. A value: copy it as you like. */
struct covey_pick {
    covey_node_id id;                      /* for covey_client_config.expected */
    char address[COVEY_ADDRESS_TEXT_SIZE]; /* for covey_client_config.address */
    uint64_t handle;                       /* the library's */
};

/*
 * Chooses one, and counts it as in use until covey_balancer_done(). `avoid` is not chosen while there
 * is another one; it may be NULL. 0 with *pick filled; COVEY_ERR_NOT_FOUND: nobody matches.
 */
COVEY_API COVEY_MUST_USE int
covey_balancer_pick(covey_balancer *balancer, const covey_node_id *avoid, struct covey_pick *pick);
/*
 * The same whatever the policy, for a key: always the same member while it matches, the same in every
 * process that sees the same members match, whatever came before. When one comes, only the keys
 * that it gets move, about one of N; when one goes, only its own, each to the member that a pick
 * that avoids it names (consistent hashing with several probes). Members have keys within about a
 * tenth of evenly, as a standard deviation. Costs about twice what another pick does, with any
 * number of members. Who can choose keys can choose members.
 */
COVEY_API COVEY_MUST_USE int covey_balancer_pick_for(covey_balancer *balancer, const void *key,
                                                     size_t size, const covey_node_id *avoid,
                                                     struct covey_pick *pick);
/* Gives a pick back, once, when the work with that member is over, however it went; after the member
 * has gone, too. */
COVEY_API void covey_balancer_done(covey_balancer *balancer, const struct covey_pick *pick);

/* How many match now. */
COVEY_API size_t covey_balancer_count(const covey_balancer *balancer);

struct covey_balancer_stats {
    size_t size;             /* of this struct as the caller knows it */
    uint64_t nodes;          /* that match now */
    uint64_t nodes_left_out; /* that match too, beyond nodes_max */
    uint64_t picks_open;     /* not given back */
    uint64_t picks_in_vain;  /* so far: nobody matched */
    uint64_t updates;        /* snapshots followed so far */
};
/* Costs some nanoseconds a member. */
COVEY_API void covey_balancer_stats(const covey_balancer *balancer,
                                    struct covey_balancer_stats *stats);

COVEY_END

#endif
