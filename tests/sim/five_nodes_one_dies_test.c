#include "fixture.h"

static bool is_rewriting;

static struct sim *run(uint64_t seed)
{
    struct sim *s = quiet_cluster(seed, 5);
    sim_crash(s, 3);
    assert_sim(s, sim_run_for(s, 40 * S));
    return s;
}

/* M10, M9: all survivors know, nobody else was ever suspected. */
static void all_survivors_know_and_nobody_else_is_suspected(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct sim *s = run(seed);
        for (size_t o = 0; o < 5; o++) {
            if (o != 3)
                assert_sim(s, sim_sees(s, o, 3, COVEY_NODE_FAILED));
        }
        assert_int_equal(sim_suspicion_total(s), 4);
        assert_int_equal(sim_event_total(s, COVEY_EVENT_NODE_FAILED), 4);
        assert_int_equal(sim_event_total(s, COVEY_EVENT_NODE_RECOVERED), 0);
        sim_free(s);
    }
}

/* The whole story, to be read aloud. Run this test with --rewrite when it is meant to change. */
static void the_story_is_the_golden_one(void **state)
{
    (void)state;
    struct sim *s = run(1);
    assert_golden("five_nodes_one_dies.txt", sim_trace(s), is_rewriting);
    sim_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_survivors_know_and_nobody_else_is_suspected),
        cmocka_unit_test(the_story_is_the_golden_one),
    };
    is_rewriting = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
