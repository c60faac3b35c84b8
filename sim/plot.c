#include "sim/plot.h"

#include "svg.h"

#include <assert.h>
#include <covey/error.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 430
#define COLUMN  2.0 /* how wide */
#define LEFT    80.0
#define TOP     56.0
#define RIGHT   24.0
#define BOTTOM  62.0
/* Shares are told apart in so many steps, upwards: one that suspects among 10,000 is to be seen. */
#define STEPS 8

enum part { FAILED, SUSPECT, LEFT_PART, PARTS };

static const char *const part_fills[PARTS] = {SVG_FAILED, SVG_SUSPECT, SVG_LEFT};

/* Shares of those who run, 0 to 1. */
struct shares {
    float of[PARTS];
};

/* A node's column that is still going on. */
struct cursor {
    uint32_t column;
    struct shares now;
    struct shares worst; /* in this column */
};

struct mark {
    covey_time time;
    enum sim_plot_mark kind;
    size_t node;
};

struct sim_plot {
    char title[128];
    size_t node_count;
    size_t row_count;
    covey_time duration;
    struct cursor *cursors;
    struct shares *cells; /* row by row, the sums over their nodes */
    struct mark *marks;
    size_t mark_count;
    size_t mark_capacity;
    bool is_closed; /* all columns are in the cells */
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        abort();
    return memory;
}

struct sim_plot *sim_plot_new(size_t node_count, covey_time duration, const char *title)
{
    assert(node_count > 0 && duration > 0);
    struct sim_plot *p = allocate(1, sizeof(*p));
    snprintf(p->title, sizeof(p->title), "%s", title);
    p->node_count = node_count;
    p->row_count = node_count < SIM_PLOT_ROWS ? node_count : SIM_PLOT_ROWS;
    p->duration = duration;
    p->cursors = allocate(node_count, sizeof(*p->cursors));
    p->cells = allocate(p->row_count * COLUMNS, sizeof(*p->cells));
    return p;
}

void sim_plot_free(struct sim_plot *p)
{
    free(p->cursors);
    free(p->cells);
    free(p->marks);
    free(p);
}

static size_t row_of(const struct sim_plot *p, size_t node)
{
    return node * p->row_count / p->node_count;
}

/* The first node of a row; of the row behind the last, the number of nodes. */
static size_t first_of(const struct sim_plot *p, size_t row)
{
    return (row * p->node_count + p->row_count - 1) / p->row_count;
}

static double part_of_duration(const struct sim_plot *p, covey_time time)
{
    return time >= p->duration ? 1 : (double)time / (double)p->duration;
}

static void keep_worst(struct shares *worst, const struct shares *now)
{
    for (int i = 0; i < PARTS; i++) {
        if (now->of[i] > worst->of[i])
            worst->of[i] = now->of[i];
    }
}

/* The columns before `column` are done. */
static void go_on(struct sim_plot *p, size_t node, uint32_t column)
{
    struct cursor *c = &p->cursors[node];
    assert(column >= c->column);
    for (; c->column < column; c->column++) {
        struct shares *cell = &p->cells[row_of(p, node) * COLUMNS + c->column];
        for (int i = 0; i < PARTS; i++)
            cell->of[i] += c->worst.of[i];
        c->worst = c->now;
    }
}

void sim_plot_sample(struct sim_plot *p, covey_time time, size_t node,
                     const struct sim_plot_share *share)
{
    assert(node < p->node_count && !p->is_closed);
    assert(share->suspect + share->failed + share->left <= share->observers);
    struct cursor *c = &p->cursors[node];
    uint32_t column = (uint32_t)(part_of_duration(p, time) * COLUMNS);
    float all = share->observers == 0 ? 1 : (float)share->observers;
    go_on(p, node, column < COLUMNS ? column : COLUMNS - 1);
    c->now = (struct shares){.of = {[FAILED] = (float)share->failed / all,
                                    [SUSPECT] = (float)share->suspect / all,
                                    [LEFT_PART] = (float)share->left / all}};
    keep_worst(&c->worst, &c->now);
}

void sim_plot_add_mark(struct sim_plot *p, covey_time time, enum sim_plot_mark mark, size_t node)
{
    if (p->mark_count == p->mark_capacity) {
        p->mark_capacity = p->mark_capacity == 0 ? 16 : p->mark_capacity * 2;
        p->marks = realloc(p->marks, p->mark_capacity * sizeof(*p->marks));
        if (p->marks == NULL)
            abort();
    }
    p->marks[p->mark_count] = (struct mark){.time = time, .kind = mark, .node = node};
    p->mark_count++;
}

/* --- drawing --- */

static double row_height(const struct sim_plot *p)
{
    double height = 540.0 / (double)p->row_count;
    return height > 18 ? 18 : height < 9 ? 9 : height;
}

static double row_top(const struct sim_plot *p, size_t row)
{
    return TOP + (double)row * row_height(p);
}

static double x_of(const struct sim_plot *p, covey_time time)
{
    return LEFT + part_of_duration(p, time) * COLUMNS * COLUMN;
}

struct steps {
    int of[PARTS];
};

static struct steps steps_of(const struct sim_plot *p, size_t row, size_t column)
{
    const struct shares *cell = &p->cells[row * COLUMNS + column];
    double nodes = (double)(first_of(p, row + 1) - first_of(p, row));
    struct steps steps = {{0}};
    int left = STEPS;
    for (int i = 0; i < PARTS; i++) {
        double wanted = cell->of[i] / nodes * STEPS;
        int whole = (int)wanted + (wanted - (int)wanted > 1e-3);
        steps.of[i] = whole < left ? whole : left;
        left -= steps.of[i];
    }
    return steps;
}

/* What is thought of the row in columns [begin, end): from below failed, suspect, left. */
static void draw_run(const struct sim_plot *p, FILE *file, size_t row, size_t begin, size_t end,
                     const struct steps *steps)
{
    double height = row_height(p) - 1.5;
    double bottom = row_top(p, row) + height;
    for (int i = 0; i < PARTS; i++) {
        double part = height * steps->of[i] / STEPS;
        if (steps->of[i] > 0)
            svg_rect(file, LEFT + (double)begin * COLUMN, bottom - part,
                     (double)(end - begin) * COLUMN, part, part_fills[i]);
        bottom -= part;
    }
}

static void draw_row(const struct sim_plot *p, FILE *file, size_t row)
{
    svg_rect(file, LEFT, row_top(p, row), COLUMNS * COLUMN, row_height(p) - 1.5, SVG_ALIVE);
    size_t begin = 0;
    struct steps steps = steps_of(p, row, 0);
    for (size_t column = 1; column <= COLUMNS; column++) {
        struct steps next = {{-1}};
        if (column < COLUMNS)
            next = steps_of(p, row, column);
        if (memcmp(&next, &steps, sizeof(next)) == 0)
            continue;
        draw_run(p, file, row, begin, column, &steps);
        begin = column;
        steps = next;
    }
}

static void draw_label(const struct sim_plot *p, FILE *file, size_t row)
{
    char text[48];
    size_t first = first_of(p, row);
    size_t last = first_of(p, row + 1) - 1;
    size_t every = row_height(p) < 12 ? 5 : 1;
    if (row % every != 0)
        return;
    if (first == last)
        snprintf(text, sizeof(text), "%zu", first);
    else
        snprintf(text, sizeof(text), "%zu-%zu", first, last);
    svg_text(file, LEFT - 6, row_top(p, row) + row_height(p) / 2 + 3, SVG_END, text);
}

static void draw_axis(const struct sim_plot *p, FILE *file, double bottom)
{
    char text[32];
    double seconds = (double)p->duration / (double)COVEY_SECOND;
    double step = svg_step(seconds, 12);
    for (int i = 0; i * step <= seconds * (1 + 1e-9); i++) {
        double x = LEFT + i * step / seconds * COLUMNS * COLUMN;
        svg_line(file, x, bottom, x, bottom + 4, SVG_GREY, "");
        snprintf(text, sizeof(text), "%g s", i * step);
        svg_text(file, x, bottom + 16, SVG_MIDDLE, text);
    }
}

/* White under black, to be seen on all colours. */
static void draw_cross(FILE *file, double x, double y)
{
    static const struct {
        const char *stroke, *style;
    } layers[] = {{"#ffffff", "stroke-width=\"3.5\""}, {"#000000", "stroke-width=\"1.5\""}};
    for (int i = 0; i < 2; i++) {
        svg_line(file, x - 3.5, y - 3.5, x + 3.5, y + 3.5, layers[i].stroke, layers[i].style);
        svg_line(file, x - 3.5, y + 3.5, x + 3.5, y - 3.5, layers[i].stroke, layers[i].style);
    }
}

static void draw_pause(FILE *file, double begin, double end, double y)
{
    svg_line(file, begin, y, end, y, "#ffffff", "stroke-width=\"5\"");
    svg_line(file, begin, y, end, y, SVG_PAUSED, "stroke-width=\"3\"");
}

/* Over the rows and a little above. */
static void draw_moment(FILE *file, double x, double bottom, const char *text)
{
    svg_line(file, x, TOP - 4, x, bottom, "#ffffff", "stroke-width=\"2\"");
    svg_line(file, x, TOP - 4, x, bottom, "#000000", "stroke-width=\"2\" stroke-dasharray=\"5 4\"");
    svg_text(file, x, TOP - 8, SVG_MIDDLE, text);
}

static covey_time end_of_pause(const struct sim_plot *p, size_t pause)
{
    for (size_t i = pause + 1; i < p->mark_count; i++) {
        const struct mark *m = &p->marks[i];
        if (m->kind == SIM_PLOT_RESUME && m->node == p->marks[pause].node)
            return m->time;
    }
    return p->duration;
}

static void draw_mark(const struct sim_plot *p, FILE *file, size_t index, double bottom)
{
    const struct mark *m = &p->marks[index];
    double x = x_of(p, m->time);
    double y = 0;
    if (m->kind == SIM_PLOT_CRASH || m->kind == SIM_PLOT_PAUSE) {
        assert(m->node < p->node_count);
        y = row_top(p, row_of(p, m->node)) + (row_height(p) - 1.5) / 2;
    }
    switch (m->kind) {
    case SIM_PLOT_CRASH:
        draw_cross(file, x, y);
        break;
    case SIM_PLOT_PAUSE:
        svg_line(file, x, y, x_of(p, end_of_pause(p, index)), y, SVG_PAUSED, "stroke-width=\"3\"");
        break;
    case SIM_PLOT_RESUME:
        break;
    case SIM_PLOT_CUT:
        draw_moment(file, x, bottom, "cut");
        break;
    case SIM_PLOT_HEAL:
        draw_moment(file, x, bottom, "heal");
        break;
    }
}

static void draw_legend(FILE *file, double y)
{
    static const struct {
        const char *fill, *text;
        double width;
    } entries[] = {{SVG_ALIVE, "alive", 70},
                   {SVG_SUSPECT, "suspect", 84},
                   {SVG_FAILED, "failed", 74},
                   {SVG_LEFT, "left", 62}};
    double x = LEFT;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        svg_rect(file, x, y - 9, 10, 10, entries[i].fill);
        svg_text(file, x + 15, y, SVG_START, entries[i].text);
        x += entries[i].width;
    }
    svg_text(file, x, y, SVG_START, "in the eyes of so many of the others");
    draw_cross(file, x + 232, y - 4);
    svg_text(file, x + 242, y, SVG_START, "crash");
    draw_pause(file, x + 290, x + 308, y - 4);
    svg_text(file, x + 314, y, SVG_START, "pause");
}

static void close_columns(struct sim_plot *p)
{
    if (p->is_closed)
        return;
    for (size_t i = 0; i < p->node_count; i++)
        go_on(p, i, COLUMNS);
    p->is_closed = true;
}

int sim_plot_write(struct sim_plot *p, FILE *file)
{
    double bottom = row_top(p, p->row_count);
    close_columns(p);
    svg_begin(file, (int)(LEFT + COLUMNS * COLUMN + RIGHT), (int)(bottom + BOTTOM), p->title);
    svg_text(file, LEFT - 6, TOP - 8, SVG_END, p->row_count < p->node_count ? "nodes" : "node");
    for (size_t row = 0; row < p->row_count; row++) {
        draw_label(p, file, row);
        draw_row(p, file, row);
    }
    draw_axis(p, file, bottom);
    for (size_t i = 0; i < p->mark_count; i++)
        draw_mark(p, file, i, bottom);
    draw_legend(file, bottom + 44);
    svg_end(file);
    return fflush(file) == 0 && !ferror(file) ? COVEY_OK : COVEY_ERR_SYSTEM;
}
