#define _GNU_SOURCE
/* A cluster client among real processes, of which one is killed: what membership finds out ends its calls. */
#include "integration/waiting.h"
#include "io/clock.h"
#include "unit/api/members.h"

#include <covey/cluster_client.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define CALL_DEADLINE (600 * COVEY_SECOND)
/* A connection counts as lost after so much silence, whatever membership knows. */
#define SILENCE (15 * COVEY_SECOND)

/* A world of another one's CA, of which it has a copy. */
static void world_init_as(struct world *w, const struct covey_pem *ca)
{
    world_init(w);
    covey_pem_free(&w->ca);
    w->ca = *ca;
}

/* ---- a worker: a process ---- */

struct worker {
    const char *name;
    pid_t pid;
    char address[64];
    int calls; /* reading end: a byte for each call of "work" */
};

static int calls_out;

/* Worker a never answers, as if it took long. */
static void work(covey_call *call, const void *request, size_t size, void *user)
{
    const struct worker *w = user;
    (void)request;
    (void)size;
    if (write(calls_out, "x", 1) != 1)
        abort();
    if (*w->name != 'a')
        covey_call_reply(call, w->name, strlen(w->name));
}

static _Noreturn void run_worker(struct worker *w, const struct covey_pem *ca, const char *seed)
{
    static struct world world;
    struct member m;
    const struct covey_tag tags[] = {{"role", "worker"}, {"name", w->name}};
    struct covey_cluster_config config = local_config();
    char address[sizeof w->address] = {0};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    world_init_as(&world, ca);
    config.tags = tags;
    config.tag_count = 2;
    m.server = world_server(&world, w->name);
    serve(m.server, "work", work, w);
    assert_int_equal(covey_server_start(m.server), 0);
    join(&m, &config, seed);
    snprintf(address, sizeof address, "%s", covey_server_address(m.server));
    if (write(calls_out, address, sizeof address) != (ssize_t)sizeof address)
        abort();
    for (;;)
        pause();
}

static void start_worker(struct worker *w, const char *name, const struct covey_pem *ca,
                         const char *seed)
{
    int ends[2];
    *w = (struct worker){.name = name};
    assert_int_equal(pipe(ends), 0);
    w->pid = fork();
    assert_true(w->pid >= 0);
    if (w->pid == 0) {
        calls_out = ends[1];
        run_worker(w, ca, seed);
    }
    close(ends[1]);
    w->calls = ends[0];
    /* it ends with an error when the worker does */
    assert_int_equal(read(w->calls, w->address, sizeof w->address), sizeof w->address);
}

static void wait_call(const struct worker *w)
{
    char byte;
    assert_int_equal(read(w->calls, &byte, 1), 1);
}

static void kill_worker(struct worker *w)
{
    if (w->pid != 0) {
        assert_int_equal(kill(w->pid, SIGKILL), 0);
        assert_int_equal(waitpid(w->pid, NULL, 0), w->pid);
        close(w->calls);
    }
    w->pid = 0;
}

/* ---- the caller ---- */

struct ending {
    struct tally tally;
    covey_time at;
};

static void note_end(const covey_node_id *node, const struct covey_reply *reply, void *user)
{
    struct ending *e = user;
    (void)node;
    e->at = cv_clock_now();
    tally_reply(reply, &e->tally);
}

static void call(covey_cluster_client *client, covey_balancer *balancer, bool idempotent,
                 struct ending *e)
{
    struct covey_target target;
    struct covey_call_options options = options_within(CALL_DEADLINE);
    covey_target_init(&target);
    target.balancer = balancer;
    options.idempotent = idempotent;
    assert_int_equal(
        covey_cluster_client_call_async(client, &target, "work", "x", 1, &options, note_end, e), 0);
}

static covey_balancer *balancer_of(covey_cluster *cluster, const char *key, const char *value)
{
    const struct covey_tag tag = {key, value};
    struct covey_balancer_config config;
    covey_balancer *balancer;
    covey_balancer_config_init(&config);
    config.selector = (struct covey_selector){.all = &tag, .all_count = 1};
    assert_int_equal(covey_balancer_new(cluster, &config, &balancer), 0);
    return balancer;
}

/* It is not asked to say that it goes, and nothing answers for it. A call that may not be made again is told;
 * one that may ends at the other worker. */
static void calls_of_one_that_was_killed_end(void **state)
{
    (void)state;
    static struct world w;
    static struct ending once, again;
    struct covey_pem ca;
    struct worker a, b;
    struct member m;
    struct covey_cluster_client_config config;
    covey_cluster_client *client;
    assert_int_equal(covey_pki_make_ca("flock", COVEY_KEY_ED25519, 10, &ca), 0);
    start_worker(&a, "a", &ca, NULL);
    start_worker(&b, "b", &ca, a.address);
    world_init_as(&w, &ca);
    start(&w, &m, "caller", a.address);
    AWAIT_LONG(count_with_tag(m.cluster, "role", "worker") == 2, "both workers are known");
    covey_balancer *only_a = balancer_of(m.cluster, "name", "a");
    covey_balancer *both = balancer_of(m.cluster, "role", "worker");
    covey_identity *identity = world_identity(&w, "viewer", COVEY_ROLE_CLIENT);
    covey_cluster_client_config_init(&config);
    config.identity = identity;
    assert_int_equal(covey_cluster_client_new(m.cluster, &config, &client), 0);
    tally_init(&once.tally);
    tally_init(&again.tally);

    call(client, only_a, false, &once);
    wait_call(&a);
    call(client, both, true, &again); /* in turn: of two one comes to a, and one is over at once */
    call(client, both, true, &again);
    wait_call(&a);
    wait_call(&b);
    assert_int_equal(tally_count(&once.tally), 0);
    const covey_time killed = cv_clock_now();
    kill_worker(&a);
    AWAIT_LONG(tally_count(&once.tally) == 1, "the call that may not be made again is told");
    AWAIT_LONG(tally_count(&again.tally) == 2, "the other call ends at the other worker");
    assert_int_equal(once.tally.codes[COVEY_STATUS_UNAVAILABLE], 1);
    assert_int_equal(again.tally.codes[COVEY_STATUS_OK], 2);
    assert_int_equal(state_of(m.cluster, "a"), COVEY_NODE_FAILED);
    assert_true(once.at - killed < SILENCE && again.at - killed < SILENCE);
    printf("after SIGKILL: told after %u ms, done elsewhere after %u ms\n",
           (unsigned)((once.at - killed) / COVEY_MILLISECOND),
           (unsigned)((again.at - killed) / COVEY_MILLISECOND));

    kill_worker(&b);
    tally_fini(&once.tally);
    tally_fini(&again.tally);
    assert_int_equal(covey_cluster_client_free(client), 0);
    covey_balancer_free(only_a);
    covey_balancer_free(both);
    covey_identity_free(identity);
    stop(&m);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_of_one_that_was_killed_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
