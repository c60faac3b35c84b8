#include "bound.h"
#include "process.h"

/* Streams are given back to the peer in batches. */
#define STREAMS_BATCH 64

static void give_streams(struct bound_conn *c)
{
    if (c->closed_streams < STREAMS_BATCH)
        return;
    ngtcp2_conn_extend_max_streams_bidi(c->native, c->closed_streams);
    c->closed_streams = 0;
}

/* As many of the waiting calls as the peer allows. */
static void open_streams(struct bound_conn *c)
{
    struct bound_call *call;
    while ((call = STAILQ_FIRST(&c->waiting)) != NULL &&
           ngtcp2_conn_open_bidi_stream(c->native, &call->stream, call) == 0) {
        STAILQ_REMOVE_HEAD(&c->waiting, link);
        STAILQ_INSERT_TAIL(&c->sending, call, link);
    }
}

/* Writes of a call, or without one what QUIC itself has to say. Many small calls share a packet;
 * the last write of a packet is one without a call. */
static ngtcp2_ssize write_part(struct bound_conn *c, struct bound_call *call, unsigned char *room,
                               uint64_t now)
{
    ngtcp2_pkt_info info;
    ngtcp2_ssize taken = -1;
    if (call == NULL)
        return ngtcp2_conn_writev_stream(c->native, &c->path.path, &info, room, BOUND_PACKET_SIZE,
                                         NULL, NGTCP2_WRITE_STREAM_FLAG_NONE, -1, NULL, 0, now);
    ngtcp2_vec part = {.base = (unsigned char *)(uintptr_t)call->out + call->sent,
                       .len = call->out_size - call->sent};
    ngtcp2_ssize size = ngtcp2_conn_writev_stream(
        c->native, &c->path.path, &info, room, BOUND_PACKET_SIZE, &taken,
        NGTCP2_WRITE_STREAM_FLAG_MORE | NGTCP2_WRITE_STREAM_FLAG_FIN, call->stream, &part, 1, now);
    if (taken >= 0)
        call->sent += (size_t)taken;
    if (taken >= 0 && call->sent == call->out_size)
        STAILQ_REMOVE_HEAD(&c->sending, link);
    return size;
}

void bound_conn_write(struct bound_conn *c, uint64_t now)
{
    struct bound *b = c->bound;
    size_t quantum = ngtcp2_conn_get_send_quantum(c->native), written = 0;
    bool is_blocked = false;
    give_streams(c);
    open_streams(c);
    while (written + BOUND_PACKET_SIZE <= quantum) {
        unsigned char *room = bound_sender_room(&b->sender, c->socket);
        ngtcp2_ssize size = write_part(c, is_blocked ? NULL : STAILQ_FIRST(&c->sending), room, now);
        if (size == NGTCP2_ERR_WRITE_MORE)
            continue;
        if (size == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
            is_blocked = true;
            continue;
        }
        if (size < 0)
            die("rpc-bound: write: %s", ngtcp2_strerror((int)size));
        if (size == 0)
            break;
        bound_sender_commit(&b->sender, &c->remote, (size_t)size);
        written += (size_t)size;
    }
    if (written + BOUND_PACKET_SIZE > quantum)
        bound_conn_mark(c); /* there may be more: others first */
    bound_loop_note(b, ngtcp2_conn_get_expiry(c->native));
}
