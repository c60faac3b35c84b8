#ifndef SIM_EXPERIMENTS_RESULTS_H
#define SIM_EXPERIMENTS_RESULTS_H

#include <covey/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * What was measured: one line for each run, its case and its values. INFINITY is a time that did
 * not come to an end. Memory aborts when it runs out, as in the whole simulator.
 */

#define RESULTS_VALUES_MAX 8
#define RESULTS_NAME_SIZE  40

struct result {
    char system[RESULTS_NAME_SIZE]; /* what was measured; no comma */
    uint32_t nodes;
    uint32_t level; /* what the experiment varies beside; 0: nothing */
    uint64_t seed;
    double values[RESULTS_VALUES_MAX];
};

struct results {
    struct result *items;
    size_t count;
    size_t capacity;
};

void results_fini(struct results *r);
void results_add(struct results *r, const struct result *result);
/* The same without values, for lists of cases. */
void results_add_case(struct results *r, const char *system, uint32_t nodes, uint32_t level,
                      uint64_t seed);
/* The run of that case; NULL when there is none. */
const struct result *results_find(const struct results *r, const struct result *wanted);

/* In the order of the cases; what is no case of these comes last, in the order that it had. */
void results_sort(struct results *r, const struct results *cases);

void results_write_header(FILE *file, const char *const *columns);
void results_write(FILE *file, const struct result *result, size_t value_count);
/* Adds the lines of a file that results_write() wrote. 0 or
 *  COVEY_ERR_MALFORMED  a line is none of these; those before it were added */
COVEY_MUST_USE int results_read(struct results *r, FILE *file, size_t value_count);

/* --- one value over all seeds of a case --- */

struct summary {
    size_t count; /* of runs; 0: all else is NAN */
    double median;
    double max;
    double sum;
};
struct summary results_summary(const struct results *r, const char *system, uint32_t nodes,
                               uint32_t level, size_t value);

#endif
