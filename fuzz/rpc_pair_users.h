#ifndef FUZZ_RPC_PAIR_USERS_H
#define FUZZ_RPC_PAIR_USERS_H

#include "rpc/rpc.h"
#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>

/* Two users of an RPC connection: what they do, what they know, what they may rely on. */

#define CALLS  4
#define WINDOW 200 /* of a stream */
#define ROOM   ((size_t)70000)

/* One direction of a stream. */
struct pipe {
    uint8_t *bytes;
    size_t written, arrived, consumed;
    bool fin, reset, done, stop, stop_told, blocked;
    uint64_t reset_code, stop_code;
};

/* What one side's user knows of a call. */
struct user {
    struct cv_rpc_call *call;
    size_t sent, received; /* messages; the n-th has the byte n and a size that n says */
    size_t unread, unread_bytes;
    size_t metadatas, ends;
    bool began, ended, finished, released, cancelled, over, told_metadata;
    enum covey_status_code code;
    bool by_peer, not_started;
};

struct call {
    int opener; /* whose call it is */
    bool open, told, closed;
    struct pipe pipes[2]; /* by who writes */
    struct cv_rpc_call *calls[2];
    struct user users[2];
};

struct both {
    struct cv_rpc_conn *ends[2];
    struct call calls[CALLS];
    size_t count;
    covey_time now;
    bool draining[2];
};

static const size_t sizes[] = {0, 1, 63, 64, 300, 2};

static inline size_t size_of(size_t number)
{
    return sizes[number % 6];
}

static inline int step(struct both *b, int side, struct cv_rpc_input in)
{
    in.now = b->now;
    return cv_rpc_conn_step(b->ends[side], &in);
}

/* ---- users ---- */

static inline void start(struct both *b, int side, uint8_t how)
{
    if (b->count == CALLS)
        return;
    struct call *c = &b->calls[b->count++];
    struct cv_rpc_metadata entry = {cv_slice_text("k"), cv_slice_text("v")};
    struct cv_rpc_start start = {
        .method = cv_slice_text("m"),
        .deadline = (how & 1) != 0 ? b->now + 1 + how * COVEY_MICROSECOND : COVEY_NEVER,
        .metadata = &entry,
        .metadata_count = (how & 2) != 0,
        .stream = c,
        .user = &c->users[side],
    };
    c->opener = side;
    c->open = true;
    int error = cv_rpc_conn_start(b->ends[side], &start, b->now, &c->calls[side]);
    assert(error == 0);
    c->users[side].call = c->calls[side];
    c->users[side].began = true;
}

static inline void send_next(struct both *b, int side, struct call *c, bool end)
{
    static uint8_t message[300];
    struct user *u = &c->users[side];
    size_t size = size_of(u->sent);
    memset(message, (int)(u->sent & 255), size);
    end = end && side == c->opener;
    int error =
        step(b, side,
             (struct cv_rpc_input){.type = CV_RPC_SEND,
                                   .call = u->call,
                                   .send = {.message = cv_slice_of(message, size), .end = end}});
    assert(error == 0 || error == COVEY_ERR_STATE || error == COVEY_ERR_BUSY);
    if (error == 0) {
        u->sent++;
        u->ended = end;
    }
}

static inline void finish(struct both *b, int side, struct call *c, uint8_t how)
{
    struct user *u = &c->users[side];
    if (side == c->opener || u->finished)
        return;
    u->code = (enum covey_status_code)(how % 17);
    int error = step(b, side,
                     (struct cv_rpc_input){
                         .type = CV_RPC_FINISH,
                         .call = u->call,
                         .finish = {.code = u->code, .details = cv_slice_of("\0\1", how & 2)}});
    assert(error == 0);
    u->finished = true;
}

static inline void send_metadata(struct both *b, int side, struct call *c)
{
    struct user *u = &c->users[side];
    struct cv_rpc_metadata entry = {cv_slice_text("k"), cv_slice_text("v")};
    if (side == c->opener)
        return;
    int error =
        step(b, side,
             (struct cv_rpc_input){
                 .type = CV_RPC_SEND_METADATA, .call = u->call, .send_metadata = {&entry, 1}});
    assert(error == 0 || error == COVEY_ERR_STATE);
    u->told_metadata = u->told_metadata || error == 0;
}

/* READs may be added up: the sum of the sizes first. */
static inline void read_all(struct both *b, int side, struct call *c)
{
    struct user *u = &c->users[side];
    for (; u->unread > 0; u->unread--) {
        step(b, side,
             (struct cv_rpc_input){
                 .type = CV_RPC_READ, .call = u->call, .read = {.size = u->unread_bytes}});
        u->unread_bytes = 0;
    }
}

static inline void let_go(struct both *b, int side, struct call *c)
{
    c->users[side].released = true;
    step(b, side, (struct cv_rpc_input){.type = CV_RPC_RELEASE, .call = c->users[side].call});
}

static inline void cancel(struct both *b, int side, struct call *c)
{
    struct user *u = &c->users[side];
    step(b, side, (struct cv_rpc_input){.type = CV_RPC_CANCEL, .call = u->call});
    if (side != c->opener && !u->over && !u->finished) {
        u->finished = true;
        u->code = COVEY_STATUS_ABORTED;
    }
    u->cancelled = true;
}

static inline void use(struct both *b, int side, struct call *c, uint8_t what, uint8_t how)
{
    struct user *u = &c->users[side];
    if (!u->began || u->released)
        return;
    switch (what) {
    case 0:
    case 1:
        send_next(b, side, c, how == 0);
        return;
    case 2:
        if (side == c->opener &&
            step(b, side, (struct cv_rpc_input){.type = CV_RPC_END, .call = u->call}) == 0)
            u->ended = true;
        return;
    case 3:
        finish(b, side, c, how);
        return;
    case 4:
        send_metadata(b, side, c);
        return;
    case 5:
        read_all(b, side, c);
        return;
    case 6:
        cancel(b, side, c);
        return;
    default:
        let_go(b, side, c);
    }
}

/* ---- events ---- */

static inline void take_message(const struct call *c, int side, struct user *u,
                                struct cv_slice message)
{
    assert(u->ends == 0 && message.size == size_of(u->received));
    for (size_t i = 0; i < message.size; i++)
        assert(message.data[i] == (u->received & 255));
    assert(u->received < c->users[1 - side].sent);
    u->received++;
    u->unread++;
    u->unread_bytes += message.size;
}

static inline void take_end(const struct call *c, int side, struct user *u)
{
    assert(side != c->opener && u->ends++ == 0);
    assert(c->users[1 - side].ended && u->received == c->users[1 - side].sent);
}

static inline void take_status(struct user *u, const struct cv_rpc_output *out)
{
    u->over = true;
    u->code = out->end.status.code;
    u->by_peer = out->end.by_peer;
    u->not_started = out->end.not_started;
}

static inline void take_event(struct both *b, int side, const struct cv_rpc_output *out)
{
    struct user *u = cv_rpc_call_user(out->call);
    struct call *c = b->calls;
    while (c < b->calls + CALLS && u != &c->users[side])
        c++;
    assert(c < b->calls + CALLS && u->call == out->call);
    assert(!u->released && !u->over && !(u->finished && out->type != CV_RPC_EVENT_CANCELLED));
    if (out->type == CV_RPC_EVENT_CALL) {
        assert(side != c->opener && !u->began);
        u->began = true;
        if (out->begin.is_whole) {
            take_message(c, side, u, out->begin.message);
            take_end(c, side, u);
        }
    } else if (out->type == CV_RPC_EVENT_METADATA) {
        assert(side == c->opener && c->users[1 - side].told_metadata);
        assert(u->metadatas++ == 0 && u->received == 0);
    } else if (out->type == CV_RPC_EVENT_MESSAGE) {
        take_message(c, side, u, out->message);
    } else if (out->type == CV_RPC_EVENT_END) {
        take_end(c, side, u);
    } else if (out->type == CV_RPC_EVENT_STATUS) {
        if (out->end.has_message)
            take_message(c, side, u, out->end.message);
        take_status(u, out);
    } else if (out->type == CV_RPC_EVENT_CANCELLED) {
        u->over = true;
    }
}

#endif
