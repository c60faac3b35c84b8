/*
 * A call's stream in one piece against the same bytes in many: the user must see the same events
 * and the peer the same answer, whatever the bytes and the cuts are.
 *
 * The input is  u8: bit 0 client, bit 1 FIN, bits 2-7 piece count | piece sizes, one byte each,
 * used in turn | the stream.
 */
#include "rpc/rpc.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came out, in order. */
struct trace {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
};

static void add(struct trace *t, const void *bytes, size_t size)
{
    if (t->size + size > t->capacity) {
        t->capacity = 2 * (t->size + size);
        t->bytes = realloc(t->bytes, t->capacity);
        assert(t->bytes != NULL);
    }
    if (size > 0)
        memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

static void add_number(struct trace *t, uint64_t number)
{
    add(t, &number, sizeof number);
}

static void add_slice(struct trace *t, struct cv_slice slice)
{
    add_number(t, slice.size);
    add(t, slice.data, slice.size);
}

struct end {
    struct cv_rpc_conn *rc;
    struct cv_rpc_call *call;
    struct trace events;
    struct trace answer; /* one after the other, however they were cut into writes */
    bool stopped;
};

static void add_entries(struct end *e, const struct cv_rpc_metadata *entries, size_t count)
{
    add_number(&e->events, count);
    for (size_t i = 0; i < count; i++) {
        add_slice(&e->events, entries[i].key);
        add_slice(&e->events, entries[i].value);
    }
}

static void add_begin(struct end *e, const struct cv_rpc_output *out)
{
    add_slice(&e->events, out->begin.method);
    add_number(&e->events, out->begin.deadline);
    add_entries(e, out->begin.metadata, out->begin.metadata_count);
}

static void add_status(struct end *e, const struct cv_rpc_output *out)
{
    add_number(&e->events, (uint64_t)out->end.status.code);
    add_slice(&e->events, out->end.status.message);
    add_slice(&e->events, out->end.status.details);
    add_number(&e->events, out->end.by_peer);
    add_number(&e->events, out->end.not_started);
}

static void output(struct end *e, const struct cv_rpc_output *out)
{
    if (out->type >= CV_RPC_EVENT_CALL)
        add_number(&e->events, (uint64_t)out->type);
    if (out->type == CV_RPC_STREAM_WRITE) {
        add(&e->answer, out->write.bytes.data, out->write.bytes.size);
        cv_rpc_conn_written(e->rc, out->call, true);
    } else if (out->type == CV_RPC_STREAM_DO_STOP) {
        e->stopped = true;
    } else if (out->type == CV_RPC_EVENT_CALL) {
        add_begin(e, out);
    } else if (out->type == CV_RPC_EVENT_METADATA) {
        add_entries(e, out->metadata.entries, out->metadata.count);
    } else if (out->type == CV_RPC_EVENT_MESSAGE) {
        add_slice(&e->events, out->message);
    } else if (out->type == CV_RPC_EVENT_STATUS) {
        add_status(e, out);
    }
}

static void poll(struct end *e)
{
    struct cv_rpc_output out;
    while (cv_rpc_conn_poll(e->rc, &out))
        output(e, &out);
}

/* Small limits, so that short inputs reach them. */
static void begin(struct end *e, bool client)
{
    static char stream;
    struct cv_rpc_limits limits;
    cv_rpc_limits_init(&limits);
    limits.message_receive_max = 600;
    limits.header_size_max = 300;
    *e = (struct end){0};
    int error = cv_rpc_conn_new(cv_alloc_default(), &limits, &e->rc);
    assert(error == 0);
    if (client) {
        struct cv_rpc_start start = {
            .method = cv_slice_text("m"), .deadline = COVEY_NEVER, .stream = &stream};
        error = cv_rpc_conn_start(e->rc, &start, 1, &e->call);
    } else {
        struct cv_rpc_input in = {.type = CV_RPC_STREAM_ACCEPTED,
                                  .now = 1,
                                  .accepted = {.stream = &stream, .call = &e->call}};
        error = cv_rpc_conn_step(e->rc, &in);
    }
    assert(error == 0);
    poll(e);
}

static void feed(struct end *e, struct cv_slice bytes, bool fin)
{
    if (e->stopped)
        return;
    /* Memory of its own size, so that the sanitizer sees every byte read beyond the piece. */
    uint8_t *copy = malloc(bytes.size + 1);
    assert(copy != NULL);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    struct cv_rpc_input in = {.type = CV_RPC_STREAM_DATA,
                              .now = 1,
                              .call = e->call,
                              .data = {.bytes = cv_slice_of(copy, bytes.size), .fin = fin}};
    int error = cv_rpc_conn_step(e->rc, &in);
    assert(error == 0);
    free(copy);
    poll(e);
}

static void finish(struct end *e)
{
    cv_rpc_conn_lost(e->rc, "lost");
    poll(e);
    cv_rpc_conn_free(e->rc);
}

static void feed_pieces(struct end *e, struct cv_slice sizes, struct cv_slice stream, bool fin)
{
    size_t at = 0;
    for (size_t i = 0; at < stream.size; i++) {
        size_t left = stream.size - at;
        size_t size = sizes.size == 0 ? 1 : sizes.data[i % sizes.size];
        /* An empty piece would never get on: it stands for one byte. */
        size = size == 0 ? 1 : size;
        size = size < left ? size : left;
        feed(e, cv_slice_of(stream.data + at, size), fin && size == left);
        at += size;
    }
    if (stream.size == 0)
        feed(e, stream, fin);
}

static void assert_same(struct trace *a, struct trace *b)
{
    assert(a->size == b->size);
    assert(a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
    free(a->bytes);
    free(b->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    bool client = (data[0] & 1) != 0, fin = (data[0] & 2) != 0;
    size_t count = data[0] >> 2;
    count = count < size - 1 ? count : size - 1;
    struct cv_slice sizes = cv_slice_of(data + 1, count);
    struct cv_slice stream = cv_slice_of(data + 1 + count, size - 1 - count);

    struct end whole, cut;
    begin(&whole, client);
    begin(&cut, client);
    feed(&whole, stream, fin);
    feed_pieces(&cut, sizes, stream, fin);
    finish(&whole);
    finish(&cut);
    assert_same(&whole.events, &cut.events);
    assert_same(&whole.answer, &cut.answer);
    return 0;
}
