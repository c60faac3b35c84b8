#define _POSIX_C_SOURCE 200809L

/* The methods that every server has: covey.health and covey.methods. The others have their tests
 * with covey/admin.h. */
#include "unit/api/calling.h"

static void expect_text(covey_client *client, const char *method, const char *text)
{
    struct covey_reply reply = call_with(client, method, NULL, 0, NULL);
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    if (reply.size != strlen(text) || memcmp(reply.data, text, reply.size) != 0)
        fail_msg("%s says \"%.*s\"", method, (int)reply.size, (const char *)reply.data);
    covey_reply_clear(&reply);
}

static void a_server_says_that_it_serves(void **state)
{
    struct rig *r = *state;
    expect_text(r->client, "covey.health", "serving");
}

static void its_methods_are_listed_in_order(void **state)
{
    struct rig *r = *state;
    const struct covey_method some[] = {
        {.name = "z", .handler = echo, .allow = COVEY_ALLOW_ADMIN},
        {.name = "Zoo",
         .stream_handler = keep_stream,
         .user = &r->kept,
         .allow = COVEY_ALLOW_MEMBER | COVEY_ALLOW_CLIENT},
        {.name = "a/b.c_d-e", .handler = echo},
    };
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        assert_int_equal(covey_server_add_method(r->server, &some[i]), 0);
    expect_text(r->client, "covey.methods",
                "Zoo stream member,client\n"
                "a/b.c_d-e unary member,client,admin\n"
                "covey.admin.leave unary member,client,admin\n"
                "covey.admin.tag_remove unary member,client,admin\n"
                "covey.admin.tag_set unary member,client,admin\n"
                "covey.cluster.health unary member,client,admin\n"
                "covey.cluster.members unary member,client,admin\n"
                "covey.cluster.partition unary member,client,admin\n"
                "covey.cluster.stats unary member,client,admin\n"
                "covey.health unary member,client,admin\n"
                "covey.methods unary member,client,admin\n"
                "covey.server.stats unary member,client,admin\n"
                "echo unary member,client,admin\n"
                "keep unary member,client,admin\n"
                "keep_stream stream member,client,admin\n"
                "z unary admin\n");
}

/* The longest list: 4096 methods with the longest names, which is still below the largest answer. */
static void as_many_methods_as_there_can_be(void **state)
{
    struct rig *r = *state;
    char name[256];
    unsigned added = 13; /* ten of the library's, three of the rig's */
    memset(name, 'n', sizeof name);
    name[255] = 0;
    for (unsigned i = 0;; i++) {
        char number[8];
        snprintf(number, sizeof number, "%05u", i);
        memcpy(name, number, 5);
        const struct covey_method method = {.name = name, .handler = echo};
        int error = covey_server_add_method(r->server, &method);
        if (error == COVEY_ERR_LIMIT)
            break;
        assert_int_equal(error, 0);
        added++;
    }
    assert_int_equal(added, 4096);
    struct covey_reply reply = call_with(r->client, "covey.methods", NULL, 0, NULL);
    if (reply.code != COVEY_STATUS_OK)
        fail_msg("%s", reply.message);
    unsigned lines = 0;
    for (size_t i = 0; i < reply.size; i++)
        lines += ((const char *)reply.data)[i] == '\n';
    assert_int_equal(lines, 4096);
    covey_reply_clear(&reply);
    memcpy(name, "04000", 5);
    expect_call(r->client, name, COVEY_STATUS_OK, "");
}

/* ---- while others run ---- */

static void a_method_may_come_while_a_call_runs(void **state)
{
    struct rig *r = *state;
    struct tally t;
    struct covey_call_options options = options_within(COVEY_NEVER);
    tally_init(&t);
    call_async(r->client, "keep", &options, &t);
    covey_call *slow = kept_take(&r->kept);
    expect_call(r->client, "new", COVEY_STATUS_UNIMPLEMENTED, "");
    serve(r->server, "new", echo, NULL);
    expect_call(r->client, "new", COVEY_STATUS_OK, "");
    assert_int_equal(tally_count(&t), 0);
    covey_call_reply(slow, "", 0);
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 1);
    tally_fini(&t);
}

/* A handler holds the loop; a thread that adds a method is not held up by it. */
struct slow {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_in, may_go;
};

static void hold_the_loop(covey_call *call, const void *request, size_t size, void *user)
{
    struct slow *s = user;
    pthread_mutex_lock(&s->lock);
    s->is_in = true;
    pthread_cond_broadcast(&s->changed);
    while (!s->may_go)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
    covey_call_reply(call, request, size);
}

static void adding_waits_for_no_handler(void **state)
{
    struct rig *r = *state;
    struct slow s = {.is_in = false};
    struct tally t;
    tally_init(&t);
    pthread_mutex_init(&s.lock, NULL);
    pthread_cond_init(&s.changed, NULL);
    serve(r->server, "slow", hold_the_loop, &s);
    call_async(r->client, "slow", NULL, &t);
    pthread_mutex_lock(&s.lock);
    while (!s.is_in)
        pthread_cond_wait(&s.changed, &s.lock);
    pthread_mutex_unlock(&s.lock);
    serve(r->server, "new", echo, NULL); /* would hang here */
    assert_int_equal(tally_count(&t), 0);
    pthread_mutex_lock(&s.lock);
    s.may_go = true;
    pthread_cond_broadcast(&s.changed);
    pthread_mutex_unlock(&s.lock);
    tally_wait(&t, 1);
    expect_call(r->client, "new", COVEY_STATUS_OK, "");
    pthread_cond_destroy(&s.changed);
    pthread_mutex_destroy(&s.lock);
    tally_fini(&t);
}

/* From a handler too, and while others look names up. */
static void add_from_inside(covey_call *call, const void *request, size_t size, void *user)
{
    struct rig *r = user;
    char name[32];
    snprintf(name, sizeof name, "made.%.*s", (int)size, (const char *)request);
    const struct covey_method method = {.name = name, .handler = echo};
    int error = covey_server_add_method(r->server, &method);
    if (error == 0)
        covey_call_reply(call, name, strlen(name));
    else
        covey_call_finish(call, COVEY_STATUS_ALREADY_EXISTS, covey_strerror(error));
}

static void *add_many(void *user)
{
    struct rig *r = user;
    for (int i = 0; i < 500; i++) {
        char name[32];
        snprintf(name, sizeof name, "thread.%d", i);
        serve(r->server, name, echo, NULL);
    }
    return NULL;
}

static void methods_come_from_everywhere(void **state)
{
    struct rig *r = *state;
    pthread_t thread;
    serve(r->server, "make", add_from_inside, r);
    assert_int_equal(pthread_create(&thread, NULL, add_many, r), 0);
    for (int i = 0; i < 200; i++) {
        char number[8];
        int size = snprintf(number, sizeof number, "%d", i);
        expect_reply(call_with(r->client, "make", number, (size_t)size, NULL), COVEY_STATUS_OK, "");
        char name[32];
        snprintf(name, sizeof name, "made.%d", i);
        expect_call(r->client, name, COVEY_STATUS_OK, "");
        expect_reply(call_with(r->client, "make", number, (size_t)size, NULL),
                     COVEY_STATUS_ALREADY_EXISTS, "there is one already");
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    expect_call(r->client, "thread.499", COVEY_STATUS_OK, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_server_says_that_it_serves),    RIG_TEST(its_methods_are_listed_in_order),
        RIG_TEST(as_many_methods_as_there_can_be), RIG_TEST(a_method_may_come_while_a_call_runs),
        RIG_TEST(adding_waits_for_no_handler),     RIG_TEST(methods_come_from_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
