#include "fixture.h"

static void a_node_without_seeds_is_a_cluster_of_one(void **state)
{
    (void)state;
    struct sim_config config = sim_config_default(1, 1);
    struct sim *s = sim_new(&config);
    sim_start(s, 0);
    assert_sim(s, cv_membership_state(sim_membership(s, 0)) == CV_MEMBERSHIP_JOINED);
    assert_sim(s, sim_run_for(s, 60 * S));
    assert_int_equal(sim_event_total(s, COVEY_EVENT_NODE_JOINED), 0);
    sim_free(s);
}

/* M14: everybody knows the newcomer, and it knows everybody, soon. */
static void join_through_one_seed(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(2, 5);
    for (size_t o = 0; o < 5; o++) {
        for (size_t i = 0; i < 5; i++)
            assert_int_equal(sim_event_count(s, o, i, COVEY_EVENT_NODE_JOINED), o != i);
    }
    assert_int_equal(sim_suspicion_total(s), 0);
    sim_free(s);
}

static void a_late_node_is_known_to_all_in_a_second(void **state)
{
    (void)state;
    const size_t first = 0;
    struct sim_config config = sim_config_default(3, 8);
    struct sim *s = sim_new(&config);
    for (size_t i = 0; i < 8; i++) {
        sim_set_seeds(s, i, &first, i > 0);
        if (i < 7)
            sim_start(s, i);
    }
    assert_sim(s, sim_run_for(s, 20 * S));
    sim_start(s, 7);
    assert_sim(s, sim_run_while_not(s, all_alive, NULL, 1 * S));
    sim_free(s);
}

static void two_nodes_that_seed_each_other_form_one_cluster(void **state)
{
    (void)state;
    const size_t nodes[] = {0, 1};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_config config = sim_config_default(seed, 2);
        struct sim *s = sim_new(&config);
        sim_set_seeds(s, 0, &nodes[1], 1);
        sim_set_seeds(s, 1, &nodes[0], 1);
        sim_start(s, 0);
        sim_start(s, 1);
        assert_sim(s, sim_run_while_not(s, all_alive, NULL, 2 * S));
        assert_sim(s, sim_run_for(s, 2 * S));
        for (size_t i = 0; i < 2; i++)
            assert_sim(s, cv_membership_state(sim_membership(s, i)) == CV_MEMBERSHIP_JOINED);
        sim_free(s);
    }
}

/* Each has the next for its only seed, and nobody is there before: all join through one that joins
 * itself. Nobody waits for another, and they find each other without anti-entropy (C40). */
static void a_ring_of_seeds(size_t count, uint64_t seed, covey_time within)
{
    struct sim_config config = sim_config_default(seed, count);
    struct sim *s = sim_new(&config);
    for (size_t i = 0; i < count; i++) {
        const size_t next = (i + 1) % count;
        sim_set_seeds(s, i, &next, 1);
        sim_start(s, i);
    }
    assert_sim(s, sim_run_while_not(s, all_alive, NULL, within));
    assert_sim(s, sim_run_for(s, 1 * S));
    for (size_t i = 0; i < count; i++)
        assert_sim(s, cv_membership_state(sim_membership(s, i)) == CV_MEMBERSHIP_JOINED);
    sim_free(s);
}

static void nodes_that_start_together_form_one_cluster(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++)
        a_ring_of_seeds(5, seed, 1 * S);
    for (uint64_t seed = 1; seed <= 5; seed++)
        a_ring_of_seeds(80, seed, 5 * S);
}

/* In a cluster that is too large for all to be connected with all, who joins through one that joins
 * itself hears of few by anything else. */
static void a_seed_that_joins_itself_tells_all_in_the_end(void **state)
{
    (void)state;
    enum { COUNT = 80 };
    const size_t first = 0, new_one = COUNT - 2;
    struct sim_config config = sim_config_default(11, COUNT);
    struct sim *s = sim_new(&config);
    for (size_t i = 0; i < COUNT; i++) {
        sim_set_seeds(s, i, i == COUNT - 1 ? &new_one : &first, i > 0);
        if (i < new_one)
            sim_start(s, i);
    }
    assert_sim(s, sim_run_for(s, 40 * S));
    sim_start(s, new_one);
    sim_start(s, COUNT - 1);
    assert_sim(s, sim_run_while_not(s, all_alive, NULL, 1 * S));
    sim_free(s);
}

/* The same list of seeds everywhere, ourselves among them. */
static void a_seed_that_is_ourselves_is_skipped(void **state)
{
    (void)state;
    const size_t nodes[] = {0, 1, 2};
    struct sim_config config = sim_config_default(4, 3);
    struct sim *s = sim_new(&config);
    for (size_t i = 0; i < 3; i++) {
        sim_set_seeds(s, i, nodes, 3);
        sim_start(s, i);
    }
    assert_sim(s, sim_run_while_not(s, all_alive, NULL, 5 * S));
    sim_free(s);

    s = sim_new(&config);
    sim_set_seeds(s, 0, nodes, 1);
    sim_start(s, 0);
    assert_sim(s, sim_run_for(s, 1 * S));
    assert_sim(s, cv_membership_state(sim_membership(s, 0)) == CV_MEMBERSHIP_JOINED);
    sim_free(s);
}

/* B1, B2: ten attempts, every seed in each, and the error says what it was. */
static void unreachable_seeds_fail_after_ten_attempts(void **state)
{
    (void)state;
    const size_t seeds[] = {1, 2, 3};
    struct sim_config config = sim_config_default(5, 4);
    config.dial_timeout = 1 * S;
    struct sim *s = sim_new(&config);
    sim_set_seeds(s, 0, seeds, 3);
    sim_start(s, 0);
    assert_sim(s, sim_run_for(s, 115 * S));
    assert_sim(s, cv_membership_state(sim_membership(s, 0)) == CV_MEMBERSHIP_JOIN_FAILED);
    assert_int_equal(sim_join_error(s, 0), COVEY_ERR_NO_SEEDS_REACHABLE);
    assert_int_equal(sim_join_attempts(s, 0), 30);
    sim_free(s);
}

static void a_refusal_is_told_apart(void **state)
{
    (void)state;
    const size_t seeds[] = {1, 2};
    struct sim_config config = sim_config_default(6, 3);
    struct sim *s = sim_new(&config);
    sim_start(s, 1);
    sim_start(s, 2);
    sim_set_refusal(s, 0, COVEY_ERR_WRONG_CLUSTER);
    sim_set_seeds(s, 0, seeds, 2);
    sim_start(s, 0);
    assert_sim(s, sim_run_for(s, 60 * S));
    assert_int_equal(sim_join_error(s, 0), COVEY_ERR_WRONG_CLUSTER);
    assert_null(sim_view(s, 1, 0));
    /* One of them is only down: then that is the reason. */
    sim_crash(s, 2);
    sim_command(s, 0, CV_COMMAND_JOIN, NULL, NULL);
    assert_sim(s, sim_run_for(s, 119 * S));
    assert_int_equal(sim_join_error(s, 0), COVEY_ERR_NO_SEEDS_REACHABLE);
    sim_free(s);
}

/* A seed that takes the connection and says nothing. */
static void a_silent_seed_is_a_join_timeout(void **state)
{
    (void)state;
    const size_t seed = 1;
    struct sim_config config = sim_config_default(7, 2);
    struct sim *s = sim_new(&config);
    sim_start(s, 1);
    sim_set_seeds(s, 0, &seed, 1);
    sim_start(s, 0);
    assert_sim(s, sim_run_until(s, 4 * MS));
    sim_pause(s, 1);
    assert_sim(s, sim_run_for(s, 121 * S));
    int error = sim_join_error(s, 0);
    assert_sim(s, error == COVEY_ERR_JOIN_TIMEOUT || error == COVEY_ERR_NO_SEEDS_REACHABLE);
    sim_resume(s, 1);
    assert_int_equal(sim_command(s, 0, CV_COMMAND_JOIN, NULL, NULL), COVEY_OK);
    assert_sim(s, sim_run_while_not(s, all_alive, NULL, 20 * S));
    sim_free(s);
}

static void joining_succeeds_on_a_later_attempt(void **state)
{
    (void)state;
    const size_t seeds[] = {1, 2};
    struct sim_config config = sim_config_default(8, 3);
    config.dial_timeout = 500 * MS;
    struct sim *s = sim_new(&config);
    sim_set_seeds(s, 0, seeds, 2);
    sim_start(s, 0);
    assert_sim(s, sim_run_for(s, 5 * S));
    assert_sim(s, cv_membership_state(sim_membership(s, 0)) == CV_MEMBERSHIP_JOINING);
    sim_start(s, 2);
    assert_sim(s, sim_run_for(s, 10 * S));
    assert_sim(s, cv_membership_state(sim_membership(s, 0)) == CV_MEMBERSHIP_JOINED);
    sim_free(s);
}

static void leaving_while_joining_ends_at_once(void **state)
{
    (void)state;
    const size_t seed = 1;
    struct sim_config config = sim_config_default(9, 2);
    struct sim *s = sim_new(&config);
    sim_set_seeds(s, 0, &seed, 1);
    sim_start(s, 0);
    assert_sim(s, sim_run_for(s, 1 * S));
    assert_int_equal(sim_command(s, 0, CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
    assert_sim(s, cv_membership_state(sim_membership(s, 0)) == CV_MEMBERSHIP_LEFT);
    sim_free(s);
}

static bool is_known(struct sim *s, void *user)
{
    (void)user;
    return sim_view(s, 1, 0) != NULL;
}

/* The seed has its JOIN, and its answer is still under way. */
static void who_leaves_before_the_answer_has_left(void **state)
{
    (void)state;
    const size_t seed = 1;
    struct sim_config config = sim_config_default(9, 2);
    struct sim *s = sim_new(&config);
    sim_start(s, 1);
    sim_set_seeds(s, 0, &seed, 1);
    sim_start(s, 0);
    assert_sim(s, sim_run_while_not(s, is_known, NULL, 1 * S));
    assert_sim(s, cv_membership_state(sim_membership(s, 0)) == CV_MEMBERSHIP_JOINING);
    assert_int_equal(sim_command(s, 0, CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
    assert_sim(s, sim_run_for(s, 100 * MS));
    assert_sim(s, cv_membership_state(sim_membership(s, 0)) == CV_MEMBERSHIP_LEFT);
    assert_sim(s, sim_sees(s, 1, 0, COVEY_NODE_LEFT));
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_without_seeds_is_a_cluster_of_one),
        cmocka_unit_test(join_through_one_seed),
        cmocka_unit_test(a_late_node_is_known_to_all_in_a_second),
        cmocka_unit_test(two_nodes_that_seed_each_other_form_one_cluster),
        cmocka_unit_test(nodes_that_start_together_form_one_cluster),
        cmocka_unit_test(a_seed_that_joins_itself_tells_all_in_the_end),
        cmocka_unit_test(a_seed_that_is_ourselves_is_skipped),
        cmocka_unit_test(unreachable_seeds_fail_after_ten_attempts),
        cmocka_unit_test(a_refusal_is_told_apart),
        cmocka_unit_test(a_silent_seed_is_a_join_timeout),
        cmocka_unit_test(joining_succeeds_on_a_later_attempt),
        cmocka_unit_test(leaving_while_joining_ends_at_once),
        cmocka_unit_test(who_leaves_before_the_answer_has_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
