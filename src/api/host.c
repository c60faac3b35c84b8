#include "api/host.h"

#include "api/identity.h"
#include "io/clock.h"
#include "io/entropy.h"

#include <string.h>

/* Reading rounds of up to 16 batches in a turn, so that a flood leaves time for answers and timers.
 */
#define RECEIVE_ROUNDS 8

void cv_host_receive(struct cv_host *host, const struct cv_datagram *d)
{
    cv_node_receive(host->node, d, cv_loop_now(host->loop));
}

/* What comes after a pause comes from a peer that has nothing else to do: it gets the answers to the
 * first packets, some dozens of small calls, before the rest is read, and works on those meanwhile.
 * Else both sides wait for each other all the time. Who is never idle reads all at once, which costs
 * least. */
#define PAUSE_MIN     (5 * COVEY_MICROSECOND)
#define FIRST_PACKETS 2

static void on_datagram(void *user, const struct cv_datagram *d)
{
    struct cv_host *host = user;
    cv_host_receive(host, d);
    if (++host->packets != FIRST_PACKETS || cv_loop_idle_time(host->loop) < PAUSE_MIN)
        return;
    cv_node_answer(host->node, cv_udp_sink(host->udp), cv_loop_now(host->loop));
    cv_udp_send(host->udp);
}

void cv_host_take_unreachable(struct cv_host *host, const struct cv_address *remote)
{
    cv_node_unreachable(host->node, remote, cv_loop_now(host->loop));
}

static void on_unreachable(void *user, const struct cv_address *remote)
{
    struct cv_host *host = user;
    cv_host_take_unreachable(host, remote);
    if (host->unreachable != NULL)
        host->unreachable(host->unreachable_user, remote);
}

static bool receive(struct cv_host *host, bool is_woken)
{
    const struct cv_udp_receiver receiver = {
        .datagram = on_datagram, .unreachable = on_unreachable, .user = host};
    host->packets = 0;
    enum cv_udp_found found = cv_udp_receive(host->udp, &receiver, RECEIVE_ROUNDS, is_woken);
    if (found == CV_UDP_SOME)
        cv_loop_again(host->loop);
    return found != CV_UDP_NOTHING;
}

static void on_readable(void *user)
{
    (void)receive(user, true);
}

static bool on_look(void *user)
{
    return receive(user, false);
}

static void on_turn(void *user, covey_time now)
{
    struct cv_host *host = user;
    if (cv_node_deadline(host->node) > now)
        return; /* another host of this loop has something to do */
    cv_node_act(host->node, now, cv_clock_wall_ms());
    cv_node_write(host->node, cv_udp_sink(host->udp), cv_loop_is_answered(host->loop));
    cv_udp_send(host->udp);
}

/* Handshakes, ours or those of others on the loop, may have made the turn long. What came meanwhile
 * is read now, so that it is answered in this turn and no timer is run that it would have stopped;
 * and what is begun now has its full time. */
static void on_loop_turn(void *user, covey_time now)
{
    struct cv_host *host = user;
    if (host->turn != NULL)
        host->turn(host->turn_user);
    if (host->watch != NULL && cv_loop_renew(host->loop)) {
        (void)receive(host, false);
        now = cv_loop_now(host->loop);
    }
    on_turn(user, now);
}

static covey_time on_deadline(void *user)
{
    const struct cv_host *host = user;
    return cv_node_deadline(host->node);
}

void cv_host_turn(struct cv_host *host)
{
    on_turn(host, cv_loop_now(host->loop));
}

/* Several largest messages may be under way in each direction before one has to wait. */
void cv_host_set_message_sizes(struct cv_host_config *config, size_t send_max, size_t receive_max)
{
    size_t larger = send_max > receive_max ? send_max : receive_max;
    config->rpc_limits.message_send_max = (uint32_t)send_max;
    config->rpc_limits.message_receive_max = (uint32_t)receive_max;
    if (config->rpc_limits.send_memory_max < 2 * (uint64_t)larger)
        config->rpc_limits.send_memory_max = 2 * (uint64_t)larger;
    if (config->rpc_limits.receive_memory_max < 2 * (uint64_t)larger)
        config->rpc_limits.receive_memory_max = 2 * (uint64_t)larger;
}

static int open_socket(struct cv_host *host, const struct cv_host_config *config)
{
    struct cv_udp_config udp;
    host->udp = config->udp;
    host->owns_udp = config->udp == NULL;
    if (!host->owns_udp)
        return 0;
    cv_udp_config_init(&udp);
    udp.alloc = &host->runtime->alloc;
    udp.log = &host->runtime->log;
    udp.bind = config->bind;
    return cv_udp_open(&udp, &host->udp);
}

static int open_node(struct cv_host *host, const struct cv_host_config *config)
{
    struct cv_node_config node = {
        .alloc = &host->runtime->alloc,
        .log = &host->runtime->log,
        .tls = host->tls,
        .local = cv_udp_local(host->udp),
        .accept = config->accept,
        .identity_connections_max = config->identity_connections_max,
        .buffers = &host->runtime->pool.buffers,
        .random = cv_entropy,
        .events = config->events,
        .events_user = config->events_user,
        .quic_limits = config->quic_limits,
        .rpc_limits = config->rpc_limits,
        .loop = config->loop_number,
        .loop_count = config->loop_count,
        .secret = config->secret,
        .hand_over = config->hand_over,
        .hand_over_user = config->hand_over_user,
    };
    node.rpc_limits.tells_whole = true;
    return cv_node_new(&node, &host->node);
}

int cv_host_start(struct cv_host *host)
{
    int error = cv_loop_watch(host->loop, cv_udp_fd(host->udp), on_readable, host, &host->watch);
    if (error == 0)
        cv_loop_watch_look(host->watch, on_look);
    return error;
}

static void release(struct cv_host *host)
{
    if (host->resolver != NULL)
        cv_resolver_free(host->resolver);
    cv_node_free(host->node);
    if (host->udp != NULL && host->owns_udp)
        cv_udp_close(host->udp);
    cv_tls_free(host->tls);
    *host = (struct cv_host){0};
}

int cv_host_open(struct cv_host *host, const struct cv_host_config *config)
{
    *host = (struct cv_host){
        .runtime = config->runtime,
        .loop = config->loop,
        .unreachable = config->unreachable,
        .unreachable_user = config->unreachable_user,
        .turn = config->turn,
        .turn_user = config->turn_user,
    };
    int error = cv_identity_make_tls(config->identity, &config->runtime->alloc, &host->tls);
    if (error == 0)
        error = cv_tls_deny(host->tls, config->denied, config->denied_count);
    if (error == 0)
        error = open_socket(host, config);
    if (error == 0)
        error = open_node(host, config);
    if (error == 0 && config->has_resolver)
        error = cv_resolver_new(&config->runtime->alloc, config->loop, &host->resolver);
    if (error == 0 && !config->wait)
        error = cv_host_start(host);
    if (error != 0) {
        release(host);
        return error;
    }
    host->task = (struct cv_loop_task){.turn = on_loop_turn, .deadline = on_deadline, .user = host};
    cv_loop_add(config->loop, &host->task);
    return 0;
}

void cv_host_close(struct cv_host *host)
{
    cv_host_turn(host); /* what was queued goes out before the goodbye */
    cv_node_close(host->node);
    cv_host_turn(host);
    if (host->watch != NULL)
        cv_loop_unwatch(host->watch);
    cv_loop_remove(host->loop, &host->task);
    release(host);
}
