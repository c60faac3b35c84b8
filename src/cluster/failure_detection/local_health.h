#ifndef CV_CLUSTER_FAILURE_DETECTION_LOCAL_HEALTH_H
#define CV_CLUSTER_FAILURE_DETECTION_LOCAL_HEALTH_H

#include <covey/types.h>

/*
 * How well this node itself is (Lifeguard, Dadgar et al. 2018, section IV-A). A node that is slow
 * sees others as silent; signs of that raise its score, and while it is high the node probes more
 * seldom and waits longer for answers. Pure; knows no clock.
 */
#define CV_LOCAL_HEALTH_MAX 8

enum cv_local_health_note {
    CV_LOCAL_HEALTH_PROBE_OK,     /* a probe was answered, directly or through others: -1 */
    CV_LOCAL_HEALTH_PROBE_FAILED, /* a probe was answered by nobody: +1 */
    CV_LOCAL_HEALTH_NACK_MISSING, /* one that pinged for us did not even say it failed: +1 */
    CV_LOCAL_HEALTH_REFUTED       /* we had to refute a suspicion about ourselves: +1 */
};

struct cv_local_health {
    uint32_t score; /* 0, well, to `max` */
    uint32_t max;
};

/* Begins well. `max` is at most CV_LOCAL_HEALTH_MAX; with 0 the node always counts as well. */
void cv_local_health_init(struct cv_local_health *h, uint32_t max);
void cv_local_health_note(struct cv_local_health *h, enum cv_local_health_note what);
/* base * (score + 1), for timeouts and intervals; COVEY_NEVER when that is no time. */
covey_time cv_local_health_scale(const struct cv_local_health *h, covey_time base);

#endif
