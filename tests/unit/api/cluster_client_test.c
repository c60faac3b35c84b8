#define _POSIX_C_SOURCE 200809L
/*
 * Cluster clients: real servers over loopback, and a cluster that consists of what the test publishes. So
 * it says who is where and in which state, and nothing waits for a failure to be detected.
 */
#include "unit/api/calling.h"

#include "api/cluster.h"
#include "api/cluster_client.h"
#include "base/address.h"
#include "io/clock.h"
#include "node/internal.h"
#include "quic/tls.h"

#define WORKERS 4

struct worker {
    covey_server *server;
    covey_node_id id; /* as published */
    char address[64];
    enum covey_node_state state;
    bool is_absent;
    struct kept kept;
    atomic_uint calls; /* of "name" */
    char name[8];
};

struct flock {
    struct world world;
    covey_cluster cluster;
    covey_cluster_client *client;
    covey_balancer *balancer;
    struct worker workers[WORKERS];
};

/* ---- what is published ---- */

static void add_worker(struct flock *f, struct cv_node_registry *registry, const struct worker *w)
{
    const struct covey_tag tags[] = {{"role", "worker"}};
    struct cv_cluster_node *body;
    struct cv_cluster_node_config config = {.id = w->id,
                                            .incarnation = 1,
                                            .name = cv_slice_text(w->name),
                                            .tags = tags,
                                            .tag_count = 1};
    assert_int_equal(cv_address_parse(&config.address, w->address), 0);
    assert_int_equal(cv_cluster_node_new(&f->world.runtime->alloc, &config, &body), 0);
    struct cv_record record = {.id = w->id, .body = body};
    record.status.incarnation = 1;
    record.status.state = w->state;
    assert_non_null(cv_node_registry_insert(registry, &record, 0));
    cv_cluster_node_release(body);
}

static void publish(struct flock *f)
{
    static const uint64_t secret[2] = {1, 2};
    struct cv_node_registry registry;
    const struct cv_alloc *alloc = &f->world.runtime->alloc;
    cv_node_registry_init(&registry, alloc, secret, 10);
    assert_int_equal(cv_node_registry_reserve(&registry, 10), 0);
    for (size_t i = 0; i < WORKERS; i++) {
        if (!f->workers[i].is_absent)
            add_worker(f, &registry, &f->workers[i]);
    }
    cv_view_clear(&f->cluster.view); /* numbers of a registry that is gone are no use */
    assert_int_equal(cv_view_publish(&f->cluster.view, alloc, &registry, true), 0);
    assert_true(cv_balancer_hub_show(f->cluster.balancers, f->cluster.view.newest, true));
    cv_node_registry_fini(&registry);
}

static void publish_state(struct flock *f, size_t worker, enum covey_node_state state)
{
    f->workers[worker].state = state;
    publish(f);
}

/* ---- workers ---- */

static void say_name(covey_call *call, const void *request, size_t size, void *user)
{
    struct worker *w = user;
    (void)request;
    (void)size;
    atomic_fetch_add(&w->calls, 1);
    covey_call_reply(call, w->name, strlen(w->name));
}

static void refuse(covey_call *call, const void *request, size_t size, void *user)
{
    struct worker *w = user;
    (void)request;
    (void)size;
    atomic_fetch_add(&w->calls, 1);
    covey_call_finish(call, COVEY_STATUS_UNAVAILABLE, "not now");
}

static void start_worker(struct flock *f, size_t number)
{
    struct worker *w = &f->workers[number];
    snprintf(w->name, sizeof w->name, "w%zu", number);
    kept_init(&w->kept);
    w->server = world_server(&f->world, w->name);
    serve(w->server, "name", say_name, w);
    serve(w->server, "refuse", refuse, w);
    serve(w->server, "keep", keep, &w->kept);
    serve_stream(w->server, "keep_stream", keep_stream, &w->kept);
    assert_int_equal(covey_server_start(w->server), 0);
    snprintf(w->address, sizeof w->address, "%s", covey_server_address(w->server));
    w->id = cv_tls_identity(cv_cluster_host(w->server)->tls)->id;
}

static void kill_worker(struct flock *f, size_t number)
{
    assert_int_equal(covey_server_free(f->workers[number].server), 0);
    f->workers[number].server = NULL;
}

/* ---- the flock ---- */

static void open_client(struct flock *f, void (*change)(struct covey_cluster_client_config *))
{
    struct covey_cluster_client_config config;
    covey_identity *identity = world_identity(&f->world, "caller", COVEY_ROLE_CLIENT);
    covey_cluster_client_config_init(&config);
    config.identity = identity;
    config.retry.backoff_first = config.retry.backoff_max = COVEY_MILLISECOND;
    if (change != NULL)
        change(&config);
    assert_int_equal(covey_cluster_client_new(&f->cluster, &config, &f->client), 0);
    covey_identity_free(identity);
}

static struct flock *flock_of_mode(size_t workers, enum covey_run_mode mode)
{
    struct flock *f = calloc(1, sizeof *f);
    assert_non_null(f);
    world_init_mode(&f->world, mode);
    f->cluster.runtime = f->world.runtime;
    assert_int_equal(cv_view_init(&f->cluster.view), 0);
    assert_int_equal(cv_balancer_hub_new(f->world.runtime, &f->cluster.balancers), 0);
    assert_int_equal(covey_balancer_new(&f->cluster, NULL, &f->balancer), 0);
    for (size_t i = 0; i < WORKERS; i++) {
        f->workers[i].is_absent = i >= workers;
        if (i < workers)
            start_worker(f, i);
    }
    publish(f);
    return f;
}

static struct flock *flock_new(size_t workers)
{
    return flock_of_mode(workers, COVEY_RUN_THREADS);
}

static void flock_free(struct flock *f)
{
    struct covey_balancer_stats stats = {.size = sizeof stats};
    assert_int_equal(covey_cluster_client_free(f->client), 0);
    covey_balancer_stats(f->balancer, &stats);
    assert_int_equal(stats.picks_open, 0); /* every one was given back */
    covey_balancer_free(f->balancer);
    cv_balancer_hub_release(f->cluster.balancers);
    cv_view_fini(&f->cluster.view);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(covey_server_free(f->workers[i].server), 0);
    world_fini(&f->world);
    free(f);
}

static struct covey_cluster_client_stats counters(const struct flock *f)
{
    struct covey_cluster_client_stats stats = {.size = sizeof stats};
    covey_cluster_client_stats(f->client, &stats);
    return stats;
}

static struct covey_target target_of(const struct flock *f)
{
    struct covey_target target;
    covey_target_init(&target);
    target.balancer = f->balancer;
    return target;
}

/* Which worker it is; fails the test if it is none. */
static size_t number_of(const struct flock *f, const covey_node_id *id)
{
    for (size_t i = 0; i < WORKERS; i++) {
        if (covey_node_id_compare(&f->workers[i].id, id) == 0 && !f->workers[i].is_absent)
            return i;
    }
    fail_msg("%s", "no such worker");
    return WORKERS;
}

/* Calls "name" and checks that who answered is who was said to have been called. */
static size_t call_name(struct flock *f, const struct covey_target *target)
{
    struct covey_reply reply;
    covey_node_id node;
    const struct covey_call_options options = options_within(TEST_DEADLINE);
    assert_int_equal(
        covey_cluster_client_call(f->client, target, "name", "x", 1, &options, &reply, &node), 0);
    if (reply.code != COVEY_STATUS_OK)
        fail_msg("%s: %s", covey_status_name(reply.code), reply.message);
    const size_t number = number_of(f, &node);
    assert_int_equal(reply.size, 2);
    assert_memory_equal(reply.data, f->workers[number].name, 2);
    covey_reply_clear(&reply);
    return number;
}

static struct covey_reply call(struct flock *f, const char *method, bool idempotent,
                               covey_node_id *node)
{
    struct covey_reply reply;
    struct covey_call_options options = options_within(TEST_DEADLINE);
    const struct covey_target target = target_of(f);
    options.idempotent = idempotent;
    assert_int_equal(
        covey_cluster_client_call(f->client, &target, method, "x", 1, &options, &reply, node), 0);
    return reply;
}

/* A covey_node_reply_handler that keeps the tally. */
static void tally_node(const covey_node_id *node, const struct covey_reply *reply, void *user)
{
    (void)node;
    tally_reply(reply, user);
}

static unsigned kept_count(struct flock *f)
{
    unsigned count = 0;
    for (size_t i = 0; i < WORKERS; i++)
        count += f->workers[i].server == NULL ? 0 : kept_wait(&f->workers[i].kept, 0);
    return count;
}

/* Waits for so many calls of "keep" and "keep_stream" in all, and ends them. */
static void finish_kept(struct flock *f, unsigned count)
{
    AWAIT(kept_count(f) == count);
    for (size_t i = 0; i < WORKERS; i++) {
        struct kept *k = &f->workers[i].kept;
        while (f->workers[i].server != NULL && kept_wait(k, 0) > k->first)
            covey_call_finish(kept_take(k), COVEY_STATUS_OK, "");
    }
}

/* ---- tests ---- */

static void calls_go_round(void **state)
{
    (void)state;
    struct flock *f = flock_new(3);
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    unsigned counts[WORKERS] = {0};
    for (int i = 0; i < 12; i++)
        counts[call_name(f, &target)]++;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(counts[i], 4);
    publish_state(f, 1, COVEY_NODE_SUSPECT);
    for (int i = 0; i < 4; i++)
        assert_int_not_equal(call_name(f, &target), 1);
    assert_int_equal(counters(f).connections, 3); /* a suspect's calls may go on */
    publish_state(f, 1, COVEY_NODE_FAILED);
    assert_int_equal(counters(f).connections, 2);
    assert_int_equal(counters(f).connections_dropped, 1);
    assert_int_equal(counters(f).calls_started, 16);
    flock_free(f);
}

static void a_key_sticks(void **state)
{
    (void)state;
    struct flock *f = flock_new(3);
    open_client(f, NULL);
    struct covey_target target = target_of(f);
    target.key = "session 7";
    target.key_size = 9;
    const size_t first = call_name(f, &target);
    for (int i = 0; i < 5; i++)
        assert_int_equal(call_name(f, &target), first);
    publish_state(f, first, COVEY_NODE_LEFT);
    const size_t second = call_name(f, &target);
    assert_int_not_equal(second, first);
    publish_state(f, first, COVEY_NODE_ALIVE);
    assert_int_equal(call_name(f, &target), first);
    flock_free(f);
}

static void without_a_member_it_ends_after_the_tries(void **state)
{
    (void)state;
    struct flock *f = flock_new(0);
    struct covey_reply reply;
    covey_node_id node = {{1}};
    const covey_node_id none = {{0}};
    open_client(f, NULL);
    struct covey_target target = target_of(f);
    target.tries = 3;
    target.interval = 5 * COVEY_MILLISECOND;
    assert_int_equal(
        covey_cluster_client_call(f->client, &target, "name", "x", 1, NULL, &reply, &node), 0);
    expect_reply(reply, COVEY_STATUS_UNAVAILABLE, "no member matches, looked for 3 times");
    assert_memory_equal(&node, &none, sizeof node);
    assert_int_equal(counters(f).calls_without_target, 1);
    /* not beyond the deadline */
    target.interval = 100 * COVEY_SECOND;
    const struct covey_call_options options = options_within(COVEY_SECOND);
    assert_int_equal(
        covey_cluster_client_call(f->client, &target, "name", "x", 1, &options, &reply, NULL), 0);
    expect_reply(reply, COVEY_STATUS_UNAVAILABLE, "no member matches, looked for 1 time");
    flock_free(f);
}

static void one_that_comes_meanwhile_is_found(void **state)
{
    (void)state;
    struct flock *f = flock_new(0);
    struct tally t;
    tally_init(&t);
    open_client(f, NULL);
    struct covey_target target = target_of(f);
    target.tries = 1000;
    target.interval = 10 * COVEY_MILLISECOND;
    assert_int_equal(
        covey_cluster_client_call_async(f->client, &target, "name", "x", 1, NULL, tally_node, &t),
        0);
    struct covey_balancer_stats stats = {.size = sizeof stats};
    do
        covey_balancer_stats(f->balancer, &stats);
    while (stats.picks_in_vain == 0);
    f->workers[0].is_absent = false;
    start_worker(f, 0);
    publish(f);
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 1);
    tally_fini(&t);
    flock_free(f);
}

/* At the address of the one that was chosen there is another: it is not called. */
static void a_wrong_certificate_is_refused(void **state)
{
    (void)state;
    struct flock *f = flock_new(2);
    covey_node_id node;
    open_client(f, NULL);
    snprintf(f->workers[0].address, sizeof f->workers[0].address, "%s", f->workers[1].address);
    publish(f);
    for (int i = 0; i < 4; i++) { /* the other one is tried, and says its own name */
        const struct covey_target target = target_of(f);
        assert_int_equal(call_name(f, &target), 1);
    }
    assert_true(counters(f).calls_moved > 0);
    publish_state(f, 1, COVEY_NODE_FAILED);
    const unsigned before = atomic_load(&f->workers[1].calls);
    struct covey_reply reply = call(f, "name", true, &node);
    assert_int_equal(reply.code, COVEY_STATUS_UNAVAILABLE);
    assert_int_equal(number_of(f, &node), 0);
    covey_reply_clear(&reply);
    assert_int_equal(atomic_load(&f->workers[1].calls), before);
    flock_free(f);
}

/* UNAVAILABLE from a handler: it may have done something. */
static void what_may_have_begun_is_repeated_if_idempotent(void **state)
{
    (void)state;
    struct flock *f = flock_new(3);
    open_client(f, NULL);
    expect_reply(call(f, "refuse", false, NULL), COVEY_STATUS_UNAVAILABLE, "not now");
    assert_int_equal(counters(f).calls_repeated, 0);
    expect_reply(call(f, "refuse", true, NULL), COVEY_STATUS_UNAVAILABLE, "not now");
    assert_int_equal(counters(f).calls_repeated, 2);
    for (size_t i = 0; i < 3; i++) /* three attempts on three members, and the first call */
        assert_in_range(atomic_load(&f->workers[i].calls), 1, 2);
    for (int i = 0; i < 20; i++)
        expect_reply(call(f, "refuse", true, NULL), COVEY_STATUS_UNAVAILABLE, "not now");
    assert_int_equal(counters(f).calls_repeated, 5); /* half of the budget */
    assert_true(counters(f).repeats_throttled > 0);
    flock_free(f);
}

/* Whichever has the call when it is thought dead: idempotent ones end elsewhere, others are told. */
static void one_that_fails_in_the_middle(void **state)
{
    (void)state;
    struct flock *f = flock_new(2);
    struct tally safe, unsafe;
    tally_init(&safe);
    tally_init(&unsafe);
    open_client(f, NULL);
    struct covey_call_options options = options_within(TEST_DEADLINE);
    const struct covey_target target = target_of(f);
    publish_state(f, 1, COVEY_NODE_SUSPECT); /* both begin at 0 */
    assert_int_equal(covey_cluster_client_call_async(f->client, &target, "keep", "x", 1, &options,
                                                     tally_node, &unsafe),
                     0);
    options.idempotent = true;
    assert_int_equal(covey_cluster_client_call_async(f->client, &target, "keep", "x", 1, &options,
                                                     tally_node, &safe),
                     0);
    assert_int_equal(kept_wait(&f->workers[0].kept, 2), 2);
    f->workers[1].state = COVEY_NODE_ALIVE;
    publish_state(f, 0, COVEY_NODE_FAILED); /* it does not close its connection: it hangs */
    tally_wait(&unsafe, 1);
    assert_int_equal(unsafe.codes[COVEY_STATUS_UNAVAILABLE], 1);
    covey_call_reply(kept_take(&f->workers[1].kept), "y", 1);
    tally_wait(&safe, 1);
    assert_int_equal(safe.codes[COVEY_STATUS_OK], 1);
    for (int i = 0; i < 2; i++)
        covey_call_reply(kept_take(&f->workers[0].kept), "y", 1);
    tally_fini(&safe);
    tally_fini(&unsafe);
    flock_free(f);
}

/* Before membership knows: the connection is lost, or there is none to be had. */
static void all_die(void **state)
{
    (void)state;
    struct flock *f = flock_new(3);
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    for (int i = 0; i < 3; i++)
        (void)call_name(f, &target);
    kill_worker(f, 0);
    for (int i = 0; i < 4; i++)
        assert_int_not_equal(call_name(f, &target), 0);
    kill_worker(f, 1);
    kill_worker(f, 2);
    for (size_t i = 0; i < 3; i++)
        f->workers[i].state = COVEY_NODE_FAILED;
    publish(f);
    expect_reply(call(f, "name", true, NULL), COVEY_STATUS_UNAVAILABLE, "no member matches");
    f->workers[2].is_absent = false;
    start_worker(f, 2); /* another key, another id */
    publish_state(f, 2, COVEY_NODE_ALIVE);
    assert_int_equal(call_name(f, &target), 2);
    flock_free(f);
}

/* Its client is made without the loop and finds its host when somebody waits, which is when it dials. */
static void a_first_dial_that_fails_is_not_made_twice(void **state)
{
    (void)state;
    struct flock *f = flock_new(2);
    struct cv_callee *peer;
    struct covey_pick pick = {.id = f->workers[1].id};
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    publish_state(f, 1, COVEY_NODE_SUSPECT);
    assert_int_equal(call_name(f, &target), 0); /* the host is there */
    f->workers[0].state = COVEY_NODE_SUSPECT;
    publish_state(f, 1, COVEY_NODE_ALIVE);
    snprintf(pick.address, sizeof pick.address, "%s", f->workers[1].address);
    assert_int_equal(cv_callee_get(f->client->pool, &pick, false, &peer), 0);
    peer->client->connect_backoff =
        (struct cv_backoff){3 * TEST_DEADLINE, 3 * TEST_DEADLINE}; /* no second in time */
    atomic_store(&f->world.scarce, sizeof(struct cv_link));
    struct covey_reply reply = call(f, "name", false, NULL);
    atomic_store(&f->world.scarce, 0);
    assert_int_equal(reply.code, COVEY_STATUS_RESOURCE_EXHAUSTED);
    covey_reply_clear(&reply);
    assert_int_equal(cv_count_read(&peer->client->counters.failed), 1);
    cv_callee_put(f->client->pool, peer);
    flock_free(f);
}

static void two_connections(struct covey_cluster_client_config *config)
{
    config->connections_max = 2;
}

/* Idle ones make room, the one used longest ago first; those with calls do not. */
static void the_pool_is_bounded(void **state)
{
    (void)state;
    struct flock *f = flock_new(3);
    covey_stream *streams[2];
    covey_stream *stream = NULL;
    open_client(f, two_connections);
    const struct covey_target target = target_of(f);
    for (int i = 0; i < 9; i++)
        (void)call_name(f, &target);
    assert_int_equal(counters(f).connections, 2);
    assert_int_equal(counters(f).connections_evicted, 7);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            covey_cluster_client_open(f->client, &target, "keep_stream", NULL, &streams[i], NULL),
            0);
    assert_int_equal(
        covey_cluster_client_open(f->client, &target, "keep_stream", NULL, &stream, NULL),
        COVEY_ERR_POOL_EXHAUSTED);
    assert_null(stream);
    assert_int_equal(counters(f).pool_exhausted, 1);
    unsigned refused = 0;
    for (int i = 0; i < 3; i++) { /* in turn: one of three has no place */
        struct covey_reply reply = call(f, "name", false, NULL);
        refused += reply.code == COVEY_STATUS_RESOURCE_EXHAUSTED;
        covey_reply_clear(&reply);
    }
    assert_int_equal(refused, 1);
    for (int i = 0; i < 2; i++)
        covey_stream_free(streams[i]);
    finish_kept(f, 2);
    flock_free(f);
}

static void soon_idle(struct covey_cluster_client_config *config)
{
    config->idle_max = 20 * COVEY_MILLISECOND;
}

static void idle_connections_are_closed(void **state)
{
    (void)state;
    struct flock *f = flock_new(2);
    open_client(f, soon_idle);
    const struct covey_target target = target_of(f);
    (void)call_name(f, &target);
    (void)call_name(f, &target);
    AWAIT(counters(f).connections == 0);
    assert_int_equal(counters(f).connections_idle, 2);
    (void)call_name(f, &target);
    flock_free(f);
}

static void set_address(struct flock *f, size_t worker, const char *address)
{
    const size_t size = strlen(address) + 1;
    assert_true(size <= sizeof f->workers[worker].address);
    memmove(f->workers[worker].address, address, size); /* maybe another worker's */
    publish(f);
}

static void calls_of_one_that_moved_end(void **state)
{
    (void)state;
    struct flock *f = flock_new(1);
    struct tally t;
    tally_init(&t);
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    const struct covey_call_options options = options_within(TEST_DEADLINE);
    assert_int_equal(covey_cluster_client_call_async(f->client, &target, "keep", "x", 1, &options,
                                                     tally_node, &t),
                     0);
    covey_call *kept = kept_take(&f->workers[0].kept);
    set_address(f, 0, "127.0.0.1:1"); /* without an answer to the call */
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_UNAVAILABLE], 1);
    assert_int_equal(counters(f).connections_dropped, 1);
    covey_call_finish(kept, COVEY_STATUS_OK, "");
    tally_fini(&t);
    flock_free(f);
}

/* A pick knows the new address before the pool is shown it: what leaves for that is still followed. */
static void one_that_moved_and_failed_is_given_up(void **state)
{
    (void)state;
    struct flock *f = flock_new(1);
    covey_stream *stream;
    struct cv_callee *peer;
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    const struct covey_call_options options = options_within(TEST_DEADLINE);
    assert_int_equal(
        covey_cluster_client_open(f->client, &target, "keep_stream", &options, &stream, NULL), 0);
    covey_call *kept = kept_take(&f->workers[0].kept);
    const struct covey_pick pick = {.id = f->workers[0].id, .address = "127.0.0.1:1"};
    assert_int_equal(cv_callee_get(f->client->pool, &pick, false, &peer), 0);
    cv_callee_put(f->client->pool, peer);
    assert_int_equal(counters(f).connections_dropped, 1);
    publish_state(f, 0, COVEY_NODE_FAILED);
    expect_over(stream, COVEY_STATUS_UNAVAILABLE, "");
    covey_call_finish(kept, COVEY_STATUS_OK, "");
    covey_stream_free(stream);
    flock_free(f);
}

/* A stream is of one member; it ends when that fails, and its pick is given back when it is freed. */
static void streams(void **state)
{
    (void)state;
    struct flock *f = flock_new(2);
    covey_stream *stream;
    covey_node_id node;
    struct covey_balancer_stats stats = {.size = sizeof stats};
    open_client(f, NULL);
    struct covey_target target = target_of(f);
    assert_int_equal(covey_cluster_client_stream(f->client, &target, "keep_stream", "go", 2, NULL,
                                                 &stream, &node),
                     0);
    const size_t number = number_of(f, &node);
    covey_call *call = kept_take(&f->workers[number].kept);
    assert_int_equal(covey_call_send(call, "token 1", 7), 0);
    expect_message(stream, "token 1", 7);
    publish_state(f, number, COVEY_NODE_FAILED);
    expect_over(stream, COVEY_STATUS_UNAVAILABLE, "");
    covey_call_finish(call, COVEY_STATUS_OK, "");
    covey_balancer_stats(f->balancer, &stats);
    assert_int_equal(stats.picks_open, 1);
    covey_stream_free(stream);
    covey_balancer_stats(f->balancer, &stats);
    /* errors take nothing along */
    struct covey_call_options options;
    covey_call_options_init(&options);
    options.idempotent = true;
    assert_int_equal(
        covey_cluster_client_open(f->client, &target, "keep_stream", &options, &stream, NULL),
        COVEY_ERR_INVALID_ARGUMENT);
    target.balancer = NULL;
    assert_int_equal(
        covey_cluster_client_open(f->client, &target, "keep_stream", NULL, &stream, NULL),
        COVEY_ERR_INVALID_ARGUMENT);
    publish_state(f, 1 - number, COVEY_NODE_LEFT);
    target.balancer = f->balancer;
    assert_int_equal(
        covey_cluster_client_open(f->client, &target, "keep_stream", NULL, &stream, NULL),
        COVEY_ERR_NOT_FOUND);
    AWAIT((covey_balancer_stats(f->balancer, &stats), stats.picks_open) == 0);
    flock_free(f);
}

/* ---- all of them ---- */

struct gathering {
    struct tally tally;
    struct flock *flock;
    unsigned seen[WORKERS]; /* under the tally's lock */
    size_t ended;           /* with so many */
    atomic_uint ends;
};

static void gather(const covey_node_id *node, const struct covey_reply *reply, void *user)
{
    struct gathering *g = user;
    const size_t number = number_of(g->flock, node);
    pthread_mutex_lock(&g->tally.lock);
    g->seen[number]++;
    pthread_mutex_unlock(&g->tally.lock);
    tally_reply(reply, &g->tally);
}

static void gathered(size_t count, void *user)
{
    struct gathering *g = user;
    g->ended = count;
    atomic_fetch_add(&g->ends, 1);
}

static void call_all(struct gathering *g, const char *method, covey_time timeout, unsigned at_once)
{
    const struct covey_call_options options = options_within(timeout);
    const struct covey_all_handler handler = {.each = gather, .end = gathered, .user = g};
    assert_int_equal(covey_cluster_client_call_all(g->flock->client, g->flock->balancer, method,
                                                   "x", 1, &options, at_once, &handler),
                     0);
}

static void all_are_called_once(void **state)
{
    (void)state;
    struct flock *f = flock_new(4);
    struct gathering g = {.flock = f};
    tally_init(&g.tally);
    open_client(f, NULL);
    call_all(&g, "name", TEST_DEADLINE, 2);
    AWAIT(atomic_load(&g.ends) == 1);
    assert_int_equal(g.ended, 4);
    assert_int_equal(g.tally.codes[COVEY_STATUS_OK], 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(g.seen[i], 1);

    /* two at once, and no third before one of them is over */
    call_all(&g, "keep", TEST_DEADLINE, 2);
    AWAIT(kept_count(f) == 2);
    assert_int_equal(counters(f).calls_open, 2);
    /* the client goes: each is told, and the end comes all the same */
    assert_int_equal(covey_cluster_client_free(f->client), 0);
    f->client = NULL;
    assert_int_equal(atomic_load(&g.ends), 2);
    assert_int_equal(g.tally.codes[COVEY_STATUS_CANCELLED], 4);
    finish_kept(f, 2);
    tally_fini(&g.tally);
    flock_free(f);
}

static void one_call(struct covey_cluster_client_config *config)
{
    config->calls_max = 1;
}

/* More than there is room for come one after the other. */
static void all_wait_for_room(void **state)
{
    (void)state;
    struct flock *f = flock_new(3);
    struct gathering g = {.flock = f};
    tally_init(&g.tally);
    open_client(f, one_call);
    call_all(&g, "name", TEST_DEADLINE, 3);
    AWAIT(atomic_load(&g.ends) == 1);
    assert_int_equal(g.tally.codes[COVEY_STATUS_OK], 3);
    assert_int_equal(counters(f).calls_open, 0);
    tally_fini(&g.tally);
    flock_free(f);
}

/* While it waits for its turn the pool comes to know where it really is. */
static void all_reach_one_that_moved_meanwhile(void **state)
{
    (void)state;
    struct flock *f = flock_new(2);
    struct gathering g = {.flock = f};
    char right[sizeof f->workers[0].address];
    const size_t last = covey_node_id_compare(&f->workers[0].id, &f->workers[1].id) < 0 ? 1 : 0;
    tally_init(&g.tally);
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    snprintf(right, sizeof right, "%s", f->workers[last].address);
    set_address(f, last, f->workers[1 - last].address);
    call_all(&g, "keep", TEST_DEADLINE, 1); /* by id */
    covey_call *kept = kept_take(&f->workers[1 - last].kept);
    set_address(f, last, right);
    AWAIT(call_name(f, &target) == last);
    covey_call_reply(kept, "", 0);
    AWAIT(kept_count(f) == 2);
    covey_call_reply(kept_take(&f->workers[last].kept), "", 0);
    AWAIT(atomic_load(&g.ends) == 1);
    assert_int_equal(g.tally.codes[COVEY_STATUS_OK], 2);
    assert_int_equal(counters(f).connections_dropped, 0);
    tally_fini(&g.tally);
    flock_free(f);
}

static void the_deadline_is_that_of_all(void **state)
{
    (void)state;
    struct flock *f = flock_new(3);
    struct gathering g = {.flock = f};
    tally_init(&g.tally);
    open_client(f, NULL);
    call_all(&g, "keep", 200 * COVEY_MILLISECOND, 1);
    AWAIT(atomic_load(&g.ends) == 1);
    assert_int_equal(g.tally.codes[COVEY_STATUS_DEADLINE_EXCEEDED], 3);
    finish_kept(f, kept_count(f));
    for (size_t i = 0; i < 3; i++)
        f->workers[i].state = COVEY_NODE_LEFT;
    publish(f);
    call_all(&g, "name", TEST_DEADLINE, 1);
    AWAIT(atomic_load(&g.ends) == 2);
    assert_int_equal(g.ended, 0); /* nobody: the end comes all the same */
    tally_fini(&g.tally);
    flock_free(f);
}

/* ---- other ways to run ---- */

/* One thread makes the turns, and nothing waits for it on it. */
static void in_steps(void **state)
{
    (void)state;
    struct flock *f = flock_of_mode(3, COVEY_RUN_STEP);
    struct tally t;
    struct covey_reply reply;
    struct gathering g = {.flock = f};
    tally_init(&t);
    tally_init(&g.tally);
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    assert_int_equal(
        covey_cluster_client_call(f->client, &target, "name", "x", 1, NULL, &reply, NULL),
        COVEY_ERR_WRONG_THREAD);
    for (int i = 0; i < 6; i++)
        assert_int_equal(covey_cluster_client_call_async(f->client, &target, "name", "x", 1, NULL,
                                                         tally_node, &t),
                         0);
    call_all(&g, "name", TEST_DEADLINE, 2);
    AWAIT((covey_runtime_step(f->world.runtime), tally_count(&t)) == 6);
    AWAIT((covey_runtime_step(f->world.runtime), atomic_load(&g.ends)) == 1);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 6);
    assert_int_equal(g.tally.codes[COVEY_STATUS_OK], 3);
    publish_state(f, 0, COVEY_NODE_FAILED);
    AWAIT((covey_runtime_step(f->world.runtime), counters(f).connections) == 2);
    tally_fini(&t);
    tally_fini(&g.tally);
    flock_free(f);
}

/* No turn in between: what the pool has asked of the loop comes after its client is gone. */
static void one_is_freed_before_the_next_step(void **state)
{
    (void)state;
    struct flock *f = flock_of_mode(1, COVEY_RUN_STEP);
    struct tally t;
    tally_init(&t);
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    assert_int_equal(
        covey_cluster_client_call_async(f->client, &target, "name", "x", 1, NULL, tally_node, &t),
        0);
    assert_int_equal(covey_cluster_client_free(f->client), 0);
    f->client = NULL;
    assert_int_equal(t.codes[COVEY_STATUS_CANCELLED], 1);
    assert_int_equal(covey_runtime_step(f->world.runtime), 0);
    tally_fini(&t);
    flock_free(f);
}

/* ---- limits and the end ---- */

static void few_calls(struct covey_cluster_client_config *config)
{
    config->calls_max = 3;
}

static void calls_are_bounded_and_end_with_their_client(void **state)
{
    (void)state;
    struct flock *f = flock_new(1);
    struct tally t;
    tally_init(&t);
    open_client(f, few_calls);
    struct covey_target target = target_of(f);
    assert_int_equal(
        covey_cluster_client_call_async(f->client, &target, "keep", "x", 1, NULL, tally_node, &t),
        0);
    covey_call *kept = kept_take(&f->workers[0].kept);
    publish_state(f, 0, COVEY_NODE_SUSPECT);
    target.tries = 1000;
    for (int i = 0; i < 2; i++) /* these pause */
        assert_int_equal(covey_cluster_client_call_async(f->client, &target, "keep", "x", 1, NULL,
                                                         tally_node, &t),
                         0);
    assert_int_equal(
        covey_cluster_client_call_async(f->client, &target, "keep", "x", 1, NULL, tally_node, &t),
        COVEY_ERR_BUSY);
    AWAIT(counters(f).calls_started == 3);
    assert_int_equal(covey_cluster_client_free(f->client), 0);
    f->client = NULL;
    assert_int_equal(t.codes[COVEY_STATUS_CANCELLED], 3);
    covey_call_reply(kept, "", 0);
    tally_fini(&t);
    flock_free(f);
}

static void what_is_wrong_is_said_at_once(void **state)
{
    (void)state;
    struct flock *f = flock_new(1);
    struct covey_reply reply;
    struct covey_call_options options;
    struct covey_cluster_client_config config;
    covey_cluster_client *client;
    open_client(f, NULL);
    struct covey_target target = target_of(f);
    covey_call_options_init(&options);
    options.idempotent = true;
    options.hedge_after = 1;
#define IS_INVALID(target, method, options)                                                        \
    assert_int_equal(                                                                              \
        covey_cluster_client_call(f->client, (target), (method), "x", 1, (options), &reply, NULL), \
        COVEY_ERR_INVALID_ARGUMENT)
    IS_INVALID(NULL, "name", NULL);
    IS_INVALID(&target, "no method", NULL);
    IS_INVALID(&target, NULL, NULL);
    IS_INVALID(&target, "name", &options);
    target.tries = 0;
    IS_INVALID(&target, "name", NULL);
    target.tries = 1;
    target.key = "k";
    target.key_size = COVEY_TARGET_KEY_MAX + 1;
    IS_INVALID(&target, "name", NULL);
    covey_cluster_client_config_init(&config);
    assert_int_equal(covey_cluster_client_new(&f->cluster, &config, &client),
                     COVEY_ERR_INVALID_ARGUMENT); /* no identity */
    covey_identity *identity = world_identity(&f->world, "caller", COVEY_ROLE_CLIENT);
    identity->who.not_after_ms = cv_clock_wall_ms();
    config.identity = identity;
    assert_int_equal(covey_cluster_client_new(&f->cluster, &config, &client),
                     COVEY_ERR_CERTIFICATE_EXPIRED);
    covey_identity_free(identity);
    assert_int_equal(covey_cluster_client_free(NULL), 0);
    assert_int_equal(counters(f).calls_open, 0);
    flock_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_go_round),
        cmocka_unit_test(a_key_sticks),
        cmocka_unit_test(without_a_member_it_ends_after_the_tries),
        cmocka_unit_test(one_that_comes_meanwhile_is_found),
        cmocka_unit_test(a_wrong_certificate_is_refused),
        cmocka_unit_test(what_may_have_begun_is_repeated_if_idempotent),
        cmocka_unit_test(one_that_fails_in_the_middle),
        cmocka_unit_test(all_die),
        cmocka_unit_test(a_first_dial_that_fails_is_not_made_twice),
        cmocka_unit_test(the_pool_is_bounded),
        cmocka_unit_test(idle_connections_are_closed),
        cmocka_unit_test(calls_of_one_that_moved_end),
        cmocka_unit_test(one_that_moved_and_failed_is_given_up),
        cmocka_unit_test(streams),
        cmocka_unit_test(all_are_called_once),
        cmocka_unit_test(all_wait_for_room),
        cmocka_unit_test(all_reach_one_that_moved_meanwhile),
        cmocka_unit_test(the_deadline_is_that_of_all),
        cmocka_unit_test(in_steps),
        cmocka_unit_test(one_is_freed_before_the_next_step),
        cmocka_unit_test(calls_are_bounded_and_end_with_their_client),
        cmocka_unit_test(what_is_wrong_is_said_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
