#include "cluster.h"
#include "experiment.h"
#include "page.h"
#include "rival.h"

#include "base/rand.h"

#include <math.h>
#include <string.h>

/*
 * What grows with the number of nodes: the traffic of a cluster at rest, the time that a tag takes
 * to all, and the time until a crash is known to one and to all. One run measures them in turn:
 *
 *      start, settle | at rest, counted | a tag | a crash, until all know
 *          20 s      |      60 s        |  5 s  |  at most 120 s
 *
 * The time at rest is longer with memberlist, which sends much but seldom.
 */

#define REST_TIME   (60 * COVEY_SECOND)
#define UPDATE_TIME (5 * COVEY_SECOND)
#define CRASH_TIME  (120 * COVEY_SECOND)
#define STEP        (10 * COVEY_MILLISECOND)

static const struct {
    uint32_t nodes;
    uint32_t seeds;
} sizes[] = {{5, 20}, {10, 20}, {50, 20}, {100, 20}, {500, 20}, {1000, 20}, {5000, 20}, {10000, 3}};
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

static const char *const systems[] = {"covey", "memberlist"};
#define SYSTEM_COUNT (sizeof(systems) / sizeof(systems[0]))

enum value {
    FIRST_SUSPECT_MS,
    FIRST_FAILED_MS,
    ALL_FAILED_MS,
    UPDATE_MS,
    MESSAGES, /* a node and second */
    BYTES,    /* likewise */
    FALSE_FAILED,
    VALUE_COUNT
};

static void plan(const struct experiment_limits *limits, struct results *cases)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        /* Seeds that are asked for are run at every size: who asks knows how long that takes. */
        const uint32_t seeds = limits->seeds == 0 ? sizes[i].seeds : limits->seeds;
        for (uint64_t seed = 1; seed <= seeds; seed++) {
            for (size_t k = 0; k < SYSTEM_COUNT && sizes[i].nodes <= limits->nodes; k++)
                results_add_case(cases, systems[k], sizes[i].nodes, 0, seed);
        }
    }
}

/* Which nodes, and when in a period: chances apart from those of the run. */
struct choice {
    uint32_t teller;
    uint32_t victim;
    covey_time tell_after;
    covey_time crash_after;
};

static struct choice choose(const struct result *result)
{
    struct cv_rand rand;
    cv_rand_seed(&rand, result->seed ^ UINT64_C(0x5ca1e));
    return (struct choice){
        .teller = (uint32_t)cv_rand_below(&rand, result->nodes),
        .victim = (uint32_t)cv_rand_below(&rand, result->nodes),
        .tell_after = cv_rand_below(&rand, COVEY_SECOND),
        .crash_after = cv_rand_below(&rand, COVEY_SECOND),
    };
}

static double a_node_and_second(const struct result *result, uint64_t count, covey_time length)
{
    return (double)count / result->nodes / ((double)length / (double)COVEY_SECOND);
}

/* --- covey --- */

static void rest_covey(struct sim *s, struct result *result)
{
    const struct sim_totals before = sim_totals(s);
    sim_run_for(s, REST_TIME);
    const struct sim_totals after = sim_totals(s);
    result->values[MESSAGES] =
        a_node_and_second(result, after.messages_sent - before.messages_sent, REST_TIME);
    result->values[BYTES] =
        a_node_and_second(result, after.bytes_sent - before.bytes_sent, REST_TIME);
}

static void tell_covey(struct sim *s, const struct choice *choice, struct result *result)
{
    sim_run_for(s, choice->tell_after);
    int error = sim_command(s, choice->teller, CV_COMMAND_TAG_SET, "version", "2");
    sim_run_for(s, UPDATE_TIME);
    const struct sim_spread spread = sim_tag_spread(s, choice->teller);
    result->values[UPDATE_MS] = error == 0 ? cluster_ms(spread.at, spread.all) : INFINITY;
}

static void crash_covey(struct sim *s, const struct choice *choice, struct result *result)
{
    sim_run_for(s, choice->crash_after);
    sim_crash(s, choice->victim);
    const covey_time end = sim_now(s) + CRASH_TIME;
    while (sim_death(s, choice->victim).all_failed == COVEY_NEVER && sim_now(s) < end) {
        if (!sim_run_for(s, COVEY_SECOND))
            return;
    }
    const struct sim_death death = sim_death(s, choice->victim);
    result->values[FIRST_SUSPECT_MS] = cluster_ms(death.at, death.first_suspect);
    result->values[FIRST_FAILED_MS] = cluster_ms(death.at, death.first_failed);
    result->values[ALL_FAILED_MS] = cluster_ms(death.at, death.all_failed);
}

static bool measure_covey(struct result *result)
{
    const struct choice choice = choose(result);
    const struct sim_config config = cluster_config(result->seed, result->nodes);
    struct sim *s = cluster_new(&config);
    rest_covey(s, result);
    tell_covey(s, &choice, result);
    crash_covey(s, &choice, result);
    result->values[FALSE_FAILED] = (double)sim_totals(s).false_failed;
    return cluster_end(s);
}

/* --- memberlist --- */

/* What is seen of the one node that matters now. */
struct seen {
    const struct rival *rival;
    uint16_t subject;
    uint16_t incarnation; /* that counts; 0: any */
    uint32_t alive;
    uint32_t dead;
    covey_time last_alive;
    covey_time first_suspect;
    covey_time first_dead;
    covey_time last_dead;
    uint64_t mistakes;
};

static void note(void *user, uint16_t observer, uint16_t subject, enum sim_memberlist_state state,
                 uint16_t incarnation)
{
    struct seen *seen = user;
    const covey_time now = rival_now(seen->rival);
    (void)observer;
    if (subject != seen->subject || incarnation < seen->incarnation) {
        seen->mistakes += state == SIM_MEMBERLIST_DEAD;
        return;
    }
    if (state == SIM_MEMBERLIST_ALIVE) {
        seen->alive++;
        seen->last_alive = now;
    } else if (state == SIM_MEMBERLIST_SUSPECT && seen->first_suspect == COVEY_NEVER) {
        seen->first_suspect = now;
    } else if (state == SIM_MEMBERLIST_DEAD) {
        seen->dead++;
        seen->first_dead = seen->dead == 1 ? now : seen->first_dead;
        seen->last_dead = now;
    }
}

static struct seen watch(const struct rival *r, uint32_t subject, uint16_t incarnation)
{
    return (struct seen){.rival = r,
                         .subject = (uint16_t)subject,
                         .incarnation = incarnation,
                         .last_alive = COVEY_NEVER,
                         .first_suspect = COVEY_NEVER,
                         .first_dead = COVEY_NEVER,
                         .last_dead = COVEY_NEVER};
}

/* From when all have begun with push-pulls, for as long as each does exactly one or more: there are
 * minutes between two in a large cluster, and they are most of what it sends. */
static void rest_rival(struct rival *r, const struct sim_memberlist_config *config,
                       struct result *result)
{
    const covey_time push_pull = sim_memberlist_push_pull_time(config, result->nodes);
    const covey_time length = push_pull < REST_TIME ? REST_TIME : push_pull;
    rival_run_for(r, config->push_pull_interval + push_pull);
    const uint64_t messages = rival_messages(r);
    const uint64_t bytes = rival_bytes(r);
    rival_run_for(r, length);
    result->values[MESSAGES] = a_node_and_second(result, rival_messages(r) - messages, length);
    result->values[BYTES] = a_node_and_second(result, rival_bytes(r) - bytes, length);
}

/* The teller's own view changes, too. */
static void tell_rival(struct rival *r, const struct choice *choice, struct result *result)
{
    rival_run_for(r, choice->tell_after);
    const uint16_t teller = (uint16_t)choice->teller;
    const uint16_t last = sim_memberlist_incarnation(rival_node(r, teller), teller);
    struct seen seen = watch(r, teller, (uint16_t)(last + 1));
    const covey_time begun = rival_now(r);
    rival_on_change(r, note, &seen);
    rival_update(r, teller);
    rival_run_for(r, UPDATE_TIME);
    bool is_everywhere = seen.alive >= result->nodes;
    result->values[UPDATE_MS] = is_everywhere ? cluster_ms(begun, seen.last_alive) : INFINITY;
    result->values[FALSE_FAILED] += (double)seen.mistakes;
    rival_on_change(r, NULL, NULL);
}

static void crash_rival(struct rival *r, const struct choice *choice, struct result *result)
{
    rival_run_for(r, choice->crash_after);
    struct seen seen = watch(r, choice->victim, 0);
    const covey_time begun = rival_now(r);
    rival_on_change(r, note, &seen);
    rival_crash(r, (uint16_t)choice->victim);
    while (seen.dead + 1 < result->nodes && rival_now(r) < begun + CRASH_TIME)
        rival_run_for(r, STEP);
    bool is_everywhere = seen.dead + 1 >= result->nodes;
    result->values[FIRST_SUSPECT_MS] = cluster_ms(begun, seen.first_suspect);
    result->values[FIRST_FAILED_MS] = cluster_ms(begun, seen.first_dead);
    result->values[ALL_FAILED_MS] = is_everywhere ? cluster_ms(begun, seen.last_dead) : INFINITY;
    result->values[FALSE_FAILED] += (double)seen.mistakes;
}

static bool measure_rival(struct result *result)
{
    const struct choice choice = choose(result);
    const struct sim_link link = cluster_link();
    const struct sim_memberlist_config config = sim_memberlist_config_lan(result->nodes);
    struct rival *r = rival_new(&config, result->seed, &link, true);
    rival_run_for(r, CLUSTER_SETTLE);
    rest_rival(r, &config, result);
    tell_rival(r, &choice, result);
    crash_rival(r, &choice, result);
    rival_free(r);
    return true;
}

static bool measure(const struct experiment_limits *limits, struct result *result)
{
    (void)limits;
    if (strcmp(result->system, "covey") == 0)
        return measure_covey(result);
    return measure_rival(result);
}

/* --- the page --- */

static void print_row(const struct results *r, uint32_t nodes, const char *system, FILE *page)
{
    char text[PAGE_TEXT_SIZE];
    const struct summary first = results_summary(r, system, nodes, 0, FIRST_SUSPECT_MS);
    if (first.count == 0)
        return;
    fprintf(page, "| %u | %s | %zu |", nodes, system, first.count);
    for (size_t value = FIRST_SUSPECT_MS; value <= UPDATE_MS; value++)
        fprintf(page, " %s |", page_time(text, results_summary(r, system, nodes, 0, value).median));
    fprintf(page, " %s |",
            page_time(text, results_summary(r, system, nodes, 0, ALL_FAILED_MS).max));
    fprintf(page, " %s |", page_time(text, results_summary(r, system, nodes, 0, UPDATE_MS).max));
    fprintf(page, " %.1f | %.0f |\n", results_summary(r, system, nodes, 0, MESSAGES).median,
            results_summary(r, system, nodes, 0, BYTES).median);
}

static void print_goals(const struct results *r, FILE *page)
{
    static const uint32_t detect[] = {5, 50, 500, 5000};
    char text[80];
    page_begin_goals(page);
    for (size_t i = 0; i < sizeof(detect) / sizeof(detect[0]); i++) {
        uint32_t n = detect[i];
        struct summary s = results_summary(r, "covey", n, 0, FIRST_SUSPECT_MS);
        snprintf(text, sizeof(text), "a crash is first suspected, N = %u", n);
        page_goal(page, text, 2, s.median / 1000, "s", s.count);
        s = results_summary(r, "covey", n, 0, ALL_FAILED_MS);
        snprintf(text, sizeof(text), "it is Failed at all others, N = %u", n);
        page_goal(page, text, 6, s.median / 1000, "s", s.count);
    }
    struct summary s = results_summary(r, "covey", 500, 0, UPDATE_MS);
    page_goal(page, "an update reaches all of 500", 250, s.median, "ms", s.count);
    s = results_summary(r, "covey", 10000, 0, UPDATE_MS);
    page_goal(page, "an update reaches all of 10,000", 500, s.median, "ms", s.count);
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        s = results_summary(r, "covey", sizes[i].nodes, 0, BYTES);
        snprintf(text, sizeof(text), "traffic at rest, a node, N = %u", sizes[i].nodes);
        page_goal(page, text, 1536, s.median, "B/s", s.count);
    }
}

static void report(const struct results *r, FILE *page)
{
    fprintf(page, "| nodes | | runs | first Suspect | first Failed | Failed everywhere | tag "
                  "everywhere | slowest Failed | slowest tag | messages/s | bytes/s |\n"
                  "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (size_t k = 0; k < SYSTEM_COUNT; k++)
            print_row(r, sizes[i].nodes, systems[k], page);
    }
    fprintf(page, "\nTimes since the crash or the tag, medians but for the slowest; messages and "
                  "bytes of one node at rest.\n");
    print_goals(r, page);
}

struct picture {
    const char *file;
    const char *title;
    const char *y_label;
    enum value values[2];
    const char *labels[2]; /* NULL: there is one value */
    double unit;
    bool is_log;
};

static const struct picture pictures[] = {
    {"scale-detection",
     "From a crash until it is known",
     "seconds",
     {FIRST_SUSPECT_MS, ALL_FAILED_MS},
     {"first Suspect", "Failed everywhere"},
     1000,
     false},
    {"scale-update",
     "From a tag until all show it",
     "milliseconds",
     {UPDATE_MS, UPDATE_MS},
     {"tag everywhere", NULL},
     1,
     true},
    {"scale-traffic",
     "Traffic at rest",
     "bytes a node and second",
     {BYTES, BYTES},
     {"all headers", NULL},
     1,
     true},
};

static bool draw_one(const struct results *r, const struct picture *p, const char *folder)
{
    struct page_line lines[4] = {{.count = 0}};
    char labels[4][64];
    size_t count = 0;
    const struct sim_chart frame = {.title = p->title,
                                    .x_label = "nodes",
                                    .y_label = p->y_label,
                                    .is_x_log = true,
                                    .is_y_log = p->is_log};
    for (size_t k = 0; k < SYSTEM_COUNT; k++) {
        for (size_t v = 0; v < 2 && p->labels[v] != NULL; v++) {
            snprintf(labels[count], sizeof(labels[count]), "%s: %s", systems[k], p->labels[v]);
            lines[count].label = labels[count];
            for (size_t i = 0; i < SIZE_COUNT; i++) {
                const struct summary s =
                    results_summary(r, systems[k], sizes[i].nodes, 0, p->values[v]);
                page_line_add(&lines[count], sizes[i].nodes, s.median / p->unit, p->is_log);
            }
            count++;
        }
    }
    return page_chart(folder, p->file, &frame, lines, count);
}

static bool draw(const struct results *r, const char *folder)
{
    for (size_t i = 0; i < sizeof(pictures) / sizeof(pictures[0]); i++) {
        if (!draw_one(r, &pictures[i], folder))
            return false;
    }
    return true;
}

const struct experiment experiment_scale = {
    .name = "scale",
    .columns = {"first_suspect_ms", "first_failed_ms", "all_failed_ms", "update_ms",
                "messages_per_node_s", "bytes_per_node_s", "false_failed", NULL},
    .plan = plan,
    .measure = measure,
    .report = report,
    .draw = draw,
};
