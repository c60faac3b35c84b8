#ifndef COVEY_TOOL_SIM_OUTPUT_H
#define COVEY_TOOL_SIM_OUTPUT_H

#include "sim/figures.h"

#include <stdbool.h>
#include <stdio.h>

/* The figures of a run for people. */
void print_figures(FILE *file, const struct sim_figures *figures);

/*
 * The same as one JSON object on a line. Times that did not come to an end within the run, and
 * those that there was nothing to measure for, are null; the hash is a text of 16 hexadecimal
 * digits. False when there is no memory.
 */
bool print_figures_json(FILE *file, const struct sim_figures *figures);

#endif
