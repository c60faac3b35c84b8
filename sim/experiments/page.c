#include "page.h"

#include <assert.h>
#include <covey/error.h>
#include <math.h>

const char *page_time(char text[PAGE_TEXT_SIZE], double ms)
{
    if (isnan(ms))
        snprintf(text, PAGE_TEXT_SIZE, "-");
    else if (isinf(ms))
        snprintf(text, PAGE_TEXT_SIZE, "never");
    else if (ms < 1000)
        snprintf(text, PAGE_TEXT_SIZE, "%.0f ms", ms);
    else
        snprintf(text, PAGE_TEXT_SIZE, "%.2f s", ms / 1000);
    return text;
}

void page_begin_goals(FILE *page)
{
    fprintf(page, "\n| goal | limit | measured | runs | |\n|---|---:|---:|---:|---|\n");
}

void page_goal(FILE *page, const char *what, double limit, double measured, const char *unit,
               size_t run_count)
{
    fprintf(page, "| %s | %g %s | ", what, limit, unit);
    if (run_count == 0)
        fprintf(page, "- | 0 | not run |\n");
    else
        fprintf(page, "%.4g %s | %zu | %s |\n", measured, unit, run_count,
                measured <= limit ? "reached" : "**missed**");
}

void page_line_add(struct page_line *line, double x, double y, bool is_log)
{
    if (isnan(y) || isinf(y) || (is_log && y <= 0))
        return;
    assert(line->count < PAGE_POINTS_MAX);
    line->points[line->count] = (struct sim_chart_point){x, y};
    line->count++;
}

bool page_chart(const char *folder, const char *name, const struct sim_chart *frame,
                const struct page_line *lines, size_t line_count)
{
    struct sim_chart_series series[SIM_CHART_SERIES_MAX];
    struct sim_chart chart = *frame;
    char path[512];
    assert(line_count <= SIM_CHART_SERIES_MAX);
    chart.series = series;
    chart.series_count = 0;
    for (size_t i = 0; i < line_count; i++) {
        if (lines[i].count > 0)
            series[chart.series_count++] = (struct sim_chart_series){
                .label = lines[i].label, .points = lines[i].points, .count = lines[i].count};
    }
    if (chart.series_count == 0)
        return true;
    snprintf(path, sizeof(path), "%s/%s.svg", folder, name);
    FILE *file = fopen(path, "w");
    bool is_written = file != NULL && sim_chart_write(&chart, file) == COVEY_OK;
    bool is_closed = file != NULL && fclose(file) == 0;
    if (!is_written || !is_closed)
        fprintf(stderr, "experiments: cannot write %s\n", path);
    return is_written && is_closed;
}
