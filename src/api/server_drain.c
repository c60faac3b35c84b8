/* A server that stops in good order, and what can be counted on it. */
#include "api/server.h"

/* ---- on each loop ---- */

static void drain_on_loop(void *user)
{
    struct cv_server_loop *sl = user;
    cv_node_drain(sl->host.node);
    cv_loop_again(sl->host.loop);
}

static void close_links_on_loop(void *user)
{
    struct cv_server_loop *sl = user;
    cv_node_close_links(sl->host.node, 0);
    cv_loop_again(sl->host.loop);
}

struct counting {
    struct cv_server_loop *loop;
    size_t links;
    struct cv_rpc_stats rpc;
    struct cv_quic_stats quic;
    struct cv_node_stats node;
    struct cv_tls_refusals refused;
};

static void count_on_loop(void *user)
{
    struct counting *c = user;
    struct cv_node *node = c->loop->host.node;
    c->links = cv_node_link_count(node);
    cv_node_rpc_stats(node, &c->rpc);
    cv_quic_endpoint_stats(cv_node_endpoint(node), &c->quic);
    cv_node_stats(node, &c->node);
    c->refused = *cv_tls_refusals(c->loop->host.tls);
}

static void on_each_loop(covey_server *server, void (*function)(void *user))
{
    for (size_t i = 0; i < server->loop_count; i++)
        cv_server_call_loop(server->loops[i].host.loop, function, &server->loops[i]);
}

static struct counting count_loop(covey_server *server, size_t index)
{
    struct counting c = {.loop = &server->loops[index]};
    cv_server_call_loop(c.loop->host.loop, count_on_loop, &c);
    return c;
}

/* ---- draining ---- */

void cv_server_on_link_closed(void *user, struct cv_link *link, int error)
{
    covey_server *server = ((struct cv_server_loop *)user)->server;
    (void)error;
    cv_caller_release(cv_link_user(link));
    cv_link_set_user(link, NULL);
    pthread_mutex_lock(&server->lock);
    if (server->is_draining) {
        server->links_closed++;
        pthread_cond_broadcast(&server->changed);
    }
    pthread_mutex_unlock(&server->lock);
}

static bool begin_draining(covey_server *server)
{
    pthread_mutex_lock(&server->lock);
    bool begins = server->is_started && !server->is_draining;
    server->is_draining = server->is_draining || begins;
    pthread_mutex_unlock(&server->lock);
    return begins;
}

static size_t count_links(covey_server *server)
{
    size_t count = 0;
    for (size_t i = 0; i < server->loop_count; i++)
        count += count_loop(server, i).links;
    return count;
}

/* Until another link has closed than the `seen` ones; false when the deadline has come. */
static bool wait_for_close(covey_server *server, uint64_t *seen, covey_time deadline)
{
    bool in_time = true;
    pthread_mutex_lock(&server->lock);
    while (in_time && server->links_closed == *seen)
        in_time = cv_condition_wait(&server->changed, &server->lock, deadline);
    *seen = server->links_closed;
    pthread_mutex_unlock(&server->lock);
    return in_time;
}

int covey_server_drain(covey_server *server, covey_time timeout)
{
    covey_time deadline = cv_deadline_after(timeout);
    uint64_t seen = 0;
    bool in_time = true;
    if (cv_runtime_is_loop_thread(server->runtime))
        return COVEY_ERR_WRONG_THREAD;
    if (!begin_draining(server))
        return COVEY_ERR_STATE;
    on_each_loop(server, drain_on_loop);
    while (in_time && count_links(server) > 0)
        in_time = wait_for_close(server, &seen, deadline);
    if (in_time)
        return 0;
    on_each_loop(server, close_links_on_loop);
    return COVEY_ERR_TIMEOUT;
}

/* ---- counting ---- */

int covey_server_stats(covey_server *server, struct covey_server_stats *stats)
{
    struct covey_server_stats now = {.size = sizeof now};
    if (stats->size < sizeof stats->size)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (!cv_runtime_may_ask_loops(server->runtime))
        return COVEY_ERR_WRONG_THREAD;
    for (size_t i = 0; i < server->loop_count; i++) {
        const struct cv_server_counters *own = &server->loops[i].counters;
        struct counting c = count_loop(server, i);
        now.calls += cv_count_read(&own->calls);
        now.calls_begun += cv_count_read(&own->begun);
        now.calls_refused += cv_count_read(&own->refused);
        now.calls_exhausted += cv_count_read(&own->exhausted);
        now.times_held_up += cv_count_read(&own->held_up);
        now.connections += c.links;
        now.calls_exhausted += c.rpc.calls_refused;
        now.calls_rejected += c.rpc.calls_rejected;
        now.calls_cancelled += c.rpc.calls_cancelled;
        now.deadlines_exceeded += c.rpc.deadlines_exceeded;
        now.protocol_errors += c.rpc.protocol_errors;
        now.handshakes_failed += c.quic.handshakes_failed;
        now.connections_refused += c.node.links_refused;
        now.connections_denied += c.quic.connections_denied;
#define X(name) now.refused_##name += c.refused.name;
        COVEY_REFUSALS(X)
#undef X
    }
    cv_config_give(stats, stats->size, &now, sizeof now);
    return 0;
}
