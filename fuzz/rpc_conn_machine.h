#ifndef FUZZ_RPC_CONN_MACHINE_H
#define FUZZ_RPC_CONN_MACHINE_H

#include "rpc/conn.h"
#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>

/* What a transport and a user know of one end of an RPC connection, and what they may rely on. */

#define SLOTS     6
#define CALLS_MAX 3                   /* of the peer's */
#define USERS     (SLOTS + CALLS_MAX) /* and as many of ours as there are slots */

/* A stream as its transport knows it. */
struct stream {
    struct cv_rpc_call *call; /* NULL: there is none */
    size_t received, consumed, credited;
    bool peer_done; /* its end was handed over */
    bool sent_done; /* FIN, RESET or STOP_SENDING */
    bool stopped;
    bool blocked;
    bool wrote;
};

/* A call as its user knows it. */
struct user {
    struct cv_rpc_call *call; /* NULL: none */
    bool is_client, finished, cancelled, ended, over, answer_begun;
    size_t held[64]; /* sizes of messages that he has, up to the limits below */
    size_t held_count;
    size_t messages, ends, metadatas;
};

struct machine {
    struct cv_rpc_conn *rc;
    struct cv_alloc alloc;
    size_t allocations;
    unsigned fail_in; /* 0: not */
    covey_time now;
    struct stream streams[SLOTS];
    struct user users[USERS];
    bool lost, close_told, draining;
    uint64_t polls;
};

/* ---- memory that may fail ---- */

static inline bool must_fail(struct machine *m)
{
    return m->fail_in > 0 && --m->fail_in == 0;
}

static inline void *allocate(void *user, size_t size)
{
    struct machine *m = user;
    void *memory = must_fail(m) ? NULL : malloc(size);
    m->allocations += memory != NULL;
    return memory;
}

static inline void *reallocate(void *user, void *memory, size_t size)
{
    struct machine *m = user;
    void *moved = must_fail(m) ? NULL : realloc(memory, size);
    m->allocations += memory == NULL && moved != NULL;
    return moved;
}

static inline void release(void *user, void *memory)
{
    struct machine *m = user;
    m->allocations -= memory != NULL;
    free(memory);
}

/* ---- what is asserted after every step ---- */

static inline struct cv_rpc_limits limits_of(void)
{
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.message_send_max = 700;
    limits.message_receive_max = 500;
    limits.header_size_max = 300;
    limits.calls_max = CALLS_MAX;
    limits.receive_buffer_max = 400;
    limits.receive_total_max = 900;
    limits.receive_lag_max = 70;
    limits.send_memory_max = limits.receive_memory_max = 1; /* as little as is possible */
    limits.header_timeout = 1000;
    limits.glitch_burst = 4;
    limits.glitch_interval = 500;
    return limits;
}

static inline size_t held_by(const struct user *u)
{
    size_t sum = 0;
    for (size_t i = 0; i < u->held_count; i++)
        sum += u->held[i] + CV_RPC_MESSAGE_COST;
    return sum;
}

static inline bool is_known(const struct cv_rpc_conn *rc, const struct cv_rpc_call *call)
{
    const struct cv_rpc_call *other;
    LIST_FOREACH (other, &rc->all, link)
        if (other == call)
            return true;
    return false;
}

/* The queues hold calls that exist, and these know of it. */
static inline void check_queues(const struct cv_rpc_conn *rc)
{
    const struct cv_rpc_call *call;
    TAILQ_FOREACH (call, &rc->ready, ready_link)
        assert(is_known(rc, call) && call->is_ready);
    TAILQ_FOREACH (call, &rc->unbound, unbound_link)
        assert(is_known(rc, call) && call->is_unbound && call->state == CV_RPC_CALL_RUNNING);
    TAILQ_FOREACH (call, &rc->starved, starved_link)
        assert(is_known(rc, call) && call->is_starved);
    TAILQ_FOREACH (call, &rc->withheld, withheld_link)
        assert(is_known(rc, call) && call->is_withheld);
}

static inline void check(const struct machine *m)
{
    const struct cv_rpc_conn *rc = m->rc;
    check_queues(rc);
    size_t held = 0, executing = 0, known = 0;
    for (size_t i = 0; i < USERS; i++) {
        const struct user *u = &m->users[i];
        held += held_by(u);
        executing += u->call != NULL && !u->is_client;
        known += u->call != NULL;
        assert(held_by(u) <= rc->limits.receive_buffer_max + rc->limits.message_receive_max +
                                 CV_RPC_MESSAGE_COST);
    }
    assert(rc->held == held && rc->executing == executing);
    assert(executing <= rc->limits.calls_max);
    /* A message is let through when there is room; then calls, and with them room, may have gone. */
    assert(held <= rc->limits.receive_total_max + rc->limits.message_receive_max +
                       CV_RPC_MESSAGE_COST + (USERS + SLOTS) * rc->limits.receive_lag_max);
    assert(cv_rpc_conn_count(rc) >= known && cv_rpc_conn_count(rc) <= known + SLOTS);
    assert(rc->receive_memory.used <= rc->receive_memory.used_max);
    assert(rc->send_memory.used <= rc->send_memory.used_max);
}

static inline int step(struct machine *m, struct cv_rpc_input in)
{
    in.now = m->now;
    int error = cv_rpc_conn_step(m->rc, &in);
    check(m);
    return error;
}

/* ---- outputs ---- */

static inline struct stream *stream_of(struct machine *m, const struct cv_rpc_output *out)
{
    struct stream *s = out->stream;
    assert(s >= m->streams && s < m->streams + SLOTS && s->call == out->call && !m->lost);
    return s;
}

static inline void take_write(struct machine *m, const struct cv_rpc_output *out)
{
    struct stream *s = stream_of(m, out);
    assert(!s->sent_done && !s->blocked && out->write.bytes.size <= CV_RPC_WRITE_SIZE_MAX);
    assert(out->write.bytes.size > 0 || (s->wrote && out->write.fin));
    /* Every byte is looked at, so that the sanitizer sees a slice that is not there. */
    uint8_t sum = 0;
    for (size_t i = 0; i < out->write.bytes.size; i++)
        sum = (uint8_t)(sum + out->write.bytes.data[i]);
    bool taken = m->polls % 4 != 3 || sum % 2 == 0;
    if (taken) {
        s->wrote = true;
        s->sent_done = out->write.fin;
    }
    s->blocked = !taken;
    cv_rpc_conn_written(m->rc, out->call, taken);
}

static inline void take_signal(struct machine *m, const struct cv_rpc_output *out)
{
    struct stream *s = stream_of(m, out);
    if (out->type == CV_RPC_STREAM_CONSUME) {
        assert(out->consume.size > 0 || out->consume.connection > 0);
        assert(out->consume.size <= s->received - s->consumed);
        assert(out->consume.connection <= s->received - s->credited);
        s->consumed += out->consume.size;
        s->credited += out->consume.connection;
    } else if (out->type == CV_RPC_STREAM_DO_RESET) {
        assert(!s->sent_done);
        s->sent_done = true;
    } else {
        assert(out->type == CV_RPC_STREAM_DO_STOP && !s->stopped && !s->peer_done);
        s->stopped = true;
    }
}

static inline void take_message(struct user *u, struct cv_slice message)
{
    assert(message.size <= 500 && u->ends == 0);
    assert(u->held_count < sizeof u->held / sizeof u->held[0]);
    u->held[u->held_count++] = message.size;
    u->messages++;
    u->answer_begun = true;
}

static inline void take_call(struct machine *m, const struct cv_rpc_output *out)
{
    struct user *u = m->users;
    while (u < m->users + USERS && u->call != NULL)
        u++;
    assert(u < m->users + USERS && cv_rpc_call_user(out->call) == NULL && !m->lost);
    assert(out->begin.method.size > 0 && out->begin.metadata_count <= CV_RPC_METADATA_COUNT_MAX);
    assert(out->begin.deadline > m->now);
    *u = (struct user){.call = out->call};
    cv_rpc_call_set_user(out->call, u);
    if (out->begin.is_whole) {
        take_message(u, out->begin.message);
        u->ends++;
    }
}

static inline void take_event(struct machine *m, const struct cv_rpc_output *out)
{
    if (out->type == CV_RPC_EVENT_CALL) {
        take_call(m, out);
        return;
    }
    struct user *u = cv_rpc_call_user(out->call);
    assert(u != NULL && u->call == out->call && !u->over && !u->finished);
    switch (out->type) {
    case CV_RPC_EVENT_METADATA:
        assert(u->is_client && u->metadatas == 0 && u->messages == 0);
        assert(out->metadata.count <= CV_RPC_METADATA_COUNT_MAX);
        u->metadatas++;
        break;
    case CV_RPC_EVENT_MESSAGE:
        take_message(u, out->message);
        break;
    case CV_RPC_EVENT_END:
        assert(!u->is_client && u->ends == 0);
        u->ends++;
        break;
    case CV_RPC_EVENT_STATUS:
        assert(u->is_client && !(out->end.by_peer && out->end.not_started));
        if (out->end.has_message)
            take_message(u, out->end.message);
        assert(!out->end.not_started || (u->messages == 0 && u->metadatas == 0));
        u->over = true;
        break;
    case CV_RPC_EVENT_CANCELLED:
        assert(!u->is_client);
        u->over = true;
        break;
    default:
        assert(out->type == CV_RPC_EVENT_WRITABLE);
    }
}

/* At most `count` outputs. */
static inline void poll(struct machine *m, size_t count)
{
    struct cv_rpc_output out;
    while (count-- > 0 && cv_rpc_conn_poll(m->rc, &out)) {
        m->polls++;
        if (out.type == CV_RPC_STREAM_WRITE) {
            take_write(m, &out);
        } else if (out.type < CV_RPC_DO_CLOSE) {
            take_signal(m, &out);
        } else if (out.type == CV_RPC_DO_CLOSE) {
            assert(!m->close_told && out.call == NULL);
            m->close_told = true;
        } else {
            take_event(m, &out);
        }
        check(m);
    }
}

#endif
