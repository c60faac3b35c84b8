#include "fixture.h"

#include "sim/swarm.h"

/*
 * C26: random faults on random clusters, see sim/swarm.h. `swarm_test SEED [COUNT]` runs those seeds
 * only, first as plain swarms and then as wide ones; for one seed it prints the story when it fails.
 */
static uint64_t seed_first = 1;
static uint64_t seed_count = 30;
static uint64_t wide_count = 15;

struct sums {
    uint64_t faults[SIM_FAULT_COUNT];
    uint64_t lies[SIM_LIE_COUNT];
    uint64_t checks[SIM_INVARIANT_COUNT];
};

static void add(struct sums *sums, const struct sim *s)
{
    for (size_t i = 0; i < SIM_FAULT_COUNT; i++)
        sums->faults[i] += sim_fault_count(s, (enum sim_fault)i);
    for (size_t i = 0; i < SIM_LIE_COUNT; i++)
        sums->lies[i] += sim_lie_count(s, (enum sim_lie)i);
    for (size_t i = 0; i < SIM_INVARIANT_COUNT; i++)
        sums->checks[i] += sim_invariant_checks(s, (enum sim_invariant)i);
}

static struct sums all;

static uint64_t run(struct sim_swarm *(*begin)(uint64_t seed), uint64_t seed, struct sums *sums)
{
    struct sim_swarm *w = begin(seed);
    struct sim *s = sim_swarm_sim(w);
    const char *error = sim_swarm_run(w);
    if (error != NULL) {
        fprintf(stderr, "%s%s\n", seed_count == 1 ? sim_trace(s) : "", error);
        fail_msg("%s seed %llu", begin == sim_swarm_new ? "plain" : "wide",
                 (unsigned long long)seed);
    }
    uint64_t hash = sim_hash(s);
    add(sums, s);
    sim_swarm_free(w);
    return hash;
}

/* X4. */
static void check_that_all_happened(const struct sums *sums)
{
    for (size_t i = 0; i < SIM_FAULT_COUNT; i++) {
        print_message("%s: %llu\n", sim_fault_name((enum sim_fault)i),
                      (unsigned long long)sums->faults[i]);
        assert_true(sums->faults[i] > 0);
    }
    for (size_t i = 0; i < SIM_LIE_COUNT; i++)
        print_message("a lie, %s: %llu\n", sim_lie_name((enum sim_lie)i),
                      (unsigned long long)sums->lies[i]);
    for (size_t i = 0; i < SIM_INVARIANT_COUNT; i++)
        print_message("%s: %llu checks\n", sim_invariant_name((enum sim_invariant)i),
                      (unsigned long long)sums->checks[i]);
}

/* X1: one in ten is run again, and is the same. */
static void a_swarm_of_faults(void **state)
{
    (void)state;
    for (uint64_t seed = seed_first; seed < seed_first + seed_count; seed++) {
        uint64_t hash = run(sim_swarm_new, seed, &all);
        if (seed % 10 == 0)
            assert_int_equal(hash, run(sim_swarm_new, seed, &all));
    }
}

static void a_wide_swarm_of_faults(void **state)
{
    (void)state;
    for (uint64_t seed = seed_first; seed < seed_first + wide_count; seed++) {
        uint64_t hash = run(sim_swarm_new_wide, seed, &all);
        if (seed % 10 == 0)
            assert_int_equal(hash, run(sim_swarm_new_wide, seed, &all));
    }
    if (seed_count >= 30)
        check_that_all_happened(&all);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_swarm_of_faults),
        cmocka_unit_test(a_wide_swarm_of_faults),
    };
    if (argc > 1) {
        seed_first = strtoull(argv[1], NULL, 10);
        seed_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
        wide_count = seed_count;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
