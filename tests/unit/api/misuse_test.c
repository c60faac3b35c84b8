#define _POSIX_C_SOURCE 200809L

/* What users do that they should not, or seldom do: every wrong thread, every order of freeing. */
#include "unit/api/calling.h"

/* ---- nothing where something must be ---- */

static void what_is_missing_is_said(void **state)
{
    struct rig *r = *state;
    struct covey_reply reply;
    covey_stream *stream;
    const struct covey_stream_handler no_functions = {.message = NULL};
    assert_int_equal(covey_client_call(NULL, "echo", NULL, 0, NULL, &reply),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_call(r->client, NULL, NULL, 0, NULL, &reply),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_call(r->client, "echo", NULL, 1, NULL, &reply),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_call(r->client, "echo", NULL, 0, NULL, NULL),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_call_async(r->client, "echo", NULL, 0, NULL, NULL, NULL),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_open(NULL, "echo", NULL, &stream), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_open(r->client, NULL, NULL, &stream), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_stream(NULL, "echo", NULL, 0, NULL, &stream),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_stream(r->client, "echo", NULL, 1, NULL, &stream),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_stream_async(NULL, "echo", NULL, 0, NULL, &no_functions),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_stream_async(r->client, "echo", NULL, 0, NULL, &no_functions),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_free(NULL), 0);
    assert_int_equal(covey_server_free(NULL), 0);
    assert_int_equal(covey_runtime_free(NULL), 0);
    covey_stream_free(NULL);
    /* a message of so many bytes that are nowhere */
    assert_int_equal(covey_client_open(r->client, "keep_stream", NULL, &stream), 0);
    assert_int_equal(covey_stream_send(stream, NULL, 1), COVEY_ERR_INVALID_ARGUMENT);
    covey_call *call = kept_take(&r->kept);
    assert_int_equal(covey_call_send(call, NULL, 1), COVEY_ERR_INVALID_ARGUMENT);
    covey_call_finish_with(call, COVEY_STATUS_OK, NULL, NULL, 1);
    expect_over(stream, COVEY_STATUS_OK, "");
    covey_stream_free(stream);
}

static void a_reply_is_cleared_as_often_as_one_likes(void **state)
{
    struct rig *r = *state;
    struct covey_reply reply = call_with(r->client, "echo", "x", 1, NULL);
    size_t size;
    covey_reply_clear(&reply);
    assert_null(reply.data);
    assert_string_equal(reply.message, "");
    covey_reply_clear(&reply);
    assert_null(covey_reply_metadata(&reply, &size));
    assert_int_equal(size, 0);
    assert_null(covey_reply_details(&reply, &size));
    assert_int_equal(size, 0);
}

/* ---- blocking functions on the loop's thread ---- */

struct wrong {
    struct tally tally;
    struct rig *rig;
    covey_stream *stream;
    covey_call *call;
    int results[12];
    unsigned count;
};

static void try_to_block(const struct covey_reply *reply, void *user)
{
    struct wrong *w = user;
    struct rig *r = w->rig;
    struct covey_reply own;
    struct covey_server_stats stats = {.size = sizeof stats};
    const void *message;
    size_t size;
    w->results[w->count++] = covey_client_call(r->client, "echo", NULL, 0, NULL, &own);
    w->results[w->count++] = covey_client_free(r->client);
    w->results[w->count++] = covey_server_free(r->server);
    w->results[w->count++] = covey_runtime_free(r->world.runtime);
    w->results[w->count++] = covey_server_drain(r->server, 0);
    w->results[w->count++] = covey_server_stats(r->server, &stats);
    w->results[w->count++] = covey_stream_receive(w->stream, 1, &message, &size);
    w->results[w->count++] = covey_stream_wait_writable(w->stream, 1);
    w->results[w->count++] = covey_stream_finish(w->stream, 1, &own);
    w->results[w->count++] = covey_call_receive(w->call, 1, &message, &size);
    w->results[w->count++] = covey_call_wait_writable(w->call, 1);
    tally_reply(reply, &w->tally);
}

static void nothing_blocks_on_a_loops_thread(void **state)
{
    struct rig *r = *state;
    struct wrong w = {.rig = r};
    tally_init(&w.tally);
    assert_int_equal(covey_client_open(r->client, "keep_stream", NULL, &w.stream), 0);
    w.call = kept_take(&r->kept);
    assert_int_equal(covey_client_call_async(r->client, "echo", "", 0, NULL, try_to_block, &w), 0);
    tally_wait(&w.tally, 1);
    assert_int_equal(w.count, 11);
    for (unsigned i = 0; i < w.count; i++)
        if (w.results[i] != COVEY_ERR_WRONG_THREAD)
            fail_msg("%u: %s", i, covey_error_name(w.results[i]));
    /* Nothing happened: all of it is as usable as before. */
    assert_int_equal(covey_stream_send(w.stream, "x", 1), 0);
    covey_stream_free(w.stream);
    covey_call_finish(w.call, COVEY_STATUS_OK, NULL);
    expect_echo(r->client);
    tally_fini(&w.tally);
}

/* The same inside a handler of the server's. */
static void handler_tries_to_block(covey_call *call, const void *request, size_t size, void *user)
{
    struct wrong *w = user;
    struct covey_reply own;
    (void)request;
    (void)size;
    w->results[w->count++] = covey_client_call(w->rig->client, "echo", NULL, 0, NULL, &own);
    w->results[w->count++] = covey_server_free(w->rig->server);
    w->results[w->count++] = covey_server_drain(w->rig->server, 0);
    w->results[w->count++] = covey_call_wait_writable(call, 1);
    covey_call_reply(call, "", 0);
}

static void nor_in_a_handler(void **state)
{
    struct rig *r = *state;
    struct wrong w = {.rig = r};
    serve(r->server, "block", handler_tries_to_block, &w);
    expect_call(r->client, "block", COVEY_STATUS_OK, "");
    assert_int_equal(w.count, 4);
    for (unsigned i = 0; i < w.count; i++)
        if (w.results[i] != COVEY_ERR_WRONG_THREAD)
            fail_msg("%u: %s", i, covey_error_name(w.results[i]));
}

/* ---- what does not fit the call ---- */

static void a_unary_handler_tries_to_receive(covey_call *call, const void *request, size_t size,
                                             void *user)
{
    const void *message;
    size_t got;
    (void)user;
    int error = covey_call_receive(call, 0, &message, &got);
    if (error == COVEY_ERR_CLOSED)
        covey_call_reply(call, request, size);
    else
        covey_call_finish(call, COVEY_STATUS_INTERNAL, covey_strerror(error));
}

static void metadata_at_the_wrong_time(covey_call *call, const void *request, size_t size,
                                       void *user)
{
    const struct covey_metadata good[] = {{"good", "1", 1}}, bad[] = {{"Bad", "1", 1}};
    const struct covey_metadata large[] = {{"large", user, 9000}};
    int error = 0;
    error |= covey_call_send_metadata(call, bad, 1) != COVEY_ERR_INVALID_ARGUMENT;
    error |= (covey_call_send_metadata(call, large, 1) != COVEY_ERR_TOO_LARGE) << 1;
    error |= (covey_call_send_metadata(call, good, 65) != COVEY_ERR_TOO_LARGE) << 2;
    error |= (covey_call_send_metadata(call, NULL, 1) != COVEY_ERR_INVALID_ARGUMENT) << 3;
    error |= (covey_call_send_metadata(call, good, 1) != 0) << 4;
    error |= (covey_call_send_metadata(call, good, 1) != COVEY_ERR_STATE) << 5;
    error |= (covey_call_send(call, request, size) != 0) << 6;
    error |= (covey_call_send_metadata(call, good, 1) != COVEY_ERR_STATE) << 7;
    char text[32];
    snprintf(text, sizeof text, "%x", (unsigned)error);
    covey_call_finish(call, error == 0 ? COVEY_STATUS_ABORTED : COVEY_STATUS_INTERNAL, text);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct rig *r = *state;
    static char large[9000];
    serve(r->server, "receive", a_unary_handler_tries_to_receive, NULL);
    expect_call(r->client, "receive", COVEY_STATUS_OK, "");
    serve(r->server, "metadata", metadata_at_the_wrong_time, large);
    expect_call(r->client, "metadata", COVEY_STATUS_ABORTED, "0");
    /* after the end */
    covey_stream *stream;
    assert_int_equal(covey_client_open(r->client, "keep_stream", NULL, &stream), 0);
    covey_stream_end(stream);
    covey_stream_end(stream);
    assert_int_equal(covey_stream_send(stream, "x", 1), COVEY_ERR_STATE);
    covey_call *call = kept_take(&r->kept);
    const void *message;
    size_t size;
    assert_int_equal(covey_call_receive(call, TEST_DEADLINE, &message, &size), COVEY_ERR_CLOSED);
    assert_int_equal(covey_call_receive(call, 0, &message, &size), COVEY_ERR_CLOSED);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    expect_over(stream, COVEY_STATUS_OK, "");
    covey_stream_end(stream);
    covey_stream_cancel(stream);
    expect_over(stream, COVEY_STATUS_OK, "");
    covey_stream_free(stream);
    /* several requests where one is wanted: the first counts */
    assert_int_equal(covey_client_open(r->client, "echo", NULL, &stream), 0);
    for (int i = 0; i < 3; i++) {
        int error = covey_stream_send(stream, "x", 1);
        assert_true(error == 0 || error == COVEY_ERR_CLOSED);
    }
    expect_over(stream, COVEY_STATUS_OK, "");
    covey_stream_free(stream);
    expect_echo(r->client);
}

/* A number that is no status; a text that is not UTF-8, and one that is too long. */
static void say_odd_things(covey_call *call, const void *request, size_t size, void *user)
{
    static char text[5000];
    (void)size;
    (void)user;
    memset(text, 't', sizeof text - 1);
    switch (*(const char *)request) {
    case 'c':
        covey_call_finish(call, (enum covey_status_code)99, "what");
        break;
    case 'n':
        covey_call_finish(call, (enum covey_status_code) - 1, "what");
        break;
    case 'l':
        covey_call_finish(call, COVEY_STATUS_ABORTED, text);
        break;
    default:
        covey_call_finish(call, COVEY_STATUS_ABORTED, "good\xff\xfe");
        break;
    }
}

static void odd_statuses_arrive_as_something(void **state)
{
    struct rig *r = *state;
    serve(r->server, "odd", say_odd_things, NULL);
    expect_reply(call_with(r->client, "odd", "c", 1, NULL), COVEY_STATUS_UNKNOWN, "what");
    expect_reply(call_with(r->client, "odd", "n", 1, NULL), COVEY_STATUS_UNKNOWN, "what");
    struct covey_reply reply = call_with(r->client, "odd", "l", 1, NULL);
    assert_int_equal(strlen(reply.message), 1024);
    expect_reply(reply, COVEY_STATUS_ABORTED, "tttt");
    reply = call_with(r->client, "odd", "u", 1, NULL);
    assert_string_equal(reply.message, "good");
    expect_reply(reply, COVEY_STATUS_ABORTED, "");
}

/* ---- ready ---- */

struct ready {
    atomic_uint told;
    atomic_bool is_freed;
    bool frees;
    unsigned messages;
};

static void on_ready(covey_stream *stream, void *user)
{
    struct ready *r = user;
    const void *message;
    size_t size;
    atomic_fetch_add(&r->told, 1);
    while (covey_stream_receive(stream, 0, &message, &size) == 0)
        r->messages++;
    if (r->frees) {
        covey_stream_free(stream);
        atomic_store(&r->is_freed, true);
    }
}

static void ready_is_told_of_what_came_before_it_was_set(void **state)
{
    struct rig *r = *state;
    struct ready ready = {.frees = false};
    covey_stream *stream;
    assert_int_equal(covey_client_stream(r->client, "echo", "x", 1, NULL, &stream), 0);
    AWAIT(covey_stream_status(stream, NULL) == COVEY_STATUS_OK); /* it is over by now */
    covey_stream_on_ready(stream, on_ready, &ready);
    AWAIT(atomic_load(&ready.told) > 0);
    covey_stream_on_ready(stream, NULL, NULL);
    expect_over(stream, COVEY_STATUS_OK, "");
    assert_int_equal(ready.messages, 1);
    covey_stream_free(stream);
}

static void a_stream_is_freed_in_its_ready(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 100; i++) {
        struct ready ready = {.frees = true};
        covey_stream *stream;
        assert_int_equal(covey_client_stream(r->client, "echo", "x", 1, NULL, &stream), 0);
        covey_stream_on_ready(stream, on_ready, &ready);
        AWAIT(atomic_load(&ready.is_freed));
        assert_int_equal(atomic_load(&ready.told), 1);
    }
}

/* When free has returned `ready` does not run, and will not. */
static void no_ready_after_free(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 200; i++) {
        struct ready ready = {.frees = false};
        covey_stream *stream;
        assert_int_equal(covey_client_stream(r->client, "echo", "x", 1, NULL, &stream), 0);
        covey_stream_on_ready(stream, on_ready, &ready);
        if (i % 2 == 0)
            AWAIT(atomic_load(&ready.told) > 0);
        covey_stream_free(stream);
        unsigned told = atomic_load(&ready.told);
        memset(&ready, 0xff, sizeof ready); /* the user's memory is his again */
        atomic_store(&ready.told, told);
        expect_echo(r->client);
        assert_int_equal(atomic_load(&ready.told), told);
    }
}

/* ---- all orders of freeing ---- */

static void everything_is_freed_in_any_order(void **state)
{
    (void)state;
    for (int order = 0; order < 6; order++) {
        struct rig *r = rig_new();
        struct tally t;
        covey_stream *stream;
        rig_start(r);
        tally_init(&t);
        call_async(r->client, "keep", NULL, &t);
        covey_call *unary = kept_take(&r->kept);
        assert_int_equal(covey_client_open(r->client, "keep_stream", NULL, &stream), 0);
        covey_call *call = kept_take(&r->kept);
        assert_int_equal(covey_stream_send(stream, "x", 1), 0);
        static const char orders[6][4] = {"csx", "cxs", "scx", "sxc", "xcs", "xsc"};
        for (int i = 0; i < 3; i++) {
            switch (orders[order][i]) {
            case 'c':
                assert_int_equal(covey_client_free(r->client), 0);
                r->client = NULL;
                break;
            case 's':
                assert_int_equal(covey_server_free(r->server), 0);
                r->server = NULL;
                break;
            default:
                covey_stream_free(stream);
                break;
            }
            assert_int_equal(covey_runtime_free(r->world.runtime), COVEY_ERR_STATE);
        }
        covey_call_reply(unary, "", 0);
        covey_call_finish(call, COVEY_STATUS_OK, NULL);
        assert_int_equal(t.count, 1);
        tally_fini(&t);
        rig_free(r);
    }
}

/* ---- races ---- */

struct racer {
    struct rig *rig;
    atomic_int rounds;
};

static void *cancel_and_free(void *user)
{
    struct racer *racer = user;
    while (atomic_fetch_sub(&racer->rounds, 1) > 0) {
        covey_stream *stream;
        if (covey_client_open(racer->rig->client, "answer", NULL, &stream) != 0)
            continue;
        bool is_sent = covey_stream_send(stream, "x", 1) == 0;
        if (is_sent && atomic_load(&racer->rounds) % 3 == 0)
            covey_stream_cancel(stream);
        if (is_sent && atomic_load(&racer->rounds) % 3 == 1)
            covey_stream_end(stream);
        covey_stream_free(stream);
    }
    return NULL;
}

static void answer_on(covey_call *call, void *user)
{
    const void *message;
    size_t size;
    int error;
    (void)user;
    while ((error = covey_call_receive(call, 0, &message, &size)) == 0)
        if (covey_call_send(call, message, size) != 0)
            break;
    if (error != COVEY_ERR_TIMEOUT)
        covey_call_finish(call, COVEY_STATUS_OK, NULL);
}

static void answer(covey_call *call, void *user)
{
    covey_call_on_ready(call, answer_on, user);
    answer_on(call, user);
}

static void cancels_race_with_answers(void **state)
{
    struct rig *r = *state;
    struct racer racer = {.rig = r, .rounds = 600}; /* a peer may cancel 1000 at once */
    pthread_t threads[3];
    serve_stream(r->server, "answer", answer, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, cancel_and_free, &racer), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    expect_echo(r->client);
    AWAIT(stats_of(r->server).calls == 0);
}

/* Finished on another thread while the client goes. */
static void *finish_it(void *user)
{
    covey_call_reply(user, "answer", 6);
    return NULL;
}

static void finishes_race_with_cancels(void **state)
{
    struct rig *r = *state;
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        covey_stream *stream;
        assert_int_equal(covey_client_open(r->client, "keep_stream", NULL, &stream), 0);
        assert_int_equal(pthread_create(&thread, NULL, finish_it, kept_take(&r->kept)), 0);
        covey_stream_free(stream);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    AWAIT(stats_of(r->server).calls == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(what_is_missing_is_said),
        RIG_TEST(a_reply_is_cleared_as_often_as_one_likes),
        RIG_TEST(nothing_blocks_on_a_loops_thread),
        RIG_TEST(nor_in_a_handler),
        RIG_TEST(what_does_not_fit_is_refused),
        RIG_TEST(odd_statuses_arrive_as_something),
        RIG_TEST(ready_is_told_of_what_came_before_it_was_set),
        RIG_TEST(a_stream_is_freed_in_its_ready),
        RIG_TEST(no_ready_after_free),
        cmocka_unit_test(everything_is_freed_in_any_order),
        RIG_TEST(cancels_race_with_answers),
        RIG_TEST(finishes_race_with_cancels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
