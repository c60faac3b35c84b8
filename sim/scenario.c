#include "sim/scenario.h"

#include "scenario_plot.h"
#include "sim/sim.h"

#include "base/rand.h"

#include <covey/error.h>
#include <stdlib.h>

#define JOIN_TIME   (120 * COVEY_SECOND)
#define SETTLE_TIME (10 * COVEY_SECOND)
#define CUT_MAX     (60 * COVEY_SECOND)
#define TAG_EVERY   (5 * COVEY_SECOND)
/* A tag that is set later has no time to get everywhere. */
#define TAG_TIME  (5 * COVEY_SECOND)
#define PAUSE_MAX (3600 * COVEY_SECOND)
#define SEEDS     3

enum action_kind { KILL, PAUSE, RESUME, CUT, HEAL, SET_TAG };

struct action {
    covey_time at; /* since the start of the run */
    size_t number; /* in the order of planning: breaks ties */
    enum action_kind kind;
    size_t pause; /* of PAUSE and RESUME: which one */
};

struct node {
    bool is_down;
    bool is_paused;
    bool has_tag;
};

struct run {
    const struct sim_scenario *scenario;
    struct sim *sim;
    struct cv_rand rand;
    covey_time start;
    struct sim_totals before;
    struct action *actions;
    size_t action_count;
    size_t *paused; /* which node each pause got; SIZE_MAX: none was there */
    struct node *nodes;
    covey_time healed_at; /* COVEY_NEVER: not yet */
    covey_time whole_at;
    struct sim_times first_suspect, first_failed, all_failed, updates;
    struct scenario_plot plot;
    struct sim_figures *figures;
};

struct sim_scenario sim_scenario_default(void)
{
    return (struct sim_scenario){.nodes = 5, .seed = 1, .duration = 60 * COVEY_SECOND};
}

const char *sim_scenario_problem(const struct sim_scenario *s)
{
    bool is_cut = s->side_a != 0 || s->side_b != 0;
    if (s->nodes < 2 || s->nodes > SIM_SCENARIO_NODES_MAX)
        return "the number of nodes is from 2 to 10000";
    if (s->duration < COVEY_SECOND || s->duration > SIM_SCENARIO_DURATION_MAX)
        return "the duration is from 1 s to a day";
    if (s->loss_permille >= 1000)
        return "the loss is below 100 percent";
    if (is_cut && (s->side_a == 0 || s->side_b == 0))
        return "both sides of a partition have nodes";
    if (is_cut && (uint64_t)s->side_a + s->side_b != s->nodes)
        return "the sides of a partition are all nodes together";
    uint64_t faulty = (uint64_t)s->kill + s->pause;
    if (faulty > 0 && faulty + 2 > s->nodes)
        return "at least two nodes are neither killed nor paused";
    if (s->pause > 0 && (s->pause_time == 0 || s->pause_time > PAUSE_MAX))
        return "a pause is from 1 ms to an hour";
    return NULL;
}

/* --- planning --- */

static covey_time fault_time(const struct sim_scenario *s)
{
    return s->duration / 3 * 2;
}

static covey_time cut_at(const struct sim_scenario *s)
{
    return s->duration / 6;
}

static covey_time heal_at(const struct sim_scenario *s)
{
    covey_time length = s->duration / 2;
    return cut_at(s) + (length < CUT_MAX ? length : CUT_MAX);
}

static void plan(struct run *r, covey_time at, enum action_kind kind, size_t pause)
{
    r->actions[r->action_count] =
        (struct action){.at = at, .number = r->action_count, .kind = kind, .pause = pause};
    r->action_count++;
}

static void plan_tags(struct run *r)
{
    const struct sim_scenario *s = r->scenario;
    for (covey_time at = TAG_EVERY / 2; at + TAG_TIME <= s->duration; at += TAG_EVERY) {
        bool is_cut = s->side_a > 0 && at + TAG_TIME > cut_at(s) && at < heal_at(s);
        if (!is_cut)
            plan(r, at, SET_TAG, 0);
    }
}

static int compare_actions(const void *a, const void *b)
{
    const struct action *x = a;
    const struct action *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void plan_all(struct run *r)
{
    const struct sim_scenario *s = r->scenario;
    for (size_t i = 0; i < s->kill; i++)
        plan(r, fault_time(s) / (s->kill + 1) * (i + 1), KILL, 0);
    for (size_t i = 0; i < s->pause; i++) {
        covey_time at = fault_time(s) / (2 * s->pause) * (2 * i + 1);
        plan(r, at, PAUSE, i);
        plan(r, at + s->pause_time, RESUME, i);
    }
    if (s->side_a > 0) {
        plan(r, cut_at(s), CUT, 0);
        plan(r, heal_at(s), HEAL, 0);
    }
    plan_tags(r);
    qsort(r->actions, r->action_count, sizeof(*r->actions), compare_actions);
}

/* --- faults --- */

/* A random node that is up and not paused, and, with `untagged`, has no tag under way; SIZE_MAX
 * when there is none. */
static size_t pick(struct run *r, bool untagged)
{
    size_t found = SIZE_MAX;
    uint64_t seen = 0;
    for (size_t i = 0; i < r->scenario->nodes; i++) {
        const struct node *n = &r->nodes[i];
        if (n->is_down || n->is_paused || (untagged && n->has_tag))
            continue;
        seen++;
        if (cv_rand_below(&r->rand, seen) == 0)
            found = i;
    }
    return found;
}

static covey_time since(covey_time begin, covey_time end)
{
    return end == COVEY_NEVER ? COVEY_NEVER : end - begin;
}

/* How the node's tag spread, if it has one. One whose setter died too early says nothing. */
static void collect_tag(struct run *r, size_t node, bool is_dying)
{
    if (!r->nodes[node].has_tag)
        return;
    r->nodes[node].has_tag = false;
    struct sim_spread spread = sim_tag_spread(r->sim, node);
    if (!is_dying || spread.all != COVEY_NEVER)
        sim_times_add(&r->updates, since(spread.at, spread.all));
}

static void collect_death(struct run *r, size_t node)
{
    struct sim_death death = sim_death(r->sim, node);
    /* On the far side of a cut it may have been failed, or suspect, before it died. */
    if (death.first_failed > death.all_failed)
        death.first_failed = death.all_failed;
    if (death.first_suspect > death.first_failed)
        death.first_suspect = death.first_failed;
    sim_times_add(&r->first_suspect, since(death.at, death.first_suspect));
    sim_times_add(&r->first_failed, since(death.at, death.first_failed));
    sim_times_add(&r->all_failed, since(death.at, death.all_failed));
}

static void kill_one(struct run *r)
{
    size_t node = pick(r, false);
    if (node == SIZE_MAX)
        return;
    collect_tag(r, node, true);
    scenario_plot_crash(&r->plot, node);
    sim_crash(r->sim, node);
    r->nodes[node].is_down = true;
    r->figures->killed++;
    r->figures->node_time += sim_now(r->sim) - r->start;
}

static void pause_one(struct run *r, size_t pause)
{
    size_t node = pick(r, false);
    r->paused[pause] = node;
    if (node == SIZE_MAX)
        return;
    scenario_plot_mark(&r->plot, SIM_PLOT_PAUSE, node);
    sim_pause(r->sim, node);
    r->nodes[node].is_paused = true;
}

static void resume_one(struct run *r, size_t pause)
{
    size_t node = r->paused[pause];
    if (node == SIZE_MAX)
        return;
    scenario_plot_mark(&r->plot, SIM_PLOT_RESUME, node);
    sim_resume(r->sim, node);
    r->nodes[node].is_paused = false;
}

/* A random set of side_b nodes on a side of their own. */
static void cut(struct run *r)
{
    uint32_t wanted = r->scenario->side_b;
    scenario_plot_mark(&r->plot, SIM_PLOT_CUT, 0);
    for (uint32_t i = 0; i < r->scenario->nodes; i++) {
        if (cv_rand_below(&r->rand, r->scenario->nodes - i) >= wanted)
            continue;
        sim_set_side(r->sim, i, 1);
        wanted--;
    }
}

static void heal(struct run *r)
{
    scenario_plot_mark(&r->plot, SIM_PLOT_HEAL, 0);
    sim_heal(r->sim);
    r->healed_at = sim_now(r->sim);
    r->figures->heals++;
}

static void set_tag(struct run *r)
{
    char value[32];
    size_t node = pick(r, true);
    if (node == SIZE_MAX) {
        for (size_t i = 0; i < r->scenario->nodes; i++)
            collect_tag(r, i, false);
        node = pick(r, true);
    }
    if (node == SIZE_MAX)
        return;
    snprintf(value, sizeof(value), "%zu", (size_t)(sim_now(r->sim) / COVEY_MILLISECOND));
    if (sim_command(r->sim, node, CV_COMMAND_TAG_SET, "set", value) == COVEY_OK)
        r->nodes[node].has_tag = true;
}

/* A pause that ends later makes the simulator look anew, so the first answer is kept. */
static void look_whether_whole(struct run *r)
{
    struct sim_totals totals = sim_totals(r->sim);
    if (r->healed_at != COVEY_NEVER && r->whole_at == COVEY_NEVER)
        r->whole_at = totals.whole_at;
}

static void act(struct run *r, const struct action *a)
{
    look_whether_whole(r);
    switch (a->kind) {
    case KILL:
        kill_one(r);
        break;
    case PAUSE:
        pause_one(r, a->pause);
        break;
    case RESUME:
        resume_one(r, a->pause);
        break;
    case CUT:
        cut(r);
        break;
    case HEAL:
        heal(r);
        break;
    case SET_TAG:
        set_tag(r);
        break;
    }
}

/* --- the run --- */

static bool come_together(struct run *r)
{
    static const size_t seeds[SEEDS] = {0, 1, 2};
    size_t count = r->scenario->nodes < SEEDS ? r->scenario->nodes : SEEDS;
    for (size_t i = 0; i < r->scenario->nodes; i++) {
        sim_set_seeds(r->sim, i, seeds, count);
        sim_start(r->sim, i);
    }
    while (!sim_all_alive(r->sim)) {
        if (sim_now(r->sim) >= JOIN_TIME || !sim_run_for(r->sim, 100 * COVEY_MILLISECOND))
            return false;
    }
    return sim_run_for(r->sim, SETTLE_TIME);
}

static void go_through(struct run *r)
{
    r->start = sim_now(r->sim);
    r->before = sim_totals(r->sim);
    sim_set_loss(r->sim, r->scenario->loss_permille);
    scenario_plot_begin(&r->plot, r->scenario->plot, r->sim);
    for (size_t i = 0; i < r->action_count && r->actions[i].at < r->scenario->duration; i++) {
        if (!sim_run_until(r->sim, r->start + r->actions[i].at))
            break;
        act(r, &r->actions[i]);
    }
    if (sim_violation(r->sim) == NULL)
        sim_run_until(r->sim, r->start + r->scenario->duration);
    look_whether_whole(r);
    scenario_plot_end(&r->plot);
}

static void collect_nodes(struct run *r)
{
    for (size_t i = 0; i < r->scenario->nodes; i++) {
        collect_tag(r, i, false);
        if (r->nodes[i].is_down)
            collect_death(r, i);
        else
            r->figures->node_time += sim_now(r->sim) - r->start;
    }
}

static void fill_figures(struct run *r)
{
    struct sim_figures *f = r->figures;
    const struct sim_totals totals = sim_totals(r->sim);
    f->virtual_time = sim_now(r->sim) - r->start;
    f->first_suspect = sim_times_percentiles(&r->first_suspect);
    f->first_failed = sim_times_percentiles(&r->first_failed);
    f->all_failed = sim_times_percentiles(&r->all_failed);
    f->update_all = sim_times_percentiles(&r->updates);
    f->false_failed = totals.false_failed - r->before.false_failed;
    f->healed = r->whole_at == COVEY_NEVER ? COVEY_NEVER : r->whole_at - r->healed_at;
    f->messages = totals.messages_sent - r->before.messages_sent;
    f->bytes = totals.bytes_sent - r->before.bytes_sent;
}

/* What is so even if the cluster never came together. */
static void fill_checks(struct run *r)
{
    struct sim_figures *f = r->figures;
    const struct sim_totals totals = sim_totals(r->sim);
    const char *violation = sim_violation(r->sim);
    f->invariant_checks = totals.checks;
    f->violations = totals.violations;
    f->hash = totals.hash;
    snprintf(f->violation, sizeof(f->violation), "%s", violation == NULL ? "" : violation);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

static void begin(struct run *r, const struct sim_scenario *scenario, struct sim_figures *figures)
{
    struct sim_config config = sim_config_default(scenario->seed, scenario->nodes);
    config.steps_max = SIZE_MAX / 2; /* the duration is the bound */
    config.has_full_views = scenario->nodes > SIM_SCENARIO_JOINED_MAX;
    const size_t tags = (size_t)(scenario->duration / TAG_EVERY) + 1;
    const struct sim_percentiles none = {0, COVEY_NEVER, COVEY_NEVER, COVEY_NEVER};
    *figures = (struct sim_figures){
        .nodes = scenario->nodes,
        .seed = scenario->seed,
        .first_suspect = none,
        .first_failed = none,
        .all_failed = none,
        .update_all = none,
        .healed = COVEY_NEVER,
    };
    *r = (struct run){
        .scenario = scenario,
        .sim = sim_new(&config),
        .actions = allocate(scenario->kill + 2 * scenario->pause + 2 + tags, sizeof(*r->actions)),
        .paused = allocate(scenario->pause, sizeof(*r->paused)),
        .nodes = allocate(scenario->nodes, sizeof(*r->nodes)),
        .healed_at = COVEY_NEVER,
        .whole_at = COVEY_NEVER,
        .figures = figures,
    };
    /* Its own chances: another engine must not choose other victims. */
    cv_rand_seed(&r->rand, scenario->seed ^ UINT64_C(0x5ce7a210));
    plan_all(r);
}

static void end(struct run *r)
{
    sim_free(r->sim);
    free(r->actions);
    free(r->paused);
    free(r->nodes);
    sim_times_fini(&r->first_suspect);
    sim_times_fini(&r->first_failed);
    sim_times_fini(&r->all_failed);
    sim_times_fini(&r->updates);
}

int sim_scenario_run(const struct sim_scenario *scenario, struct sim_figures *figures)
{
    struct run r;
    if (sim_scenario_problem(scenario) != NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    begin(&r, scenario, figures);
    bool is_whole = come_together(&r);
    if (is_whole) {
        go_through(&r);
        collect_nodes(&r);
        fill_figures(&r);
    }
    fill_checks(&r);
    end(&r);
    return is_whole || figures->violations > 0 ? COVEY_OK : COVEY_ERR_JOIN_TIMEOUT;
}
