#include "sim/scenario.h"

#include "commands.h"
#include "options.h"
#include "report.h"
#include "sim/plot.h"
#include "sim_output.h"
#include "values.h"

#include <covey/error.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char command[] = "sim";

/* As they were given; NULL: not. */
struct sim_arguments {
    const char *nodes;
    const char *seed;
    const char *duration;
    const char *loss;
    const char *kill;
    const char *partition;
    const char *pause;
    const char *format;
    const char *plot;
};

static enum options_result read_arguments(int argc, char **argv, struct sim_arguments *a)
{
    *a = (struct sim_arguments){0};
    const struct option_spec specs[] = {
        {.name = "nodes", .argument = "N", .text = &a->nodes, .help = "how many; 5"},
        {.name = "seed",
         .argument = "S",
         .text = &a->seed,
         .help = "a number that decides all chances; 1"},
        {.name = "duration",
         .argument = "TIME",
         .text = &a->duration,
         .help = "of virtual time, as in 60s or 10m; 60s"},
        {.name = "loss",
         .argument = "P",
         .text = &a->loss,
         .help = "percent of what is sent, as in 5 or 0.5, is lost"},
        {.name = "kill",
         .argument = "K",
         .text = &a->kill,
         .help = "nodes are killed, in the first two thirds of the time"},
        {.name = "partition",
         .argument = "A-B",
         .text = &a->partition,
         .help = "the network is cut in two of these sizes for half of the time, at most 60 s"},
        {.name = "pause",
         .argument = "K:MS",
         .text = &a->pause,
         .help = "nodes stop for so many milliseconds, in the first two thirds"},
        {.name = "format",
         .argument = "FORMAT",
         .text = &a->format,
         .help = "text (default) or json"},
        {.name = "plot",
         .argument = "FILE.svg",
         .text = &a->plot,
         .help = "a picture of who thought what of whom"},
    };
    const struct option_table table = {
        .command = command,
        .summary =
            "Runs a cluster of membership cores over a simulated network, with the faults that "
            "are asked\nfor, and tells how long it took to find and to spread. The same options "
            "give the same run.\nEnds with 1 when an invariant broke.",
        .specs = specs,
        .spec_count = sizeof specs / sizeof specs[0],
    };

    return options_parse(&table, argc, argv, NULL, NULL);
}

static bool read_number(const char *name, const char *text, unsigned max, uint32_t *out)
{
    unsigned number;

    if (text == NULL)
        return true;
    if (!parse_number(text, 0, max, &number)) {
        report_wrong_use(command, "--%s is a whole number up to %u, not '%s'", name, max, text);
        return false;
    }
    *out = number;
    return true;
}

static bool read_time_and_loss(const struct sim_arguments *a, struct sim_scenario *s)
{
    unsigned loss;

    if (a->duration != NULL && !parse_duration(a->duration, &s->duration)) {
        report_wrong_use(command, "--duration is a time like 60s or 10m, not '%s'", a->duration);
        return false;
    }
    if (a->loss == NULL)
        return true;
    if (!parse_permille(a->loss, &loss)) {
        report_wrong_use(command, "--loss is a percentage like 5 or 0.5, not '%s'", a->loss);
        return false;
    }
    s->loss_permille = loss;
    return true;
}

static bool read_pairs(const struct sim_arguments *a, struct sim_scenario *s)
{
    unsigned first;
    unsigned second;

    if (a->partition != NULL) {
        if (!parse_pair(a->partition, '-', SIM_SCENARIO_NODES_MAX, &first, &second) || first == 0 ||
            second == 0) {
            report_wrong_use(command, "--partition is two sizes like 60-40, not '%s'",
                             a->partition);
            return false;
        }
        s->side_a = first;
        s->side_b = second;
    }
    if (a->pause != NULL) {
        if (!parse_pair(a->pause, ':', UINT_MAX, &first, &second) || first == 0) {
            report_wrong_use(command, "--pause is nodes and milliseconds like 3:2000, not '%s'",
                             a->pause);
            return false;
        }
        s->pause = first;
        s->pause_time = second * COVEY_MILLISECOND;
    }
    return true;
}

/* Reports what is wrong. */
static bool read_scenario(const struct sim_arguments *a, struct sim_scenario *s)
{
    uint32_t seed = 1;

    *s = sim_scenario_default();
    if (!read_number("nodes", a->nodes, SIM_SCENARIO_NODES_MAX, &s->nodes) ||
        !read_number("seed", a->seed, UINT_MAX, &seed) ||
        !read_number("kill", a->kill, SIM_SCENARIO_NODES_MAX, &s->kill) ||
        !read_time_and_loss(a, s) || !read_pairs(a, s))
        return false;
    s->seed = seed;
    const char *problem = sim_scenario_problem(s);
    if (problem != NULL)
        report_wrong_use(command, "%s", problem);
    return problem == NULL;
}

static covey_time wall_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (covey_time)now.tv_sec * COVEY_SECOND + (covey_time)now.tv_nsec;
}

static int run(const struct sim_scenario *s, bool as_json)
{
    struct sim_figures figures;

    const covey_time begun = wall_time();
    const int error = sim_scenario_run(s, &figures);
    figures.wall_time = wall_time() - begun;
    if (error != COVEY_OK)
        return report(command, "the cluster did not come together: %s", covey_strerror(error));
    if (!as_json)
        print_figures(stdout, &figures);
    else if (!print_figures_json(stdout, &figures))
        return report(command, "%s", covey_strerror(COVEY_ERR_NO_MEMORY));
    if (figures.violations > 0) {
        fflush(stdout);
        return report(command, "an invariant broke: %s", figures.violation);
    }
    return EXIT_SUCCESS;
}

static struct sim_plot *new_plot(const struct sim_scenario *s)
{
    char title[128];

    snprintf(title, sizeof title, "%u nodes, seed %llu", s->nodes, (unsigned long long)s->seed);
    if (s->loss_permille > 0)
        snprintf(title + strlen(title), sizeof title - strlen(title), ", %u.%u %% loss",
                 s->loss_permille / 10, s->loss_permille % 10);
    return sim_plot_new(s->nodes, s->duration, title);
}

static int run_with_plot(struct sim_scenario *s, bool as_json, const char *path)
{
    /* Before the run: it may take long, and then the file could not be written. */
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return report(command, "cannot write '%s': %s", path, strerror(errno));
    s->plot = new_plot(s);
    int status = run(s, as_json);
    const bool is_written = sim_plot_write(s->plot, file) == COVEY_OK;
    const bool is_closed = fclose(file) == 0;
    if (!is_written || !is_closed)
        status = report(command, "cannot write '%s': %s", path, strerror(errno));
    sim_plot_free(s->plot);
    return status;
}

int command_sim(int argc, char **argv)
{
    struct sim_arguments a;
    struct sim_scenario scenario;

    const enum options_result result = read_arguments(argc, argv, &a);
    if (result != OPTIONS_GO_ON)
        return options_exit_status(result);
    const bool as_json = a.format != NULL && strcmp(a.format, "json") == 0;
    if (a.format != NULL && !as_json && strcmp(a.format, "text") != 0)
        return report_wrong_use(command, "--format is text or json, not '%s'", a.format);
    if (!read_scenario(&a, &scenario))
        return EXIT_WRONG_USE;
    if (a.plot != NULL)
        return run_with_plot(&scenario, as_json, a.plot);
    return run(&scenario, as_json);
}
