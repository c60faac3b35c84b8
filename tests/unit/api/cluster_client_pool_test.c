#define _POSIX_C_SOURCE 200809L
/* The connections of a cluster client: how many, and for how long. */
#include "unit/api/cluster_client.h"

/* Its client is made without the loop and finds its host when somebody waits, which is when it dials. */
static void a_first_dial_that_fails_is_not_made_twice(void **state)
{
    (void)state;
    struct team *f = team_new(2);
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
    team_free(f);
}

static void two_connections(struct covey_cluster_client_config *config)
{
    config->connections_max = 2;
}

/* Idle ones make room, the one used longest ago first; those with calls do not. */
static void the_pool_is_bounded(void **state)
{
    (void)state;
    struct team *f = team_new(3);
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
    team_free(f);
}

static void soon_idle(struct covey_cluster_client_config *config)
{
    config->idle_max = 20 * COVEY_MILLISECOND;
}

static void idle_connections_are_closed(void **state)
{
    (void)state;
    struct team *f = team_new(2);
    open_client(f, soon_idle);
    const struct covey_target target = target_of(f);
    (void)call_name(f, &target);
    (void)call_name(f, &target);
    AWAIT(counters(f).connections == 0);
    assert_int_equal(counters(f).connections_idle, 2);
    (void)call_name(f, &target);
    team_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_dial_that_fails_is_not_made_twice),
        cmocka_unit_test(the_pool_is_bounded),
        cmocka_unit_test(idle_connections_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
