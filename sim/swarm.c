#include "sim/swarm.h"

#include "base/rand.h"
#include "clock.h"

#include <covey/error.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX    24
#define SEEDS        2 /* nodes 0 and 1 are everybody's seeds */
#define FAULTS       60
#define LIVENESS_MAX (300 * COVEY_SECOND)

/* What becomes of a node: as the swarm meant it. */
enum life { DOWN, UP, PAUSED, HELD, GONE };

enum action {
    ACT_CRASH,
    ACT_PAUSE,
    ACT_LEAVE,
    ACT_TAG,
    ACT_CUT,
    ACT_SIDE,
    ACT_HEAL,
    ACT_LINKS,
    ACT_SLOW_LINK,
    ACT_CLOCK,
    ACT_REFUSE,
    ACT_LIE,
    ACT_PLAIN_COUNT,
    ACT_HOLD = ACT_PLAIN_COUNT, /* of wide ones */
    ACT_SLEEP,
    ACT_COUNT
};

struct sim_swarm {
    struct sim *sim;
    struct cv_rand rand;
    uint64_t seed;
    size_t count;
    bool is_wide;
    uint32_t weights[ACT_COUNT]; /* 0: this seed leaves it out */
    enum life life[NODES_MAX];
    bool is_refused[NODES_MAX];
    char error[400];
};

static uint64_t below(struct sim_swarm *w, uint64_t bound)
{
    return cv_rand_below(&w->rand, bound);
}

static bool is_one_in(struct sim_swarm *w, uint64_t n)
{
    return below(w, n) == 0;
}

/* --- the cluster --- */

static struct sim_config draw_config(struct sim_swarm *w)
{
    const covey_time idle[] = {0, 20 * COVEY_SECOND, 120 * COVEY_SECOND};
    struct sim_config config = sim_config_default(w->seed, w->count);
    config.delay_max = config.delay_min + below(w, 50 * COVEY_MILLISECOND);
    config.idle_timeout = idle[below(w, 3)];
    config.handshake_cpu = below(w, 5 * COVEY_MILLISECOND);
    if (is_one_in(w, 2))
        config.loss_permille = (uint32_t)below(w, 300);
    if (is_one_in(w, 5))
        config.profile = CV_PROFILE_LOCAL;
    return config;
}

/* Of wide ones. */
static void give_checks(struct sim_swarm *w, size_t node)
{
    if (!w->is_wide)
        return;
    for (uint64_t count = below(w, 3); count > 0; count--) {
        const struct sim_health_check check = {
            .interval = COVEY_SECOND + below(w, 20 * COVEY_SECOND),
            .timeout = COVEY_SECOND + below(w, 10 * COVEY_SECOND),
            .answers_within = COVEY_SECOND,
            .worst = COVEY_CHECK_UNHEALTHY,
            .hangs_in = (uint32_t)below(w, 5),
        };
        sim_give_check(w->sim, node, &check);
    }
}

static struct sim_swarm *new_swarm(uint64_t seed, bool is_wide)
{
    const size_t seeds[SEEDS] = {0, 1};
    struct sim_swarm *w = sim_allocate(1, sizeof(*w));
    w->seed = seed;
    w->is_wide = is_wide;
    cv_rand_seed(&w->rand, seed * 77 + 1);
    w->count = 3 + (size_t)below(w, is_one_in(w, 8) ? NODES_MAX - 2 : 8);
    const struct sim_config config = draw_config(w);
    for (size_t i = 0; i < (is_wide ? ACT_COUNT : ACT_PLAIN_COUNT); i++)
        w->weights[i] = is_one_in(w, 4) ? 0 : 1 + (uint32_t)below(w, 100);
    w->weights[ACT_TAG]++; /* there is always something to do */
    w->sim = sim_new(&config);
    for (size_t i = 0; i < w->count; i++) {
        sim_set_seeds(w->sim, i, seeds, SEEDS);
        sim_start(w->sim, i);
        give_checks(w, i);
        w->life[i] = UP;
    }
    return w;
}

struct sim_swarm *sim_swarm_new(uint64_t seed)
{
    return new_swarm(seed, false);
}

struct sim_swarm *sim_swarm_new_wide(uint64_t seed)
{
    return new_swarm(seed, true);
}

void sim_swarm_free(struct sim_swarm *w)
{
    sim_free(w->sim);
    free(w);
}

struct sim *sim_swarm_sim(struct sim_swarm *w)
{
    return w->sim;
}

/* --- faults --- */

static int64_t draw_offset_ms(struct sim_swarm *w)
{
    const uint64_t range_ms = 200 * 1000 * 1000;
    return (int64_t)below(w, range_ms) - (int64_t)(range_ms / 2);
}

static void restart(struct sim_swarm *w, size_t node)
{
    if (w->life[node] == GONE)
        sim_crash(w->sim, node);
    if (is_one_in(w, 2) && w->weights[ACT_CLOCK] > 0)
        sim_set_clock(w->sim, node, draw_offset_ms(w));
    if (is_one_in(w, 2))
        sim_start(w->sim, node);
    else
        sim_start_elsewhere(w->sim, node);
    give_checks(w, node);
    w->life[node] = UP;
}

static void crash(struct sim_swarm *w, size_t node)
{
    sim_crash(w->sim, node);
    w->life[node] = DOWN;
}

static void resume(struct sim_swarm *w, size_t node)
{
    sim_resume(w->sim, node);
    w->life[node] = UP;
}

static void release(struct sim_swarm *w, size_t node)
{
    sim_release(w->sim, node);
    w->life[node] = UP;
}

/* Long enough, sometimes, that the dead are forgotten. */
static void sleep_together(struct sim_swarm *w)
{
    const covey_time lengths[] = {COVEY_SECOND, 60 * COVEY_SECOND, 3600 * COVEY_SECOND,
                                  48 * 3600 * COVEY_SECOND};
    sim_sleep(w->sim, 1 + below(w, lengths[below(w, 4)]));
}

static void change_links(struct sim_swarm *w)
{
    struct sim_link link = sim_links(w->sim);
    link.loss = is_one_in(w, 2) ? 0 : (uint32_t)below(w, 300);
    link.message_loss = is_one_in(w, 2) ? 0 : (uint32_t)below(w, 200);
    link.duplication = is_one_in(w, 2) ? 0 : (uint32_t)below(w, 500);
    link.reordering = is_one_in(w, 2) ? 0 : (uint32_t)below(w, 250);
    link.reorder_delay = below(w, 200 * COVEY_MILLISECOND);
    sim_set_links(w->sim, &link);
}

static void slow_link(struct sim_swarm *w, size_t a, size_t b)
{
    struct sim_link link = sim_links(w->sim);
    if (a == b)
        return;
    link.rate = 2000 + below(w, 50000);
    link.queue_size = 3000 + (uint32_t)below(w, 30000);
    sim_set_link(w->sim, a, b, &link);
}

/* What cannot be taken back while owners do not sign their records is left to tests of its own. */
static void lie(struct sim_swarm *w, size_t node)
{
    const unsigned curable = 1u << SIM_LIE_SUSPECT | 1u << SIM_LIE_FAILED | 1u << SIM_LIE_LEFT |
                             1u << SIM_LIE_MALFORMED | 1u << SIM_LIE_REPLAY;
    unsigned lies = curable & (unsigned)below(w, 1u << SIM_LIE_COUNT);
    sim_stop_lying(w->sim, node);
    if (lies != 0 && is_one_in(w, 2))
        sim_lie(w->sim, node, lies, 20 * COVEY_MILLISECOND + below(w, 2 * COVEY_SECOND));
}

static void refuse(struct sim_swarm *w, size_t node)
{
    w->is_refused[node] = !w->is_refused[node];
    sim_set_refusal(w->sim, node, w->is_refused[node] ? COVEY_ERR_CERTIFICATE : COVEY_OK);
}

static void set_tag(struct sim_swarm *w, size_t node)
{
    char value[COVEY_TAG_VALUE_MAX + 1];
    /* Long ones of wide swarms do not all fit one message. */
    const int width = w->is_wide && is_one_in(w, 2) ? COVEY_TAG_VALUE_MAX : 1;
    snprintf(value, sizeof(value), "%0*" PRIu64, width, sim_now(w->sim));
    sim_command(w->sim, node, CV_COMMAND_TAG_SET, width > 1 && is_one_in(w, 2) ? "l" : "k", value);
}

static void leave(struct sim_swarm *w, size_t node)
{
    if (!is_one_in(w, 3) || sim_command(w->sim, node, CV_COMMAND_LEAVE, NULL, NULL) != COVEY_OK)
        return;
    w->life[node] = GONE;
    if (is_one_in(w, 2))
        sim_command(w->sim, node, CV_COMMAND_LEAVE, NULL, NULL);
}

static void act(struct sim_swarm *w, enum action action, size_t a, size_t b)
{
    switch (action) {
    case ACT_CRASH:
        crash(w, a);
        break;
    case ACT_PAUSE:
        sim_pause(w->sim, a);
        w->life[a] = PAUSED;
        break;
    case ACT_LEAVE:
        leave(w, a);
        break;
    case ACT_TAG:
        set_tag(w, a);
        break;
    case ACT_CUT:
        if (a != b)
            sim_cut(w->sim, a, b);
        break;
    case ACT_SIDE:
        sim_set_side(w->sim, a, 1);
        break;
    case ACT_HEAL:
        sim_heal(w->sim);
        break;
    case ACT_LINKS:
        change_links(w);
        break;
    case ACT_SLOW_LINK:
        slow_link(w, a, b);
        break;
    case ACT_CLOCK:
        sim_set_clock(w->sim, a, draw_offset_ms(w));
        break;
    case ACT_REFUSE:
        refuse(w, a);
        break;
    case ACT_LIE:
        lie(w, a);
        break;
    case ACT_HOLD:
        sim_hold(w->sim, a);
        w->life[a] = HELD;
        break;
    case ACT_SLEEP:
        sleep_together(w);
        break;
    case ACT_COUNT:
        break;
    }
}

static enum action draw_action(struct sim_swarm *w)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < ACT_COUNT; i++)
        sum += w->weights[i];
    uint64_t place = below(w, sum);
    size_t i = 0;
    while (place >= w->weights[i]) {
        place -= w->weights[i];
        i++;
    }
    return (enum action)i;
}

static bool is_state(const struct sim_swarm *w, size_t node, enum cv_membership_state state)
{
    const struct cv_membership *m = sim_membership(w->sim, node);
    return m != NULL && cv_membership_state(m) == state;
}

static void disturb(struct sim_swarm *w)
{
    size_t a = (size_t)below(w, w->count);
    size_t b = (size_t)below(w, w->count);
    if (w->life[a] == PAUSED)
        resume(w, a);
    else if (w->life[a] == HELD)
        release(w, a);
    else if (w->life[a] != UP)
        restart(w, a);
    else if (is_state(w, a, CV_MEMBERSHIP_JOIN_FAILED))
        sim_command(w->sim, a, CV_COMMAND_JOIN, NULL, NULL);
    else
        act(w, draw_action(w), a, b);
}

/* --- liveness --- */

/* Who is of the core runs; a seed is among them, so that newcomers find it. */
static void choose_core(struct sim_swarm *w)
{
    size_t kept = (size_t)below(w, SEEDS);
    for (size_t i = 0; i < w->count; i++) {
        bool is_core = i == kept || !is_one_in(w, 4);
        sim_stop_lying(w->sim, i);
        if (w->is_refused[i])
            refuse(w, i);
        if (w->life[i] == PAUSED)
            resume(w, i);
        if (w->life[i] == HELD)
            release(w, i);
        if (is_core && w->life[i] == GONE)
            crash(w, i);
        if (is_core && w->life[i] == DOWN)
            restart(w, i);
        if (!is_core && w->life[i] != DOWN)
            crash(w, i);
    }
}

static void calm(struct sim_swarm *w)
{
    struct sim_link link = sim_links(w->sim);
    link.message_loss = 0;
    link.reordering = 0;
    if (is_one_in(w, 2))
        link.loss = 0;
    sim_heal(w->sim);
    choose_core(w);
    sim_set_links(w->sim, &link);
}

static void retry_joins(struct sim_swarm *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (is_state(w, i, CV_MEMBERSHIP_JOIN_FAILED))
            sim_command(w->sim, i, CV_COMMAND_JOIN, NULL, NULL);
    }
}

static bool is_whole(struct sim *s, void *user)
{
    (void)user;
    return sim_all_alive(s);
}

static void tell_who_misses_whom(struct sim_swarm *w)
{
    for (size_t o = 0; o < w->count; o++) {
        for (size_t i = 0; i < w->count; i++) {
            const struct cv_member *m = sim_view(w->sim, o, i);
            if (w->life[o] == UP && w->life[i] == UP && !sim_sees(w->sim, o, i, COVEY_NODE_ALIVE))
                snprintf(w->error, sizeof(w->error),
                         "seed %" PRIu64 ": n%zu holds n%zu for %s at the end", w->seed, o, i,
                         m == NULL ? "unknown"
                                   : covey_node_state_name((enum covey_node_state)m->state));
        }
    }
}

static bool run_liveness(struct sim_swarm *w)
{
    bool whole = false;
    covey_time end = sim_now(w->sim) + LIVENESS_MAX;
    calm(w);
    while (!whole && sim_now(w->sim) < end && sim_violation(w->sim) == NULL) {
        retry_joins(w);
        whole = sim_run_while_not(w->sim, is_whole, w, 10 * COVEY_SECOND);
    }
    if (!whole)
        tell_who_misses_whom(w);
    /* Long enough for the deadlines of a calm cluster. */
    return whole && sim_run_for(w->sim, LIVENESS_MAX);
}

const char *sim_swarm_run(struct sim_swarm *w)
{
    for (int i = 0; i < FAULTS && sim_violation(w->sim) == NULL; i++) {
        disturb(w);
        sim_run_for(w->sim, below(w, 10 * COVEY_SECOND));
    }
    bool is_well = sim_violation(w->sim) == NULL && run_liveness(w);
    if (sim_violation(w->sim) != NULL)
        snprintf(w->error, sizeof(w->error), "%s", sim_violation(w->sim));
    return is_well ? NULL : w->error;
}
