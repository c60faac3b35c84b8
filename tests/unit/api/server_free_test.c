#define _GNU_SOURCE

/* A server ends while its handlers and clients are at work. */
#include "unit/api/calling.h"
#include "unit/api/uv_world.h"

#include <covey/cluster.h>

/* ---- under load ---- */

#define UNDER_WAY_MAX 3000

struct load {
    covey_client *client;
    atomic_uint under_way;
    atomic_uint ended;
    atomic_bool is_over;
    pthread_t thread;
};

static void count_end(const struct covey_reply *reply, void *user)
{
    struct load *load = user;
    (void)reply;
    atomic_fetch_sub(&load->under_way, 1);
    atomic_fetch_add(&load->ended, 1);
}

static void *make_calls(void *user)
{
    struct load *load = user;
    while (!atomic_load(&load->is_over)) {
        if (atomic_fetch_add(&load->under_way, 1) < UNDER_WAY_MAX &&
            covey_client_call_async(load->client, "echo", "x", 1, NULL, count_end, load) == 0)
            continue;
        atomic_fetch_sub(&load->under_way, 1);
        sched_yield();
    }
    return NULL;
}

static void load_begin(struct load *load, struct world *w, const char *address)
{
    *load = (struct load){.client = world_client(w, address, COVEY_ROLE_CLIENT)};
    assert_int_equal(pthread_create(&load->thread, NULL, make_calls, load), 0);
}

static void load_end(struct load *load)
{
    atomic_store(&load->is_over, true);
    pthread_join(load->thread, NULL);
    assert_int_equal(covey_client_free(load->client), 0);
    assert_int_equal(atomic_load(&load->under_way), 0);
}

/* Requests that were read in its last turn, for workers among them, are nobody's any more. */
static void under_load(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct world w;
        struct load loads[2];
        world_init(&w);
        covey_server *server = world_server(&w, "server");
        const struct covey_method method = {.name = "echo", .handler = echo, .blocking = true};
        assert_int_equal(covey_server_add_method(server, &method), 0);
        assert_int_equal(covey_server_start(server), 0);
        for (int i = 0; i < 2; i++)
            load_begin(&loads[i], &w, covey_server_address(server));
        for (int i = 0; i < 2; i++)
            AWAIT(atomic_load(&loads[i].ended) > 500);
        assert_int_equal(covey_server_free(server), 0);
        for (int i = 0; i < 2; i++)
            load_end(&loads[i]);
        world_fini(&w);
    }
}

/* ---- by a handler ---- */

struct tagging {
    covey_server *server;
    atomic_bool has_begun;
    atomic_uint changes;
};

/* Until the call is cancelled, which the end of the server does. */
static void change_tags(covey_call *call, const void *request, size_t size, void *user)
{
    struct tagging *t = user;
    while (!covey_call_is_cancelled(call)) {
        const char *value = atomic_load(&t->changes) % 2 == 0 ? "low" : "high";
        assert_int_equal(covey_server_update_tag(t->server, "load", value), 0);
        atomic_fetch_add(&t->changes, 1);
    }
    /* The server is there until we return. */
    assert_int_equal(covey_server_update_tag(t->server, "load", "none"), 0);
    struct covey_server_stats stats = {.size = sizeof stats};
    assert_int_equal(covey_server_stats(t->server, &stats), 0);
    covey_call_reply(call, request, size);
}

static void a_handler_may_use_its_server_to_the_end(void **state)
{
    (void)state;
    struct world w;
    struct tagging tagging = {.changes = 0};
    struct covey_cluster_config config;
    struct tally tally;
    world_init(&w);
    tally_init(&tally);
    covey_cluster_config_init(&config);
    tagging.server = world_server(&w, "server");
    const struct covey_method method = {
        .name = "tag", .handler = change_tags, .blocking = true, .user = &tagging};
    assert_int_equal(covey_server_add_method(tagging.server, &method), 0);
    assert_int_equal(covey_server_start(tagging.server), 0);
    assert_int_equal(covey_server_enable_cluster(tagging.server, &config, NULL, 0), 0);
    covey_client *client =
        world_client(&w, covey_server_address(tagging.server), COVEY_ROLE_CLIENT);
    assert_int_equal(covey_client_call_async(client, "tag", "", 0, NULL, tally_reply, &tally), 0);
    AWAIT(atomic_load(&tagging.changes) > 20);
    assert_int_equal(covey_server_free(tagging.server), 0);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(tally.count, 1);
    tally_fini(&tally);
    world_fini(&w);
}

/* ---- where the user makes the steps ---- */

struct calling {
    covey_client *client;
    atomic_uint calls;
};

/* Calls of the same runtime, until the server ends, and one more. */
static void make_calls_inside(covey_call *call, const void *request, size_t size, void *user)
{
    struct calling *c = user;
    bool is_last = false;
    while (!is_last) {
        struct covey_reply reply;
        is_last = covey_call_is_cancelled(call);
        assert_int_equal(covey_client_call(c->client, "echo", "x", 1, NULL, &reply), 0);
        covey_reply_clear(&reply);
        atomic_fetch_add(&c->calls, 1);
    }
    covey_call_reply(call, request, size);
}

/* Makes a turn in whichever way: NULL for a runtime that is stepped. */
static void make_turn(struct world *w, uv_loop_t *uv)
{
    if (uv == NULL)
        assert_int_equal(covey_runtime_step(w->runtime), 0);
    else
        (void)uv_run(uv, UV_RUN_NOWAIT);
}

static void serve_handlers_to_the_end(struct world *w, uv_loop_t *uv)
{
    struct calling calling = {.calls = 0};
    struct tally tally;
    tally_init(&tally);
    covey_server *server = world_server(w, "server");
    const struct covey_method method = {
        .name = "call", .handler = make_calls_inside, .blocking = true, .user = &calling};
    serve(server, "echo", echo, NULL);
    assert_int_equal(covey_server_add_method(server, &method), 0);
    assert_int_equal(covey_server_start(server), 0);
    calling.client = world_client(w, covey_server_address(server), COVEY_ROLE_CLIENT);
    covey_client *client = world_client(w, covey_server_address(server), COVEY_ROLE_CLIENT);
    assert_int_equal(covey_client_call_async(client, "call", "", 0, NULL, tally_reply, &tally), 0);
    while (atomic_load(&calling.calls) < 5)
        make_turn(w, uv);
    assert_int_equal(covey_server_free(server), 0);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_client_free(calling.client), 0);
    assert_int_equal(tally.count, 1);
    tally_fini(&tally);
}

static void handlers_are_served_to_the_end(void **state)
{
    (void)state;
    struct world w;
    world_init_mode(&w, COVEY_RUN_STEP);
    serve_handlers_to_the_end(&w, NULL);
    world_fini(&w);
}

static void on_a_users_libuv_loop_too(void **state)
{
    (void)state;
    struct world w;
    uv_loop_t uv;
    world_init_uv(&w, &uv);
    serve_handlers_to_the_end(&w, &uv);
    world_fini_uv(&w, &uv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(under_load),
        cmocka_unit_test(a_handler_may_use_its_server_to_the_end),
        cmocka_unit_test(handlers_are_served_to_the_end),
        cmocka_unit_test(on_a_users_libuv_loop_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
