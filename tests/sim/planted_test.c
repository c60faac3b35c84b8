#include "fixture.h"

#include "sim/planted.h"

/*
 * Each planted bug breaks the invariant that it is meant for, and no other first; the same runs
 * without a bug break none, and look at every invariant.
 */
#define NODES        6
#define CHATTY_NODES 14

static struct sim *begin(uint64_t seed, size_t nodes, size_t late, const struct sim_planted *bug)
{
    const size_t first = 0;
    struct sim_config config = sim_config_default(seed, nodes);
    struct sim *s = sim_new(&config);
    if (bug != NULL)
        sim_plant(s, bug);
    for (size_t i = 0; i < nodes; i++) {
        if (i > 0)
            sim_set_seeds(s, i, &first, 1);
        if (i + late < nodes)
            sim_start(s, i);
    }
    sim_run_for(s, 10 * S);
    return s;
}

/* Commands go to nodes that still run; a run that broke goes no further. */
static void set_tag(struct sim *s, size_t node, const char *value)
{
    if (sim_violation(s) == NULL)
        sim_command(s, node, CV_COMMAND_TAG_SET, "k", value);
}

static void run_quiet(struct sim *s)
{
    set_tag(s, 3, "a");
    sim_run_for(s, 40 * S);
    if (sim_violation(s) != NULL)
        return;
    for (int i = 0; i < 2; i++)
        sim_command(s, 4, CV_COMMAND_LEAVE, NULL, NULL);
    sim_run_for(s, 40 * S);
}

static void run_clocks(struct sim *s)
{
    for (size_t i = 0; i < NODES && sim_violation(s) == NULL; i++) {
        sim_set_clock(s, i, (int64_t)i * 3600 * 1000);
        sim_run_for(s, 5 * S);
    }
}

static void run_late(struct sim *s)
{
    sim_run_for(s, 20 * S);
    if (sim_violation(s) == NULL)
        sim_start(s, NODES - 1);
    sim_run_for(s, 60 * S);
}

static void run_lossy(struct sim *s)
{
    sim_set_loss(s, 1);
    sim_run_for(s, 240 * S);
}

/* Long tags of different sizes at all nodes at once, so that few fit a message; and events by the
 * thousand. */
static void set_tags(struct sim *s, size_t round)
{
    char value[120];
    for (size_t i = 0; i < CHATTY_NODES && sim_violation(s) == NULL; i++) {
        size_t size = 40 + (round + i) * 37 % 79;
        memset(value, 'a' + (int)(round % 26), size);
        value[size] = '\0';
        sim_command(s, i, CV_COMMAND_TAG_SET, round % 2 == 0 ? "a" : "b", value);
    }
}

static void run_chatty(struct sim *s)
{
    for (size_t round = 0; round < 60 && sim_violation(s) == NULL; round++) {
        set_tags(s, round);
        if (round % 20 == 10)
            sim_crash(s, CHATTY_NODES - 1);
        sim_run_for(s, (1 + round % 3) * 300 * MS);
        if (round % 20 == 10 && sim_violation(s) == NULL)
            sim_start(s, CHATTY_NODES - 1);
    }
    sim_run_for(s, 5 * S);
    sim_check_end(s);
}

static void run_checked(struct sim *s)
{
    const struct sim_health_check checks[] = {
        {.interval = 2 * S, .timeout = S, .answers_within = S / 2, .worst = COVEY_CHECK_HEALTHY},
        {.interval = 5 * S, .timeout = 3 * S, .answers_within = S, .worst = COVEY_CHECK_UNHEALTHY},
        {.interval = 10 * S, .timeout = S, .worst = COVEY_CHECK_DEGRADED, .hangs_in = 3},
    };
    for (size_t node = 0; node < 2; node++) {
        for (size_t i = 0; i < 3; i++)
            sim_give_check(s, node, &checks[i]);
    }
    sim_run_for(s, 240 * S);
}

/* Each of these is done unless the run broke before. */
static void storm(struct sim *s, size_t step)
{
    switch (step) {
    case 0:
        set_tag(s, 3, "a");
        break;
    case 1:
        sim_crash(s, 5);
        break;
    case 2:
        sim_pause(s, 4);
        break;
    case 3:
        sim_resume(s, 4);
        break;
    case 4:
        sim_set_side(s, 1, 1);
        break;
    case 5:
        set_tag(s, 2, "b");
        sim_heal(s);
        break;
    default:
        sim_start(s, 5);
        break;
    }
}

static void run_stormy(struct sim *s)
{
    for (size_t step = 0; step < 7 && sim_violation(s) == NULL; step++) {
        storm(s, step);
        sim_run_for(s, 75 * S);
    }
    sim_run_for(s, 120 * S);
}

static const struct {
    void (*run)(struct sim *s);
    size_t nodes;
    size_t late; /* of them: the run starts them itself */
} runs[] = {
    [SIM_RUN_QUIET] = {run_quiet, NODES, 0},
    [SIM_RUN_CLOCKS] = {run_clocks, NODES, 0},
    [SIM_RUN_LATE] = {run_late, NODES, 1},
    [SIM_RUN_LOSSY] = {run_lossy, NODES, 0},
    [SIM_RUN_CHATTY] = {run_chatty, CHATTY_NODES, 0},
    [SIM_RUN_CHECKED] = {run_checked, NODES, 0},
    [SIM_RUN_STORMY] = {run_stormy, NODES, 0},
};
#define RUN_COUNT (sizeof(runs) / sizeof(runs[0]))

static void each_bug_breaks_its_invariant(void **state)
{
    (void)state;
    size_t missed = 0;
    for (size_t i = 0; i < sim_planted_count(); i++) {
        const struct sim_planted *bug = sim_planted_at(i);
        enum sim_planted_run run = sim_planted_run(bug);
        struct sim *s = begin(1, runs[run].nodes, runs[run].late, bug);
        if (sim_violation(s) == NULL)
            runs[run].run(s);
        if (sim_invariant_broken(s) != sim_planted_invariant(bug)) {
            missed++;
            print_error("\"%s\" should break %s: %s\n", sim_planted_text(bug),
                        sim_invariant_name(sim_planted_invariant(bug)),
                        sim_violation(s) == NULL ? "nothing broke" : sim_violation(s));
        }
        sim_free(s);
    }
    assert_int_equal(missed, 0);
}

static void without_a_bug_nothing_breaks_and_all_is_looked_at(void **state)
{
    (void)state;
    uint64_t checks[SIM_INVARIANT_COUNT] = {0};
    for (size_t run = 0; run < RUN_COUNT; run++) {
        struct sim *s = begin(1, runs[run].nodes, runs[run].late, NULL);
        runs[run].run(s);
        assert_sim(s, sim_violation(s) == NULL);
        for (size_t id = 0; id < SIM_INVARIANT_COUNT; id++)
            checks[id] += sim_invariant_checks(s, (enum sim_invariant)id);
        sim_free(s);
    }
    for (size_t id = 0; id < SIM_INVARIANT_COUNT; id++) {
        /* M11 waits for a node that is called failed by mistake. */
        if (id == SIM_M11)
            continue;
        if (checks[id] == 0)
            print_error("%s is not looked at\n", sim_invariant_name((enum sim_invariant)id));
        assert_true(checks[id] > 0);
    }
}

/* Each invariant has a bug. */
static void no_invariant_is_left_out(void **state)
{
    (void)state;
    bool has_bug[SIM_INVARIANT_COUNT] = {false};
    for (size_t i = 0; i < sim_planted_count(); i++)
        has_bug[sim_planted_invariant(sim_planted_at(i))] = true;
    for (size_t id = 0; id < SIM_INVARIANT_COUNT; id++) {
        if (!has_bug[id])
            print_error("%s has no bug\n", sim_invariant_name((enum sim_invariant)id));
        assert_true(has_bug[id]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bug_breaks_its_invariant),
        cmocka_unit_test(without_a_bug_nothing_breaks_and_all_is_looked_at),
        cmocka_unit_test(no_invariant_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
