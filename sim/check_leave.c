#include "sim_internal.h"

/*
 * H1, as far as the core has a part in it: a life goes joining, joined, leaving, left, without a step
 * back, and leaving ends in time whoever answers. What is around it, a server that drains its calls
 * and joins its threads, has tests of its own (tests/unit/api/server_drain_test.c, cluster_test.c).
 */
#define LEAVE_SLACK COVEY_SECOND

static bool is_next(enum cv_membership_state from, enum cv_membership_state to)
{
    switch (from) {
    case CV_MEMBERSHIP_JOINING:
        return to == CV_MEMBERSHIP_JOINED || to == CV_MEMBERSHIP_JOIN_FAILED ||
               to == CV_MEMBERSHIP_LEAVING;
    case CV_MEMBERSHIP_JOINED:
        return to == CV_MEMBERSHIP_LEAVING;
    case CV_MEMBERSHIP_JOIN_FAILED:
        return to == CV_MEMBERSHIP_JOINING || to == CV_MEMBERSHIP_LEAVING;
    case CV_MEMBERSHIP_LEAVING:
        return to == CV_MEMBERSHIP_LEFT;
    case CV_MEMBERSHIP_LEFT:
        break;
    }
    return false;
}

/* It has taken too long, and the node was there all the time. */
static bool is_late(const struct sim *s, const struct sim_node *n)
{
    bool was_away = n->is_paused || n->paused >= n->leaving || n->resumed >= n->leaving;
    return !was_away && s->clock.now > n->leaving + s->core.leave_timeout + LEAVE_SLACK;
}

void sim_check_state(struct sim *s, struct sim_node *n, enum cv_membership_state to)
{
    enum cv_membership_state from = n->state;
    bool is_first = from == CV_MEMBERSHIP_JOINING && to == CV_MEMBERSHIP_JOINING;
    sim_require(s, SIM_H1, is_first || is_next(from, to), "%s went from state %d to %d", n->name,
                (int)from, (int)to);
    if (to == CV_MEMBERSHIP_LEAVING)
        n->leaving = s->clock.now;
    if (to == CV_MEMBERSHIP_LEFT)
        sim_require(s, SIM_H1, !is_late(s, n), "%s took %" PRIu64 " ms to leave", n->name,
                    (s->clock.now - n->leaving) / COVEY_MILLISECOND);
    n->state = to;
}

void sim_scan_leave(struct sim *s, const struct sim_node *n)
{
    if (n->state == CV_MEMBERSHIP_LEAVING)
        sim_require(s, SIM_H1, !is_late(s, n), "%s leaves for ever", n->name);
}
