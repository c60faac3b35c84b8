#include "fixture.h"

/*
 * One member of fifty is hostile and says of another, which lives, that it left, failed or is suspect,
 * to all at once, with incarnations from what is known to the last that there is. The one that it is
 * said of refutes what can be believed; the rest nobody believes. Nobody loses it from the size of the
 * cluster, and nobody fails it.
 */

#define NODES  50
#define LIAR   7
#define VICTIM 23
/* News is everywhere: 3 L T. */
#define SPREAD (18 * S)

static uint64_t known(const struct sim *s)
{
    return sim_view(s, VICTIM, VICTIM)->incarnation;
}

static uint64_t refused(const struct sim *s)
{
    struct cv_membership_stats stats;
    uint64_t count = 0;
    for (size_t o = 0; o < NODES; o++) {
        cv_membership_stats(sim_membership(s, o), &stats);
        count += stats.updates_refused;
    }
    return count;
}

/* It says nothing by itself. */
static struct sim *cluster_with_liar(uint64_t seed)
{
    struct sim *s = quiet_cluster(seed, NODES);
    sim_lie(s, LIAR, 1u << SIM_LIE_LEFT, 3600 * S);
    return s;
}

static void assert_alive_to_all(struct sim *s, uint64_t incarnation)
{
    for (size_t o = 0; o < NODES; o++) {
        if (o == LIAR)
            continue;
        assert_sim(s, sim_sees(s, o, VICTIM, COVEY_NODE_ALIVE));
        assert_sim(s, sim_view(s, o, VICTIM)->incarnation == incarnation);
        assert_sim(s, cv_membership_partition(sim_membership(s, o)).expected == NODES);
    }
    assert_sim(s, sim_event_total(s, COVEY_EVENT_NODE_FAILED) == 0);
}

/* What is near what is known is believed until the victim hears of it, which it goes past. */
static void a_forgery_is_refuted(void **state)
{
    (void)state;
    const enum covey_node_state states[] = {COVEY_NODE_SUSPECT, COVEY_NODE_FAILED, COVEY_NODE_LEFT};
    for (size_t i = 0; i < 3; i++) {
        struct sim *s = cluster_with_liar(i + 1);
        const uint64_t before = known(s);
        sim_forge(s, LIAR, VICTIM, states[i], before);
        assert_sim(s, sim_run_for(s, 10 * MS));
        if (states[i] == COVEY_NODE_LEFT)
            assert_sim(s, sim_event_total(s, COVEY_EVENT_NODE_LEFT) > 0);
        assert_sim(s, sim_run_for(s, SPREAD));
        assert_sim(s, known(s) == before + 1);
        assert_alive_to_all(s, before + 1);
        sim_free(s);
    }
}

/* A node that believed the goodbye says that it is back. */
static void a_forged_goodbye_is_taken_back(void **state)
{
    (void)state;
    struct sim *s = cluster_with_liar(4);
    sim_forge(s, LIAR, VICTIM, COVEY_NODE_LEFT, known(s));
    assert_sim(s, sim_run_for(s, SPREAD));
    size_t told = 0;
    for (size_t o = 0; o < NODES; o++) {
        size_t left = sim_event_count(s, o, VICTIM, COVEY_EVENT_NODE_LEFT);
        told += left;
        /* The first time is its joining the cluster. */
        assert_sim(s, o == VICTIM ||
                          sim_event_count(s, o, VICTIM, COVEY_EVENT_NODE_JOINED) == 1 + left);
    }
    assert_sim(s, told > 0);
    sim_free(s);
}

/* Nobody believes what is far from what is known, and the victim does not answer it; all others count
 * it. */
static void what_is_far_from_what_is_known_changes_nothing(void **state)
{
    (void)state;
    const enum covey_node_state states[] = {COVEY_NODE_SUSPECT, COVEY_NODE_FAILED, COVEY_NODE_LEFT};
    const uint64_t incarnations[] = {UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 42};
    for (size_t i = 0; i < 9; i++) {
        struct sim *s = cluster_with_liar(10 + i);
        const uint64_t before = known(s);
        const size_t suspicions = sim_suspicion_total(s);
        sim_forge(s, LIAR, VICTIM, states[i / 3], incarnations[i % 3]);
        assert_sim(s, sim_run_for(s, SPREAD));
        assert_alive_to_all(s, before);
        assert_sim(s, sim_suspicion_total(s) == suspicions);
        assert_sim(s, sim_event_total(s, COVEY_EVENT_NODE_LEFT) == 0);
        /* 2^64 - 1 too, though it is before today's incarnations, as serial numbers go. */
        assert_sim(s, refused(s) >= NODES - 2);
        sim_free(s);
    }
}

/* A thousand a second for ten seconds: the liar is shut out, the victim lives. */
static void a_flood_of_forgeries_shuts_the_liar_out(void **state)
{
    (void)state;
    struct sim *s = cluster_with_liar(30);
    for (int i = 0; i < 10000; i++) {
        sim_forge(s, LIAR, VICTIM, COVEY_NODE_SUSPECT, UINT64_MAX);
        assert_sim(s, sim_run_for(s, MS));
    }
    size_t apart = 0;
    for (size_t o = 0; o < NODES; o++) {
        assert_sim(s, o == LIAR || sim_sees(s, o, VICTIM, COVEY_NODE_ALIVE));
        apart += sim_view(s, LIAR, o)->link != CV_LINK_UP;
    }
    assert_sim(s, apart > NODES - 5);
    assert_sim(s, sim_event_total(s, COVEY_EVENT_PEER_MISBEHAVED) > NODES / 2);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forgery_is_refuted),
        cmocka_unit_test(a_forged_goodbye_is_taken_back),
        cmocka_unit_test(what_is_far_from_what_is_known_changes_nothing),
        cmocka_unit_test(a_flood_of_forgeries_shuts_the_liar_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
