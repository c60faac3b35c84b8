/*
 * Two ends of an RPC connection, both honest; the input chooses what the users do and how the
 * transport cuts, delays and orders what is between them. Nobody may find fault with the other,
 * every call has one outcome that both agree on, and what arrives is what was sent.
 *
 * The input is a list of steps: u8 what | u8 which | u8 how much.
 */
#include "rpc_pair_users.h"

#include "base/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    static struct cv_rpc_shared shared;
    struct cv_rpc_limits limits;
    struct cv_reader r;
    b = (struct both){.now = 1000 * COVEY_SECOND};
    cv_rpc_limits_init(&limits);
    limits.message_send_max = limits.message_receive_max = 300;
    limits.receive_buffer_max = 400;
    limits.receive_total_max = 700;
    limits.receive_lag_max = 70;
    limits.shared = size % 2 == 0 ? NULL : &shared;
    limits.tells_whole = size % 4 >= 2;
    for (int side = 0; side < 2; side++) {
        int error = cv_rpc_conn_new(cv_alloc_default(), &limits, &b.ends[side]);
        assert(error == 0);
    }
    cv_reader_init(&r, cv_slice_of(data, size));
    while (cv_reader_left(&r) >= 3)
        one_step(&b, &r);
    end(&b);
    cv_rpc_shared_fini(&shared, cv_alloc_default());
    return 0;
}
