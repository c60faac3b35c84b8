#include "fixture.h"

/* One member of five lies, for two minutes. */

#define LIAR     4
#define INTERVAL (50 * MS)

static struct sim *lie(uint64_t seed, enum sim_lie kind)
{
    struct sim *s = quiet_cluster(seed, 5);
    sim_lie(s, LIAR, 1u << kind, INTERVAL);
    assert_sim(s, sim_run_for(s, 120 * S));
    assert_sim(s, sim_lie_count(s, kind) > 0);
    return s;
}

/* What is said of who runs is refuted, and when the liar falls silent all is as it was (C66, C68).
 */
static void lies_about_others_are_taken_back(void **state)
{
    (void)state;
    const enum sim_lie kinds[] = {SIM_LIE_SUSPECT, SIM_LIE_FAILED, SIM_LIE_LEFT, SIM_LIE_REPLAY};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct sim *s = lie(i + 1, kinds[i]);
        sim_stop_lying(s, LIAR);
        assert_sim(s, sim_run_while_not(s, all_alive, NULL, 180 * S));
        sim_free(s);
    }
}

/* What is no message costs its sender the connection, nobody else anything. */
static void malformed_messages_hurt_the_liar_only(void **state)
{
    (void)state;
    struct sim *s = lie(5, SIM_LIE_MALFORMED);
    for (size_t o = 0; o < LIAR; o++) {
        struct cv_membership_stats stats;
        cv_membership_stats(sim_membership(s, o), &stats);
        assert_sim(s, stats.messages_malformed > 0);
        for (size_t n = 0; n < LIAR; n++)
            assert_sim(s, sim_sees(s, o, n, COVEY_NODE_ALIVE));
    }
    sim_free(s);
}

/* Without signed records strangers and new addresses are believed; but the bounds hold, and no
 * invariant else breaks. */
static void inventions_keep_the_bounds(void **state)
{
    (void)state;
    const enum sim_lie kinds[] = {SIM_LIE_STRANGER, SIM_LIE_ADDRESS};
    for (size_t i = 0; i < 2; i++) {
        struct sim *s = lie(6 + i, kinds[i]);
        sim_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lies_about_others_are_taken_back),
        cmocka_unit_test(malformed_messages_hurt_the_liar_only),
        cmocka_unit_test(inventions_keep_the_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
