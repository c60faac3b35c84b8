#include "sim_internal.h"

#include "cluster/membership_internal.h"

#include <assert.h>
#include <covey/error.h>
#include <stdio.h>

/*
 * Health checks of the nodes' users, which the simulator runs; and FD7: the whole is as bad as the
 * worst of them, what was answered in time counts, one that does not answer in time is unhealthy,
 * and holds up no other.
 */

/* How late a node may be at its own times. */
#define SLACK (COVEY_SECOND + COVEY_SECOND / 2)

void sim_give_check(struct sim *s, size_t node, const struct sim_health_check *check)
{
    struct sim_node *n = &s->nodes[node];
    struct sim_run *run = &n->runs[n->run_count];
    struct cv_input input = {.type = CV_INPUT_COMMAND};
    struct cv_health_check_config config = {
        .interval = check->interval, .timeout = check->timeout, .user = run};
    char name[16];
    assert(n->run_count < SIM_HEALTH_CHECKS_MAX);
    snprintf(name, sizeof(name), "check %zu", n->run_count);
    config.name = cv_slice_text(name);
    *run = (struct sim_run){.check = *check, .ended = s->clock.now};
    n->run_count++;
    input.command.type = CV_COMMAND_CHECK_ADD;
    input.command.check = &config;
    int error = sim_step(s, n->index, &input);
    assert(error == COVEY_OK || error == COVEY_ERR_STATE);
    if (error != COVEY_OK)
        n->run_count--;
}

/* Its own chances: nodes without checks live as they did. */
static covey_time draw_length(struct sim *s, const struct sim_health_check *check)
{
    struct cv_rand *rand = &s->oracle.health_rand;
    if (check->hangs_in > 0 && cv_rand_below(rand, check->hangs_in) == 0)
        return check->timeout + SIM_HANG_TIME;
    return cv_rand_below(rand, check->answers_within + 1);
}

void sim_run_check(struct sim *s, struct sim_node *n, const struct cv_output *output)
{
    struct sim_run *run = output->check.user;
    struct sim_event *e = sim_event_new(s, SIM_CHECKED, n->index, 0);
    sim_require(s, SIM_FD7, !run->is_under_way, "%s runs a check twice at once", n->name);
    run->number = output->check.run;
    run->begun = s->clock.now;
    run->is_under_way = true;
    e->number = (uint32_t)(run - n->runs);
    sim_clock_set(&s->clock, e, s->clock.now + draw_length(s, &run->check));
}

static const struct cv_health_check *check_of(const struct sim_node *n, size_t i)
{
    const struct cv_health_checker *hc = cv_membership_health(n->membership);
    assert(hc != NULL && i < hc->count);
    return &hc->checks[i];
}

void sim_checked_event(struct sim *s, struct sim_event *e)
{
    struct sim_node *n = &s->nodes[e->node];
    struct sim_run *run = &n->runs[e->number];
    const struct sim_health_check *check = &run->check;
    struct cv_input input = {.type = CV_INPUT_CHECK_RESULT};
    bool was_in_time = check_of(n, e->number)->phase == CV_CHECK_RUNNING;
    bool leaves = n->state == CV_MEMBERSHIP_LEAVING || n->state == CV_MEMBERSHIP_LEFT;
    input.check_result.run = run->number;
    input.check_result.status = (enum covey_check_status)(
        COVEY_CHECK_HEALTHY + cv_rand_below(&s->oracle.health_rand, (uint64_t)check->worst));
    run->is_under_way = false;
    run->ended = s->clock.now;
    sim_step(s, n->index, &input);
    enum covey_check_status is = check_of(n, e->number)->health.status;
    sim_require(s, SIM_FD7, !was_in_time || leaves || is == input.check_result.status,
                "%s: a check answered %d and is %d", n->name, (int)input.check_result.status,
                (int)is);
}

/* One that was not there all the time since then is late with everything. */
static bool was_here_since(const struct sim_node *n, covey_time then)
{
    return !n->is_paused && n->paused < then && n->resumed < then;
}

static void check_run(struct sim *s, const struct sim_node *n, size_t i)
{
    const struct cv_health_check *c = check_of(n, i);
    const struct sim_run *run = &n->runs[i];
    covey_time end = run->begun + run->check.timeout;
    covey_time due = run->ended + run->check.interval;
    if (run->is_under_way && s->clock.now > end + SLACK && was_here_since(n, run->begun))
        sim_require(s, SIM_FD7, c->health.hangs && c->health.status == COVEY_CHECK_UNHEALTHY,
                    "%s: a check that does not answer is %d", n->name, (int)c->health.status);
    if (!run->is_under_way && s->clock.now > due + SLACK)
        sim_require(s, SIM_FD7, !was_here_since(n, run->ended), "%s: a check is not run", n->name);
}

void sim_scan_health(struct sim *s, const struct sim_node *n)
{
    enum covey_check_status worst = COVEY_CHECK_HEALTHY;
    if (n->run_count == 0 || n->state == CV_MEMBERSHIP_LEAVING || n->state == CV_MEMBERSHIP_LEFT)
        return;
    for (size_t i = 0; i < n->run_count; i++) {
        enum covey_check_status is = check_of(n, i)->health.status;
        worst = is > worst ? is : worst;
        check_run(s, n, i);
    }
    const struct covey_health_status all =
        cv_health_checker_status(cv_membership_health(n->membership));
    sim_require(s, SIM_FD7, all.overall == worst, "%s is %d, and its worst check %d", n->name,
                (int)all.overall, (int)worst);
}
