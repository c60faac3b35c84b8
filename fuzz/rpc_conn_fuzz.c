/*
 * One end of an RPC connection. The input chooses what the transport, the peer and the user do, each
 * within its contract; the peer's bytes are any. What they may rely on is asserted all the way: who
 * is told what and in which order, what is held, and that nothing is left in the end.
 *
 * The input is a list of steps: u8 what | u8 which call or stream | u8 how much; after a DATA step as
 * many bytes of the stream.
 */
#include "rpc_conn_machine.h"

#include "base/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the transport ---- */

static void accept_stream(struct machine *m, struct stream *s)
{
    if (s->call != NULL)
        return;
    *s = (struct stream){0};
    int error = step(m, (struct cv_rpc_input){.type = CV_RPC_STREAM_ACCEPTED,
                                              .accepted = {.stream = s, .call = &s->call}});
    assert((error == 0) == (s->call != NULL));
    assert(error == 0 || error == (m->lost ? COVEY_ERR_CLOSED : COVEY_ERR_NO_MEMORY));
    s->wrote = true; /* a server's first write may be an end */
}

static void give_data(struct machine *m, struct stream *s, struct cv_slice bytes, bool fin)
{
    if (s->call == NULL || s->peer_done || s->stopped || (bytes.size == 0 && !fin))
        return;
    uint8_t *copy = malloc(bytes.size + 1);
    assert(copy != NULL);
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    s->received += bytes.size;
    s->peer_done = fin;
    int error = step(
        m, (struct cv_rpc_input){.type = CV_RPC_STREAM_DATA,
                                 .call = s->call,
                                 .data = {.bytes = cv_slice_of(copy, bytes.size), .fin = fin}});
    assert(error == 0 || error == COVEY_ERR_NO_MEMORY);
    free(copy);
}

static void reset_stream(struct machine *m, struct stream *s, uint64_t code)
{
    if (s->call == NULL || s->peer_done || s->stopped)
        return;
    s->peer_done = true;
    step(m, (struct cv_rpc_input){
                .type = CV_RPC_STREAM_RESET, .call = s->call, .reset = {.code = code}});
}

static void stop_stream(struct machine *m, struct stream *s, uint64_t code)
{
    if (s->call == NULL || s->sent_done)
        return;
    s->sent_done = true;
    step(m, (struct cv_rpc_input){
                .type = CV_RPC_STREAM_STOPPED, .call = s->call, .stopped = {.code = code}});
}

static void unblock_stream(struct machine *m, struct stream *s)
{
    if (s->call == NULL)
        return;
    s->blocked = false;
    step(m, (struct cv_rpc_input){.type = CV_RPC_STREAM_WRITABLE, .call = s->call});
}

static void close_stream(struct machine *m, struct stream *s)
{
    if (s->call == NULL)
        return;
    struct cv_rpc_call *call = s->call;
    s->call = NULL;
    step(m, (struct cv_rpc_input){.type = CV_RPC_STREAM_CLOSED, .call = call});
}

static void bind_one(struct machine *m, struct stream *s, bool give_up)
{
    struct cv_rpc_call *call = cv_rpc_conn_unbound(m->rc);
    if (call == NULL || s->call != NULL || m->lost)
        return;
    if (give_up) {
        cv_rpc_call_give_up(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "no stream");
        return;
    }
    *s = (struct stream){.call = call};
    cv_rpc_call_bind(call, s, m->now);
    check(m);
}

/* ---- the user ---- */

static uint8_t zeroes[1000];

static bool has_room(const struct machine *m)
{
    size_t ours = 0;
    for (size_t i = 0; i < USERS; i++)
        ours += m->users[i].call != NULL && m->users[i].is_client;
    return ours < SLOTS;
}

static void start(struct machine *m, struct user *u, struct stream *s, uint8_t how)
{
    if (u->call != NULL || !has_room(m))
        return;
    struct cv_rpc_metadata entry = {cv_slice_text("k"), cv_slice_of(zeroes, how)};
    bool with_stream = (how & 1) != 0 && s->call == NULL;
    struct cv_slice message = cv_slice_of(zeroes, how);
    uint8_t memory[64];
    struct cv_writer room;
    cv_writer_init(&room, memory, sizeof memory);
    struct cv_rpc_start start = {
        .method = cv_slice_text("m"),
        .deadline = (how & 2) != 0 ? m->now + how : COVEY_NEVER,
        .metadata = &entry,
        .metadata_count = (how & 4) != 0,
        .stream = with_stream ? s : NULL,
        .user = u,
        .message = (how & 8) != 0 ? &message : NULL,
        .room = with_stream && (how & 16) != 0 ? &room : NULL,
    };
    struct cv_rpc_call *call = NULL;
    int error = cv_rpc_conn_start(m->rc, &start, m->now, &call);
    assert((error == 0) == (call != NULL));
    if (error != 0) {
        assert(error == COVEY_ERR_NO_MEMORY || error == COVEY_ERR_CLOSED ||
               error == COVEY_ERR_BUSY);
        return;
    }
    *u = (struct user){.call = call, .is_client = true};
    if (with_stream)
        *s = (struct stream){.call = call};
    if (cv_writer_size(&room) > 0) {
        assert(with_stream && (how & 24) == 24);
        s->wrote = s->sent_done = u->ended = true;
    }
    check(m);
}

static void send_message(struct machine *m, struct user *u, uint8_t how)
{
    static const size_t sizes[] = {0, 1, 60, 300, 700, 701, 64, 250};
    bool end = u->is_client && (how & 8) != 0;
    struct stream *s = cv_rpc_call_stream(u->call);
    bool takes = (how & 16) != 0 && s != NULL && !s->sent_done && !s->blocked;
    struct cv_rpc_direct direct = {.size_max = takes ? how : 0};
    int error =
        step(m, (struct cv_rpc_input){.type = CV_RPC_SEND,
                                      .call = u->call,
                                      .send = {.message = cv_slice_of(zeroes, sizes[how & 7]),
                                               .end = end,
                                               .direct = takes ? &direct : NULL}});
    if (direct.head_size > 0) {
        assert(error == 0 && direct.head_size + direct.body.size <= how);
        s->wrote = true;
    }
    assert(error == 0 || error == COVEY_ERR_STATE || error == COVEY_ERR_BUSY ||
           error == COVEY_ERR_NO_MEMORY || (error == COVEY_ERR_TOO_LARGE && (how & 7) == 5));
    assert(error != 0 || (!u->over && !u->ended && !u->finished));
    u->ended = u->ended || (error == 0 && end);
    u->answer_begun = u->answer_begun || (error == 0 && !u->is_client);
}

static void send_metadata(struct machine *m, struct user *u, uint8_t how)
{
    struct cv_rpc_metadata entry = {cv_slice_text((how & 1) != 0 ? "k" : "K"),
                                    cv_slice_of(zeroes, how * 2)};
    if (u->is_client)
        return;
    int error = step(m, (struct cv_rpc_input){.type = CV_RPC_SEND_METADATA,
                                              .call = u->call,
                                              .send_metadata = {&entry, (how & 2) >> 1}});
    assert(error != 0 || (!u->over && !u->finished));
}

static void reply(struct machine *m, struct user *u, uint8_t how)
{
    struct stream *s = cv_rpc_call_stream(u->call);
    uint8_t memory[64];
    struct cv_writer room;
    cv_writer_init(&room, memory, sizeof memory);
    bool is_lent = s != NULL && !s->sent_done && !s->blocked;
    int error = step(m, (struct cv_rpc_input){.type = CV_RPC_REPLY,
                                              .call = u->call,
                                              .reply = {.message = cv_slice_of(zeroes, how),
                                                        .room = is_lent ? &room : NULL}});
    assert(error == 0 || error == COVEY_ERR_STATE || error == COVEY_ERR_BUSY ||
           error == COVEY_ERR_NO_MEMORY);
    assert(error != 0 || (!u->over && !u->finished));
    u->finished = u->finished || error == 0;
    if (cv_writer_size(&room) == 0)
        return;
    assert(error == 0);
    s->wrote = s->sent_done = true;
}

static void finish(struct machine *m, struct user *u, uint8_t how)
{
    if (u->is_client)
        return;
    if ((how & 128) != 0) {
        reply(m, u, how & 127);
        return;
    }
    struct cv_rpc_status status = {
        .code = (enum covey_status_code)(how % 17),
        .message = cv_slice_of("text", how & 4),
        .details = cv_slice_of(zeroes, (how & 8) != 0 ? how : 0),
    };
    int error =
        step(m, (struct cv_rpc_input){.type = CV_RPC_FINISH, .call = u->call, .finish = status});
    assert(error == 0 || error == COVEY_ERR_STATE || error == COVEY_ERR_TOO_LARGE);
    u->finished = u->finished || error == 0;
}

static void cancel(struct machine *m, struct user *u)
{
    step(m, (struct cv_rpc_input){.type = CV_RPC_CANCEL, .call = u->call});
    u->cancelled = !u->is_client; /* answered ABORTED, unless its end is on its way to the user */
}

static void read_one(struct machine *m, struct user *u)
{
    if (u->held_count == 0)
        return;
    size_t size = u->held[--u->held_count];
    step(m, (struct cv_rpc_input){.type = CV_RPC_READ, .call = u->call, .read = {.size = size}});
}

static void let_go(struct machine *m, struct user *u)
{
    struct cv_rpc_call *call = u->call;
    *u = (struct user){0};
    cv_rpc_call_set_user(call, NULL);
    step(m, (struct cv_rpc_input){.type = CV_RPC_RELEASE, .call = call});
}

static void use(struct machine *m, struct user *u, uint8_t what, uint8_t how)
{
    if (u->call == NULL)
        return;
    switch (what) {
    case 0:
        send_message(m, u, how);
        return;
    case 1:
        send_metadata(m, u, how);
        return;
    case 2:
        if (u->is_client &&
            step(m, (struct cv_rpc_input){.type = CV_RPC_END, .call = u->call}) == 0)
            u->ended = true;
        return;
    case 3:
        finish(m, u, how);
        return;
    case 4:
        cancel(m, u);
        return;
    case 5:
        read_one(m, u);
        return;
    default:
        let_go(m, u);
    }
}

/* ---- the steps ---- */

static void lose(struct machine *m)
{
    if (m->lost)
        return;
    m->lost = true;
    cv_rpc_conn_lost(m->rc, "lost");
    for (size_t i = 0; i < SLOTS; i++)
        m->streams[i].call = NULL;
    check(m);
}

static void rare(struct machine *m, uint8_t how)
{
    if (how == 0)
        lose(m);
    else if (how == 1)
        cv_rpc_conn_drain(m->rc);
    else if (how < 16)
        m->fail_in = how - 1u;
    else if (how == 16)
        cv_rpc_conn_none_begun(m->rc);
}

static void pass_time(struct machine *m, uint8_t how)
{
    m->now += how < 128 ? how : (how - 127u) * 100u;
    step(m, (struct cv_rpc_input){.type = CV_RPC_TIME});
    assert(cv_rpc_conn_deadline(m->rc) > m->now);
}

static void one_step(struct machine *m, struct cv_reader *r)
{
    uint8_t what = cv_read_u8(r), which = cv_read_u8(r), how = cv_read_u8(r);
    struct stream *s = &m->streams[which % SLOTS];
    struct user *u = &m->users[which / SLOTS % USERS];
    switch (what % 20) {
    case 0:
        accept_stream(m, s);
        return;
    case 1:
    case 2:
    case 3: {
        size_t left = cv_reader_left(r);
        struct cv_slice bytes = cv_read_bytes(r, how < left ? how : left);
        give_data(m, s, bytes, what % 20 == 3);
        return;
    }
    case 4:
        reset_stream(m, s, how);
        return;
    case 5:
        stop_stream(m, s, how);
        return;
    case 6:
        unblock_stream(m, s);
        return;
    case 7:
        close_stream(m, s);
        return;
    case 8:
        bind_one(m, s, how == 0);
        return;
    case 9:
        start(m, u, s, how);
        return;
    case 10:
        pass_time(m, how);
        return;
    case 11:
        poll(m, how);
        return;
    case 12:
        rare(m, how);
        return;
    default:
        use(m, u, what % 20 - 13, how);
    }
}

/* What one user gives back may be room for another's message. */
static void read_all(struct machine *m)
{
    poll(m, SIZE_MAX);
    while (m->rc->held > 0) {
        for (size_t i = 0; i < USERS; i++)
            while (m->users[i].call != NULL && m->users[i].held_count > 0)
                read_one(m, &m->users[i]);
        poll(m, SIZE_MAX);
    }
}

/* Every call that the user knows ends with one event, and nothing is left. */
static void end(struct machine *m)
{
    m->fail_in = 0;
    lose(m);
    read_all(m);
    for (size_t i = 0; i < USERS; i++) {
        struct user *u = &m->users[i];
        if (u->call == NULL)
            continue;
        assert(u->over || u->finished || u->cancelled);
        let_go(m, u);
    }
    poll(m, SIZE_MAX);
    assert(cv_rpc_conn_count(m->rc) == 0);
    cv_rpc_conn_free(m->rc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct machine m;
    static struct cv_rpc_shared shared;
    struct cv_rpc_limits limits = limits_of();
    struct cv_reader r;
    m = (struct machine){.now = 1000};
    m.alloc = (struct cv_alloc){
        .allocate = allocate, .reallocate = reallocate, .release = release, .user = &m};
    limits.shared = size % 2 == 0 ? NULL : &shared;
    limits.tells_whole = size % 4 >= 2;
    int error = cv_rpc_conn_new(&m.alloc, &limits, &m.rc);
    assert(error == 0);
    cv_reader_init(&r, cv_slice_of(data, size));
    while (cv_reader_left(&r) >= 3)
        one_step(&m, &r);
    end(&m);
    cv_rpc_shared_fini(&shared, &m.alloc);
    assert(m.allocations == 0);
    return 0;
}
