#include "cluster/failure_detection/local_health.h"

#include <assert.h>

void cv_local_health_init(struct cv_local_health *h, uint32_t max)
{
    assert(max <= CV_LOCAL_HEALTH_MAX);
    *h = (struct cv_local_health){.max = max};
}

void cv_local_health_note(struct cv_local_health *h, enum cv_local_health_note what)
{
    assert(h->score <= h->max);
    if (what == CV_LOCAL_HEALTH_PROBE_OK)
        h->score -= h->score > 0;
    else
        h->score += h->score < h->max;
}

covey_time cv_local_health_scale(const struct cv_local_health *h, covey_time base)
{
    covey_time factor = h->score + 1;
    return base < COVEY_NEVER / factor ? base * factor : COVEY_NEVER;
}
