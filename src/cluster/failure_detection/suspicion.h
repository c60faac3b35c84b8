#ifndef CV_CLUSTER_FAILURE_DETECTION_SUSPICION_H
#define CV_CLUSTER_FAILURE_DETECTION_SUSPICION_H

#include <covey/types.h>
#include <stdbool.h>

/*
 * How long a suspicion waits for its refutation (Lifeguard, Dadgar et al. 2018, section IV-B): long
 * while only one node suspects, shorter with each other node that does.
 *
 *     timeout = max - (max - min) * log(c + 1) / log(K + 1)     c confirmations of K
 *
 * A suspicion of hearsay, that somebody failed whom nobody here suspects, has all of the longest
 * time and nothing shortens it; the first accusation makes it a common one.
 *
 * In integers, so that it is the same everywhere. Pure; knows no clock.
 */
#define CV_SUSPICION_CONFIRMATIONS_MAX 8

struct cv_suspicion {
    covey_time start;
    covey_time min;
    covey_time max;
    bool is_hearsay;
    uint32_t wanted; /* K */
    uint32_t count;  /* of `accusers`: the first one and its confirmations */
    covey_node_id accusers[CV_SUSPICION_CONFIRMATIONS_MAX + 1];
};

/* Begins with its first accuser. `wanted` is at most CV_SUSPICION_CONFIRMATIONS_MAX; with 0 the
 * timeout is `min` at once. */
void cv_suspicion_begin(struct cv_suspicion *s, covey_time now, covey_time min, covey_time max,
                        uint32_t wanted, const covey_node_id *accuser);
/* Begins one of hearsay. */
void cv_suspicion_begin_hearsay(struct cv_suspicion *s, covey_time now, covey_time max,
                                const covey_node_id *teller);
/* Counts another accuser; false when it is known already or no more are wanted. */
bool cv_suspicion_confirm(struct cv_suspicion *s, const covey_node_id *accuser);
/* Somebody else has waited long enough already: the timeout is `min`. */
void cv_suspicion_shorten(struct cv_suspicion *s);
/* When the suspect counts as failed. */
covey_time cv_suspicion_deadline(const struct cv_suspicion *s);

#endif
