#include "rival.h"

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S COVEY_SECOND
#define N 20

static const struct sim_link quick = {.delay_min = COVEY_MILLISECOND,
                                      .delay_max = 2 * COVEY_MILLISECOND};

static struct rival *settled(const struct sim_memberlist_config *config, uint64_t seed)
{
    struct rival *r = rival_new(config, seed, &quick, true);
    rival_run_until(r, 10 * S);
    return r;
}

static void assert_seen(const struct rival *r, uint16_t subject, enum sim_memberlist_state state)
{
    for (uint16_t i = 0; i < N; i++) {
        if (i != subject && rival_node(r, i) != NULL)
            assert_int_equal(sim_memberlist_state(rival_node(r, i), subject), state);
    }
}

struct heard {
    uint32_t suspect;
    uint32_t dead;
};

static void note(void *user, uint16_t observer, uint16_t subject, enum sim_memberlist_state state,
                 uint16_t incarnation)
{
    struct heard *h = user;
    (void)observer;
    (void)subject;
    (void)incarnation;
    h->suspect += state == SIM_MEMBERLIST_SUSPECT;
    h->dead += state == SIM_MEMBERLIST_DEAD;
}

static void a_crash_is_told_of_by_all(void **state)
{
    (void)state;
    const struct sim_memberlist_config config = sim_memberlist_config_lan(N);
    struct heard heard = {0, 0};
    struct rival *r = settled(&config, 1);
    rival_on_change(r, note, &heard);
    rival_crash(r, 7);
    rival_run_for(r, 60 * S);
    assert_int_equal(heard.dead, N - 1);
    assert_true(heard.suspect >= N - 2);
    assert_null(rival_node(r, 7));
    rival_free(r);
}

/* What came meanwhile is there when it goes on: it refutes, and nobody holds it for dead. */
static void a_short_pause_is_survived(void **state)
{
    (void)state;
    const struct sim_memberlist_config config = sim_memberlist_config_lan(N);
    struct heard heard = {0, 0};
    struct rival *r = settled(&config, 2);
    rival_on_change(r, note, &heard);
    rival_pause(r, 3);
    rival_run_for(r, 4 * S);
    assert_true(heard.suspect > 0);
    rival_resume(r, 3);
    rival_run_for(r, 10 * S);
    assert_int_equal(heard.dead, 0);
    assert_seen(r, 3, SIM_MEMBERLIST_ALIVE);
    rival_free(r);
}

static void a_long_pause_is_a_death(void **state)
{
    (void)state;
    const struct sim_memberlist_config config = sim_memberlist_config_lan(N);
    struct rival *r = settled(&config, 3);
    rival_pause(r, 3);
    rival_run_for(r, 60 * S);
    for (uint16_t i = 0; i < N; i++) {
        /* It may have been dead for so long that it is forgotten. */
        if (i != 3)
            assert_true(sim_memberlist_state(rival_node(r, i), 3) == SIM_MEMBERLIST_DEAD ||
                        sim_memberlist_state(rival_node(r, i), 3) == SIM_MEMBERLIST_UNKNOWN);
    }
    rival_free(r);
}

/* Held it sends nothing and hears nothing; what it makes of that goes out when it is released, and
 * what came is answered. */
static void what_is_held_goes_through_at_once(void **state)
{
    (void)state;
    const struct sim_memberlist_config config = sim_memberlist_config_lan(N);
    struct rival *r = settled(&config, 5);
    rival_hold(r, 3);
    rival_update(r, 3);
    const uint16_t own = sim_memberlist_incarnation(rival_node(r, 3), 3);
    rival_run_for(r, 4 * S);
    assert_seen(r, 3, SIM_MEMBERLIST_SUSPECT);
    for (uint16_t i = 0; i < N; i++)
        assert_true(i == 3 || sim_memberlist_incarnation(rival_node(r, i), 3) < own);
    rival_release(r, 3);
    rival_run_for(r, 3 * S);
    assert_seen(r, 3, SIM_MEMBERLIST_ALIVE);
    for (uint16_t i = 0; i < N; i++)
        assert_true(sim_memberlist_incarnation(rival_node(r, i), 3) >= own);
    /* One that is held may end so. */
    rival_hold(r, 4);
    rival_run_for(r, 5 * S);
    rival_crash(r, 4);
    rival_hold(r, 5);
    rival_run_for(r, 5 * S);
    rival_free(r);
}

static void who_is_not_heard_is_dead_and_who_is_not_told_is_too(void **state)
{
    (void)state;
    const struct sim_memberlist_config config = sim_memberlist_config_lan(N);
    for (int is_deaf = 0; is_deaf < 2; is_deaf++) {
        struct heard heard = {0, 0};
        struct rival *r = settled(&config, 4);
        rival_on_change(r, note, &heard);
        if (is_deaf != 0)
            rival_set_loss_to(r, 5, 1000);
        else
            rival_set_loss_from(r, 5, 1000);
        rival_run_for(r, 30 * S);
        assert_true(heard.dead >= N - 1);
        rival_free(r);
    }
}

static void loss_costs_packets_and_kills_nobody(void **state)
{
    (void)state;
    const struct sim_memberlist_config config = sim_memberlist_config_lan(N);
    struct heard heard = {0, 0};
    struct rival *r = settled(&config, 5);
    rival_on_change(r, note, &heard);
    rival_set_loss(r, 200);
    const uint64_t before = rival_messages(r);
    rival_run_for(r, 120 * S);
    /* At least a probe a second of each; and without loss nearly nothing else. */
    assert_true(rival_messages(r) - before > 120 * N);
    assert_true(rival_bytes(r) > rival_messages(r) * 28);
    assert_int_equal(heard.dead, 0);
    rival_free(r);
}

static void all_who_join_know_each_other(void **state)
{
    (void)state;
    const struct sim_memberlist_config config = sim_memberlist_config_lan(N);
    struct rival *r = rival_new(&config, 6, &quick, false);
    for (uint16_t i = 1; i < N; i++)
        rival_join(r, i, 0);
    rival_run_for(r, 10 * S);
    for (uint16_t i = 0; i < N; i++)
        assert_seen(r, i, SIM_MEMBERLIST_ALIVE);
    rival_free(r);
}

static void the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    const struct sim_memberlist_config config = sim_memberlist_config_lan(N);
    uint64_t bytes[3];
    for (uint64_t i = 0; i < 3; i++) {
        struct rival *r = settled(&config, i == 2 ? 8 : 7);
        rival_set_loss(r, 100);
        rival_pause(r, 2);
        rival_run_for(r, 5 * S);
        rival_resume(r, 2);
        rival_update(r, 9);
        rival_run_for(r, 20 * S);
        bytes[i] = rival_bytes(r);
        rival_free(r);
    }
    assert_true(bytes[0] == bytes[1] && bytes[0] != bytes[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_told_of_by_all),
        cmocka_unit_test(a_short_pause_is_survived),
        cmocka_unit_test(a_long_pause_is_a_death),
        cmocka_unit_test(what_is_held_goes_through_at_once),
        cmocka_unit_test(who_is_not_heard_is_dead_and_who_is_not_told_is_too),
        cmocka_unit_test(loss_costs_packets_and_kills_nobody),
        cmocka_unit_test(all_who_join_know_each_other),
        cmocka_unit_test(the_same_seed_is_the_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
