#define _GNU_SOURCE
/* Leaving and shutting down: from every thread, any number of times, and past a member that is silent. */
#include "unit/api/calling.h"
#include "unit/api/members.h"
#include "unit/api/uv_world.h"

/* A second runtime with the same CA, which makes its turns only when the test does: a member on it is
 * silent in between, as if it were stopped. */
static void world_init_beside(struct world *w, const struct world *first)
{
    struct covey_pem ca;
    world_init_mode(w, COVEY_RUN_STEP);
    ca = w->ca;
    w->ca = first->ca;
    covey_pem_free(&ca);
}

static void world_fini_beside(struct world *w)
{
    w->ca = (struct covey_pem){0};
    world_fini(w);
}

/* A member on a stepped runtime, joined through `seed`. */
static void start_stepped(struct world *w, struct member *m, const char *name, const char *seed)
{
    const struct covey_cluster_config config = local_config();
    m->server = world_server(w, name);
    assert_int_equal(covey_server_start(m->server), 0);
    assert_int_equal(covey_server_enable_cluster(m->server, &config, &seed, 1), 0);
    m->cluster = covey_server_cluster(m->server);
    assert_int_equal(covey_cluster_events(m->cluster, &m->events), 0);
    struct covey_partition_status status = {.size = sizeof status};
    AWAIT(covey_runtime_step(w->runtime) == 0 &&
          covey_cluster_partition(m->cluster, &status) == 0 && status.alive == 2);
}

static size_t count_members(covey_cluster *cluster)
{
    covey_node_list *list;
    assert_int_equal(covey_cluster_members(cluster, &list), 0);
    size_t count = covey_node_list_count(list);
    covey_node_list_free(list);
    return count;
}

static uint64_t count_connections(const struct member *m)
{
    struct covey_cluster_stats stats = {.size = sizeof stats};
    assert_int_equal(covey_cluster_stats(m->cluster, &stats), 0);
    return stats.connections;
}

static void *leave(void *user)
{
    assert_int_equal(covey_cluster_leave(user), 0);
    return NULL;
}

static void *shut_down(void *user)
{
    assert_int_equal(covey_cluster_shutdown_immediate(user), 0);
    return NULL;
}

/* ---- handlers that leave ---- */

struct leaver {
    covey_cluster *cluster;
    atomic_int error;
    atomic_size_t members_at_the_end;
    atomic_bool has_ended;
};

static void leave_at_event(const struct covey_event *event, void *user)
{
    struct leaver *l = user;
    if (event != NULL) {
        atomic_store(&l->error, covey_cluster_leave(l->cluster));
        return;
    }
    atomic_store(&l->members_at_the_end, count_members(l->cluster));
    atomic_store(&l->has_ended, true);
}

static enum covey_check_status leave_in_check(char *message, size_t size, void *user)
{
    struct leaver *l = user;
    atomic_store(&l->error, covey_cluster_leave(l->cluster));
    snprintf(message, size, "left");
    return COVEY_CHECK_HEALTHY;
}

static void shut_down_in_call(covey_call *call, const void *request, size_t size, void *user)
{
    struct leaver *l = user;
    (void)request;
    (void)size;
    if (covey_cluster_leave(l->cluster) == COVEY_ERR_WRONG_THREAD)
        atomic_store(&l->error, covey_cluster_shutdown_immediate(l->cluster));
    covey_call_reply(call, NULL, 0);
}

static void it_may_be_left_from_everywhere_at_once(void **state)
{
    (void)state;
    static struct world w;
    static struct leaver in_event, in_check, in_call;
    struct member a, b;
    pthread_t threads[8];
    covey_event_receiver *receiver;
    world_init(&w);
    start(&w, &a, "a", NULL);
    start(&w, &b, "b", covey_server_address(a.server));
    wait_event(&a, COVEY_EVENT_NODE_JOINED, "b");
    in_event = in_check = in_call = (struct leaver){.cluster = b.cluster};
    atomic_store(&in_event.error, -1);
    atomic_store(&in_check.error, -1);
    atomic_store(&in_call.error, -1);
    serve(b.server, "leave", shut_down_in_call, &in_call);
    covey_client *client = world_client(&w, covey_server_address(b.server), COVEY_ROLE_CLIENT);
    expect_call(client, "covey.health", COVEY_STATUS_OK, ""); /* is connected */
    assert_int_equal(covey_cluster_events(b.cluster, &receiver), 0);
    assert_int_equal(covey_event_receiver_on_event(receiver, leave_at_event, &in_event), 0);

    struct covey_health_check check;
    covey_health_check_init(&check);
    check.name = "leaver";
    check.run = leave_in_check;
    check.user = &in_check;
    assert_int_equal(covey_cluster_add_check(b.cluster, &check), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i % 2 == 0 ? leave : shut_down, b.cluster), 0);
    covey_cluster_leave_async(b.cluster);
    expect_call(client, "leave", COVEY_STATUS_OK, "");
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(covey_cluster_leave(b.cluster), 0);
    assert_int_equal(covey_cluster_shutdown_immediate(b.cluster), 0);
    AWAIT(atomic_load(&in_check.error) == 0 && atomic_load(&in_call.error) == 0);
    AWAIT(atomic_load(&in_event.has_ended));
    covey_event_receiver_free(receiver);

    /* the fifth step comes before the sixth */
    assert_int_equal(atomic_load(&in_event.members_at_the_end), 0);
    assert_int_equal(count_members(b.cluster), 0);
    struct covey_event event = {.size = sizeof event};
    int error;
    while ((error = covey_event_receive(b.events, 0, &event)) == 0)
        ;
    assert_int_equal(error, COVEY_ERR_CLOSED);
    wait_event(&a, COVEY_EVENT_NODE_LEFT, "b");
    expect_call(client, "covey.health", COVEY_STATUS_OK, ""); /* calls are not touched */
    covey_client_free(client);
    stop(&b);
    stop(&a);
    world_fini(&w);
}

static void an_event_may_be_answered_by_leaving(void **state)
{
    (void)state;
    static struct world w;
    static struct leaver l;
    struct member a, b;
    covey_event_receiver *receiver;
    world_init(&w);
    start(&w, &a, "a", NULL);
    l = (struct leaver){.cluster = a.cluster};
    atomic_store(&l.error, -1);
    assert_int_equal(covey_cluster_events(a.cluster, &receiver), 0);
    assert_int_equal(covey_event_receiver_on_event(receiver, leave_at_event, &l), 0);
    start(&w, &b, "b", covey_server_address(a.server));
    AWAIT(state_of(b.cluster, "a") == COVEY_NODE_LEFT); /* perhaps before b had a receiver */
    AWAIT(atomic_load(&l.has_ended));
    assert_int_equal(atomic_load(&l.error), 0);
    covey_event_receiver_free(receiver);
    stop(&b);
    stop(&a);
    world_fini(&w);
}

/* A member that hears nothing holds up nobody for long, however long a leave might take. */
static void shutting_down_waits_for_nobody(void **state)
{
    (void)state;
    static struct world w, beside;
    struct member a, silent;
    pthread_t thread;
    world_init(&w);
    world_init_beside(&beside, &w);
    struct covey_cluster_config config = local_config();
    config.leave_timeout = 3600 * COVEY_SECOND;
    a.server = world_server(&w, "a");
    assert_int_equal(covey_server_start(a.server), 0);
    join(&a, &config, NULL);
    start_stepped(&beside, &silent, "silent", covey_server_address(a.server));
    wait_event(&a, COVEY_EVENT_NODE_JOINED, "silent");
    assert_int_equal(pthread_create(&thread, NULL, leave, a.cluster), 0);
    AWAIT(covey_cluster_update_tag(a.cluster, "k", "v") == COVEY_ERR_STATE); /* it leaves */
    int error = covey_cluster_shutdown_immediate(a.cluster);
    assert_true(error == 0 || error == COVEY_ERR_TIMEOUT); /* the machine may be slow */
    pthread_join(thread, NULL);
    assert_int_equal(covey_cluster_wait_joined(a.cluster, 0), COVEY_ERR_CLOSED);
    stop(&a);
    stop(&silent);
    world_fini_beside(&beside);
    world_fini(&w);
}

/* Freed without leaving: whoever listens knows, whoever does not is not waited for. */
static void freeing_says_goodbye(void **state)
{
    (void)state;
    static struct world w, beside;
    struct member a, b, silent;
    world_init(&w);
    world_init_beside(&beside, &w);
    struct covey_cluster_config config = local_config();
    config.leave_timeout = 3600 * COVEY_SECOND;
    a.server = world_server(&w, "a");
    assert_int_equal(covey_server_start(a.server), 0);
    join(&a, &config, NULL);
    start_stepped(&beside, &silent, "silent", covey_server_address(a.server));
    start(&w, &b, "b", covey_server_address(a.server));
    assert_int_equal(state_of(b.cluster, "a"),
                     COVEY_NODE_ALIVE); /* who has joined knows its seed */
    stop(&a);
    wait_event(&b, COVEY_EVENT_NODE_LEFT, "a");

    /* and where the turns are the caller's own */
    AWAIT(covey_runtime_step(beside.runtime) == 0 &&
          state_of(silent.cluster, "a") == COVEY_NODE_LEFT && count_connections(&silent) == 1 &&
          count_connections(&b) == 1 && state_of(b.cluster, "silent") == COVEY_NODE_ALIVE);
    stop(&silent);
    wait_event(&b, COVEY_EVENT_NODE_LEFT, "silent");
    stop(&b);
    world_fini_beside(&beside);
    world_fini(&w);
}

/* ---- loops that make no turns ---- */

struct shutting {
    covey_cluster *cluster;
    atomic_int error;
};

static void *shut_down_in_vain(void *user)
{
    struct shutting *s = user;
    atomic_store(&s->error, covey_cluster_shutdown_immediate(s->cluster));
    return NULL;
}

/* It has a bound whatever the loop does, which does the rest when it goes on. */
static void shutting_down_does_not_wait_for_a_busy_loop(void **state)
{
    (void)state;
    static struct world w;
    static struct shutting s;
    struct covey_cluster_config config = local_config();
    pthread_t thread;
    world_init_mode(&w, COVEY_RUN_STEP);
    covey_server *server = world_server(&w, "a");
    assert_int_equal(covey_server_start(server), 0);
    assert_int_equal(covey_server_enable_cluster(server, &config, NULL, 0), 0);
    s = (struct shutting){.cluster = covey_server_cluster(server)};
    for (int i = 0; i < 2; i++) { /* a second order for the same is none more */
        atomic_store(&s.error, -1);
        assert_int_equal(pthread_create(&thread, NULL, shut_down_in_vain, &s), 0);
        AWAIT(atomic_load(&s.error) != -1); /* and no step is made */
        pthread_join(thread, NULL);
        assert_int_equal(atomic_load(&s.error), COVEY_ERR_TIMEOUT);
    }
    AWAIT(covey_runtime_step(w.runtime) == 0 && count_members(s.cluster) == 0);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

/* An order that failed for want of memory may be given again. */
static void what_failed_may_be_ordered_again(void **state)
{
    (void)state;
    static struct world w;
    struct covey_cluster_config config = local_config();
    world_init_mode(&w, COVEY_RUN_STEP);
    covey_server *server = world_server(&w, "a");
    assert_int_equal(covey_server_start(server), 0);
    assert_int_equal(covey_server_enable_cluster(server, &config, NULL, 0), 0);
    covey_cluster *cluster = covey_server_cluster(server);
    covey_cluster_leave_async(cluster);
    atomic_store(&w.is_poor, true);
    assert_int_equal(covey_runtime_step(w.runtime), 0);
    atomic_store(&w.is_poor, false);
    AWAIT(covey_runtime_step(w.runtime) == 0 && state_of(cluster, "a") == COVEY_NODE_ALIVE);
    covey_cluster_leave_async(cluster);
    AWAIT(covey_runtime_step(w.runtime) == 0 && count_members(cluster) == 0);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

static enum covey_check_status leave_and_tell(char *message, size_t size, void *user)
{
    struct leaver *l = user;
    atomic_store(&l->has_ended, true);
    atomic_store(&l->error, covey_cluster_leave(l->cluster));
    snprintf(message, size, "left");
    return COVEY_CHECK_HEALTHY;
}

static void leave_in_a_check(struct leaver *l, covey_cluster *cluster)
{
    struct covey_health_check check;
    *l = (struct leaver){.cluster = cluster};
    atomic_store(&l->error, -1);
    covey_health_check_init(&check);
    check.name = "leaver";
    check.run = leave_and_tell;
    check.user = l;
    assert_int_equal(covey_cluster_add_check(cluster, &check), 0);
}

/* On a user's libuv loop freeing makes the turns, and the only other member is silent: who waits until it has left
 * goes on all the same, and the goodbye is sent. */
static void freeing_ends_the_wait_of_who_leaves(void **state)
{
    (void)state;
    static struct world w, beside;
    static struct leaver l;
    struct covey_cluster_config config = local_config();
    struct member silent;
    uv_loop_t loop;
    world_init_uv(&w, &loop);
    world_init_beside(&beside, &w);
    config.leave_timeout = 3600 * COVEY_SECOND;
    covey_server *server = world_server(&w, "a");
    assert_int_equal(covey_server_start(server), 0);
    assert_int_equal(covey_server_enable_cluster(server, &config, NULL, 0), 0);
    silent.server = world_server(&beside, "silent");
    assert_int_equal(covey_server_start(silent.server), 0);
    const char *seed = covey_server_address(server);
    assert_int_equal(covey_server_enable_cluster(silent.server, &config, &seed, 1), 0);
    silent.cluster = covey_server_cluster(silent.server);
    assert_int_equal(covey_cluster_events(silent.cluster, &silent.events), 0);
    AWAIT(uv_run(&loop, UV_RUN_NOWAIT) >= 0 && covey_runtime_step(beside.runtime) == 0 &&
          state_of(silent.cluster, "a") == COVEY_NODE_ALIVE &&
          state_of(covey_server_cluster(server), "silent") == COVEY_NODE_ALIVE);
    leave_in_a_check(&l, covey_server_cluster(server));
    AWAIT(uv_run(&loop, UV_RUN_NOWAIT) >= 0 && atomic_load(&l.has_ended));
    assert_int_equal(covey_server_free(server), 0);
    assert_int_equal(atomic_load(&l.error), 0);
    AWAIT(covey_runtime_step(beside.runtime) == 0 &&
          state_of(silent.cluster, "a") == COVEY_NODE_LEFT);
    stop(&silent);
    world_fini_beside(&beside);
    world_fini_uv(&w, &loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_may_be_left_from_everywhere_at_once),
        cmocka_unit_test(an_event_may_be_answered_by_leaving),
        cmocka_unit_test(shutting_down_waits_for_nobody),
        cmocka_unit_test(freeing_says_goodbye),
        cmocka_unit_test(shutting_down_does_not_wait_for_a_busy_loop),
        cmocka_unit_test(what_failed_may_be_ordered_again),
        cmocka_unit_test(freeing_ends_the_wait_of_who_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
