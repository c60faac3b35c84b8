#include "sim/memberlist.h"

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A node of the model whose goroutines block where they send: time runs out for a probe meanwhile. */

#define MS COVEY_MILLISECOND
#define S  COVEY_SECOND

#define NODES 5

struct counts {
    uint32_t sends;    /* packets and streams */
    uint32_t suspects; /* changes to suspect */
    uint32_t dead;
};

static struct counts at(struct sim_memberlist *m, covey_time now)
{
    struct counts c = {0, 0, 0};
    struct sim_memberlist_output out;
    const struct sim_memberlist_input input = {.now = now, .type = SIM_MEMBERLIST_INPUT_TIME};
    sim_memberlist_step(m, &input);
    while (sim_memberlist_poll(m, &out)) {
        bool is_change = out.type == SIM_MEMBERLIST_OUTPUT_CHANGE;
        c.sends += !is_change;
        c.suspects += is_change && out.state == SIM_MEMBERLIST_SUSPECT;
        c.dead += is_change && out.state == SIM_MEMBERLIST_DEAD;
    }
    return c;
}

static struct sim_memberlist *begin(struct sim_memberlist_config *config)
{
    *config = sim_memberlist_config_lan(NODES);
    struct sim_memberlist *m = sim_memberlist_new(config, 0, 0, 1);
    sim_memberlist_assume(m, NODES);
    return m;
}

/* One ping is sent, and no more, however long; on going on the probe fails at once. */
static void a_probe_waits_where_it_sends(void **state)
{
    (void)state;
    struct sim_memberlist_config config;
    struct sim_memberlist *m = begin(&config);
    sim_memberlist_block(m, true);
    assert_int_equal(at(m, S).sends, 1);
    for (covey_time now = S + 100 * MS; now <= 12 * S; now += 100 * MS) {
        const struct counts c = at(m, now);
        assert_int_equal(c.sends + c.suspects, 0);
    }
    sim_memberlist_block(m, false);
    const struct counts c = at(m, 12 * S);
    /* It asks the others, too late, suspects, and begins the next. */
    assert_int_equal(c.suspects, 1);
    assert_true(c.sends >= 3 + 1);
    sim_memberlist_free(m);
}

/* Blocked for less than the probe has, it waits for the answer from then on. */
static void a_short_block_costs_no_probe(void **state)
{
    (void)state;
    struct sim_memberlist_config config;
    struct sim_memberlist *m = begin(&config);
    sim_memberlist_block(m, true);
    assert_int_equal(at(m, S).sends, 1);
    sim_memberlist_block(m, false);
    assert_int_equal(at(m, S + 300 * MS).sends, 0);
    assert_int_equal(at(m, S + 799 * MS).sends, 0);
    assert_int_equal(at(m, S + 800 * MS).sends, 3 + 1);
    assert_int_equal(at(m, S + 999 * MS).suspects, 0);
    assert_int_equal(at(m, 2 * S).suspects, 1);
    sim_memberlist_free(m);
}

/* The time of a suspicion runs out all the same. */
static void suspicions_end_meanwhile(void **state)
{
    (void)state;
    struct sim_memberlist_config config;
    struct sim_memberlist *m = begin(&config);
    at(m, S);
    at(m, 1500 * MS);
    assert_int_equal(at(m, 2 * S).suspects, 1);
    sim_memberlist_block(m, true);
    uint32_t dead = 0;
    for (covey_time now = 2 * S; now <= 30 * S; now += 100 * MS)
        dead += at(m, now).dead;
    assert_int_equal(dead, 1);
    sim_memberlist_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_waits_where_it_sends),
        cmocka_unit_test(a_short_block_costs_no_probe),
        cmocka_unit_test(suspicions_end_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
