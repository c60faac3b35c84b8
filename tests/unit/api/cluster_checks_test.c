/* Health checks of the program's own: on threads of their own, one that hangs holds up nobody. */
#include "unit/api/calling.h"
#include "unit/api/members.h"

/* A check that says what the test wants. */
struct probe {
    _Atomic pthread_t
        thread; /* of the last run: one that was removed may overlap the next of its name */
    covey_cluster *to_remove; /* itself, by `name` */
    covey_server *to_free;
    const char *name;
    atomic_int says;  /* enum covey_check_status */
    atomic_uint runs; /* that returned */
    atomic_int error; /* of removing or freeing */
    atomic_bool holds;
    atomic_bool is_inside;
};

static enum covey_check_status probe(char *message, size_t size, void *user)
{
    struct probe *p = user;
    atomic_store(&p->thread, pthread_self());
    atomic_store(&p->is_inside, true);
    while (atomic_load(&p->holds))
        sched_yield();
    if (p->to_remove != NULL)
        atomic_store(&p->error, covey_cluster_remove_check(p->to_remove, p->name));
    if (p->to_free != NULL && covey_server_disable_cluster(p->to_free) == COVEY_ERR_WRONG_THREAD)
        atomic_store(&p->error, covey_server_free(p->to_free));
    snprintf(message, size, "run %u", atomic_load(&p->runs));
    int says = atomic_load(&p->says);
    atomic_store(&p->is_inside, false);
    atomic_fetch_add(&p->runs, 1);
    return (enum covey_check_status)says;
}

static void probe_init(struct probe *p, const char *name)
{
    memset(p, 0, sizeof *p);
    atomic_store(&p->says, COVEY_CHECK_HEALTHY);
    p->name = name;
}

static int add(covey_cluster *cluster, struct probe *p)
{
    struct covey_health_check check;
    covey_health_check_init(&check);
    check.name = p->name;
    check.run = probe;
    check.user = p;
    check.interval = 10 * COVEY_MILLISECOND;
    return covey_cluster_add_check(cluster, &check);
}

/* Until it is given up soon. */
static int add_impatient(covey_cluster *cluster, struct probe *p)
{
    struct covey_health_check check;
    covey_health_check_init(&check);
    check.name = p->name;
    check.run = probe;
    check.user = p;
    check.interval = 10 * COVEY_MILLISECOND;
    check.timeout = 50 * COVEY_MILLISECOND;
    return covey_cluster_add_check(cluster, &check);
}

static enum covey_check_status overall_of(covey_cluster *cluster)
{
    struct covey_health_status status = {.size = sizeof status};
    assert_int_equal(covey_cluster_health(cluster, &status, NULL, 0), 0);
    return status.overall;
}

static struct covey_check_health health_of(covey_cluster *cluster, const char *name)
{
    struct covey_health_status status = {.size = sizeof status};
    struct covey_check_health checks[COVEY_CHECKS_MAX] = {{.size = sizeof checks[0]}};
    assert_int_equal(covey_cluster_health(cluster, &status, checks, COVEY_CHECKS_MAX), 0);
    for (uint32_t i = 0; i < status.check_count; i++)
        if (strcmp(checks[i].name, name) == 0)
            return checks[i];
    fail_msg("there is no check %s", name);
    return checks[0];
}

/* Waits for HEALTH_CHECK_FAILED of this check. */
static void wait_failed(struct member *m, const char *name)
{
    struct covey_event event = {.size = sizeof event};
    do {
        int error = covey_event_receive(m->events, TEST_DEADLINE, &event);
        if (error != 0)
            fail_msg("%s never failed: %s", name, covey_strerror(error));
    } while (event.type != COVEY_EVENT_HEALTH_CHECK_FAILED || event.check == NULL ||
             strcmp(event.check, name) != 0);
    assert_string_equal(event.node->name, "a");
}

static enum covey_status_code health_code(covey_client *client)
{
    struct covey_reply reply = call_with(client, "covey.health", NULL, 0, NULL);
    enum covey_status_code code = reply.code;
    size_t size;
    const void *details = covey_reply_details(&reply, &size);
    assert_int_equal(size, code == COVEY_STATUS_OK ? 0 : strlen("unhealthy"));
    assert_memory_equal(code == COVEY_STATUS_OK ? reply.data : details,
                        code == COVEY_STATUS_OK ? "serving" : "unhealthy", 7);
    covey_reply_clear(&reply);
    return code;
}

/* Who watches the server from elsewhere sees what its checks say, and calls go on. */
static void an_unhealthy_server_says_that_it_does_not_serve(void **state)
{
    (void)state;
    static struct world w;
    static struct probe disk, slow;
    struct member a;
    world_init(&w);
    start(&w, &a, "a", NULL);
    covey_client *client = world_client(&w, covey_server_address(a.server), COVEY_ROLE_CLIENT);
    assert_int_equal(health_code(client), COVEY_STATUS_OK); /* without any */
    probe_init(&disk, "disk");
    atomic_store(&disk.says, COVEY_CHECK_DEGRADED);
    assert_int_equal(add(a.cluster, &disk), 0);
    wait_failed(&a, "disk");
    assert_int_equal(health_code(client), COVEY_STATUS_OK);
    atomic_store(&disk.says, COVEY_CHECK_UNHEALTHY);
    wait_failed(&a, "disk");
    assert_int_equal(health_code(client), COVEY_STATUS_UNAVAILABLE);
    struct covey_reply reply = call_with(client, "covey.methods", NULL, 0, NULL);
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    covey_reply_clear(&reply);
    atomic_store(&disk.says, COVEY_CHECK_HEALTHY);
    AWAIT(health_code(client) == COVEY_STATUS_OK);
    assert_int_equal(covey_cluster_remove_check(a.cluster, "disk"), 0);

    /* one that does not answer in time, until it is removed; no other runs */
    probe_init(&slow, "slow");
    atomic_store(&slow.holds, true);
    assert_int_equal(add_impatient(a.cluster, &slow), 0);
    wait_failed(&a, "slow");
    assert_int_equal(health_code(client), COVEY_STATUS_UNAVAILABLE);
    atomic_store(&slow.says, COVEY_CHECK_UNHEALTHY);
    atomic_store(&slow.holds, false);
    assert_int_equal(covey_cluster_remove_check(a.cluster, "slow"), 0);
    assert_int_equal(health_code(client), COVEY_STATUS_OK);

    /* and who has left has no checks */
    atomic_store(&disk.says, COVEY_CHECK_UNHEALTHY);
    assert_int_equal(add(a.cluster, &disk), 0);
    wait_failed(&a, "disk");
    assert_int_equal(health_code(client), COVEY_STATUS_UNAVAILABLE);
    assert_int_equal(covey_cluster_leave(a.cluster), 0);
    assert_int_equal(health_code(client), COVEY_STATUS_OK);
    covey_client_free(client);
    stop(&a);
    world_fini(&w);
}

static void the_worst_check_says_how_it_is(void **state)
{
    (void)state;
    static struct world w;
    static struct probe disk, queue;
    struct member a;
    world_init(&w);
    start(&w, &a, "a", NULL);
    assert_int_equal(overall_of(a.cluster), COVEY_CHECK_HEALTHY); /* without any */
    probe_init(&disk, "disk");
    probe_init(&queue, "queue");
    assert_int_equal(add(a.cluster, &disk), 0);
    assert_int_equal(add(a.cluster, &queue), 0);
    AWAIT(atomic_load(&disk.runs) > 2 && atomic_load(&queue.runs) > 2);
    assert_false(pthread_equal(disk.thread, pthread_self()));
    AWAIT(health_of(a.cluster, "queue").status == COVEY_CHECK_HEALTHY);
    assert_memory_equal(health_of(a.cluster, "disk").message, "run ", 4);
    assert_true(health_of(a.cluster, "disk").last_duration < TEST_DEADLINE);
    assert_int_equal(overall_of(a.cluster), COVEY_CHECK_HEALTHY);

    /* each step down is an event; up is none */
    atomic_store(&queue.says, COVEY_CHECK_DEGRADED);
    wait_failed(&a, "queue");
    assert_int_equal(overall_of(a.cluster), COVEY_CHECK_DEGRADED);
    atomic_store(&disk.says, COVEY_CHECK_UNHEALTHY);
    wait_failed(&a, "disk");
    assert_int_equal(overall_of(a.cluster), COVEY_CHECK_UNHEALTHY);
    assert_true(health_of(a.cluster, "disk").consecutive_failures > 0);
    atomic_store(&disk.says, COVEY_CHECK_HEALTHY);
    atomic_store(&queue.says, COVEY_CHECK_HEALTHY);
    AWAIT(overall_of(a.cluster) == COVEY_CHECK_HEALTHY);
    atomic_store(&queue.says, 77); /* no answer at all */
    wait_failed(&a, "queue");
    assert_int_equal(health_of(a.cluster, "queue").status, COVEY_CHECK_UNHEALTHY);
    stop(&a);
    world_fini(&w);
}

/* FD7 */
static void one_that_hangs_holds_up_no_other(void **state)
{
    (void)state;
    static struct world w;
    static struct probe stuck, fine;
    struct member a, b;
    world_init(&w);
    start(&w, &a, "a", NULL);
    probe_init(&stuck, "stuck");
    probe_init(&fine, "fine");
    atomic_store(&stuck.holds, true);
    assert_int_equal(add_impatient(a.cluster, &stuck), 0);
    assert_int_equal(add(a.cluster, &fine), 0);
    wait_failed(&a, "stuck");
    assert_int_equal(health_of(a.cluster, "stuck").status, COVEY_CHECK_UNHEALTHY);
    assert_true(health_of(a.cluster, "stuck").hangs);
    unsigned runs = atomic_load(&fine.runs);
    AWAIT(atomic_load(&fine.runs) > runs + 5);
    assert_int_equal(health_of(a.cluster, "fine").status, COVEY_CHECK_HEALTHY);
    start(&w, &b, "b", covey_server_address(a.server)); /* nor membership */
    wait_event(&a, COVEY_EVENT_NODE_JOINED, "b");
    assert_int_equal(atomic_load(&stuck.runs), 0); /* it is not begun again */
    atomic_store(&stuck.holds, false);
    AWAIT(health_of(a.cluster, "stuck").status == COVEY_CHECK_HEALTHY);
    stop(&b);
    stop(&a);
    world_fini(&w);
}

/* All that there may be, hanging: each has its thread. */
static void all_may_hang(void **state)
{
    (void)state;
    static struct world w;
    static struct probe probes[COVEY_CHECKS_MAX + 1];
    static char names[COVEY_CHECKS_MAX + 1][8];
    struct member a;
    world_init(&w);
    start(&w, &a, "a", NULL);
    for (int i = 0; i <= COVEY_CHECKS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        probe_init(&probes[i], names[i]);
        atomic_store(&probes[i].holds, true);
        assert_int_equal(add_impatient(a.cluster, &probes[i]),
                         i < COVEY_CHECKS_MAX ? 0 : COVEY_ERR_LIMIT);
    }
    for (int i = 0; i < COVEY_CHECKS_MAX; i++)
        AWAIT(atomic_load(&probes[i].is_inside) && health_of(a.cluster, names[i]).hangs);
    for (int i = 0; i < COVEY_CHECKS_MAX; i++)
        atomic_store(&probes[i].holds, false);
    AWAIT(overall_of(a.cluster) == COVEY_CHECK_HEALTHY);
    stop(&a);
    world_fini(&w);
}

static void *release_later(void *user)
{
    struct probe *p = user;
    for (int i = 0; i < 2000; i++)
        sched_yield();
    atomic_store(&p->holds, false);
    return NULL;
}

static void removing_waits_for_a_run(void **state)
{
    (void)state;
    static struct world w;
    static struct probe p;
    pthread_t thread;
    struct member a;
    world_init(&w);
    start(&w, &a, "a", NULL);
    probe_init(&p, "p");
    assert_int_equal(covey_cluster_remove_check(a.cluster, "p"), COVEY_ERR_NOT_FOUND);
    assert_int_equal(covey_cluster_remove_check(a.cluster, NULL), COVEY_ERR_INVALID_ARGUMENT);
    for (int i = 0; i < 3; i++) { /* and it can be added again */
        atomic_store(&p.holds, true);
        assert_int_equal(add(a.cluster, &p), 0);
        assert_int_equal(add(a.cluster, &p), COVEY_ERR_EXISTS);
        AWAIT(atomic_load(&p.is_inside));
        assert_int_equal(pthread_create(&thread, NULL, release_later, &p), 0);
        assert_int_equal(covey_cluster_remove_check(a.cluster, "p"), 0);
        assert_false(atomic_load(&p.is_inside));
        pthread_join(thread, NULL);
        unsigned runs = atomic_load(&p.runs);
        struct covey_health_status status = {.size = sizeof status};
        assert_int_equal(covey_cluster_health(a.cluster, &status, NULL, 0), 0);
        assert_int_equal(status.check_count, 0);
        assert_int_equal(atomic_load(&p.runs), runs);
    }
    /* in its own function it does not wait for itself */
    p.to_remove = a.cluster;
    atomic_store(&p.error, -1);
    assert_int_equal(add(a.cluster, &p), 0);
    AWAIT(atomic_load(&p.error) == 0);
    assert_int_equal(covey_cluster_remove_check(a.cluster, "p"), COVEY_ERR_NOT_FOUND);
    stop(&a);
    world_fini(&w);
}

/* While a check runs: the server's end waits for it, and cannot come from it. */
static void the_end_waits_for_checks(void **state)
{
    (void)state;
    static struct world w;
    static struct probe p;
    pthread_t thread;
    struct member a;
    for (int by_leaving = 0; by_leaving < 2; by_leaving++) {
        world_init(&w);
        start(&w, &a, "a", NULL);
        probe_init(&p, "p");
        p.to_free = a.server;
        assert_int_equal(add(a.cluster, &p), 0);
        AWAIT(atomic_load(&p.error) == COVEY_ERR_WRONG_THREAD);
        p.to_free = NULL;
        atomic_store(&p.holds, true);
        AWAIT(atomic_load(&p.is_inside));
        assert_int_equal(pthread_create(&thread, NULL, release_later, &p), 0);
        if (by_leaving) {
            struct probe late;
            assert_int_equal(covey_cluster_leave(a.cluster), 0);
            probe_init(&late, "late");
            assert_int_equal(add(a.cluster, &late), COVEY_ERR_STATE);
            assert_int_equal(covey_server_disable_cluster(a.server), 0);
            assert_false(atomic_load(&p.is_inside));
        }
        stop(&a);
        assert_false(atomic_load(&p.is_inside));
        pthread_join(thread, NULL);
        world_fini(&w);
    }
}

/* ---- the end, while a check uses the cluster ---- */

struct late_user {
    covey_cluster *cluster;
    atomic_bool is_inside;
    atomic_uint wrong; /* answers that are none of a cluster that was left */
    atomic_bool is_done;
};

/* Does all that a check may do, from the moment on at which the cluster was left. */
static enum covey_check_status use_to_the_end(char *message, size_t size, void *user)
{
    struct late_user *l = user;
    struct probe other;
    probe_init(&other, "other");
    atomic_store(&l->is_inside, true);
    while (covey_cluster_wait_joined(l->cluster, 0) != COVEY_ERR_CLOSED)
        sched_yield();
    for (int i = 0; i < 200; i++) {
        struct covey_cluster_stats stats = {.size = sizeof stats};
        struct covey_health_status status = {.size = sizeof status};
        l->wrong += covey_cluster_update_tag(l->cluster, "k", "v") != COVEY_ERR_STATE;
        l->wrong += covey_cluster_stats(l->cluster, &stats) != 0 || stats.members_alive != 0;
        l->wrong += covey_cluster_health(l->cluster, &status, NULL, 0) != 0;
        l->wrong += add(l->cluster, &other) != COVEY_ERR_STATE;
        l->wrong += covey_cluster_leave(l->cluster) != 0;
        covey_cluster_leave_async(l->cluster);
    }
    snprintf(message, size, "done");
    atomic_store(&l->is_done, true);
    return COVEY_CHECK_HEALTHY;
}

static void begin_late_use(struct late_user *l, covey_cluster *cluster)
{
    struct covey_health_check check;
    *l = (struct late_user){.cluster = cluster};
    covey_health_check_init(&check);
    check.name = "late";
    check.run = use_to_the_end;
    check.user = l;
    assert_int_equal(covey_cluster_add_check(cluster, &check), 0);
}

static void a_check_may_use_its_cluster_to_the_end(void **state)
{
    (void)state;
    static struct world w;
    static struct late_user l;
    struct member a;
    for (int by_leaving = 0; by_leaving < 2; by_leaving++) {
        world_init(&w);
        start(&w, &a, "a", NULL);
        begin_late_use(&l, a.cluster);
        AWAIT(atomic_load(&l.is_inside));
        if (by_leaving)
            assert_int_equal(covey_server_disable_cluster(a.server), 0);
        else
            assert_int_equal(covey_server_free(a.server), 0);
        assert_true(atomic_load(&l.is_done));
        assert_int_equal(atomic_load(&l.wrong), 0);
        if (by_leaving)
            assert_int_equal(covey_server_free(a.server), 0);
        covey_event_receiver_free(a.events);
        world_fini(&w);
    }
}

/* Also where the turns that it needs are made by the thread that frees the server. */
static void in_step_mode_it_may_use_its_cluster_to_the_end(void **state)
{
    (void)state;
    static struct world w;
    static struct late_user l;
    struct covey_cluster_config config = local_config();
    world_init_mode(&w, COVEY_RUN_STEP);
    covey_server *server = world_server(&w, "a");
    assert_int_equal(covey_server_start(server), 0);
    assert_int_equal(covey_server_enable_cluster(server, &config, NULL, 0), 0);
    begin_late_use(&l, covey_server_cluster(server));
    AWAIT(covey_runtime_step(w.runtime) == 0 && atomic_load(&l.is_inside));
    assert_int_equal(covey_server_free(server), 0);
    assert_true(atomic_load(&l.is_done));
    assert_int_equal(atomic_load(&l.wrong), 0);
    world_fini(&w);
}

static enum covey_check_status change_tags(char *message, size_t size, void *user)
{
    struct late_user *l = user;
    atomic_store(&l->is_inside, true);
    for (int i = 0; i < 50; i++)
        l->wrong += covey_cluster_update_tag(l->cluster, "k", i % 2 == 0 ? "even" : "odd") != 0;
    snprintf(message, size, "done");
    atomic_store(&l->is_done, true);
    return COVEY_CHECK_HEALTHY;
}

/* Who removes a check on the thread that makes the turns makes those that it needs. */
static void in_step_mode_removing_serves_the_run(void **state)
{
    (void)state;
    static struct world w;
    static struct late_user l;
    struct covey_cluster_config config = local_config();
    struct covey_health_check check;
    world_init_mode(&w, COVEY_RUN_STEP);
    covey_server *server = world_server(&w, "a");
    assert_int_equal(covey_server_start(server), 0);
    assert_int_equal(covey_server_enable_cluster(server, &config, NULL, 0), 0);
    l = (struct late_user){.cluster = covey_server_cluster(server)};
    covey_health_check_init(&check);
    check.name = "tags";
    check.run = change_tags;
    check.user = &l;
    assert_int_equal(covey_cluster_add_check(l.cluster, &check), 0);
    AWAIT(covey_runtime_step(w.runtime) == 0 && atomic_load(&l.is_inside));
    assert_int_equal(covey_cluster_remove_check(l.cluster, "tags"), 0);
    assert_true(atomic_load(&l.is_done));
    assert_int_equal(atomic_load(&l.wrong), 0);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

/* ---- two threads ---- */

struct adder {
    covey_cluster *cluster;
    struct probe probe;
    unsigned added;
    atomic_bool is_done;
};

static void *add_again_and_again(void *user)
{
    struct adder *a = user;
    for (int i = 0; i < 1000; i++) {
        int error = add(a->cluster, &a->probe);
        assert_true(error == 0 || error == COVEY_ERR_EXISTS);
        a->added += error == 0;
    }
    atomic_store(&a->is_done, true);
    return NULL;
}

/* What one thread removes while another adds it is either there or not. */
static void adding_and_removing_may_meet(void **state)
{
    (void)state;
    static struct world w;
    static struct adder adder;
    struct member a;
    pthread_t thread;
    unsigned removed = 0;
    world_init(&w);
    start(&w, &a, "a", NULL);
    adder = (struct adder){.cluster = a.cluster};
    probe_init(&adder.probe, "p");
    assert_int_equal(pthread_create(&thread, NULL, add_again_and_again, &adder), 0);
    while (!atomic_load(&adder.is_done)) {
        int error = covey_cluster_remove_check(a.cluster, "p");
        assert_true(error == 0 || error == COVEY_ERR_NOT_FOUND);
        removed += error == 0;
    }
    pthread_join(thread, NULL);
    removed += covey_cluster_remove_check(a.cluster, "p") == 0;
    assert_int_equal(removed, adder.added);
    struct covey_health_status status = {.size = sizeof status};
    assert_int_equal(covey_cluster_health(a.cluster, &status, NULL, 0), 0);
    assert_int_equal(status.check_count, 0);
    stop(&a);
    world_fini(&w);
}

struct disabler {
    covey_server *server;
    atomic_bool is_inside, is_over;
    atomic_uint others; /* answers but the right one */
};

static void disable_in_call(covey_call *call, const void *request, size_t size, void *user)
{
    struct disabler *d = user;
    atomic_store(&d->is_inside, true);
    while (!atomic_load(&d->is_over))
        d->others += covey_server_disable_cluster(d->server) != COVEY_ERR_WRONG_THREAD;
    covey_call_reply(call, request, size);
}

/* Whether a thread is a check's is asked by one while the first check begins on another. */
static void a_first_check_may_meet_who_must_not_wait(void **state)
{
    (void)state;
    static struct world w;
    static struct disabler d;
    static struct probe p;
    struct member a;
    struct tally tally;
    world_init(&w);
    tally_init(&tally);
    start(&w, &a, "a", NULL);
    d = (struct disabler){.server = a.server};
    serve(a.server, "disable", disable_in_call, &d);
    covey_client *client = world_client(&w, covey_server_address(a.server), COVEY_ROLE_CLIENT);
    assert_int_equal(covey_client_call_async(client, "disable", "", 0, NULL, tally_reply, &tally),
                     0);
    AWAIT(atomic_load(&d.is_inside));
    probe_init(&p, "p");
    assert_int_equal(add(a.cluster, &p), 0);
    AWAIT(atomic_load(&p.runs) > 2);
    atomic_store(&d.is_over, true);
    tally_wait(&tally, 1);
    assert_int_equal(atomic_load(&d.others), 0);
    covey_client_free(client);
    tally_fini(&tally);
    stop(&a);
    world_fini(&w);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static struct world w;
    struct member a;
    struct covey_health_check check;
    world_init(&w);
    start(&w, &a, "a", NULL);
    covey_health_check_init(&check);
    assert_int_equal(check.interval, 10 * COVEY_SECOND);
    assert_int_equal(check.timeout, 5 * COVEY_SECOND);
    check.run = probe;
    assert_int_equal(covey_cluster_add_check(a.cluster, NULL), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_cluster_add_check(a.cluster, &check), COVEY_ERR_INVALID_ARGUMENT);
    check.name = "";
    assert_int_equal(covey_cluster_add_check(a.cluster, &check), COVEY_ERR_INVALID_ARGUMENT);
    char name[COVEY_CHECK_NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    check.name = name;
    assert_int_equal(covey_cluster_add_check(a.cluster, &check), COVEY_ERR_INVALID_ARGUMENT);
    check.name = "x";
    check.interval = 0;
    assert_int_equal(covey_cluster_add_check(a.cluster, &check), COVEY_ERR_INVALID_ARGUMENT);
    check.interval = 1;
    check.run = NULL;
    assert_int_equal(covey_cluster_add_check(a.cluster, &check), COVEY_ERR_INVALID_ARGUMENT);
    struct covey_health_status status = {.size = sizeof status};
    struct covey_check_health one = {.size = 0};
    assert_int_equal(covey_cluster_health(a.cluster, NULL, NULL, 0), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_cluster_health(a.cluster, &status, NULL, 1), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_cluster_health(a.cluster, &status, &one, 1), COVEY_ERR_INVALID_ARGUMENT);
    assert_string_equal(covey_check_status_name(COVEY_CHECK_DEGRADED), "degraded");
    assert_string_equal(covey_check_status_name((enum covey_check_status)9), "?");
    stop(&a);
    world_fini(&w);
}

/* On a user's own loop too a check has a thread apart, for it may block. */
static void in_step_mode_it_has_a_thread_too(void **state)
{
    (void)state;
    static struct world w;
    static struct probe p;
    struct covey_cluster_config config = local_config();
    world_init_mode(&w, COVEY_RUN_STEP);
    covey_server *server = world_server(&w, "a");
    assert_int_equal(covey_server_start(server), 0);
    assert_int_equal(covey_server_enable_cluster(server, &config, NULL, 0), 0);
    covey_cluster *cluster = covey_server_cluster(server);
    probe_init(&p, "p");
    atomic_store(&p.says, COVEY_CHECK_DEGRADED);
    assert_int_equal(add(cluster, &p), 0);
    AWAIT(covey_runtime_step(w.runtime) == 0 && atomic_load(&p.runs) > 1 &&
          overall_of(cluster) == COVEY_CHECK_DEGRADED);
    assert_false(pthread_equal(atomic_load(&p.thread), pthread_self()));
    assert_int_equal(covey_cluster_remove_check(cluster, "p"), 0);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_check_says_how_it_is),
        cmocka_unit_test(an_unhealthy_server_says_that_it_does_not_serve),
        cmocka_unit_test(one_that_hangs_holds_up_no_other),
        cmocka_unit_test(all_may_hang),
        cmocka_unit_test(removing_waits_for_a_run),
        cmocka_unit_test(the_end_waits_for_checks),
        cmocka_unit_test(a_check_may_use_its_cluster_to_the_end),
        cmocka_unit_test(in_step_mode_it_may_use_its_cluster_to_the_end),
        cmocka_unit_test(in_step_mode_removing_serves_the_run),
        cmocka_unit_test(adding_and_removing_may_meet),
        cmocka_unit_test(a_first_check_may_meet_who_must_not_wait),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(in_step_mode_it_has_a_thread_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
