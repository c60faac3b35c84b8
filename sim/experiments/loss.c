#include "cluster.h"
#include "experiment.h"
#include "page.h"
#include "rival.h"

#include <string.h>

/*
 * Mistakes under loss: nodes that run and are called Failed all the same. A message that is lost is
 * lost for good even when it is a reliable one, as if the core's own queues had dropped it; a
 * datagram that is lost is a lost packet, so what is reliable is sent again. And without any fault
 * nobody may ever be called Failed.
 */

#define LOSS         200u /* of 1000 */
#define LOSS_MINUTES 10u
#define LOSS_SEEDS   20u
#define QUIET_NODES  100u
#define QUIET_HOURS  10u /* in runs of one */

enum kind { MESSAGES, DATAGRAMS, NOTHING, KIND_COUNT };
static const char *const kind_texts[KIND_COUNT] = {"20 % of messages", "20 % of datagrams",
                                                   "nothing"};

static const uint32_t sizes[] = {5, 50};
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

/* `mistakes` counts each pair of observer and subject; `subjects` each mistaken verdict once, however
 * many heard of it; `suspicions` those of nodes that run, by pairs. */
enum value { NODE_HOURS, MISTAKES, SUBJECTS, SUSPICIONS, VALUE_COUNT };

static void plan(const struct experiment_limits *limits, struct results *cases)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        if (sizes[i] > limits->nodes)
            continue;
        for (uint64_t seed = 1; seed <= LOSS_SEEDS && is_within(limits, seed); seed++) {
            results_add_case(cases, "covey", sizes[i], MESSAGES, seed);
            results_add_case(cases, "covey", sizes[i], DATAGRAMS, seed);
            results_add_case(cases, "memberlist", sizes[i], DATAGRAMS, seed);
        }
    }
    uint32_t nodes = limits->nodes < QUIET_NODES ? limits->nodes : QUIET_NODES;
    for (uint64_t seed = 1; seed <= QUIET_HOURS && is_within(limits, seed); seed++)
        results_add_case(cases, "covey", nodes, NOTHING, seed);
}

static covey_time length_of(const struct experiment_limits *limits, uint32_t kind)
{
    uint32_t minutes = kind == NOTHING ? 60 : LOSS_MINUTES;
    return (minutes < limits->minutes ? minutes : limits->minutes) * 60 * COVEY_SECOND;
}

/* --- counting --- */

/* How many hold each node for failed now: the first of them is a new verdict. */
struct count {
    uint32_t failed_by[200];
    uint64_t mistakes;
    uint64_t subjects;
    uint64_t suspicions;
};

static void count_failed(struct count *c, size_t subject)
{
    c->mistakes++;
    c->subjects += c->failed_by[subject] == 0;
    c->failed_by[subject]++;
}

static void note_change(void *user, size_t observer, size_t subject,
                        const enum covey_node_state *before, const enum covey_node_state *after)
{
    struct count *c = user;
    (void)observer;
    if (before != NULL && *before == COVEY_NODE_FAILED && c->failed_by[subject] > 0)
        c->failed_by[subject]--;
    if (after != NULL && *after == COVEY_NODE_FAILED)
        count_failed(c, subject);
    c->suspicions += after != NULL && *after == COVEY_NODE_SUSPECT;
}

static void note_rival(void *user, uint16_t observer, uint16_t subject,
                       enum sim_memberlist_state state, uint16_t incarnation)
{
    struct count *c = user;
    (void)observer;
    (void)incarnation;
    if (state == SIM_MEMBERLIST_DEAD)
        count_failed(c, subject);
    else if (state == SIM_MEMBERLIST_ALIVE && c->failed_by[subject] > 0)
        c->failed_by[subject]--;
    c->suspicions += state == SIM_MEMBERLIST_SUSPECT;
}

static void fill(struct result *result, const struct count *c, covey_time length)
{
    result->values[NODE_HOURS] = result->nodes * (double)length / (3600.0 * (double)COVEY_SECOND);
    result->values[MISTAKES] = (double)c->mistakes;
    result->values[SUBJECTS] = (double)c->subjects;
    result->values[SUSPICIONS] = (double)c->suspicions;
}

/* --- runs --- */

static bool measure_covey(struct result *result, covey_time length)
{
    struct count c = {.mistakes = 0};
    const struct sim_config config = cluster_config(result->seed, result->nodes);
    struct sim *s = cluster_new(&config);
    sim_on_change(s, note_change, &c);
    if (result->level == MESSAGES)
        sim_set_message_loss(s, LOSS);
    else if (result->level == DATAGRAMS)
        sim_set_loss(s, LOSS);
    sim_run_for(s, length);
    fill(result, &c, length);
    return cluster_end(s);
}

static bool measure_rival(struct result *result, covey_time length)
{
    struct count c = {.mistakes = 0};
    const struct sim_memberlist_config config = sim_memberlist_config_lan(result->nodes);
    const struct sim_link link = cluster_link();
    struct rival *r = rival_new(&config, result->seed, &link, true);
    rival_run_for(r, CLUSTER_SETTLE);
    rival_on_change(r, note_rival, &c);
    rival_set_loss(r, LOSS);
    rival_run_for(r, length);
    fill(result, &c, length);
    rival_free(r);
    return true;
}

static bool measure(const struct experiment_limits *limits, struct result *result)
{
    covey_time length = length_of(limits, result->level);
    if (strcmp(result->system, "covey") == 0)
        return measure_covey(result, length);
    return measure_rival(result, length);
}

/* --- the page --- */

/* Of a value, over all runs of such a case, for a node and hour. */
static double rate(const struct results *r, const char *system, uint32_t nodes, uint32_t kind,
                   size_t value)
{
    return results_summary(r, system, nodes, kind, value).sum /
           results_summary(r, system, nodes, kind, NODE_HOURS).sum;
}

static void print_row(const struct results *r, const char *system, uint32_t nodes, uint32_t kind,
                      FILE *page)
{
    const struct summary hours = results_summary(r, system, nodes, kind, NODE_HOURS);
    if (hours.count == 0)
        return;
    fprintf(page, "| %s | %u | %s | %zu | %.0f | %.0f | %.0f | %.4g | %.4g | %.4g |\n",
            kind_texts[kind], nodes, system, hours.count, hours.sum,
            results_summary(r, system, nodes, kind, SUBJECTS).sum,
            results_summary(r, system, nodes, kind, MISTAKES).sum,
            rate(r, system, nodes, kind, SUBJECTS), rate(r, system, nodes, kind, MISTAKES),
            rate(r, system, nodes, kind, SUSPICIONS));
}

/* That many were at rest: fewer than planned in a small run. */
static uint32_t quiet_nodes(const struct results *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->items[i].level == NOTHING)
            return r->items[i].nodes;
    }
    return QUIET_NODES;
}

static void print_goals(const struct results *r, FILE *page)
{
    page_begin_goals(page);
    const struct summary quiet = results_summary(r, "covey", QUIET_NODES, NOTHING, MISTAKES);
    page_goal(page, "false Failed in 1,000 fault-free node-hours", 0, quiet.sum, "", quiet.count);
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        char text[80];
        struct summary s = results_summary(r, "covey", sizes[i], DATAGRAMS, MISTAKES);
        snprintf(text, sizeof(text), "false Failed at 20 %% datagram loss, N = %u", sizes[i]);
        page_goal(page, text, 0, s.sum, "", s.count);
        s = results_summary(r, "covey", sizes[i], MESSAGES, MISTAKES);
        snprintf(text, sizeof(text), "false Failed at 20 %% message loss, N = %u", sizes[i]);
        page_goal(page, text, 0.5, rate(r, "covey", sizes[i], MESSAGES, MISTAKES), "a node-hour",
                  s.count);
    }
}

static void report(const struct results *r, FILE *page)
{
    fprintf(page, "| lost | nodes | | runs | node-hours | verdicts | false Failed | verdicts a "
                  "node-hour | false Failed a node-hour | suspicions a node-hour |\n"
                  "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|\n");
    for (uint32_t kind = 0; kind < NOTHING; kind++) {
        for (size_t i = 0; i < SIZE_COUNT; i++) {
            print_row(r, "covey", sizes[i], kind, page);
            print_row(r, "memberlist", sizes[i], kind, page);
        }
    }
    print_row(r, "covey", quiet_nodes(r), NOTHING, page);
    fprintf(page, "\nA verdict is one node called Failed, a false Failed one pair of it and a node "
                  "that believed it.\n");
    print_goals(r, page);
}

static bool draw(const struct results *r, const char *folder)
{
    struct page_line lines[] = {{.label = "20 % of messages"},
                                {.label = "20 % of datagrams"},
                                {.label = "memberlist, 20 % of datagrams"}};
    const struct sim_chart frame = {.title = "Suspicions of nodes that run",
                                    .x_label = "nodes",
                                    .y_label = "pairs, a node and hour",
                                    .is_x_log = true,
                                    .is_y_log = true};
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        uint32_t n = sizes[i];
        page_line_add(&lines[0], n, rate(r, "covey", n, MESSAGES, SUSPICIONS), true);
        page_line_add(&lines[1], n, rate(r, "covey", n, DATAGRAMS, SUSPICIONS), true);
        page_line_add(&lines[2], n, rate(r, "memberlist", n, DATAGRAMS, SUSPICIONS), true);
    }
    return page_chart(folder, "loss", &frame, lines, 3);
}

const struct experiment experiment_loss = {
    .name = "loss",
    .columns = {"node_hours", "false_failed", "verdicts", "suspicions", NULL},
    .plan = plan,
    .measure = measure,
    .report = report,
    .draw = draw,
};
