/*
 * One end of a connection whose transport is the test: inputs are fed by hand, all outputs are
 * collected as one line of text, so that a test compares the whole of what happened.
 */
#ifndef RPC_FIXTURE_H
#define RPC_FIXTURE_H

#include "rpc/conn.h"
#include "rpc/rpc.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <covey/error.h>

#define MS COVEY_MILLISECOND

struct end {
    struct test_alloc memory;
    struct cv_rpc_conn *rc;
    covey_time now;
    bool full;                /* the transport takes no bytes */
    struct cv_rpc_call *call; /* of the last EVENT_CALL */
    size_t trace_size;
    char trace[4096];
    size_t written_size; /* of all STREAM_WRITE */
    uint8_t written[1024];
};

/* Streams are opaque: any address will do. */
static char streams[2];
#define stream_1 streams[0]
#define stream_2 streams[1]

static inline void end_init_limits(struct end *e, const struct cv_rpc_limits *limits)
{
    memset(e, 0, sizeof *e);
    test_alloc_init(&e->memory);
    e->now = 1000 * COVEY_SECOND;
    assert_int_equal(cv_rpc_conn_new(&e->memory.alloc, limits, &e->rc), 0);
}

static inline void end_init(struct end *e)
{
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    end_init_limits(e, &limits);
}

static inline void end_fini(struct end *e)
{
    cv_rpc_conn_free(e->rc);
    test_alloc_assert_empty(&e->memory);
}

static inline void end_log(struct end *e, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size =
        vsnprintf(e->trace + e->trace_size, sizeof e->trace - e->trace_size, format, arguments);
    va_end(arguments);
    assert_true(size >= 0 && (size_t)size < sizeof e->trace - e->trace_size);
    e->trace_size += (size_t)size;
}

/* Small texts as they are, of others the size. */
static inline void end_log_bytes(struct end *e, const char *name, struct cv_slice bytes)
{
    if (bytes.size <= 64)
        end_log(e, "%s(%.*s) ", name, (int)bytes.size,
                bytes.size == 0 ? "" : (const char *)bytes.data);
    else
        end_log(e, "%s[%zu] ", name, bytes.size);
}

static inline void end_log_write(struct end *e, const struct cv_rpc_output *out)
{
    if (e->full) {
        end_log(e, "full ");
        cv_rpc_conn_written(e->rc, out->call, false);
        return;
    }
    end_log(e, "write %zu%s ", out->write.bytes.size, out->write.fin ? " fin" : "");
    size_t room = sizeof e->written - e->written_size;
    size_t size = out->write.bytes.size < room ? out->write.bytes.size : room;
    if (size > 0)
        memcpy(e->written + e->written_size, out->write.bytes.data, size);
    e->written_size += size;
    cv_rpc_conn_written(e->rc, out->call, true);
}

static inline void end_log_entries(struct end *e, const struct cv_rpc_metadata *entries,
                                   size_t count)
{
    for (size_t i = 0; i < count; i++) {
        end_log_bytes(e, "key", entries[i].key);
        end_log_bytes(e, "value", entries[i].value);
    }
}

static inline void end_log_begin(struct end *e, const struct cv_rpc_output *out)
{
    e->call = out->call;
    end_log_bytes(e, "call", out->begin.method);
    if (out->begin.deadline != COVEY_NEVER)
        end_log(e, "in %llu us ",
                (unsigned long long)((out->begin.deadline - e->now) / COVEY_MICROSECOND));
    end_log_entries(e, out->begin.metadata, out->begin.metadata_count);
    if (out->begin.is_whole)
        end_log_bytes(e, "whole", out->begin.message);
}

static inline void end_log_output(struct end *e, const struct cv_rpc_output *out)
{
    switch (out->type) {
    case CV_RPC_STREAM_WRITE:
        end_log_write(e, out);
        return;
    case CV_RPC_STREAM_CONSUME:
        end_log(e, "consume %zu ", out->consume.size);
        if (out->consume.connection != out->consume.size)
            end_log(e, "of %zu ", out->consume.connection);
        return;
    case CV_RPC_STREAM_DO_RESET:
        end_log(e, "reset %d ", (int)out->reset.code);
        return;
    case CV_RPC_STREAM_DO_STOP:
        end_log(e, "stop %d ", (int)out->stop.code);
        return;
    case CV_RPC_DO_CLOSE:
        assert_null(out->call);
        end_log(e, "close %s ", out->close.reason == CV_RPC_CLOSE_FLOOD ? "flood" : "violation");
        return;
    case CV_RPC_EVENT_CALL:
        end_log_begin(e, out);
        return;
    case CV_RPC_EVENT_METADATA:
        end_log(e, "metadata ");
        end_log_entries(e, out->metadata.entries, out->metadata.count);
        return;
    case CV_RPC_EVENT_MESSAGE:
        end_log_bytes(e, "message", out->message);
        return;
    case CV_RPC_EVENT_END:
        end_log(e, "end ");
        return;
    case CV_RPC_EVENT_WRITABLE:
        end_log(e, "writable ");
        return;
    case CV_RPC_EVENT_STATUS:
        if (out->end.has_message)
            end_log_bytes(e, "last", out->end.message);
        end_log(e, "status %s%s%s ", covey_status_name(out->end.status.code),
                out->end.by_peer ? " by peer" : "", out->end.not_started ? " not started" : "");
        if (out->end.by_peer && out->end.status.message.size > 0)
            end_log_bytes(e, "text", out->end.status.message);
        if (out->end.status.details.size > 0)
            end_log_bytes(e, "details", out->end.status.details);
        return;
    case CV_RPC_EVENT_CANCELLED:
        end_log(e, "cancelled ");
        return;
    }
    fail();
}

/* All outputs since the last time must be these. */
static inline void expect(struct end *e, const char *trace)
{
    struct cv_rpc_output out;
    while (cv_rpc_conn_poll(e->rc, &out))
        end_log_output(e, &out);
    e->trace[e->trace_size] = '\0';
    assert_string_equal(e->trace, trace);
    e->trace_size = 0;
}

static inline void expect_written(struct end *e, const void *bytes, size_t size)
{
    assert_int_equal(e->written_size, size);
    assert_memory_equal(e->written, bytes, size);
    e->written_size = 0;
}

static inline int step(struct end *e, struct cv_rpc_call *call, enum cv_rpc_input_type type)
{
    struct cv_rpc_input in = {.type = type, .now = e->now, .call = call};
    return cv_rpc_conn_step(e->rc, &in);
}

static inline void time_passes(struct end *e, covey_time length)
{
    e->now += length;
    assert_int_equal(step(e, NULL, CV_RPC_TIME), 0);
}

static inline struct cv_rpc_call *accept_stream(struct end *e, void *stream)
{
    struct cv_rpc_call *call = NULL;
    struct cv_rpc_input in = {.type = CV_RPC_STREAM_ACCEPTED,
                              .now = e->now,
                              .accepted = {.stream = stream, .call = &call}};
    assert_int_equal(cv_rpc_conn_step(e->rc, &in), 0);
    assert_non_null(call);
    return call;
}

static inline int data(struct end *e, struct cv_rpc_call *call, const void *bytes, size_t size,
                       bool fin)
{
    struct cv_rpc_input in = {.type = CV_RPC_STREAM_DATA,
                              .now = e->now,
                              .call = call,
                              .data = {.bytes = cv_slice_of(bytes, size), .fin = fin}};
    return cv_rpc_conn_step(e->rc, &in);
}

/* A string literal with its bytes. */
#define DATA(e, call, literal, fin)                                                                \
    assert_int_equal(data((e), (call), (literal), sizeof(literal) - 1, (fin)), 0)

static inline void stream_reset(struct end *e, struct cv_rpc_call *call, uint64_t code)
{
    struct cv_rpc_input in = {
        .type = CV_RPC_STREAM_RESET, .now = e->now, .call = call, .reset = {code}};
    assert_int_equal(cv_rpc_conn_step(e->rc, &in), 0);
}

static inline void stream_stopped(struct end *e, struct cv_rpc_call *call, uint64_t code)
{
    struct cv_rpc_input in = {
        .type = CV_RPC_STREAM_STOPPED, .now = e->now, .call = call, .stopped = {code}};
    assert_int_equal(cv_rpc_conn_step(e->rc, &in), 0);
}

static inline int send_bytes(struct end *e, struct cv_rpc_call *call, const void *bytes,
                             size_t size, bool end)
{
    struct cv_rpc_input in = {.type = CV_RPC_SEND,
                              .now = e->now,
                              .call = call,
                              .send = {.message = cv_slice_of(bytes, size), .end = end}};
    return cv_rpc_conn_step(e->rc, &in);
}

static inline int send_text(struct end *e, struct cv_rpc_call *call, const char *text, bool end)
{
    return send_bytes(e, call, text, strlen(text), end);
}

static inline int send_metadata(struct end *e, struct cv_rpc_call *call,
                                const struct cv_rpc_metadata *entries, size_t count)
{
    struct cv_rpc_input in = {.type = CV_RPC_SEND_METADATA,
                              .now = e->now,
                              .call = call,
                              .send_metadata = {.entries = entries, .count = count}};
    return cv_rpc_conn_step(e->rc, &in);
}

static inline int finish_details(struct end *e, struct cv_rpc_call *call,
                                 enum covey_status_code code, const char *text,
                                 struct cv_slice details)
{
    struct cv_rpc_input in = {
        .type = CV_RPC_FINISH,
        .now = e->now,
        .call = call,
        .finish = {.code = code, .message = cv_slice_text(text), .details = details}};
    return cv_rpc_conn_step(e->rc, &in);
}

static inline int finish(struct end *e, struct cv_rpc_call *call, enum covey_status_code code,
                         const char *text)
{
    return finish_details(e, call, code, text, (struct cv_slice){0});
}

static inline int read_message(struct end *e, struct cv_rpc_call *call, size_t size)
{
    struct cv_rpc_input in = {
        .type = CV_RPC_READ, .now = e->now, .call = call, .read = {.size = size}};
    return cv_rpc_conn_step(e->rc, &in);
}

static inline struct cv_rpc_call *start_within(struct end *e, void *stream, covey_time timeout)
{
    struct cv_rpc_start start = {.method = cv_slice_text("m"),
                                 .deadline =
                                     timeout == COVEY_NEVER ? COVEY_NEVER : e->now + timeout,
                                 .stream = stream};
    struct cv_rpc_call *call = NULL;
    assert_int_equal(cv_rpc_conn_start(e->rc, &start, e->now, &call), 0);
    assert_non_null(call);
    return call;
}

static inline struct cv_rpc_call *start(struct end *e, void *stream)
{
    return start_within(e, stream, COVEY_NEVER);
}

/* A server's call for method "m" that EVENT_CALL told of. */
static inline struct cv_rpc_call *serve(struct end *e, void *stream)
{
    struct cv_rpc_call *call = accept_stream(e, stream);
    DATA(e, call, "\x0d\x02\x01m", false);
    expect(e, "call(m) consume 4 ");
    return call;
}

static inline struct cv_rpc_stats stats_of(const struct end *e)
{
    struct cv_rpc_stats stats;
    cv_rpc_conn_stats(e->rc, &stats);
    return stats;
}

#endif
