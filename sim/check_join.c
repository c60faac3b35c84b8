#include "sim_internal.h"

/* B1: at most attempts_max attempts to join, each with every seed once, and longer and longer waits
 * in between. */

static covey_time wait_after(const struct cv_join_config *join, uint32_t attempts)
{
    covey_time wait = join->backoff_min;
    for (uint32_t i = 1; i < attempts && wait < join->backoff_max; i++)
        wait *= 2;
    return wait < join->backoff_max ? wait : join->backoff_max;
}

void sim_check_attempt(struct sim *s, struct sim_node *n, size_t seed)
{
    const struct cv_join_config *join = &s->core.join;
    size_t i = 0;
    while (i < n->seed_count && n->seeds[i] != seed)
        i++;
    if (i == n->seed_count || n->membership == NULL ||
        cv_membership_state(n->membership) != CV_MEMBERSHIP_JOINING)
        return;
    struct sim_try *t = &n->tries[i];
    covey_time least = t->count == 0 ? 0 : wait_after(join, t->count) * 3 / 4;
    sim_require(s, SIM_B1, s->clock.now >= t->last + least,
                "%s did not wait before attempt %" PRIu32, n->name, t->count + 1);
    t->count++;
    t->last = s->clock.now;
    sim_require(s, SIM_B1, t->count + s->planted->attempts <= join->attempts_max,
                "%s made %" PRIu32 " attempts", n->name, t->count);
}
