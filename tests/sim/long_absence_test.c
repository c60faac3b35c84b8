#include "fixture.h"

/*
 * A node that was away for sixty days is taken back. The others go on meanwhile: each day their
 * machines sleep, all at once, for all but half a minute, so that two months cost no more than half
 * an hour. What counts is there: wall clocks and incarnations sixty days apart, and a tombstone that
 * was forgotten after a day, or not yet. With --whole two others are awake all the time, which takes
 * minutes.
 */
static bool is_whole;

#define HOUR   (3600 * S)
#define DAY    (24 * HOUR)
#define AWAKE  (30 * S)
#define DAY_MS INT64_C(86400000)

#define AWAY 2

static size_t all = 5;

static struct sim *cluster(uint64_t seed)
{
    struct sim_config config = sim_config_default(seed, all);
    config.steps_max = SIZE_MAX / 2; /* time is the bound */
    struct sim *s = cluster_of(&config);
    assert_int_equal(sim_command(s, AWAY, CV_COMMAND_TAG_SET, "life", "first"), COVEY_OK);
    assert_sim(s, sim_run_for(s, 5 * S));
    return s;
}

static void pass_days(struct sim *s, int days)
{
    for (int day = 0; day < days && is_whole; day++)
        assert_sim(s, sim_run_for(s, DAY));
    for (int day = 0; day < days && !is_whole; day++) {
        assert_sim(s, sim_sleep(s, DAY - AWAKE));
        assert_sim(s, sim_run_for(s, AWAKE));
    }
}

static void assert_known_to_all(struct sim *s, bool is_known)
{
    for (size_t o = 0; o < all; o++) {
        if (o != AWAY)
            assert_sim(s, (sim_view(s, o, AWAY) != NULL) == is_known);
    }
}

/* Everybody has its new life, and nothing of the old one. */
static void assert_taken_back(struct sim *s)
{
    assert_sim(s, sim_run_while_not(s, all_alive, NULL, 30 * S));
    assert_int_equal(sim_command(s, AWAY, CV_COMMAND_TAG_SET, "life", "second"), COVEY_OK);
    assert_sim(s, sim_run_for(s, 120 * S));
    const uint64_t own = sim_view(s, AWAY, AWAY)->incarnation;
    for (size_t o = 0; o < all; o++) {
        const struct cv_member *m = sim_view(s, o, AWAY);
        struct covey_node node = cv_cluster_node_view(m->body, m->state, 0);
        assert_sim(s, m->state == COVEY_NODE_ALIVE && m->incarnation == own);
        assert_string_equal(covey_node_tag(&node, "life"), "second");
        assert_sim(s, cv_membership_partition(sim_membership(s, o)).expected == all);
    }
    sim_check_end(s);
    assert_sim(s, sim_all_alive(s));
}

/* It is forgotten, and its clock is sixty days on, or a month before its first life. */
static void after_sixty_days_it_is_taken_back(void **state)
{
    (void)state;
    const int64_t offsets_ms[] = {0, -90 * DAY_MS, -60 * DAY_MS};
    for (size_t i = 0; i < sizeof(offsets_ms) / sizeof(offsets_ms[0]); i++) {
        struct sim *s = cluster(i + 1);
        const uint64_t first = sim_view(s, AWAY, AWAY)->incarnation;
        sim_crash(s, AWAY);
        assert_sim(s, sim_run_for(s, 60 * S));
        assert_known_to_all(s, true);
        pass_days(s, 60);
        assert_known_to_all(s, false);
        sim_set_clock(s, AWAY, offsets_ms[i]);
        sim_start(s, AWAY);
        assert_taken_back(s);
        const uint64_t second = sim_view(s, AWAY, AWAY)->incarnation;
        if (offsets_ms[i] == 0)
            assert_sim(s, second - first > 60 * (uint64_t)DAY_MS - 1000 * 1000);
        if (offsets_ms[i] < -60 * DAY_MS)
            assert_sim(s, second < first);
        sim_free(s);
    }
}

/* It is still held for failed, at an incarnation that its clock has not reached again: it learns that
 * and goes past it. */
static void within_a_day_it_goes_past_what_is_known(void **state)
{
    (void)state;
    const int64_t offsets_ms[] = {0, -60 * DAY_MS};
    for (size_t i = 0; i < sizeof(offsets_ms) / sizeof(offsets_ms[0]); i++) {
        struct sim *s = cluster(i + 11);
        const uint64_t first = sim_view(s, AWAY, AWAY)->incarnation;
        sim_crash(s, AWAY);
        assert_sim(s, sim_run_for(s, 60 * S));
        assert_sim(s, sim_sleep(s, 20 * HOUR));
        assert_sim(s, sim_run_for(s, AWAKE));
        assert_known_to_all(s, true);
        sim_set_clock(s, AWAY, offsets_ms[i]);
        sim_start(s, AWAY);
        assert_taken_back(s);
        assert_sim(s, sim_view(s, AWAY, AWAY)->incarnation > first);
        sim_free(s);
    }
}

/* One that was only switched off all that time, with all that it knew: it finds the others by
 * itself, and they it. */
static void one_that_slept_for_sixty_days_comes_back(void **state)
{
    (void)state;
    struct sim *s = cluster(21);
    sim_pause(s, AWAY);
    assert_sim(s, sim_run_for(s, 60 * S));
    pass_days(s, 60);
    assert_known_to_all(s, false);
    sim_resume(s, AWAY);
    assert_taken_back(s);
    sim_free(s);
}

int main(int argc, char **argv)
{
    is_whole = argc > 1 && strcmp(argv[1], "--whole") == 0;
    if (is_whole)
        all = 3;

    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_sixty_days_it_is_taken_back),
        cmocka_unit_test(within_a_day_it_goes_past_what_is_known),
        cmocka_unit_test(one_that_slept_for_sixty_days_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
