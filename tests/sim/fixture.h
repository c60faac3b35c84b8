#ifndef TESTS_SIM_FIXTURE_H
#define TESTS_SIM_FIXTURE_H

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS COVEY_MILLISECOND
#define S  COVEY_SECOND

/* Fails the test with what broke and what happened. */
#define assert_sim(s, condition)                                                                   \
    do {                                                                                           \
        if (!(condition) || sim_violation(s) != NULL) {                                            \
            /* cmocka cuts long messages. */                                                       \
            fprintf(stderr, "%s%s\n", sim_trace(s),                                                \
                    sim_violation(s) != NULL ? sim_violation(s) : "no invariant broke");           \
            fail_msg("%s", #condition);                                                            \
        }                                                                                          \
    } while (0)

static inline bool all_alive(struct sim *s, void *user)
{
    (void)user;
    return sim_all_alive(s);
}

/* Nodes 1 and up join through node 0; returns when all see all and probes have settled. */
static inline struct sim *cluster_of(const struct sim_config *config)
{
    const size_t first = 0;
    struct sim *s = sim_new(config);
    for (size_t i = 0; i < config->node_count; i++) {
        if (i > 0)
            sim_set_seeds(s, i, &first, 1);
        sim_start(s, i);
    }
    assert_sim(s, sim_run_while_not(s, all_alive, NULL, 10 * S));
    assert_sim(s, sim_run_for(s, 10 * S));
    return s;
}

static inline struct sim *quiet_cluster(uint64_t seed, size_t count)
{
    struct sim_config config = sim_config_default(seed, count);
    return cluster_of(&config);
}

static inline char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return NULL;
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    size_t size = fread(text, 1, (1 << 20) - 1, f);
    text[size] = '\0';
    fclose(f);
    return text;
}

static inline void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

/* Compares with a file of tests/sim/golden, or writes it first: a test that is run with --rewrite
 * does so, when the protocol is meant to behave differently. */
static inline void assert_golden(const char *name, const char *text, bool is_rewriting)
{
    char path[512];
    assert_true(snprintf(path, sizeof(path), "%s/%s", SIM_GOLDEN_DIR, name) < (int)sizeof(path));
    if (is_rewriting)
        write_file(path, text);
    char *golden = read_file(path);
    assert_non_null(golden);
    assert_string_equal(text, golden);
    free(golden);
}

#endif
