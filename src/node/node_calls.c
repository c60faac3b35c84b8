/* What a link's user sends: small calls, and the first part of large messages, go straight into their stream. */
#include "node/internal.h"

#include <covey/error.h>

#include <assert.h>

void cv_link_abandon_stream(struct cv_quic_stream *s)
{
    cv_quic_stream_stop(s, CV_RPC_CODE_CANCELLED);
    cv_quic_stream_reset(s, CV_RPC_CODE_CANCELLED);
}

/* ---- starting ---- */

static bool is_small(const struct cv_rpc_start *start)
{
    if (start->message == NULL)
        return false;
    size_t size = start->message->size + start->method.size;
    for (size_t i = 0; i < start->metadata_count && size < CV_QUIC_STREAM_LENT_MAX; i++)
        size += start->metadata[i].key.size + start->metadata[i].value.size;
    return size < CV_QUIC_STREAM_LENT_MAX;
}

/* A stream for a small request, which can then be written at once; NULL: it takes the usual way. Those
 * that wait for a stream go first. */
static struct cv_quic_stream *open_for(struct cv_link *link, const struct cv_rpc_start *start,
                                       covey_time now)
{
    struct cv_quic_stream *s;
    if (!link->is_ready || start->deadline <= now || cv_rpc_conn_unbound(link->rpc) != NULL ||
        !is_small(start))
        return NULL;
    return cv_quic_conn_open(link->head.conn, &s) == 0 ? s : NULL;
}

static int start_on(struct cv_quic_stream *s, struct cv_link *link,
                    const struct cv_rpc_start *start, covey_time now, struct cv_rpc_call **out)
{
    struct cv_rpc_start on_stream = *start;
    struct cv_writer room;
    on_stream.stream = s;
    on_stream.room = cv_quic_stream_lend(s, &room) ? &room : NULL;
    int error = cv_rpc_conn_start(link->rpc, &on_stream, now, out);
    if (error != 0) {
        cv_link_abandon_stream(s);
        return error;
    }
    cv_quic_stream_set_user(s, *out);
    if (on_stream.room != NULL)
        cv_quic_stream_take(s, &room, true);
    return 0;
}

int cv_link_start(struct cv_link *link, const struct cv_rpc_start *start, covey_time now,
                  struct cv_rpc_call **out)
{
    if (link->is_closed)
        return COVEY_ERR_CLOSED;
    struct cv_quic_stream *s = open_for(link, start, now);
    int error = s != NULL ? start_on(s, link, start, now, out)
                          : cv_rpc_conn_start(link->rpc, start, now, out);
    if (error == 0)
        cv_link_mark_dirty(link);
    return error;
}

/* ---- sending ---- */

/* Smaller ones are copied once more: they leave with what goes before and after them in one piece. */
#define DIRECT_SIZE_MIN ((size_t)4 << 10)

/* There is room for it, so all that can be missing is memory: then nobody can be told anything on the
 * stream any more. */
static void write_direct(struct cv_quic_stream *s, const struct cv_rpc_direct *direct)
{
    int error =
        cv_quic_stream_write_both(s, cv_slice_of(direct->head, direct->head_size), direct->body);
    assert(error == 0 || error == COVEY_ERR_NO_MEMORY);
    if (error != 0)
        cv_link_abandon_stream(s);
}

int cv_link_send(struct cv_link *link, struct cv_rpc_call *call, struct cv_slice message, bool end,
                 covey_time now)
{
    struct cv_quic_stream *s = cv_rpc_call_stream(call);
    struct cv_rpc_direct direct = {.size_max = 0};
    struct cv_rpc_input send = {
        .type = CV_RPC_SEND,
        .now = now,
        .call = call,
        .send = {.message = message, .end = end},
    };
    if (s != NULL && message.size >= DIRECT_SIZE_MIN) {
        direct.size_max = cv_quic_stream_room(s);
        send.send.direct = &direct;
    }
    int error = cv_link_step(link, &send);
    if (direct.head_size > 0)
        write_direct(s, &direct);
    return error;
}

int cv_link_reply(struct cv_link *link, struct cv_rpc_call *call, struct cv_slice message,
                  covey_time now)
{
    struct cv_quic_stream *s = cv_rpc_call_stream(call);
    struct cv_writer room;
    bool is_lent = s != NULL && cv_quic_stream_lend(s, &room);
    struct cv_rpc_input reply = {
        .type = CV_RPC_REPLY,
        .now = now,
        .call = call,
        .reply = {.message = message, .room = is_lent ? &room : NULL},
    };
    int error = cv_link_step(link, &reply);
    if (is_lent)
        cv_quic_stream_take(s, &room, true);
    return error;
}
