#define _POSIX_C_SOURCE 200809L

/* Whether a call may run, who is asked, and what is counted. */
#include "unit/api/calling.h"

/* ---- interceptors that write down what they see ---- */

struct journal {
    pthread_mutex_t lock;
    char text[1024]; /* "+a" for a begin, "-a CODE sent/received" for an end */
    atomic_uint begins, ends;
};

struct scribe {
    struct journal *journal;
    const char *name;
    atomic_int code; /* what begin says */
    const char *words;
};

static void write_down(struct journal *j, const char *line)
{
    pthread_mutex_lock(&j->lock);
    size_t length = strlen(j->text);
    snprintf(j->text + length, sizeof j->text - length, "%s ", line);
    pthread_mutex_unlock(&j->lock);
}

static enum covey_status_code scribe_begin(const covey_call *call, const char **text, void *user)
{
    struct scribe *s = user;
    char line[80];
    assert_string_equal(*text, "");
    snprintf(line, sizeof line, "+%s(%s)", s->name, covey_call_method(call));
    write_down(s->journal, line);
    atomic_fetch_add(&s->journal->begins, 1);
    int code = atomic_load(&s->code);
    if (code != COVEY_STATUS_OK)
        *text = s->words;
    return (enum covey_status_code)code;
}

static void scribe_end(const covey_call *call, const struct covey_call_summary *summary, void *user)
{
    const struct scribe *s = user;
    char line[80];
    assert_string_equal(summary->method, covey_call_method(call));
    assert_true(summary->size >= sizeof summary->size);
    snprintf(line, sizeof line, "-%s(%s,%d/%d)", s->name, covey_status_name(summary->code),
             (int)summary->messages_sent, (int)summary->messages_received);
    write_down(s->journal, line);
    atomic_fetch_add(&s->journal->ends, 1);
}

static void add_scribe(covey_server *server, struct scribe *s)
{
    const struct covey_server_interceptor i = {.begin = scribe_begin, .end = scribe_end, .user = s};
    assert_int_equal(covey_server_add_interceptor(server, &i), 0);
}

struct court {
    struct rig *rig;
    struct journal journal;
    struct scribe a, b;
};

static enum covey_status_code authorize_by_user(const covey_call *call, const char **text,
                                                void *user)
{
    (void)user;
    size_t count;
    const struct covey_metadata *set = covey_call_metadata(call, &count);
    const struct covey_metadata *token = covey_metadata_find(set, count, "token");
    if (token != NULL && token->size == 6 && memcmp(token->value, "please", 6) == 0)
        return COVEY_STATUS_OK;
    *text = "say please";
    return COVEY_STATUS_UNAUTHENTICATED;
}

static void say_three(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    for (int i = 0; i < 3; i++)
        assert_int_equal(covey_call_send(call, request, size), 0);
    covey_call_finish(call, COVEY_STATUS_OUT_OF_RANGE, "that was all");
}

static int setup(void **state)
{
    struct court *c = calloc(1, sizeof *c);
    assert_non_null(c);
    pthread_mutex_init(&c->journal.lock, NULL);
    c->a = (struct scribe){.journal = &c->journal, .name = "a", .words = "a says no"};
    c->b = (struct scribe){.journal = &c->journal, .name = "b", .words = "b says no"};
    c->rig = rig_new();
    add_scribe(c->rig->server, &c->a);
    add_scribe(c->rig->server, &c->b);
    const struct covey_method polite = {
        .name = "polite", .handler = echo, .authorize = authorize_by_user};
    assert_int_equal(covey_server_add_method(c->rig->server, &polite), 0);
    serve(c->rig->server, "three", say_three, NULL);
    rig_start(c->rig);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct court *c = *state;
    rig_free(c->rig);
    pthread_mutex_destroy(&c->journal.lock);
    free(c);
    return 0;
}

/* All that was written down since, when as many have ended as begun. */
static void expect_journal(struct court *c, const char *text)
{
    struct journal *j = &c->journal;
    AWAIT(atomic_load(&j->ends) == atomic_load(&j->begins) && stats_of(c->rig->server).calls == 0);
    pthread_mutex_lock(&j->lock);
    assert_string_equal(j->text, text);
    j->text[0] = '\0';
    pthread_mutex_unlock(&j->lock);
}

/* ---- tests ---- */

static void they_begin_in_order_and_end_in_the_opposite(void **state)
{
    struct court *c = *state;
    expect_call(c->rig->client, "echo", COVEY_STATUS_OK, "");
    expect_journal(c, "+a(echo) +b(echo) -b(OK,1/1) -a(OK,1/1) ");
}

static void the_first_judge_that_says_no_decides(void **state)
{
    struct court *c = *state;
    atomic_store(&c->a.code, COVEY_STATUS_FAILED_PRECONDITION);
    expect_call(c->rig->client, "echo", COVEY_STATUS_FAILED_PRECONDITION, "a says no");
    expect_journal(c, "+a(echo) -a(FAILED_PRECONDITION,0/0) ");
    atomic_store(&c->a.code, COVEY_STATUS_OK);
    atomic_store(&c->b.code, COVEY_STATUS_RESOURCE_EXHAUSTED);
    c->b.words = NULL; /* no text is an empty one */
    expect_call(c->rig->client, "echo", COVEY_STATUS_RESOURCE_EXHAUSTED, "");
    expect_journal(c, "+a(echo) +b(echo) -b(RESOURCE_EXHAUSTED,0/0) -a(RESOURCE_EXHAUSTED,0/0) ");
    atomic_store(&c->b.code, 99);
    expect_call(c->rig->client, "echo", COVEY_STATUS_UNKNOWN, "");
    expect_journal(c, "+a(echo) +b(echo) -b(UNKNOWN,0/0) -a(UNKNOWN,0/0) ");
    assert_int_equal(stats_of(c->rig->server).calls_refused, 3);
    assert_int_equal(stats_of(c->rig->server).calls_begun, 0);
}

static void the_methods_own_judge_is_the_last(void **state)
{
    struct court *c = *state;
    const struct covey_metadata token = {"token", "please", 6};
    struct covey_call_options options = options_within(TEST_DEADLINE);
    expect_call(c->rig->client, "polite", COVEY_STATUS_UNAUTHENTICATED, "say please");
    expect_journal(c, "+a(polite) +b(polite) -b(UNAUTHENTICATED,0/0) -a(UNAUTHENTICATED,0/0) ");
    options.metadata = &token;
    options.metadata_count = 1;
    expect_reply(call_with(c->rig->client, "polite", "x", 1, &options), COVEY_STATUS_OK, "");
    expect_journal(c, "+a(polite) +b(polite) -b(OK,1/1) -a(OK,1/1) ");
}

static void a_stream_counts_its_messages(void **state)
{
    struct court *c = *state;
    covey_stream *stream;
    assert_int_equal(covey_client_stream(c->rig->client, "three", "x", 1, NULL, &stream), 0);
    expect_over(stream, COVEY_STATUS_OUT_OF_RANGE, "that was all");
    covey_stream_free(stream);
    expect_journal(c, "+a(three) +b(three) -b(OUT_OF_RANGE,3/1) -a(OUT_OF_RANGE,3/1) ");

    assert_int_equal(covey_client_open(c->rig->client, "keep_stream", NULL, &stream), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(covey_stream_send(stream, "x", 1), 0);
    covey_stream_end(stream);
    covey_call *call = kept_take(&c->rig->kept);
    const void *message;
    size_t size;
    while (covey_call_receive(call, TEST_DEADLINE, &message, &size) == 0)
        ;
    covey_call_reply(call, "y", 1);
    expect_over(stream, COVEY_STATUS_OK, "");
    covey_stream_free(stream);
    expect_journal(c, "+a(keep_stream) +b(keep_stream) -b(OK,1/5) -a(OK,1/5) ");
}

/* Whatever its handler says in the end, nobody waits for it. */
static void a_cancelled_call_ends_once_as_cancelled(void **state)
{
    struct court *c = *state;
    covey_stream *stream;
    struct covey_call_options options = options_within(COVEY_NEVER);
    assert_int_equal(covey_client_stream(c->rig->client, "keep", "x", 1, &options, &stream), 0);
    covey_call *call = kept_take(&c->rig->kept);
    assert_int_equal(atomic_load(&c->journal.ends), 0);
    covey_stream_free(stream);
    AWAIT(covey_call_is_cancelled(call));
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    expect_journal(c, "+a(keep) +b(keep) -b(CANCELLED,0/1) -a(CANCELLED,0/1) ");
    AWAIT(stats_of(c->rig->server).calls_cancelled == 1);
}

static void a_call_past_its_deadline_ends_once_as_cancelled(void **state)
{
    struct court *c = *state;
    struct covey_call_options options = options_within(300 * COVEY_MILLISECOND);
    expect_reply(call_with(c->rig->client, "keep", "x", 1, &options),
                 COVEY_STATUS_DEADLINE_EXCEEDED, "");
    covey_call *call = kept_take(&c->rig->kept);
    AWAIT(covey_call_is_cancelled(call));
    covey_call_reply(call, "late", 4);
    expect_journal(c, "+a(keep) +b(keep) -b(CANCELLED,0/1) -a(CANCELLED,0/1) ");
}

/* The client opened a unary call and never sends its request. */
static void a_call_that_never_got_its_request_ends(void **state)
{
    struct court *c = *state;
    covey_stream *stream;
    assert_int_equal(covey_client_open(c->rig->client, "echo", NULL, &stream), 0);
    AWAIT(atomic_load(&c->journal.begins) == 2);
    assert_int_equal(stats_of(c->rig->server).calls, 1);
    covey_stream_free(stream);
    expect_journal(c, "+a(echo) +b(echo) -b(CANCELLED,0/0) -a(CANCELLED,0/0) ");

    assert_int_equal(covey_client_open(c->rig->client, "echo", NULL, &stream), 0);
    covey_stream_end(stream);
    expect_over(stream, COVEY_STATUS_INVALID_ARGUMENT, "the request has no message");
    covey_stream_free(stream);
    expect_journal(c, "+a(echo) +b(echo) -b(INVALID_ARGUMENT,0/0) -a(INVALID_ARGUMENT,0/0) ");
}

static void abandoned_calls_end_with_their_server(void **state)
{
    struct court *c = *state;
    covey_stream *stream;
    struct covey_call_options options = options_within(COVEY_NEVER);
    assert_int_equal(covey_client_stream(c->rig->client, "keep", "x", 1, &options, &stream), 0);
    covey_call *call = kept_take(&c->rig->kept);
    assert_int_equal(covey_server_free(c->rig->server), 0);
    c->rig->server = NULL;
    assert_string_equal(c->journal.text, "+a(keep) +b(keep) -b(CANCELLED,0/1) -a(CANCELLED,0/1) ");
    assert_true(covey_call_is_cancelled(call));
    covey_call_reply(call, "late", 4);
    expect_over(stream, COVEY_STATUS_UNAVAILABLE, "");
    covey_stream_free(stream);
    assert_int_equal(atomic_load(&c->journal.ends), 2);
}

/* Its user is done, but what he sent still waits when the client goes away. */
static void a_finished_call_ends_when_its_client_cancels(void **state)
{
    struct court *c = *state;
    static unsigned char message[16 * 1024];
    covey_stream *stream;
    struct covey_call_options options = options_within(COVEY_NEVER);
    assert_int_equal(covey_client_stream(c->rig->client, "keep", "x", 1, &options, &stream), 0);
    covey_call *call = kept_take(&c->rig->kept);
    int error = 0;
    while (error == 0) {
        while ((error = covey_call_send(call, message, sizeof message)) == 0)
            ;
        assert_int_equal(error, COVEY_ERR_BUSY);
        error = covey_call_wait_writable(call, COVEY_SECOND / 4);
    }
    assert_int_equal(error, COVEY_ERR_TIMEOUT);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    assert_int_equal(stats_of(c->rig->server).calls, 1);
    covey_stream_free(stream);
    AWAIT(stats_of(c->rig->server).calls == 0);
    assert_int_equal(atomic_load(&c->journal.ends), 2);
    assert_non_null(strstr(c->journal.text, "-b(CANCELLED"));
}

static void what_is_no_method_is_refused_before_them(void **state)
{
    struct court *c = *state;
    const struct covey_method admins = {
        .name = "admins", .handler = echo, .allow = COVEY_ALLOW_ADMIN | COVEY_ALLOW_MEMBER};
    assert_int_equal(covey_server_add_method(c->rig->server, &admins), 0);
    expect_call(c->rig->client, "nothing", COVEY_STATUS_UNIMPLEMENTED, "there is no such method");
    expect_call(c->rig->client, "admins", COVEY_STATUS_PERMISSION_DENIED, "role");
    expect_journal(c, "");
    assert_int_equal(stats_of(c->rig->server).calls_refused, 2);
    covey_client *admin = world_client(&c->rig->world, c->rig->address, COVEY_ROLE_ADMIN);
    expect_call(admin, "admins", COVEY_STATUS_OK, "");
    assert_int_equal(covey_client_free(admin), 0);
    covey_client *member = world_client(&c->rig->world, c->rig->address, COVEY_ROLE_MEMBER);
    expect_call(member, "admins", COVEY_STATUS_OK, "");
    assert_int_equal(covey_client_free(member), 0);
}

static void there_is_a_bound_and_a_time_for_interceptors(void **state)
{
    (void)state;
    static struct world w;
    struct covey_server_interceptor nothing = {.begin = NULL};
    world_init(&w);
    covey_server *server = world_server(&w, "owl");
    for (int i = 0; i < 8; i++)
        assert_int_equal(covey_server_add_interceptor(server, &nothing), 0);
    assert_int_equal(covey_server_add_interceptor(server, &nothing), COVEY_ERR_LIMIT);
    serve(server, "echo", echo, NULL);
    assert_int_equal(covey_server_start(server), 0);
    assert_int_equal(covey_server_add_interceptor(server, &nothing), COVEY_ERR_STATE);
    covey_client *client = world_client(&w, covey_server_address(server), COVEY_ROLE_CLIENT);
    expect_echo(client);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

/* ---- limits ---- */

static covey_server *limited_server(struct world *w, unsigned calls_max, unsigned connection_max,
                                    struct kept *kept)
{
    struct covey_server_config config;
    covey_server *server;
    covey_identity *identity = world_identity(w, "owl", COVEY_ROLE_MEMBER);
    server_config_of(w, identity, &config);
    config.calls_max = calls_max;
    config.connection_calls_max = connection_max;
    assert_int_equal(covey_server_new(&config, &server), 0);
    covey_identity_free(identity);
    serve(server, "keep", keep, kept);
    serve(server, "echo", echo, NULL);
    assert_int_equal(covey_server_start(server), 0);
    return server;
}

/* Five run, the sixth is refused, and there is room again when one is finished. */
static void expect_limit(unsigned calls_max, unsigned connection_max)
{
    static struct world w;
    static struct kept kept;
    struct tally t;
    struct covey_call_options options = options_within(COVEY_NEVER);
    world_init(&w);
    kept_init(&kept);
    tally_init(&t);
    covey_server *server = limited_server(&w, calls_max, connection_max, &kept);
    covey_client *client = world_client(&w, covey_server_address(server), COVEY_ROLE_CLIENT);
    for (unsigned i = 0; i < 5; i++)
        call_async(client, "keep", &options, &t);
    assert_int_equal(kept_wait(&kept, 5), 5);
    expect_call(client, "echo", COVEY_STATUS_RESOURCE_EXHAUSTED, "too many calls");
    assert_int_equal(stats_of(server).calls_exhausted, 1);
    assert_int_equal(stats_of(server).calls, 5);
    covey_call_reply(kept_take(&kept), "", 0);
    tally_wait(&t, 1);
    AWAIT(stats_of(server).calls == 4);
    expect_echo(client);
    for (unsigned i = 1; i < 5; i++)
        covey_call_reply(kept_take(&kept), "", 0);
    tally_wait(&t, 5);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 5);
    AWAIT(stats_of(server).calls == 0);
    assert_int_equal(stats_of(server).calls_begun, 6);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_server_free(server), 0);
    tally_fini(&t);
    kept_fini(&kept);
    world_fini(&w);
}

static void a_server_has_only_so_many_calls(void **state)
{
    (void)state;
    expect_limit(5, 1024);
}

static void a_connection_has_only_so_many_calls(void **state)
{
    (void)state;
    expect_limit(1024, 5);
}

#define CLIENTS 6

/* One on each loop; the others hear why, and the one that is there is not touched. */
static void a_key_has_only_so_many_connections(void **state)
{
    (void)state;
    static struct world w;
    struct covey_server_config config;
    struct covey_client_config client_config;
    covey_server *server;
    covey_client *clients[CLIENTS];
    unsigned served = 0;
    world_init(&w);
    covey_identity *owl = world_identity(&w, "owl", COVEY_ROLE_MEMBER);
    covey_identity *mouse = world_identity(&w, "mouse", COVEY_ROLE_CLIENT);
    server_config_of(&w, owl, &config);
    config.identity_connections_max = 1;
    assert_int_equal(covey_server_new(&config, &server), 0);
    serve(server, "echo", echo, NULL);
    assert_int_equal(covey_server_start(server), 0);
    covey_client_config_init(&client_config);
    client_config.runtime = w.runtime;
    client_config.identity = mouse;
    client_config.address = covey_server_address(server);
    for (int i = 0; i < CLIENTS; i++) {
        struct covey_reply reply;
        assert_int_equal(covey_client_new(&client_config, &clients[i]), 0);
        assert_int_equal(covey_client_call(clients[i], "echo", "x", 1, NULL, &reply), 0);
        served += reply.code == COVEY_STATUS_OK;
        if (reply.code != COVEY_STATUS_OK)
            assert_int_equal(reply.code, COVEY_STATUS_UNAVAILABLE);
        covey_reply_clear(&reply);
    }
    assert_true(served >= 1 && served <= w.runtime->loop_count);
    assert_true(stats_of(server).connections_refused >= CLIENTS - served);
    expect_echo(clients[0]);
    /* Others have their own share; and when one goes there is room. */
    covey_client *other = world_client(&w, covey_server_address(server), COVEY_ROLE_CLIENT);
    expect_echo(other);
    assert_int_equal(covey_client_free(other), 0);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(covey_client_free(clients[i]), 0);
    AWAIT(stats_of(server).connections == 0);
    assert_int_equal(covey_client_new(&client_config, &clients[0]), 0);
    expect_echo(clients[0]);
    assert_int_equal(covey_client_free(clients[0]), 0);
    assert_int_equal(covey_server_free(server), 0);
    covey_identity_free(mouse);
    covey_identity_free(owl);
    world_fini(&w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(they_begin_in_order_and_end_in_the_opposite),
        TEST(the_first_judge_that_says_no_decides),
        TEST(the_methods_own_judge_is_the_last),
        TEST(a_stream_counts_its_messages),
        TEST(a_cancelled_call_ends_once_as_cancelled),
        TEST(a_call_past_its_deadline_ends_once_as_cancelled),
        TEST(a_call_that_never_got_its_request_ends),
        TEST(abandoned_calls_end_with_their_server),
        TEST(a_finished_call_ends_when_its_client_cancels),
        TEST(what_is_no_method_is_refused_before_them),
        cmocka_unit_test(there_is_a_bound_and_a_time_for_interceptors),
        cmocka_unit_test(a_server_has_only_so_many_calls),
        cmocka_unit_test(a_connection_has_only_so_many_calls),
        cmocka_unit_test(a_key_has_only_so_many_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
