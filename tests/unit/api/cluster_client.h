#ifndef TEST_UNIT_API_CLUSTER_CLIENT_H
#define TEST_UNIT_API_CLUSTER_CLIENT_H

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

struct team {
    struct world world;
    covey_cluster cluster;
    covey_cluster_client *client;
    covey_balancer *balancer;
    struct worker workers[WORKERS];
};

/* ---- what is published ---- */

static inline void add_worker(struct team *f, struct cv_node_registry *registry,
                              const struct worker *w)
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

static inline void publish(struct team *f)
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

static inline void publish_state(struct team *f, size_t worker, enum covey_node_state state)
{
    f->workers[worker].state = state;
    publish(f);
}

/* ---- workers ---- */

static inline void say_name(covey_call *call, const void *request, size_t size, void *user)
{
    struct worker *w = user;
    (void)request;
    (void)size;
    atomic_fetch_add(&w->calls, 1);
    covey_call_reply(call, w->name, strlen(w->name));
}

static inline void refuse(covey_call *call, const void *request, size_t size, void *user)
{
    struct worker *w = user;
    (void)request;
    (void)size;
    atomic_fetch_add(&w->calls, 1);
    covey_call_finish(call, COVEY_STATUS_UNAVAILABLE, "not now");
}

static inline void start_worker(struct team *f, size_t number)
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

static inline void kill_worker(struct team *f, size_t number)
{
    assert_int_equal(covey_server_free(f->workers[number].server), 0);
    f->workers[number].server = NULL;
}

/* ---- the team: members and who calls them ---- */

static inline void open_client(struct team *f, void (*change)(struct covey_cluster_client_config *))
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

/* In a world that is there; the cluster's runtime is its own, or another one that is set already. */
static inline void team_begin(struct team *f, size_t workers)
{
    if (f->cluster.runtime == NULL)
        f->cluster.runtime = f->world.runtime;
    assert_int_equal(cv_view_init(&f->cluster.view), 0);
    assert_int_equal(cv_balancer_hub_new(f->cluster.runtime, &f->cluster.balancers), 0);
    assert_int_equal(covey_balancer_new(&f->cluster, NULL, &f->balancer), 0);
    for (size_t i = 0; i < WORKERS; i++) {
        f->workers[i].is_absent = i >= workers;
        if (i < workers)
            start_worker(f, i);
    }
    publish(f);
}

static inline struct team *team_of_mode(size_t workers, enum covey_run_mode mode)
{
    struct team *f = calloc(1, sizeof *f);
    assert_non_null(f);
    world_init_mode(&f->world, mode);
    team_begin(f, workers);
    return f;
}

static inline struct team *team_new(size_t workers)
{
    return team_of_mode(workers, COVEY_RUN_THREADS);
}

/* All but its world. */
static inline void team_end(struct team *f)
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
}

static inline void team_free(struct team *f)
{
    team_end(f);
    world_fini(&f->world);
    free(f);
}

static inline struct covey_cluster_client_stats counters(const struct team *f)
{
    struct covey_cluster_client_stats stats = {.size = sizeof stats};
    covey_cluster_client_stats(f->client, &stats);
    return stats;
}

static inline struct covey_target target_of(const struct team *f)
{
    struct covey_target target;
    covey_target_init(&target);
    target.balancer = f->balancer;
    return target;
}

/* Which worker it is; fails the test if it is none. */
static inline size_t number_of(const struct team *f, const covey_node_id *id)
{
    for (size_t i = 0; i < WORKERS; i++) {
        if (covey_node_id_compare(&f->workers[i].id, id) == 0 && !f->workers[i].is_absent)
            return i;
    }
    fail_msg("%s", "no such worker");
    return WORKERS;
}

/* Calls "name" and checks that who answered is who was said to have been called. */
static inline size_t call_name(struct team *f, const struct covey_target *target)
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

static inline struct covey_reply call(struct team *f, const char *method, bool idempotent,
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
static inline void tally_node(const covey_node_id *node, const struct covey_reply *reply,
                              void *user)
{
    (void)node;
    tally_reply(reply, user);
}

static inline unsigned kept_count(struct team *f)
{
    unsigned count = 0;
    for (size_t i = 0; i < WORKERS; i++)
        count += f->workers[i].server == NULL ? 0 : kept_wait(&f->workers[i].kept, 0);
    return count;
}

/* Waits for so many calls of "keep" and "keep_stream" in all, and ends them. */
static inline void finish_kept(struct team *f, unsigned count)
{
    AWAIT(kept_count(f) == count);
    for (size_t i = 0; i < WORKERS; i++) {
        struct kept *k = &f->workers[i].kept;
        while (f->workers[i].server != NULL && kept_wait(k, 0) > k->first)
            covey_call_finish(kept_take(k), COVEY_STATUS_OK, "");
    }
}

static inline void set_address(struct team *f, size_t worker, const char *address)
{
    const size_t size = strlen(address) + 1;
    assert_true(size <= sizeof f->workers[worker].address);
    memmove(f->workers[worker].address, address, size); /* maybe another worker's */
    publish(f);
}

/* ---- calls to all ---- */

struct gathering {
    struct tally tally;
    struct team *team;
    unsigned seen[WORKERS]; /* under the tally's lock */
    size_t ended;           /* with so many */
    atomic_uint ends;
};

static inline void gather(const covey_node_id *node, const struct covey_reply *reply, void *user)
{
    struct gathering *g = user;
    const size_t number = number_of(g->team, node);
    pthread_mutex_lock(&g->tally.lock);
    g->seen[number]++;
    pthread_mutex_unlock(&g->tally.lock);
    tally_reply(reply, &g->tally);
}

static inline void gathered(size_t count, void *user)
{
    struct gathering *g = user;
    g->ended = count;
    atomic_fetch_add(&g->ends, 1);
}

static inline void call_all(struct gathering *g, const char *method, covey_time timeout,
                            unsigned at_once)
{
    const struct covey_call_options options = options_within(timeout);
    const struct covey_all_handler handler = {.each = gather, .end = gathered, .user = g};
    assert_int_equal(covey_cluster_client_call_all(g->team->client, g->team->balancer, method, "x",
                                                   1, &options, at_once, &handler),
                     0);
}

#endif
