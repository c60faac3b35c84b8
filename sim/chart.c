#include "sim/chart.h"

#include "svg.h"

#include <assert.h>
#include <covey/error.h>
#include <math.h>

#define WIDTH  720.0
#define HEIGHT 420.0
#define LEFT   70.0
#define RIGHT  24.0
#define TOP    40.0
#define BOTTOM 54.0
#define LEGEND 20.0 /* for each series, below */

/* Told apart by those who do not see all colours too. */
static const char *const colours[SIM_CHART_SERIES_MAX] = {
    "#0b84c6", "#d55e00", "#1a9e77", "#c2679b", "#b8860b", "#6f6fd8", "#5f9ea0", "#999933"};

/* One axis: values from least to most, drawn from pixel `from` to `to`. */
struct axis {
    bool is_log;
    double least, most;
    double from, to;
};

static double place_of(const struct axis *a, double value)
{
    double part = a->is_log ? (log10(value) - log10(a->least)) / (log10(a->most) - log10(a->least))
                            : (value - a->least) / (a->most - a->least);
    return a->from + part * (a->to - a->from);
}

static bool is_usable(double value, bool is_log)
{
    return isfinite(value) && (!is_log || value > 0);
}

static void widen(struct axis *a, double value)
{
    if (value < a->least)
        a->least = value;
    if (value > a->most)
        a->most = value;
}

/* Neither empty nor without a round number at the end. */
static void round_ends(struct axis *a)
{
    if (a->is_log) {
        if (a->least == a->most) {
            a->least /= 2;
            a->most *= 2;
        }
        return;
    }
    if (a->least == a->most)
        a->most = a->least + 1;
    double step = svg_step(a->most - a->least, 8);
    a->least = floor(a->least / step) * step;
    a->most = ceil(a->most / step) * step;
}

static bool measure(const struct sim_chart *c, struct axis *x, struct axis *y)
{
    size_t count = 0;
    for (size_t s = 0; s < c->series_count; s++) {
        for (size_t i = 0; i < c->series[s].count; i++) {
            const struct sim_chart_point *p = &c->series[s].points[i];
            if (!is_usable(p->x, c->is_x_log) || !is_usable(p->y, c->is_y_log))
                return false;
            widen(x, p->x);
            widen(y, p->y);
            count++;
        }
    }
    return count > 0;
}

/* --- ticks --- */

static void draw_tick(FILE *file, const struct axis *a, const struct axis *other, bool is_x,
                      double value)
{
    char text[32];
    double at = place_of(a, value);
    snprintf(text, sizeof(text), "%.6g", value);
    if (is_x) {
        svg_line(file, at, other->from, at, other->to, SVG_GREY, "stroke-opacity=\"0.25\"");
        svg_text(file, at, other->from + 16, SVG_MIDDLE, text);
    } else {
        svg_line(file, other->from, at, other->to, at, SVG_GREY, "stroke-opacity=\"0.25\"");
        svg_text(file, other->from - 6, at + 4, SVG_END, text);
    }
}

static void draw_log_ticks(FILE *file, const struct axis *a, const struct axis *other, bool is_x)
{
    static const double factors[] = {1, 2, 5};
    double decades = log10(a->most) - log10(a->least);
    int count = decades > 4 ? 1 : 3; /* only powers of ten when there are many */
    for (double power = pow(10, floor(log10(a->least))); power <= a->most; power *= 10) {
        for (int i = 0; i < count; i++) {
            double value = factors[i] * power;
            if (value >= a->least * (1 - 1e-9) && value <= a->most * (1 + 1e-9))
                draw_tick(file, a, other, is_x, value);
        }
    }
}

static void draw_ticks(FILE *file, const struct axis *a, const struct axis *other, bool is_x)
{
    if (a->is_log) {
        draw_log_ticks(file, a, other, is_x);
        return;
    }
    double step = svg_step(a->most - a->least, 8);
    int count = (int)((a->most - a->least) / step + 0.5);
    for (int i = 0; i <= count; i++) {
        double value = a->least + i * step;
        /* Not "1e-17" where zero is meant. */
        draw_tick(file, a, other, is_x, fabs(value) < step / 1000 ? 0 : value);
    }
}

/* --- series --- */

static void draw_line(FILE *file, const struct sim_chart_series *s, const char *colour,
                      const struct axis *x, const struct axis *y)
{
    fprintf(file, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour);
    for (size_t i = 0; i < s->count; i++)
        fprintf(file, "%s%.1f,%.1f", i > 0 ? " " : "", place_of(x, s->points[i].x),
                place_of(y, s->points[i].y));
    fputs("\"/>\n", file);
}

static void draw_series(FILE *file, const struct sim_chart_series *s, const char *colour,
                        const struct axis *x, const struct axis *y)
{
    if (!s->is_dots && s->count > 1)
        draw_line(file, s, colour, x, y);
    for (size_t i = 0; i < s->count; i++)
        fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n",
                place_of(x, s->points[i].x), place_of(y, s->points[i].y), colour);
}

static void draw_legend(FILE *file, const struct sim_chart_series *s, const char *colour, double y)
{
    if (!s->is_dots)
        svg_line(file, LEFT, y - 4, LEFT + 22, y - 4, colour, "stroke-width=\"2\"");
    fprintf(file, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", LEFT + 11, y - 4,
            colour);
    svg_text(file, LEFT + 30, y, SVG_START, s->label);
}

int sim_chart_write(const struct sim_chart *c, FILE *file)
{
    struct axis x = {.is_log = c->is_x_log, .least = INFINITY, .most = -INFINITY};
    struct axis y = {.is_log = c->is_y_log, .least = c->is_y_log ? INFINITY : 0, .most = -INFINITY};
    if (c->series_count > SIM_CHART_SERIES_MAX || !measure(c, &x, &y))
        return COVEY_ERR_INVALID_ARGUMENT;
    y.most = y.most < y.least ? y.least : y.most;
    round_ends(&x);
    round_ends(&y);
    x.from = LEFT;
    x.to = WIDTH - RIGHT;
    y.from = HEIGHT - BOTTOM;
    y.to = TOP;
    svg_begin(file, (int)WIDTH, (int)(HEIGHT + LEGEND * (double)c->series_count), c->title);
    draw_ticks(file, &x, &y, true);
    draw_ticks(file, &y, &x, false);
    svg_text(file, (x.from + x.to) / 2, y.from + 36, SVG_MIDDLE, c->x_label);
    svg_text_upwards(file, 18, (y.from + y.to) / 2, c->y_label);
    for (size_t i = 0; i < c->series_count; i++) {
        draw_series(file, &c->series[i], colours[i], &x, &y);
        draw_legend(file, &c->series[i], colours[i], HEIGHT + LEGEND * (double)i);
    }
    svg_end(file);
    return fflush(file) == 0 && !ferror(file) ? COVEY_OK : COVEY_ERR_SYSTEM;
}
