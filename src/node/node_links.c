/* RPC on QUIC: the inputs and outputs of src/rpc are the streams of src/quic. */
#include "node/internal.h"

#include <covey/error.h>

#include <assert.h>
#include <string.h>

/* While calls are open a silent connection is asked for a sign of life, which also keeps a NAT's
 * binding; three of these without any, and the peer is taken for dead. The idle timeout is for
 * connections that nobody waits for. */
#define KEEP_ALIVE  (5 * COVEY_SECOND)
#define SILENCE_MAX (3 * KEEP_ALIVE)

void cv_link_mark_dirty(struct cv_link *link)
{
    if (link->is_dirty)
        return;
    link->is_dirty = true;
    STAILQ_INSERT_TAIL(&link->head.node->dirty_links, link, dirty);
}

/* ---- life ---- */

void cv_node_links_init(struct cv_node *node)
{
    TAILQ_INIT(&node->links);
    STAILQ_INIT(&node->dirty_links);
    LIST_INIT(&node->closing_links);
}

int cv_link_new(struct cv_node *node, void *user, struct cv_link **out)
{
    struct cv_link *link = cv_allocate(node->alloc, sizeof *link);
    if (link == NULL)
        return COVEY_ERR_NO_MEMORY;
    *link = (struct cv_link){.user = user, .silence_check = COVEY_NEVER};
    int error = cv_rpc_conn_new(node->buffers, &node->rpc_limits, &link->rpc);
    if (error == 0)
        error = cv_conn_head_init(&link->head, node, CV_CONN_LINK);
    if (error != 0) {
        cv_rpc_conn_free(link->rpc);
        cv_release(node->alloc, link);
        return error;
    }
    TAILQ_INSERT_TAIL(&node->links, link, all);
    *out = link;
    return 0;
}

static void link_free(struct cv_link *link)
{
    struct cv_node *node = link->head.node;
    assert(link->head.conn == NULL && !link->is_dirty);
    TAILQ_REMOVE(&node->links, link, all);
    struct cv_rpc_stats stats;
    cv_rpc_conn_stats(link->rpc, &stats);
    cv_rpc_stats_add(&node->rpc_stats, &stats);
    if (link->is_closing)
        LIST_REMOVE(link, closing);
    cv_identities_give(&node->identities, link->share);
    cv_conn_head_fini(&link->head);
    cv_rpc_conn_free(link->rpc);
    cv_release(node->alloc, link);
}

void cv_node_links_free(struct cv_node *node)
{
    struct cv_link *link;
    while ((link = TAILQ_FIRST(&node->links)) != NULL) {
        if (link->is_dirty)
            STAILQ_REMOVE(&node->dirty_links, link, cv_link, dirty);
        link->is_dirty = false;
        link_free(link);
    }
}

/* Dials the next address. 0, COVEY_ERR_NOT_FOUND when none is left, COVEY_ERR_NO_MEMORY. */
static int dial_next(struct cv_link *link)
{
    struct cv_node *node = link->head.node;
    if (link->remote_next == link->remote_count)
        return COVEY_ERR_NOT_FOUND;
    struct cv_quic_dial dial = {
        .local = node->local,
        .remote = link->remotes[link->remote_next],
        .alpn = CV_ALPN_ID_RPC,
        .expected = link->has_expected ? &link->expected : NULL,
        .user = &link->head,
    };
    int error = cv_quic_endpoint_dial(node->endpoint, &dial, node->now, &link->head.conn);
    if (error == 0)
        link->remote_next++;
    return error;
}

int cv_link_dial(struct cv_link *link, const struct cv_address *remotes, size_t count,
                 const covey_node_id *expected, covey_time now)
{
    assert(link->head.conn == NULL && !link->is_closed && count > 0);
    link->head.node->now = now;
    link->remote_count = count < CV_LINK_REMOTES_MAX ? count : CV_LINK_REMOTES_MAX;
    memcpy(link->remotes, remotes, link->remote_count * sizeof *remotes);
    link->has_expected = expected != NULL;
    if (expected != NULL)
        link->expected = *expected;
    return dial_next(link);
}

void cv_link_retire(struct cv_link *link)
{
    link->is_retiring = true;
    cv_link_mark_dirty(link);
}

/* It is closed in the next turn, so that what the peer is told goes out first. */
static void close_soon(struct cv_link *link, enum cv_close_code code)
{
    if (link->is_closing)
        return;
    link->is_closing = true;
    link->closing_turn = link->head.node->turn;
    link->closing_code = code;
    LIST_INSERT_HEAD(&link->head.node->closing_links, link, closing);
}

/* Its handshake is let come to its end, or the peer would not understand why; no call begins. */
static void send_away(struct cv_link *link, enum cv_close_code code)
{
    cv_link_drain(link);
    close_soon(link, code);
}

struct cv_link *cv_link_accept(struct cv_node *node, struct cv_quic_conn *c)
{
    struct cv_link *link;
    if (cv_link_new(node, NULL, &link) != 0)
        return NULL;
    link->head.conn = c;
    int error = cv_identities_take(&node->identities, &cv_quic_conn_peer(c)->id, &link->share);
    if (error == COVEY_ERR_LIMIT) {
        node->stats.links_refused++;
        send_away(link, CV_CLOSE_LIMIT);
    } else if (error != 0) {
        send_away(link, CV_CLOSE_LIMIT);
    } else if (node->drains) {
        cv_link_drain(link);
        cv_link_retire(link);
    }
    return link;
}

static void link_lost(struct cv_link *link, int error)
{
    if (link->is_closed)
        return;
    link->is_closed = true;
    link->is_ready = false;
    link->error = error;
    const char *text = error == 0 ? "the connection was closed" : covey_strerror(error);
    cv_rpc_conn_lost(link->rpc, text);
    cv_link_mark_dirty(link);
}

void cv_link_close(struct cv_link *link, int error)
{
    link_lost(link, error);
    if (link->head.conn != NULL)
        cv_quic_conn_close(link->head.conn, CV_CLOSE_DONE);
}

/* The code tells the peer that what it has on its way to us was not begun. */
static void close_idle(struct cv_link *link)
{
    link_lost(link, 0);
    cv_quic_conn_close(link->head.conn, CV_CLOSE_IDLE);
}

void cv_link_conn_retiring(struct cv_link *link)
{
    struct cv_node *node = link->head.node;
    if (link->is_closed)
        return;
    cv_link_retire(link);
    if (node->events.link.retiring != NULL)
        node->events.link.retiring(node->events_user, link);
}

void cv_link_disconnected(struct cv_link *link, int error, bool none_begun)
{
    link->head.conn = NULL;
    cv_identities_give(&link->head.node->identities, link->share);
    link->share = NULL;
    if (!link->is_ready && !link->is_closed && dial_next(link) == 0)
        return;
    if (none_begun) {
        error = 0;
        cv_rpc_conn_none_begun(link->rpc);
    }
    link_lost(link, error);
    cv_link_mark_dirty(link);
}

/* ---- outputs ---- */

static void write_stream(struct cv_link *link, const struct cv_rpc_output *out)
{
    struct cv_quic_stream *s = out->stream;
    int error = cv_quic_stream_write(s, out->write.bytes, out->write.fin);
    /* A side that was reset, or whose connection has ended, takes nothing more: the call will hear of it. Till
     * then it waits for room: who sends as long as there is some would never come to an end. */
    const bool waits = error == COVEY_ERR_BUSY || error == COVEY_ERR_STATE;
    if (error != 0 && !waits) {
        cv_quic_stream_reset(s, CV_RPC_CODE_CANCELLED);
        cv_quic_stream_stop(s, CV_RPC_CODE_CANCELLED);
    }
    cv_rpc_conn_written(link->rpc, out->call, error == 0);
}

static void do_output(struct cv_link *link, const struct cv_rpc_output *out)
{
    struct cv_node *node = link->head.node;
    switch (out->type) {
    case CV_RPC_STREAM_WRITE:
        write_stream(link, out);
        break;
    case CV_RPC_STREAM_CONSUME:
        cv_quic_stream_consume(out->stream, out->consume.size, out->consume.connection);
        break;
    case CV_RPC_STREAM_DO_RESET:
        cv_quic_stream_reset(out->stream, out->reset.code);
        break;
    case CV_RPC_STREAM_DO_STOP:
        cv_quic_stream_stop(out->stream, out->stop.code);
        break;
    case CV_RPC_DO_CLOSE:
        close_soon(link,
                   out->close.reason == CV_RPC_CLOSE_FLOOD ? CV_CLOSE_LIMIT : CV_CLOSE_PROTOCOL);
        break;
    default:
        node->events.link.call(node->events_user, link, out);
        break;
    }
}

/* ---- calls and streams ---- */

/* Gives streams to the calls that wait for one, as far as the peer allows. */
static void bind_waiting(struct cv_link *link)
{
    struct cv_rpc_call *call;
    struct cv_quic_stream *s;
    while (link->is_ready && (call = cv_rpc_conn_unbound(link->rpc)) != NULL) {
        int error = cv_quic_conn_open(link->head.conn, &s);
        if (error == COVEY_ERR_LIMIT || error == COVEY_ERR_STATE)
            return; /* tried again when streams are available; or the end of the link follows */
        if (error != 0) {
            cv_rpc_call_give_up(call, COVEY_STATUS_RESOURCE_EXHAUSTED, covey_strerror(error));
            continue;
        }
        cv_quic_stream_set_user(s, call);
        cv_rpc_call_bind(call, s, link->head.node->now);
    }
}

void cv_link_connected(struct cv_link *link)
{
    struct cv_node *node = link->head.node;
    if (link->is_closed)
        return; /* given up while it was being connected */
    link->is_ready = true;
    cv_link_mark_dirty(link);
    node->events.link.ready(node->events_user, link);
}

void cv_link_streams_available(struct cv_link *link)
{
    cv_link_mark_dirty(link);
}

void cv_link_stream_opened(struct cv_link *link, struct cv_quic_stream *s)
{
    struct cv_rpc_call *call = NULL;
    struct cv_rpc_input input = {
        .type = CV_RPC_STREAM_ACCEPTED,
        .now = link->head.node->now,
        .accepted = {.stream = s, .call = &call},
    };
    if (link->is_closed || cv_rpc_conn_step(link->rpc, &input) != 0) {
        cv_link_abandon_stream(s);
        return;
    }
    cv_quic_stream_set_user(s, call);
    cv_link_mark_dirty(link);
}

void cv_link_stream_data(struct cv_link *link, struct cv_quic_stream *s, struct cv_slice bytes,
                         bool fin)
{
    if (link->is_closed)
        return; /* its calls are over, and may be freed */
    struct cv_rpc_input input = {
        .type = CV_RPC_STREAM_DATA,
        .now = link->head.node->now,
        .call = cv_quic_stream_user(s),
        .data = {.bytes = bytes, .fin = fin},
    };
    if (input.call == NULL) {
        cv_quic_stream_consume(s, bytes.size, bytes.size);
        return;
    }
    cv_rpc_conn_step(link->rpc, &input); /* without memory it has ended the call itself */
    cv_link_mark_dirty(link);
}

void cv_link_stream_event(struct cv_link *link, struct cv_quic_stream *s,
                          enum cv_rpc_input_type type, uint64_t code)
{
    struct cv_rpc_input input = {
        .type = type, .now = link->head.node->now, .call = cv_quic_stream_user(s)};
    if (link->is_closed)
        return;
    cv_link_mark_dirty(link);
    if (input.call == NULL)
        return; /* it has left its stream, or nobody ever heard of it */
    if (type == CV_RPC_STREAM_RESET)
        input.reset.code = code;
    else if (type == CV_RPC_STREAM_STOPPED)
        input.stopped.code = code;
    else if (type == CV_RPC_STREAM_CLOSED)
        cv_quic_stream_set_user(s, NULL);
    cv_rpc_conn_step(link->rpc, &input);
}

void cv_link_deadline(struct cv_link *link)
{
    struct cv_rpc_input input = {.type = CV_RPC_TIME, .now = link->head.node->now};
    cv_rpc_conn_step(link->rpc, &input);
    cv_link_mark_dirty(link);
}

/* ---- one round ---- */

/* No call is under way, and what was said has arrived: a stream lives that long. */
static bool is_unused(const struct cv_link *link)
{
    return cv_rpc_conn_count(link->rpc) == 0 && !cv_quic_conn_has_streams(link->head.conn);
}

static void keep_alive(struct cv_link *link)
{
    bool is_busy = link->is_ready && !is_unused(link);
    if (is_busy == link->is_busy)
        return;
    link->is_busy = is_busy;
    link->busy_since = link->head.node->now;
    link->silence_check = is_busy ? link->busy_since + SILENCE_MAX : COVEY_NEVER;
    if (link->is_ready)
        cv_quic_conn_set_keep_alive(link->head.conn, is_busy ? KEEP_ALIVE : 0);
}

/* Looks at it only when it could be so, not with each packet. */
static void check_silence(struct cv_link *link)
{
    covey_time now = link->head.node->now;
    if (!link->is_busy || !link->is_ready || now < link->silence_check)
        return;
    covey_time heard = cv_quic_conn_heard_at(link->head.conn);
    covey_time since = heard > link->busy_since ? heard : link->busy_since;
    if (now - since >= SILENCE_MAX)
        cv_link_close(link, COVEY_ERR_TIMEOUT);
    else
        link->silence_check = since + SILENCE_MAX;
}

static covey_time earlier(covey_time a, covey_time b)
{
    return a < b ? a : b;
}

static void link_run(struct cv_link *link)
{
    struct cv_node *node = link->head.node;
    struct cv_rpc_output out;
    bind_waiting(link);
    while (cv_rpc_conn_poll(link->rpc, &out))
        do_output(link, &out);
    keep_alive(link);
    check_silence(link);
    cv_heap_set_latest(&node->timers, &link->head.timer,
                       earlier(cv_rpc_conn_deadline(link->rpc), link->silence_check));
    if (link->is_retiring && link->is_ready && is_unused(link))
        close_idle(link);
    if (link->is_closed && !link->told_closed) {
        link->told_closed = true;
        node->events.link.closed(node->events_user, link, link->error);
    }
    bool done = link->is_closed && link->head.conn == NULL && cv_rpc_conn_count(link->rpc) == 0;
    if (done && !link->is_dirty)
        link_free(link);
}

void cv_node_links_run(struct cv_node *node)
{
    STAILQ_HEAD(, cv_link) now = STAILQ_HEAD_INITIALIZER(now);
    STAILQ_CONCAT(&now, &node->dirty_links);
    struct cv_link *link;
    while ((link = STAILQ_FIRST(&now)) != NULL) {
        STAILQ_REMOVE_HEAD(&now, dirty);
        link->is_dirty = false;
        link_run(link);
    }
}

void cv_node_links_close_due(struct cv_node *node)
{
    struct cv_link *next;
    for (struct cv_link *link = LIST_FIRST(&node->closing_links); link != NULL; link = next) {
        next = LIST_NEXT(link, closing);
        if (link->closing_turn == node->turn)
            continue;
        LIST_REMOVE(link, closing);
        link->is_closing = false;
        if (link->head.conn != NULL)
            cv_quic_conn_close(link->head.conn, link->closing_code);
    }
}

bool cv_node_links_are_dirty(const struct cv_node *node)
{
    return !STAILQ_EMPTY(&node->dirty_links) || !LIST_EMPTY(&node->closing_links);
}

/* ---- for the user ---- */

bool cv_link_peer_drains(const struct cv_link *link)
{
    return cv_rpc_conn_peer_drains(link->rpc);
}

void *cv_link_user(const struct cv_link *link)
{
    return link->user;
}

void cv_link_set_user(struct cv_link *link, void *user)
{
    link->user = user;
}

const struct cv_identity *cv_link_peer(const struct cv_link *link)
{
    return link->head.conn != NULL && cv_quic_conn_is_ready(link->head.conn)
               ? cv_quic_conn_peer(link->head.conn)
               : NULL;
}

struct cv_slice cv_link_peer_der(const struct cv_link *link)
{
    return cv_link_peer(link) != NULL ? cv_quic_conn_peer_der(link->head.conn)
                                      : cv_slice_of(NULL, 0);
}

bool cv_link_is_retiring(const struct cv_link *link)
{
    return link->is_retiring;
}

/* Not when the answer has arrived: by then the memory of one of many calls is in no near cache, and the
 * next call could have had it. */
static void leave_stream(struct cv_link *link, const struct cv_rpc_input *release)
{
    struct cv_rpc_input closed = {
        .type = CV_RPC_STREAM_CLOSED, .now = release->now, .call = release->call};
    if (!cv_rpc_call_is_carried(release->call))
        return;
    cv_quic_stream_set_user(cv_rpc_call_stream(release->call), NULL);
    cv_rpc_conn_step(link->rpc, &closed);
}

int cv_link_step(struct cv_link *link, const struct cv_rpc_input *input)
{
    if (input->type == CV_RPC_RELEASE)
        leave_stream(link, input);
    int error = cv_rpc_conn_step(link->rpc, input);
    cv_link_mark_dirty(link);
    return error;
}

void cv_link_drain(struct cv_link *link)
{
    cv_rpc_conn_drain(link->rpc);
}
