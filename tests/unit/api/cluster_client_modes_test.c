#define _POSIX_C_SOURCE 200809L
/* Cluster clients on the loops of others: in steps, and on a libuv loop of the user. */
#include "unit/api/cluster_client.h"
#include "unit/api/uv_world.h"

/* One thread makes the turns, and nothing waits for it on it. */
static void in_steps(void **state)
{
    (void)state;
    struct team *f = team_of_mode(3, COVEY_RUN_STEP);
    struct tally t;
    struct covey_reply reply;
    struct gathering g = {.team = f};
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
    team_free(f);
}

/* No turn in between: what the pool has asked of the loop comes after its client is gone. */
static void one_is_freed_before_the_next_step(void **state)
{
    (void)state;
    struct team *f = team_of_mode(1, COVEY_RUN_STEP);
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
    team_free(f);
}

/* A round of the user's loop. */
static bool turn(uv_loop_t *loop)
{
    return uv_run(loop, UV_RUN_NOWAIT) >= 0;
}

/* Servers, members and calls all live on the loop of the user, who makes its rounds and never blocks in one. */
static void on_a_users_uv_loop(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct tally t;
    struct covey_reply reply;
    covey_stream *stream;
    struct team *f = calloc(1, sizeof *f);
    struct gathering g = {.team = f};
    assert_non_null(f);
    world_init_uv(&f->world, &loop);
    team_begin(f, 3);
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
    AWAIT(turn(&loop) && tally_count(&t) == 6 && atomic_load(&g.ends) == 1);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 6);
    assert_int_equal(g.tally.codes[COVEY_STATUS_OK], 3);

    /* one that hangs and fails: its call and its stream end, in a round */
    assert_int_equal(
        covey_cluster_client_call_async(f->client, &target, "keep", "x", 1, NULL, tally_node, &t),
        0);
    AWAIT(turn(&loop) && kept_count(f) == 1);
    size_t hanging = 0;
    while (kept_wait(&f->workers[hanging].kept, 0) == 0)
        hanging++;
    for (size_t i = 0; i < 3; i++)
        f->workers[i].state = i == hanging ? COVEY_NODE_ALIVE : COVEY_NODE_SUSPECT;
    publish(f);
    assert_int_equal(
        covey_cluster_client_open(f->client, &target, "keep_stream", NULL, &stream, NULL), 0);
    AWAIT(turn(&loop) && kept_count(f) == 2);
    publish_state(f, hanging, COVEY_NODE_FAILED);
    AWAIT(turn(&loop) && tally_count(&t) == 7 && counters(f).connections == 2);
    assert_int_equal(t.codes[COVEY_STATUS_UNAVAILABLE], 1);
    covey_stream_free(stream);
    finish_kept(f, 2);
    tally_fini(&t);
    tally_fini(&g.tally);
    team_end(f);
    world_fini_uv(&f->world, &loop);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_steps),
        cmocka_unit_test(one_is_freed_before_the_next_step),
        cmocka_unit_test(on_a_users_uv_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
