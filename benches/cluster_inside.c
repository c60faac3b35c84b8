#include "cluster_inside.h"

#include "gossip_core.h"
#include "process.h"

#include "api/server.h"
#include "transport/connection_pool.h"

#include <covey/error.h>

#define HITS 5000000

struct counting {
    const covey_server *server;
    struct cv_quic_stats stats;
};

static void count_on_loop(void *user)
{
    struct counting *c = user;
    cv_quic_endpoint_stats(cv_node_endpoint(c->server->loops[0].host.node), &c->stats);
}

void inside_count_connections(covey_server *server, struct inside_connections *sum)
{
    struct counting c = {.server = server};
    if (cv_loop_call(server->loops[0].host.loop, count_on_loop, &c) != 0)
        die("cluster: a loop that takes no question");
    sum->dialled += c.stats.connections_dialled;
    sum->accepted += c.stats.connections_accepted;
    sum->failed += c.stats.handshakes_failed;
    sum->open += c.stats.connections_open;
}

static covey_node_id id_of(unsigned number)
{
    covey_node_id id = {.bytes = {(uint8_t)number, (uint8_t)(number >> 8)}};
    return id;
}

double inside_pool_hit_ns(unsigned connections)
{
    static const uint64_t secret[2] = {1, 2};
    struct cv_connection_pool pool;
    const covey_node_id self = {.bytes = {[15] = 1}};
    unsigned found = 0;
    cv_connection_pool_init(&pool, cv_alloc_default(), &self, secret, connections);
    for (unsigned i = 0; i < connections; i++) {
        enum cv_pool_verdict verdict;
        void *loser;
        const covey_node_id id = id_of(i);
        if (cv_connection_pool_add(&pool, &id, &found, false, 0, &verdict, &loser) != 0)
            die("cluster: no memory");
    }
    uint64_t begun = now_ns();
    for (unsigned i = 0; i < HITS; i++) {
        const covey_node_id id = id_of(i % connections);
        found += cv_connection_pool_get(&pool, &id) != NULL;
    }
    double each = (double)(now_ns() - begun) / HITS;
    if (found != HITS)
        die("cluster: the pool lost a connection");
    cv_connection_pool_fini(&pool);
    return each;
}

double inside_gossip_rate(unsigned members, uint64_t updates)
{
    size_t used;
    struct gossip_core *core =
        gossip_core_new(members < GOSSIP_MEMBERS_MIN ? GOSSIP_MEMBERS_MIN : members, &used);
    double rate = gossip_core_rate(core, GOSSIP_BODY, updates);
    gossip_core_free(core);
    return rate;
}
