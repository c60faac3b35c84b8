#include "fixture.h"

#include "sim/swarm.h"

static bool is_rewriting;

/* A run with a bit of everything. */
static uint64_t hash_of_run(uint64_t seed, char *trace, size_t size)
{
    struct sim *s = quiet_cluster(seed, 6);
    sim_set_loss(s, 100);
    sim_cut_pair(s, 0, 1);
    sim_command(s, 4, CV_COMMAND_TAG_SET, "k", "v");
    assert_sim(s, sim_run_for(s, 10 * S));
    sim_crash(s, 5);
    sim_pause(s, 2);
    assert_sim(s, sim_run_for(s, 8 * S));
    sim_resume(s, 2);
    sim_heal(s);
    sim_start_elsewhere(s, 5);
    sim_command(s, 3, CV_COMMAND_LEAVE, NULL, NULL);
    assert_sim(s, sim_run_for(s, 60 * S));
    uint64_t hash = sim_hash(s);
    strncpy(trace, sim_trace(s), size - 1);
    trace[size - 1] = '\0';
    sim_free(s);
    return hash;
}

/* X1. */
static void the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    static char first[65536];
    static char second[65536];
    for (uint64_t seed = 1; seed <= 5; seed++) {
        uint64_t hash = hash_of_run(seed, first, sizeof(first));
        assert_int_equal(hash, hash_of_run(seed, second, sizeof(second)));
        assert_string_equal(first, second);
    }
}

static void another_seed_is_another_run(void **state)
{
    (void)state;
    static char trace[65536];
    assert_int_not_equal(hash_of_run(1, trace, sizeof(trace)),
                         hash_of_run(2, trace, sizeof(trace)));
}

/* The same from every compiler and on every machine: integers only. */
static void the_hashes_are_the_golden_ones(void **state)
{
    (void)state;
    static char trace[65536];
    char text[256] = "";
    for (uint64_t seed = 1; seed <= 5; seed++) {
        char line[40];
        snprintf(line, sizeof(line), "%d %016llx\n", (int)seed,
                 (unsigned long long)hash_of_run(seed, trace, sizeof(trace)));
        strcat(text, line);
    }
    assert_golden("determinism.txt", text, is_rewriting);
}

/* Runs of all kinds of faults, and a cluster that starts with full views. */
static void larger_runs_have_golden_hashes(void **state)
{
    (void)state;
    char text[512] = "";
    char line[64];
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct sim_swarm *w = sim_swarm_new(seed);
        assert_null(sim_swarm_run(w));
        snprintf(line, sizeof(line), "swarm %d %016llx\n", (int)seed,
                 (unsigned long long)sim_hash(sim_swarm_sim(w)));
        strcat(text, line);
        sim_swarm_free(w);
    }
    struct sim_config config = sim_config_default(1, 200);
    config.has_full_views = true;
    struct sim *s = sim_new(&config);
    for (size_t i = 0; i < config.node_count; i++)
        sim_start(s, i);
    assert_sim(s, sim_run_for(s, 10 * S));
    sim_check_end(s);
    assert_sim(s, sim_all_alive(s));
    snprintf(line, sizeof(line), "full views %016llx\n", (unsigned long long)sim_hash(s));
    strcat(text, line);
    sim_free(s);
    assert_golden("large_runs.txt", text, is_rewriting);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_is_the_same_run),
        cmocka_unit_test(another_seed_is_another_run),
        cmocka_unit_test(the_hashes_are_the_golden_ones),
        cmocka_unit_test(larger_runs_have_golden_hashes),
    };
    is_rewriting = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
