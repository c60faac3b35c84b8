#include "cluster/membership_internal.h"

#include <covey/error.h>

/* The user's health checks: cluster/health_checker.h says when; here they become outputs, and what
 * became of them events. */

void cv_checks_init(struct cv_membership *m)
{
    m->checks.alarm.kind = CV_ALARM_CHECK;
}

void cv_checks_fini(struct cv_membership *m)
{
    cv_release(m->alloc, m->checks.checker);
}

static void tell(struct cv_membership *m, const struct covey_check_health *worse)
{
    struct cv_gossip_protocol *g = &m->gossip;
    struct cv_output output = {.type = CV_OUTPUT_EVENT};
    output.event.type = COVEY_EVENT_HEALTH_CHECK_FAILED;
    output.event.wall_ms = g->wall_ms;
    output.event.node = cv_cluster_node_retain(g->self->body);
    output.event.incarnation = g->self->incarnation;
    memcpy(output.event.check, worse->name, sizeof(output.event.check));
    cv_outbox_put(&g->outbox, &output);
}

static void look_again(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    covey_time deadline = cv_health_checker_deadline(m->checks.checker);
    cv_heap_set(&g->heap, &m->checks.alarm.timer, deadline < g->now ? g->now : deadline);
}

int cv_checks_add(struct cv_membership *m, const struct cv_health_check_config *config)
{
    struct cv_health_checker *checker = m->checks.checker;
    if (checker == NULL) {
        checker = cv_allocate(m->alloc, sizeof(*checker));
        if (checker == NULL)
            return COVEY_ERR_NO_MEMORY;
        cv_health_checker_init(checker);
        m->checks.checker = checker;
    }
    int error = cv_health_checker_add(checker, config, m->gossip.now);
    if (error == COVEY_OK)
        look_again(m);
    return error;
}

int cv_checks_remove(struct cv_membership *m, const char *name)
{
    if (m->checks.checker == NULL)
        return COVEY_ERR_NOT_FOUND;
    int error = cv_health_checker_remove(m->checks.checker, cv_slice_text(name));
    if (error == COVEY_OK)
        look_again(m);
    return error;
}

void cv_checks_result(struct cv_membership *m, const struct cv_input *input)
{
    struct covey_check_health worse;
    if (m->checks.checker == NULL)
        return;
    if (cv_health_checker_result(m->checks.checker, m->gossip.now, input->check_result.run,
                                 input->check_result.status, input->check_result.message, &worse))
        tell(m, &worse);
    look_again(m);
}

void cv_checks_alarm(struct cv_membership *m)
{
    struct cv_gossip_protocol *g = &m->gossip;
    struct covey_check_health worse;
    struct cv_check_run run;
    while (cv_health_checker_expire(m->checks.checker, g->now, &worse))
        tell(m, &worse);
    while (cv_health_checker_due(m->checks.checker, g->now, &run)) {
        struct cv_output output = {.type = CV_OUTPUT_RUN_CHECK};
        output.check.run = run.number;
        output.check.user = run.user;
        cv_outbox_put(&g->outbox, &output);
    }
    look_again(m);
}

void cv_checks_stop(struct cv_membership *m)
{
    cv_heap_clear(&m->gossip.heap, &m->checks.alarm.timer);
}

const struct cv_health_checker *cv_membership_health(const struct cv_membership *m)
{
    return m->checks.checker;
}
