#ifndef SIM_EXPERIMENTS_PAGE_H
#define SIM_EXPERIMENTS_PAGE_H

#include "results.h"

#include "sim/chart.h"

#include <stdbool.h>
#include <stdio.h>

/* Pieces of an experiment's page. */

/* Milliseconds as "1.23 s" or "56 ms"; "never", or "-" for what was not measured. */
#define PAGE_TEXT_SIZE 32
const char *page_time(char text[PAGE_TEXT_SIZE], double ms);

/* A table of goals: the heading, then a line for each. `what` and `unit` are words of a sentence;
 * the goal is reached by a value up to `limit`, and by none that was not measured. */
void page_begin_goals(FILE *page);
void page_goal(FILE *page, const char *what, double limit, double measured, const char *unit,
               size_t run_count);

/* --- charts --- */

/* One line of a chart; points are added from what was measured. */
#define PAGE_POINTS_MAX 16
struct page_line {
    const char *label;
    struct sim_chart_point points[PAGE_POINTS_MAX];
    size_t count;
};
/* Leaves out what was not measured or never came to an end, and, with `is_log`, what is not above
 * 0. */
void page_line_add(struct page_line *line, double x, double y, bool is_log);

/* Writes FOLDER/NAME.svg with the lines that have points, and nothing when none has. False, with a
 * message, when the file cannot be written. */
bool page_chart(const char *folder, const char *name, const struct sim_chart *frame,
                const struct page_line *lines, size_t line_count);

#endif
