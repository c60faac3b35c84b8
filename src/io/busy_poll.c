#include "io/busy_poll.h"

#define STEPS 16 /* the smallest window but 0 is this part of the largest */

void cv_busy_poll_init(struct cv_busy_poll *p, covey_time max)
{
    *p = (struct cv_busy_poll){.max = max, .window = max};
}

void cv_busy_poll_idle(struct cv_busy_poll *p, covey_time now)
{
    p->idle_since = now;
}

static covey_time longer(covey_time window, covey_time max)
{
    if (window == 0)
        return max < STEPS ? max : max / STEPS;
    return window > max / 2 ? max : window * 2;
}

static covey_time shorter(covey_time window, covey_time max)
{
    return window / 2 < max / STEPS || window == 1 ? 0 : window / 2;
}

void cv_busy_poll_work(struct cv_busy_poll *p, covey_time now)
{
    bool soon = now <= p->idle_since || now - p->idle_since <= p->max;
    p->window = soon ? longer(p->window, p->max) : shorter(p->window, p->max);
}

bool cv_busy_poll_wants(const struct cv_busy_poll *p, covey_time now)
{
    return now <= p->idle_since ? p->window > 0 : now - p->idle_since < p->window;
}
