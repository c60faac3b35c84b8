#ifndef SIM_CHART_H
#define SIM_CHART_H

#include <covey/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * A chart of one or more series as an SVG picture, for the figures of experiments. The same colours
 * and fonts as plot.h. Points are joined in their order, or dots alone.
 */

#define SIM_CHART_SERIES_MAX 8

struct sim_chart_point {
    double x, y;
};

struct sim_chart_series {
    const char *label;
    const struct sim_chart_point *points;
    size_t count;
    bool is_dots;
};

struct sim_chart {
    const char *title;
    const char *x_label;
    const char *y_label;
    bool is_x_log; /* ticks at 1, 2 and 5 times powers of ten */
    bool is_y_log; /* otherwise the axis begins at 0, or below when there are such values */
    const struct sim_chart_series *series;
    size_t series_count;
};

/*
 * Writes the whole document; everything is borrowed for the call. 0 or
 *  COVEY_ERR_INVALID_ARGUMENT  no point at all, more than SIM_CHART_SERIES_MAX series, a value that
 *                              is no number, or not above 0 on a logarithmic axis; nothing is
 *                              written
 *  COVEY_ERR_SYSTEM            the file did not take it
 */
COVEY_MUST_USE int sim_chart_write(const struct sim_chart *chart, FILE *file);

#endif
