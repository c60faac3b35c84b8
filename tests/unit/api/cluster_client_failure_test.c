#define _POSIX_C_SOURCE 200809L
/* What becomes of calls and streams of a cluster client when a member refuses, fails, moves or dies. */
#include "unit/api/cluster_client.h"

/* UNAVAILABLE from a handler: it may have done something. */
static void what_may_have_begun_is_repeated_if_idempotent(void **state)
{
    (void)state;
    struct team *f = team_new(3);
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
    team_free(f);
}

/* Whichever has the call when it is thought dead: idempotent ones end elsewhere, others are told. */
static void one_that_fails_in_the_middle(void **state)
{
    (void)state;
    struct team *f = team_new(2);
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
    team_free(f);
}

/* Before membership knows: the connection is lost, or there is none to be had. */
static void all_die(void **state)
{
    (void)state;
    struct team *f = team_new(3);
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
    team_free(f);
}

static void calls_of_one_that_moved_end(void **state)
{
    (void)state;
    struct team *f = team_new(1);
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
    team_free(f);
}

/* A pick knows the new address before the pool is shown it: what leaves for that is still followed. */
static void one_that_moved_and_failed_is_given_up(void **state)
{
    (void)state;
    struct team *f = team_new(1);
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
    team_free(f);
}

static bool is_served(struct cv_callee_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    const bool is_served = !pool->is_posted;
    pthread_mutex_unlock(&pool->lock);
    return is_served;
}

/* Who has taken a member and has not opened his stream yet when that is lost: nobody is called. */
static void one_that_failed_before_the_stream_began(void **state)
{
    (void)state;
    struct team *f = team_new(1);
    covey_stream *stream;
    struct cv_callee *peer;
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    (void)call_name(f, &target); /* there is a host to dial with */
    struct covey_pick pick = {.id = f->workers[0].id};
    snprintf(pick.address, sizeof pick.address, "%s", f->workers[0].address);
    assert_int_equal(cv_callee_get(f->client->pool, &pick, false, &peer), 0);
    publish_state(f, 0, COVEY_NODE_FAILED); /* it would still answer */
    AWAIT(is_served(f->client->pool));
    struct covey_call_options options = options_within(TEST_DEADLINE);
    options.wait_for_ready = true;
    assert_int_equal(covey_client_open(peer->client, "keep_stream", &options, &stream), 0);
    expect_over(stream, COVEY_STATUS_UNAVAILABLE, "");
    covey_stream_free(stream);
    cv_callee_put(f->client->pool, peer);
    assert_int_equal(kept_count(f), 0);
    team_free(f);
}

/* ---- a member that is denied after it was picked ---- */

/* Only the client's pool knows of it, so balancers go on to give them. */
static void deny_in_pool(struct team *f, const covey_node_id *ids, size_t count)
{
    struct cv_denied *denied;
    assert_int_equal(cv_denied_new(&f->world.runtime->alloc, ids, count, &denied), 0);
    cv_callee_pool_follow(f->client->pool, NULL, denied);
    cv_denied_release(denied);
}

static void another_is_picked_for_one_that_is_denied(void **state)
{
    (void)state;
    struct team *f = team_new(2);
    open_client(f, NULL);
    struct covey_target target = target_of(f);
    target.key = "k"; /* always the same one, but for what is avoided */
    target.key_size = 1;
    const size_t chosen = call_name(f, &target);
    const covey_node_id *other = &f->workers[1 - chosen].id;
    deny_in_pool(f, &f->workers[chosen].id, 1);
    for (int i = 0; i < 3; i++) {
        covey_stream *stream;
        covey_node_id node;
        struct covey_reply reply;
        assert_int_equal(
            covey_cluster_client_open(f->client, &target, "keep_stream", NULL, &stream, &node), 0);
        assert_int_equal(covey_node_id_compare(&node, other), 0);
        covey_call_finish(kept_take(&f->workers[1 - chosen].kept), COVEY_STATUS_OK, "");
        expect_over(stream, COVEY_STATUS_OK, "");
        covey_stream_free(stream);
        assert_int_equal(
            covey_cluster_client_call(f->client, &target, "name", "x", 1, NULL, &reply, &node), 0);
        expect_reply(reply, COVEY_STATUS_OK, "");
        assert_int_equal(covey_node_id_compare(&node, other), 0);
    }
    team_free(f);
}

static void that_all_are_denied_is_said(void **state)
{
    (void)state;
    struct team *f = team_new(2);
    struct gathering g = {.team = f};
    covey_stream *stream;
    covey_node_id node;
    const covey_node_id nobody = {{0}};
    tally_init(&g.tally);
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    deny_in_pool(f, (covey_node_id[]){f->workers[0].id, f->workers[1].id}, 2);
    assert_int_equal(
        covey_cluster_client_open(f->client, &target, "keep_stream", NULL, &stream, NULL),
        COVEY_ERR_DENIED);
    expect_reply(call(f, "name", true, &node), COVEY_STATUS_UNAVAILABLE, "the member is denied");
    assert_int_equal(covey_node_id_compare(&node, &nobody), 0);
    call_all(&g, "name", TEST_DEADLINE, 2);
    tally_wait(&g.tally, 2);
    assert_int_equal(g.tally.codes[COVEY_STATUS_UNAVAILABLE], 2);
    AWAIT(atomic_load(&g.ends) == 1);
    tally_fini(&g.tally);
    team_free(f);
}

/* A stream is of one member; it ends when that fails, and its pick is given back when it is freed. */
static void streams(void **state)
{
    (void)state;
    struct team *f = team_new(2);
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
    team_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_have_begun_is_repeated_if_idempotent),
        cmocka_unit_test(one_that_fails_in_the_middle),
        cmocka_unit_test(all_die),
        cmocka_unit_test(calls_of_one_that_moved_end),
        cmocka_unit_test(one_that_moved_and_failed_is_given_up),
        cmocka_unit_test(one_that_failed_before_the_stream_began),
        cmocka_unit_test(another_is_picked_for_one_that_is_denied),
        cmocka_unit_test(that_all_are_denied_is_said),
        cmocka_unit_test(streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
