#define _POSIX_C_SOURCE 200809L
/* What is told when there was no turn for long: on a loop that the user steps, afterwards; on one with a thread of
 * its own, meanwhile too. */
#include "api/server.h"
#include "io/clock.h"
#include "unit/api/calling.h"
#include "unit/api/members.h"
#include "unit/api/stepping.h"

#define PATIENCE (20 * COVEY_MILLISECOND)

struct lab {
    struct world world; /* its runtime is this lab's */
    struct member m;
    covey_client *client;
    atomic_uint warnings;
};

static void count_warnings(void *user, enum covey_log_level level, const char *line)
{
    struct lab *lab = user;
    if (level == COVEY_LOG_WARNING && strstr(line, "no turn was made for ") != NULL)
        atomic_fetch_add(&lab->warnings, 1);
}

/* Holds up the loop for longer than is good. */
static void take_long(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    (void)user;
    covey_time end = cv_clock_now() + 2 * PATIENCE;
    while (cv_clock_now() < end)
        ;
    covey_call_reply(call, "", 0);
}

static bool is_member(const struct lab *lab)
{
    struct covey_partition_status status = {.size = sizeof status};
    assert_int_equal(covey_cluster_partition(lab->m.cluster, &status), 0);
    return status.state != COVEY_PARTITION_UNKNOWN;
}

static void lab_init(struct lab *lab, covey_time watchdog)
{
    struct covey_runtime_config config;
    memset(lab, 0, sizeof *lab);
    assert_int_equal(covey_pki_make_ca("flock", COVEY_KEY_ED25519, 10, &lab->world.ca), 0);
    covey_runtime_config_init(&config);
    config.mode = COVEY_RUN_STEP;
    config.watchdog = watchdog;
    config.log = count_warnings;
    config.log_user = lab;
    assert_int_equal(covey_runtime_new(&config, &lab->world.runtime), 0);
    lab->m.server = world_server(&lab->world, "owl");
    serve(lab->m.server, "slow", take_long, NULL);
    assert_int_equal(covey_server_start(lab->m.server), 0);
    const struct covey_cluster_config cluster = local_config();
    assert_int_equal(covey_server_enable_cluster(lab->m.server, &cluster, NULL, 0), 0);
    lab->m.cluster = covey_server_cluster(lab->m.server);
    assert_int_equal(covey_server_cluster_events(lab->m.server, &lab->m.events), 0);
    lab->client = world_client(&lab->world, covey_server_address(lab->m.server), COVEY_ROLE_CLIENT);
    STEP_UNTIL(lab->world.runtime, is_member(lab));
}

static void lab_fini(struct lab *lab)
{
    assert_int_equal(covey_client_free(lab->client), 0);
    stop(&lab->m);
    world_fini(&lab->world);
}

/* A handler holds up the loop, twice in a moment. */
static void call_slow(struct lab *lab)
{
    struct tally tally;
    tally_init(&tally);
    for (unsigned i = 1; i <= 2; i++) {
        call_async(lab->client, "slow", NULL, &tally);
        STEP_UNTIL(lab->world.runtime, tally_count(&tally) == i);
        step_once(lab->world.runtime);
        step_once(lab->world.runtime);
    }
    assert_int_equal(tally.codes[COVEY_STATUS_OK], 2);
    tally_fini(&tally);
}

static void a_handler_that_takes_long_is_told_of(void **state)
{
    (void)state;
    static struct lab lab;
    struct covey_event event = {.size = sizeof event};
    lab_init(&lab, PATIENCE);
    covey_time begun = cv_clock_now();
    call_slow(&lab);
    assert_true(stats_of(lab.m.server).times_held_up >= 2);
    unsigned told = 0;
    while (covey_event_receive(lab.m.events, 0, &event) == 0) {
        if (event.type != COVEY_EVENT_LOOP_HELD_UP)
            continue;
        assert_true(event.held_up >= PATIENCE);
        assert_true(event.timestamp_ms > 0);
        assert_null(event.node);
        told += event.held_up >= 2 * PATIENCE;
    }
    assert_true(told >= 2);
    /* one line, and one for each second that it took */
    unsigned long long seconds = (cv_clock_now() - begun) / COVEY_SECOND;
    assert_in_range(atomic_load(&lab.warnings), 1, 2 + seconds);
    /* after leaving there is nobody to tell; it is counted all the same */
    covey_cluster_leave_async(lab.m.cluster);
    STEP_UNTIL(lab.world.runtime, !is_member(&lab));
    uint64_t before = stats_of(lab.m.server).times_held_up;
    call_slow(&lab);
    assert_true(stats_of(lab.m.server).times_held_up >= before + 2);
    lab_fini(&lab);
}

static void who_does_not_want_to_know_is_not_told(void **state)
{
    (void)state;
    static struct lab lab;
    struct covey_event event = {.size = sizeof event};
    lab_init(&lab, COVEY_NEVER);
    call_slow(&lab);
    assert_int_equal(stats_of(lab.m.server).times_held_up, 0);
    assert_int_equal(atomic_load(&lab.warnings), 0);
    while (covey_event_receive(lab.m.events, 0, &event) == 0)
        assert_int_not_equal(event.type, COVEY_EVENT_LOOP_HELD_UP);
    lab_fini(&lab);
}

/* Where the user makes the turns another thread of his can see that there is none. */
static void that_nobody_steps_can_be_seen_meanwhile(void **state)
{
    (void)state;
    static struct lab lab;
    struct tally tally;
    lab_init(&lab, COVEY_NEVER);
    tally_init(&tally);
    call_async(lab.client, "slow", NULL, &tally);
    step_once(
        lab.world
            .runtime); /* the handshake has begun, and will want its next packet to be sent again */
    AWAIT(covey_runtime_held_up(lab.world.runtime) >= PATIENCE);
    const covey_time before = cv_clock_now();
    step_once(lab.world.runtime);
    assert_true(covey_runtime_held_up(lab.world.runtime) <= cv_clock_now() - before);
    STEP_UNTIL(lab.world.runtime, tally_count(&tally) == 1);
    tally_fini(&tally);
    lab_fini(&lab);
}

/* The loop of membership would do nothing but look. */
static void next_to_no_patience_makes_no_sense(void **state)
{
    (void)state;
    struct covey_runtime_config config;
    covey_runtime *runtime;
    covey_runtime_config_init(&config);
    config.watchdog = 0;
    assert_int_equal(covey_runtime_new(&config, &runtime), COVEY_ERR_INVALID_ARGUMENT);
    config.watchdog = COVEY_MILLISECOND - 1;
    assert_int_equal(covey_runtime_new(&config, &runtime), COVEY_ERR_INVALID_ARGUMENT);
    config.watchdog = COVEY_MILLISECOND;
    assert_int_equal(covey_runtime_new(&config, &runtime), 0);
    assert_int_equal(covey_runtime_free(runtime), 0);
}

/* ---- loops with threads of their own ---- */

#define LONGER (100 * COVEY_MILLISECOND)

/* A handler that holds up its loop until the test lets it go. */
struct hold {
    struct world *world;
    atomic_int loop; /* which it is; -1 before */
    atomic_bool may_go;
};
static struct hold mailed;

static void hold_loop(covey_call *call, const void *request, size_t size, void *user)
{
    struct hold *hold = user;
    const covey_runtime *runtime = hold->world->runtime;
    (void)request;
    (void)size;
    for (unsigned i = 0; i < runtime->loop_count; i++) {
        if (cv_loop_is_current(runtime->loops[i]))
            atomic_store(&hold->loop, (int)i);
    }
    while (!atomic_load(&hold->may_go))
        sched_yield();
    covey_call_reply(call, "", 0);
}

/* The same for a loop that was told to run it. */
static void hold_in_mail(struct cv_mail *mail, bool cancelled)
{
    (void)mail;
    (void)cancelled;
    atomic_store(&mailed.loop, 0);
    while (!atomic_load(&mailed.may_go))
        sched_yield();
}

static void world_of_two_loops(struct world *w, covey_time watchdog)
{
    struct covey_runtime_config config;
    memset(w, 0, sizeof *w);
    assert_int_equal(covey_pki_make_ca("flock", COVEY_KEY_ED25519, 10, &w->ca), 0);
    covey_runtime_config_init(&config);
    config.loops = 1;
    config.watchdog = watchdog;
    assert_int_equal(covey_runtime_new(&config, &w->runtime), 0);
}

/* Each loop is asked, and the one that waits for that is a worker: others get theirs. */
static void only_one_waits_for_all_loops_to_answer(void **state)
{
    (void)state;
    static struct world w;
    static struct cv_mail mail = {.run = hold_in_mail};
    struct covey_server_stats stats = {.size = sizeof stats};
    struct tally first;
    tally_init(&first);
    atomic_init(&mailed.loop, -1);
    world_of_two_loops(&w, COVEY_NEVER);
    covey_server *server = world_server(&w, "owl");
    assert_int_equal(covey_server_start(server), 0);
    covey_client *client = world_client(&w, covey_server_address(server), COVEY_ROLE_CLIENT);
    assert_int_equal(covey_admin_server_stats(client, TEST_DEADLINE, &stats, NULL), 0);
    cv_loop_post_sure(w.runtime->loops[0], &mail);
    AWAIT(atomic_load(&mailed.loop) == 0);
    call_async(client, "covey.server.stats", NULL, &first);
    AWAIT(atomic_load(&server->is_asked));
    for (int i = 0; i < 3; i++)
        expect_call(client, "covey.server.stats", COVEY_STATUS_RESOURCE_EXHAUSTED, "asked");
    assert_int_equal(tally_count(&first), 0);
    atomic_store(&mailed.may_go, true);
    tally_wait(&first, 1);
    assert_int_equal(first.codes[COVEY_STATUS_OK], 1);
    assert_int_equal(covey_admin_server_stats(client, TEST_DEADLINE, &stats, NULL), 0);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
    tally_fini(&first);
}

/* The next event about that loop. */
static struct covey_event held_up_event(struct member *m, unsigned loop)
{
    struct covey_event event = {.size = sizeof event};
    do {
        const int error = covey_event_receive(m->events, TEST_DEADLINE, &event);
        if (error != 0)
            fail_msg("no event: %s", covey_strerror(error));
    } while (event.type != COVEY_EVENT_LOOP_HELD_UP || event.loop != loop);
    return event;
}

/* It is told of while it goes on, once, by the loop of membership, and once more when it is over. */
static void a_loop_that_does_not_go_on_is_told_of_meanwhile(void **state)
{
    (void)state;
    static struct world w;
    static struct hold hold;
    struct covey_server_stats stats = {.size = sizeof stats};
    struct member m;
    struct tally tally;
    struct covey_reply reply;
    hold = (struct hold){.world = &w};
    atomic_init(&hold.loop, -1);
    tally_init(&tally);
    world_of_two_loops(&w, LONGER);
    start(&w, &m, "owl", NULL);
    serve(m.server, "hold", hold_loop, &hold);
    covey_client *client = world_client(&w, covey_server_address(m.server), COVEY_ROLE_CLIENT);
    call_async(client, "hold", NULL, &tally);

    AWAIT(atomic_load(&hold.loop) >= 0);
    const unsigned loop = (unsigned)atomic_load(&hold.loop);
    assert_int_equal(loop, 1);
    struct covey_event event = held_up_event(&m, loop);
    assert_true(event.goes_on);
    assert_true(event.held_up >= LONGER);
    assert_int_equal(tally_count(&tally), 0);
    AWAIT(covey_runtime_held_up(w.runtime) >= 6 * LONGER); /* it had been looked at again */
    assert_int_equal(cv_server_find_held_up(m.server), (int)loop);
    atomic_store(&hold.may_go, true);
    tally_wait(&tally, 1);
    AWAIT(covey_admin_server_stats(client, TEST_DEADLINE, &stats, &reply) == 0 &&
          stats.times_held_up >= 1);
    event = held_up_event(&m, loop);
    assert_false(event.goes_on);
    assert_true(event.held_up >= 6 * LONGER);
    assert_int_equal(covey_client_free(client), 0);
    stop(&m);
    assert_int_equal(covey_runtime_free(w.runtime), 0);
    covey_pem_free(&w.ca);
    tally_fini(&tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_that_takes_long_is_told_of),
        cmocka_unit_test(who_does_not_want_to_know_is_not_told),
        cmocka_unit_test(that_nobody_steps_can_be_seen_meanwhile),
        cmocka_unit_test(next_to_no_patience_makes_no_sense),
        cmocka_unit_test(only_one_waits_for_all_loops_to_answer),
        cmocka_unit_test(a_loop_that_does_not_go_on_is_told_of_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
