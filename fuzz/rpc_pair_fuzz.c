/*
 * Two ends of an RPC connection, both honest; the input chooses what the users do and how the
 * transport cuts, delays and orders what is between them. Nobody may find fault with the other,
 * every call has one outcome that both agree on, and what arrives is what was sent.
 *
 * The input is a list of steps: u8 what | u8 which | u8 how much.
 */
#include "base/reader.h"
#include "rpc/rpc.h"

#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

static size_t size_of(size_t number)
{
    return sizes[number % 6];
}

static int step(struct both *b, int side, struct cv_rpc_input in)
{
    in.now = b->now;
    return cv_rpc_conn_step(b->ends[side], &in);
}

/* ---- users ---- */

static void start(struct both *b, int side, uint8_t how)
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

static void send_next(struct both *b, int side, struct call *c, bool end)
{
    static uint8_t message[300];
    struct user *u = &c->users[side];
    size_t size = size_of(u->sent);
    memset(message, (int)(u->sent & 255), size);
    end = end && side == c->opener;
    int error =
        step(b, side,
             (struct cv_rpc_input){
                 .type = CV_RPC_SEND, .call = u->call, .send = {cv_slice_of(message, size), end}});
    assert(error == 0 || error == COVEY_ERR_STATE || error == COVEY_ERR_BUSY);
    if (error == 0) {
        u->sent++;
        u->ended = end;
    }
}

static void finish(struct both *b, int side, struct call *c, uint8_t how)
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

static void send_metadata(struct both *b, int side, struct call *c)
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
static void read_all(struct both *b, int side, struct call *c)
{
    struct user *u = &c->users[side];
    for (; u->unread > 0; u->unread--) {
        step(b, side,
             (struct cv_rpc_input){
                 .type = CV_RPC_READ, .call = u->call, .read = {.size = u->unread_bytes}});
        u->unread_bytes = 0;
    }
}

static void let_go(struct both *b, int side, struct call *c)
{
    c->users[side].released = true;
    step(b, side, (struct cv_rpc_input){.type = CV_RPC_RELEASE, .call = c->users[side].call});
}

static void cancel(struct both *b, int side, struct call *c)
{
    struct user *u = &c->users[side];
    step(b, side, (struct cv_rpc_input){.type = CV_RPC_CANCEL, .call = u->call});
    if (side != c->opener && !u->over && !u->finished) {
        u->finished = true;
        u->code = COVEY_STATUS_ABORTED;
    }
    u->cancelled = true;
}

static void use(struct both *b, int side, struct call *c, uint8_t what, uint8_t how)
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

static void take_message(const struct call *c, int side, struct user *u, struct cv_slice message)
{
    assert(u->ends == 0 && message.size == size_of(u->received));
    for (size_t i = 0; i < message.size; i++)
        assert(message.data[i] == (u->received & 255));
    assert(u->received < c->users[1 - side].sent);
    u->received++;
    u->unread++;
    u->unread_bytes += message.size;
}

static void take_status(struct user *u, const struct cv_rpc_output *out)
{
    u->over = true;
    u->code = out->end.status.code;
    u->by_peer = out->end.by_peer;
    u->not_started = out->end.not_started;
}

static void take_event(struct both *b, int side, const struct cv_rpc_output *out)
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
    } else if (out->type == CV_RPC_EVENT_METADATA) {
        assert(side == c->opener && c->users[1 - side].told_metadata);
        assert(u->metadatas++ == 0 && u->received == 0);
    } else if (out->type == CV_RPC_EVENT_MESSAGE) {
        take_message(c, side, u, out->message);
    } else if (out->type == CV_RPC_EVENT_END) {
        assert(side != c->opener && u->ends++ == 0);
        assert(c->users[1 - side].ended && u->received == c->users[1 - side].sent);
    } else if (out->type == CV_RPC_EVENT_STATUS) {
        take_status(u, out);
    } else if (out->type == CV_RPC_EVENT_CANCELLED) {
        u->over = true;
    }
}

/* ---- the transport ---- */

static bool take_write(struct pipe *p, const struct cv_rpc_output *out)
{
    struct cv_slice bytes = out->write.bytes;
    assert(!p->fin && !p->reset && !p->blocked);
    if (p->written - p->arrived + bytes.size > ROOM) {
        p->blocked = true;
        return false;
    }
    p->bytes = realloc(p->bytes, p->written + bytes.size + 1);
    assert(p->bytes != NULL);
    if (bytes.size > 0)
        memcpy(p->bytes + p->written, bytes.data, bytes.size);
    p->written += bytes.size;
    p->fin = out->write.fin;
    return true;
}

static void take_output(struct both *b, int side, const struct cv_rpc_output *out)
{
    struct call *c = out->stream;
    assert(!c->closed && c->calls[side] == out->call);
    struct pipe *sent = &c->pipes[side], *received = &c->pipes[1 - side];
    if (out->type == CV_RPC_STREAM_WRITE) {
        cv_rpc_conn_written(b->ends[side], out->call, take_write(sent, out));
    } else if (out->type == CV_RPC_STREAM_CONSUME) {
        received->consumed += out->consume.size;
        assert(received->consumed <= received->arrived);
    } else if (out->type == CV_RPC_STREAM_DO_RESET) {
        assert(!sent->fin && !sent->reset);
        sent->reset = true;
        sent->reset_code = out->reset.code;
    } else {
        assert(out->type == CV_RPC_STREAM_DO_STOP && !received->stop && !received->done);
        received->stop = true;
        received->stop_code = out->stop.code;
    }
}

static void poll(struct both *b, int side, size_t count)
{
    struct cv_rpc_output out;
    while (count-- > 0 && cv_rpc_conn_poll(b->ends[side], &out)) {
        assert(out.type != CV_RPC_DO_CLOSE);
        if (out.type < CV_RPC_EVENT_CALL)
            take_output(b, side, &out);
        else
            take_event(b, side, &out);
    }
}

static bool open_stream(struct both *b, struct call *c)
{
    int side = 1 - c->opener;
    const struct pipe *p = &c->pipes[c->opener];
    if (p->written == 0 && !p->reset)
        return false;
    c->told = true;
    int error = step(
        b, side,
        (struct cv_rpc_input){.type = CV_RPC_STREAM_ACCEPTED, .accepted = {c, &c->calls[side]}});
    assert(error == 0);
    c->users[side].call = c->calls[side];
    cv_rpc_call_set_user(c->calls[side], &c->users[side]);
    return true;
}

static bool tell_writer(struct both *b, int writer, struct call *c)
{
    struct pipe *p = &c->pipes[writer];
    if (p->stop && !p->stop_told && !p->done) {
        p->stop_told = true;
        if (p->reset)
            return true;
        p->reset = true; /* a FIN that was not acknowledged is forgotten, too */
        p->reset_code = p->stop_code;
        step(b, writer,
             (struct cv_rpc_input){.type = CV_RPC_STREAM_STOPPED,
                                   .call = c->calls[writer],
                                   .stopped = {.code = p->stop_code}});
        return true;
    }
    if (!p->blocked || p->reset || p->written - p->arrived > ROOM / 2)
        return false;
    p->blocked = false;
    step(b, writer,
         (struct cv_rpc_input){.type = CV_RPC_STREAM_WRITABLE, .call = c->calls[writer]});
    return true;
}

static bool deliver(struct both *b, int writer, struct call *c, size_t most)
{
    struct pipe *p = &c->pipes[writer];
    struct cv_rpc_call *call = c->calls[1 - writer];
    if (p->done)
        return false;
    if (p->reset) {
        p->done = true;
        if (!p->stop)
            step(b, 1 - writer,
                 (struct cv_rpc_input){
                     .type = CV_RPC_STREAM_RESET, .call = call, .reset = {.code = p->reset_code}});
        return true;
    }
    size_t size = p->written - p->arrived, window = WINDOW - (p->arrived - p->consumed);
    size = size < window ? size : window;
    size = size < most ? size : most;
    bool fin = p->fin && p->arrived + size == p->written;
    if (size == 0 && !fin)
        return false;
    struct cv_slice bytes = cv_slice_of(size == 0 ? NULL : p->bytes + p->arrived, size);
    p->arrived += size;
    p->done = fin;
    if (p->stop)
        p->consumed += size;
    else
        step(b, 1 - writer,
             (struct cv_rpc_input){.type = CV_RPC_STREAM_DATA, .call = call, .data = {bytes, fin}});
    return true;
}

static bool close_stream(struct both *b, struct call *c)
{
    if (!c->pipes[0].done || !c->pipes[1].done)
        return false;
    for (int side = 0; side < 2; side++)
        step(b, side, (struct cv_rpc_input){.type = CV_RPC_STREAM_CLOSED, .call = c->calls[side]});
    c->closed = true;
    return true;
}

/* One thing that happens to a stream; false when nothing can. */
static bool happen(struct both *b, struct call *c, int side, size_t most)
{
    if (!c->open || c->closed)
        return false;
    if (!c->told)
        return open_stream(b, c);
    for (int i = 0; i < 2; i++, side = 1 - side)
        if (tell_writer(b, side, c) || deliver(b, side, c, most))
            return true;
    return close_stream(b, c);
}

/* ---- the steps ---- */

static void pass_time(struct both *b, covey_time length)
{
    b->now += length;
    for (int side = 0; side < 2; side++)
        step(b, side, (struct cv_rpc_input){.type = CV_RPC_TIME});
}

static void one_step(struct both *b, struct cv_reader *r)
{
    uint8_t what = cv_read_u8(r), which = cv_read_u8(r), how = cv_read_u8(r);
    int side = which & 1;
    struct call *c = &b->calls[(which >> 1) % CALLS];
    switch (what % 16) {
    case 0:
    case 1:
    case 2:
        (void)happen(b, c, side, 1u + how);
        return;
    case 3:
    case 4:
        poll(b, side, how);
        return;
    case 5:
        start(b, side, how);
        return;
    case 6:
        pass_time(b, how * COVEY_MICROSECOND);
        return;
    case 7:
        b->draining[side] = b->draining[side] || how == 0;
        if (how == 0)
            cv_rpc_conn_drain(b->ends[side]);
        return;
    default:
        use(b, side, c, what % 16 - 8, how);
    }
}

/* What is still open is brought to its end by both users. False when this one has nothing to do. */
static bool conclude(struct both *b, int side, struct call *c)
{
    struct user *u = &c->users[side];
    if (!u->began || u->released)
        return false;
    bool busy = u->unread > 0;
    read_all(b, side, c);
    if (side == c->opener) {
        if (u->over)
            let_go(b, side, c);
        else if (!u->ended)
            use(b, side, c, 2, 0);
    } else if (u->over || u->ends > 0 || u->finished) {
        finish(b, side, c, 0);
        let_go(b, side, c);
    }
    return busy || u->released;
}

static void run(struct both *b)
{
    bool busy = true;
    for (size_t turn = 0; busy; turn++) {
        assert(turn < 100000);
        busy = false;
        for (int side = 0; side < 2; side++) {
            poll(b, side, SIZE_MAX);
            for (size_t i = 0; i < b->count; i++)
                busy = conclude(b, side, &b->calls[i]) || busy;
            poll(b, side, SIZE_MAX);
        }
        for (size_t i = 0; i < b->count; i++)
            while (happen(b, &b->calls[i], 0, SIZE_MAX))
                busy = true;
    }
}

/* Both agree on what became of the call. */
static void check_outcome(const struct both *b, const struct call *c)
{
    const struct user *u = &c->users[c->opener], *s = &c->users[1 - c->opener];
    assert(u->released && (!s->began || s->released));
    if (!u->over) /* he let go without waiting */
        return;
    if (u->by_peer && s->finished && !s->over) {
        assert(u->code == s->code && u->received == s->sent);
        assert(u->metadatas == s->told_metadata);
    }
    assert(u->code != COVEY_STATUS_OK || (u->by_peer && s->finished));
    assert(!u->not_started || (!s->began && !u->by_peer));
    assert(s->began || u->code != COVEY_STATUS_INTERNAL);
    bool refused = cv_rpc_conn_peer_drains(b->ends[c->opener]);
    assert(!refused || b->draining[1 - c->opener]);
}

static void end(struct both *b)
{
    run(b);
    for (size_t i = 0; i < b->count; i++) {
        check_outcome(b, &b->calls[i]);
        for (int side = 0; side < 2; side++)
            free(b->calls[i].pipes[side].bytes);
    }
    for (int side = 0; side < 2; side++) {
        struct cv_rpc_stats stats;
        cv_rpc_conn_stats(b->ends[side], &stats);
        assert(stats.protocol_errors == 0 && stats.frames_too_large == 0);
        assert(stats.memory_refused == 0);
        assert(cv_rpc_conn_count(b->ends[side]) == 0);
        cv_rpc_conn_free(b->ends[side]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct both b;
    struct cv_rpc_limits limits;
    struct cv_reader r;
    b = (struct both){.now = 1000 * COVEY_SECOND};
    cv_rpc_limits_init(&limits);
    limits.message_send_max = limits.message_receive_max = 300;
    limits.receive_buffer_max = 400;
    limits.receive_total_max = 700;
    for (int side = 0; side < 2; side++) {
        int error = cv_rpc_conn_new(cv_alloc_default(), &limits, &b.ends[side]);
        assert(error == 0);
    }
    cv_reader_init(&r, cv_slice_of(data, size));
    while (cv_reader_left(&r) >= 3)
        one_step(&b, &r);
    end(&b);
    return 0;
}
