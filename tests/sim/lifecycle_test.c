#include "fixture.h"

static const char *tag_of(const struct sim *s, size_t observer, size_t subject, const char *key)
{
    const struct cv_member *m = sim_view(s, observer, subject);
    assert_non_null(m);
    struct covey_node view = cv_cluster_node_view(m->body, m->state, 0);
    return covey_node_tag(&view, key);
}

/* T2: the owner's last tags, at all others, within 3 L T; one event for each change that was seen.
 */
static void tag_propagation(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(1, 5);
    assert_int_equal(sim_command(s, 2, CV_COMMAND_TAG_SET, "role", "worker"), COVEY_OK);
    assert_int_equal(sim_command(s, 2, CV_COMMAND_TAG_SET, "zone", "a"), COVEY_OK);
    assert_sim(s, sim_run_for(s, 1 * S));
    for (size_t o = 0; o < 5; o++) {
        assert_string_equal(tag_of(s, o, 2, "role"), "worker");
        assert_string_equal(tag_of(s, o, 2, "zone"), "a");
        size_t updates = sim_event_count(s, o, 2, COVEY_EVENT_NODE_TAGS_UPDATED);
        assert_sim(s, o == 2 ? updates == 0 : updates >= 1 && updates <= 2);
    }
    assert_int_equal(sim_command(s, 2, CV_COMMAND_TAG_REMOVE, "role", NULL), COVEY_OK);
    assert_int_equal(sim_command(s, 2, CV_COMMAND_TAG_REMOVE, "role", NULL), COVEY_ERR_NOT_FOUND);
    assert_sim(s, sim_run_for(s, 1 * S));
    for (size_t o = 0; o < 5; o++)
        assert_null(tag_of(s, o, 2, "role"));
    sim_free(s);
}

/* A value that is set again is no change. */
static void the_same_tag_again_is_not_news(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(2, 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sim_command(s, 0, CV_COMMAND_TAG_SET, "k", "v"), COVEY_OK);
        assert_sim(s, sim_run_for(s, 1 * S));
    }
    assert_int_equal(sim_event_total(s, COVEY_EVENT_NODE_TAGS_UPDATED), 2);
    sim_free(s);
}

/* H2: left, never failed; and the leaver is done when three have heard it. */
static void leave_shows_left(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *s = quiet_cluster(seed, 5);
        assert_int_equal(sim_command(s, 1, CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
        assert_int_equal(sim_command(s, 1, CV_COMMAND_LEAVE, NULL, NULL), COVEY_ERR_STATE);
        assert_sim(s, sim_run_for(s, 100 * MS));
        assert_sim(s, cv_membership_state(sim_membership(s, 1)) == CV_MEMBERSHIP_LEFT);
        assert_int_equal(cv_membership_deadline(sim_membership(s, 1)), COVEY_NEVER);
        sim_crash(s, 1);
        assert_sim(s, sim_run_for(s, 60 * S));
        for (size_t o = 0; o < 5; o++) {
            if (o == 1)
                continue;
            assert_sim(s, sim_sees(s, o, 1, COVEY_NODE_LEFT));
            assert_int_equal(sim_event_count(s, o, 1, COVEY_EVENT_NODE_LEFT), 1);
            assert_int_equal(sim_event_count(s, o, 1, COVEY_EVENT_NODE_FAILED), 0);
        }
        assert_int_equal(sim_suspicion_total(s), 0);
        sim_free(s);
    }
}

/* Nobody hears it: the time-out ends it. */
static void leaving_alone_takes_its_timeout(void **state)
{
    (void)state;
    struct sim *s = quiet_cluster(3, 3);
    sim_set_side(s, 0, 1);
    assert_int_equal(sim_command(s, 0, CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
    assert_sim(s, sim_run_for(s, 4900 * MS));
    assert_sim(s, cv_membership_state(sim_membership(s, 0)) == CV_MEMBERSHIP_LEAVING);
    assert_sim(s, sim_run_for(s, 200 * MS));
    assert_sim(s, cv_membership_state(sim_membership(s, 0)) == CV_MEMBERSHIP_LEFT);
    sim_free(s);
}

static void who_left_may_come_back(void **state)
{
    (void)state;
    const int64_t offsets[] = {0, 3600 * 1000, -86400 * 1000};
    for (size_t i = 0; i < 3; i++) {
        struct sim *s = quiet_cluster(4 + i, 5);
        assert_int_equal(sim_command(s, 1, CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
        assert_sim(s, sim_run_for(s, 5 * S));
        sim_crash(s, 1);
        sim_set_clock(s, 1, offsets[i]);
        sim_start(s, 1);
        assert_sim(s, sim_run_while_not(s, all_alive, NULL, 5 * S));
        assert_int_equal(sim_event_count(s, 0, 1, COVEY_EVENT_NODE_JOINED), 2);
        sim_free(s);
    }
}

/* C35: with the same key, at once or after it was called failed, on the same port or another, with
 * the clock right or a day back. */
static void restart_with_the_same_key(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 8; i++) {
        struct sim *s = quiet_cluster(i + 1, 5);
        sim_crash(s, 3);
        if (i & 1)
            assert_sim(s, sim_run_for(s, 40 * S));
        if (i & 2)
            sim_set_clock(s, 3, -86400 * 1000);
        if (i & 4)
            sim_start_elsewhere(s, 3);
        else
            sim_start(s, 3);
        assert_sim(s, sim_run_for(s, 30 * S));
        assert_sim(s, sim_all_alive(s));
        const struct cv_cluster_node *own = sim_view(s, 3, 3)->body;
        for (size_t o = 0; o < 5; o++) {
            assert_sim(s, cv_address_equal(&sim_view(s, o, 3)->body->address, &own->address));
            assert_sim(s, sim_event_count(s, o, 3, COVEY_EVENT_NODE_FAILED) == (i & 1 && o != 3));
        }
        sim_free(s);
    }
}

/* C35: the clock is set back to the very millisecond of the last start, so incarnation and version
 * come again, with other tags. */
static void restart_at_the_same_incarnation(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct sim *s = quiet_cluster(seed, 5);
        assert_int_equal(sim_command(s, 3, CV_COMMAND_TAG_SET, "life", "first"), COVEY_OK);
        assert_sim(s, sim_run_for(s, 2 * S));
        const uint64_t last = sim_view(s, 3, 3)->incarnation;
        sim_crash(s, 3);
        sim_set_clock(s, 3, -(int64_t)(sim_now(s) / MS));
        sim_start(s, 3);
        assert_int_equal(sim_view(s, 3, 3)->incarnation, last);
        assert_int_equal(sim_command(s, 3, CV_COMMAND_TAG_SET, "life", "second"), COVEY_OK);
        assert_sim(s, sim_run_for(s, 5 * S));
        assert_sim(s, sim_all_alive(s));
        for (size_t o = 0; o < 5; o++)
            assert_sim(s, strcmp(sim_view(s, o, 3)->body->tags[0].value, "second") == 0);
        sim_free(s);
    }
}

/* A restarted first node, which has no seeds and starts alone, is found by the others. */
static void a_restarted_first_node_is_found_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct sim *s = quiet_cluster(seed, 5);
        sim_crash(s, 0);
        sim_set_clock(s, 0, -86400 * 1000);
        assert_sim(s, sim_run_for(s, 60 * S));
        sim_start(s, 0);
        assert_sim(s, sim_run_while_not(s, all_alive, NULL, 25 * S));
        sim_free(s);
    }
}

/* C40. */
static void all_restart_at_once(void **state)
{
    (void)state;
    const size_t seeds[] = {0, 1, 2};
    struct sim_config config = sim_config_default(6, 5);
    struct sim *s = sim_new(&config);
    for (size_t i = 0; i < 5; i++) {
        sim_set_seeds(s, i, seeds, 3);
        sim_start(s, i);
    }
    assert_sim(s, sim_run_for(s, 20 * S));
    for (size_t i = 0; i < 5; i++)
        sim_crash(s, i);
    for (size_t i = 0; i < 5; i++)
        sim_start(s, i);
    assert_sim(s, sim_run_while_not(s, all_alive, NULL, 15 * S));
    sim_free(s);
}

/* More than are looked at pair by pair, with full views, and nobody watches anybody. */
static void a_large_cluster_starts_unwatched(void **state)
{
    (void)state;
    struct sim_config config = sim_config_default(1, 128);
    config.has_full_views = true;
    config.is_unwatched = true;
    struct sim *s = sim_new(&config);
    for (size_t i = 0; i < config.node_count; i++)
        sim_start(s, i);
    assert_sim(s, sim_run_for(s, 3 * S));
    sim_check_end(s);
    assert_sim(s, sim_all_alive(s));
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_cluster_starts_unwatched),
        cmocka_unit_test(tag_propagation),
        cmocka_unit_test(the_same_tag_again_is_not_news),
        cmocka_unit_test(leave_shows_left),
        cmocka_unit_test(leaving_alone_takes_its_timeout),
        cmocka_unit_test(who_left_may_come_back),
        cmocka_unit_test(restart_with_the_same_key),
        cmocka_unit_test(restart_at_the_same_incarnation),
        cmocka_unit_test(a_restarted_first_node_is_found_again),
        cmocka_unit_test(all_restart_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
