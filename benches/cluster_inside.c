#include "cluster_inside.h"

#include "gossip_core.h"
#include "process.h"

#include "api/server.h"
#include "transport/connection_pool.h"

#include <covey/error.h>
#include <stdlib.h>

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

double inside_pool_hit_ns(unsigned connections, unsigned hits)
{
    static const uint64_t secret[2] = {1, 2};
    struct cv_connection_pool pool;
    struct cv_pool_config config;
    struct cv_pool_waiter waiter;
    const covey_node_id self = {.bytes = {[15] = 1}};
    struct cv_pooled *pooled = calloc(connections, sizeof *pooled), *hit;
    unsigned found = 0;
    cv_pool_config_init(&config);
    cv_connection_pool_init(&pool, cv_alloc_default(), &self, secret, &config);
    for (unsigned i = 0; i < connections; i++) {
        struct cv_pool_offer offer = {.peer = id_of(i), .connection = &pooled[i], .accepted = true};
        if (pooled == NULL || cv_connection_pool_connected(&pool, &offer, 0) != 0)
            die("cluster: no memory");
    }
    uint64_t begun = now_ns();
    for (unsigned i = 0; i < hits; i++) {
        const struct cv_pool_wish wish = {.has_id = true, .id = id_of(i % connections)};
        int error = cv_connection_pool_acquire(&pool, &wish, i, i + 1, &waiter, &hit);
        found += error == 0 && hit != NULL;
        cv_connection_pool_release(&pool, hit, i);
    }
    double each = (double)(now_ns() - begun) / hits;
    if (found != hits)
        die("cluster: the pool lost a connection");
    cv_connection_pool_fini(&pool);
    free(pooled);
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
