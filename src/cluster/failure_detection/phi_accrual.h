#ifndef CV_CLUSTER_FAILURE_DETECTION_PHI_ACCRUAL_H
#define CV_CLUSTER_FAILURE_DETECTION_PHI_ACCRUAL_H

#include <covey/types.h>
#include <stdbool.h>

/*
 * How suspicious a peer's silence is (Hayashibara et al. 2004): the times between its last
 * heartbeats are taken for a normal distribution, and
 *
 *     phi = -log10(P),   P = erfc(z / sqrt 2) / 2,   z = (silence - mean - pause) / sigma
 *
 * P is the chance that a living peer is silent for so long or longer. It comes from erfc itself and
 * not from 1 - F, so phi is right up to 300, where it stops. Different from the paper: silence of
 * up to mean + pause says nothing, and phi is 0 there.
 *
 * A sample is the time of one heartbeat interval in whole microseconds. The last 100 are kept, with
 * their sum and sum of squares as integers: every question costs the same, and nothing drifts. With
 * fewer than 5 samples there is no answer yet.
 *
 * Pure; knows no clock. Times are of one monotonic clock: an earlier `now` than the last one heard
 * at counts as that one. One detector is for one peer and one thread, and needs no release.
 *
 * The owner feeds it with nothing but heartbeats of the peer's own connection: an answer to a ping
 * between two of them would halve an interval. It clears the detector when the peer counts as
 * failed: the time that it was away is no interval.
 */
#define CV_PHI_WINDOW      100
#define CV_PHI_SAMPLES_MIN 5
#define CV_PHI_MAX         300.0
/* A longer sample counts as this one; so small that 100 squares fit into 64 bits. */
#define CV_PHI_TIME_MAX (400 * COVEY_SECOND)

struct cv_phi_config {
    covey_time sigma_min; /* floor under sigma: 1 us to CV_PHI_TIME_MAX */
    covey_time
        acceptable_pause; /* silence beyond the mean that is forgiven: up to CV_PHI_TIME_MAX */
};

struct cv_phi_accrual {
    struct cv_phi_config config;
    covey_time heard;                /* the last time, when is_heard */
    uint64_t sum;                    /* of the samples, in microseconds */
    uint64_t sum_squares;            /* of their squares */
    uint32_t samples[CV_PHI_WINDOW]; /* a ring, in microseconds */
    uint8_t count;                   /* of samples */
    uint8_t next;                    /* where the next one goes; the oldest, in a full ring */
    bool is_heard;
};

void cv_phi_accrual_init(struct cv_phi_accrual *d, const struct cv_phi_config *config);
/* Forgets all but the config. */
void cv_phi_accrual_clear(struct cv_phi_accrual *d);

/*
 * A heartbeat came whose number is `steps` after the last one's; at least 1. The time since then
 * counts as `steps` samples of equal length, as many as the window holds: a lost heartbeat is not a
 * late one. The first heartbeat only starts the clock.
 */
void cv_phi_accrual_heartbeat(struct cv_phi_accrual *d, covey_time now, uint64_t steps);
/* A heartbeat came, but the time since the last one is no sample: we ourselves paused in it. */
void cv_phi_accrual_skip(struct cv_phi_accrual *d, covey_time now);

/* From 0 to CV_PHI_MAX, never NaN; never falls between two heartbeats. */
double cv_phi_accrual_phi(const struct cv_phi_accrual *d, covey_time now);
/* True while phi is below `threshold`. */
bool cv_phi_accrual_is_available(const struct cv_phi_accrual *d, covey_time now, double threshold);

/* The smallest z whose phi is at least `threshold`, which is above 0 and at most CV_PHI_MAX. Takes
 * some microseconds: ask once and keep it. */
double cv_phi_accrual_z(double threshold);
/*
 * When phi reaches the threshold that `z` is of, if nothing more is heard; COVEY_NEVER with too few
 * samples. phi at this time is at least the threshold, and two microseconds before it is less.
 */
covey_time cv_phi_accrual_reaches(const struct cv_phi_accrual *d, double z);

#endif
