#include "sim_internal.h"

#include "cluster/membership_internal.h"

#include <math.h>

/*
 * The failure detector of each node: FD1, FD2, FD3, FD5. What it learns from is looked at after each
 * step; what it says, once a virtual second, is compared with the formula, computed anew from the
 * samples.
 */
#define PHI_MAX     300.0
#define HEALTH_MAX  8
#define SAMPLES_MIN 5

/* --- FD2: what is learnt from --- */

/* All that makes a difference to what a detector says, but for the time. */
static uint64_t mark_of(const struct cv_phi_accrual *d)
{
    return (d->sum * 31 + d->sum_squares) * 31 + d->count * 256u + d->next;
}

void sim_detector_before(struct sim *s, const struct sim_node *n)
{
    const struct cv_watches *w = &n->membership->gossip.watches;
    struct sim_detectors *before = &s->oracle.detectors;
    before->is_looked_at = sim_is_small(s) || s->steps % SIM_SAMPLE == 0;
    for (size_t i = 0; i < CV_RINGS_MAX && before->is_looked_at; i++)
        before->marks[i] = w->subjects[i].is_used ? mark_of(&w->subjects[i].phi) : 0;
}

/* A sample is the time between two heartbeats of one that is connected, and of nobody else. */
void sim_check_detector(struct sim *s, const struct sim_node *n, const struct cv_input *input)
{
    const struct cv_watches *w = &n->membership->gossip.watches;
    const struct sim_detectors *before = &s->oracle.detectors;
    bool is_beat =
        input->type == CV_INPUT_MESSAGE && input->message.bytes.data[0] == CV_MESSAGE_HEARTBEAT;
    for (size_t i = 0; i < CV_RINGS_MAX && before->is_looked_at; i++) {
        const struct cv_watch *watch = &w->subjects[i];
        if (!watch->is_used || watch->phi.count == 0 || mark_of(&watch->phi) == before->marks[i])
            continue;
        bool is_its_own = is_beat && cv_node_id_equal(&input->message.from, &watch->subject);
        sim_require(s, SIM_FD2, is_its_own,
                    "%s learns about a node from what is no heartbeat of it", n->name);
        sim_require(s, SIM_FD2,
                    cv_links_peer(&n->membership->gossip.links, &watch->subject) != NULL,
                    "%s learns about a node that is not connected", n->name);
    }
}

/* --- what is said --- */

struct normal {
    double mean; /* in nanoseconds */
    double sigma;
    double least;
    double most;
};

static struct normal normal_of(const struct cv_phi_accrual *d)
{
    struct normal n = {.least = INFINITY};
    double squares = 0;
    for (size_t i = 0; i < d->count; i++) {
        double sample = (double)d->samples[i] * (double)COVEY_MICROSECOND;
        n.mean += sample / d->count;
        n.least = fmin(n.least, sample);
        n.most = fmax(n.most, sample);
    }
    for (size_t i = 0; i < d->count; i++) {
        double distance = (double)d->samples[i] * (double)COVEY_MICROSECOND - n.mean;
        squares += distance * distance / d->count;
    }
    n.sigma = fmax(sqrt(squares), (double)d->config.sigma_min);
    return n;
}

static double phi_of(const struct cv_phi_accrual *d, const struct normal *n, covey_time now)
{
    double silence = now > d->heard ? (double)(now - d->heard) : 0;
    double beyond = silence - n->mean - (double)d->config.acceptable_pause;
    if (d->count < SAMPLES_MIN || beyond <= 0)
        return 0;
    double phi = -log10(0.5 * erfc(beyond / n->sigma / sqrt(2)));
    return fmin(phi, PHI_MAX);
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(1, b);
}

/* FD3, in intervals: with steady heartbeats the threshold is reached after 1.5 to 1.7 of silence,
 * with a pause that is forgiven so much later. */
static void check_speed(struct sim *s, const struct sim_node *o, const struct cv_watch *watch,
                        const struct normal *n)
{
    const struct cv_gossip_protocol *g = &o->membership->gossip;
    double interval = (double)s->core.gossip.heartbeat_interval;
    double pause = (double)s->core.gossip.phi.acceptable_pause;
    bool is_steady = n->least >= 0.95 * interval && n->most <= 1.05 * interval;
    if (watch->phi.count < SAMPLES_MIN || !is_steady)
        return;
    covey_time reached = cv_phi_accrual_reaches(&watch->phi, g->suspect_z);
    double silence = ((double)(reached - watch->phi.heard) - pause) / interval;
    sim_require(s, SIM_FD3, silence >= 1.5 && silence <= 1.7,
                "%s needs a silence of %.3f intervals to suspect", o->name, silence);
}

static void check_watch(struct sim *s, const struct sim_node *o, const struct cv_watch *watch)
{
    double phi = cv_phi_accrual_phi(&watch->phi, s->clock.now);
    phi = s->planted->is_phi_lost ? NAN : phi;
    sim_require(s, SIM_FD1, phi >= 0 && phi <= PHI_MAX, "%s has a phi of %f", o->name, phi);
    sim_require(s, SIM_FD2, watch->phi.count <= CV_PHI_WINDOW, "%s has %u samples", o->name,
                (unsigned)watch->phi.count);
    const struct normal n = normal_of(&watch->phi);
    double expected = phi_of(&watch->phi, &n, s->clock.now);
    sim_require(s, SIM_FD2, is_near(phi, expected), "%s has a phi of %f, which should be %f",
                o->name, phi, expected);
    check_speed(s, o, watch, &n);
}

void sim_scan_detector(struct sim *s, const struct sim_node *n)
{
    const struct cv_gossip_protocol *g = &n->membership->gossip;
    struct cv_membership_stats stats;
    cv_membership_stats(n->membership, &stats);
    uint32_t health = stats.local_health + s->planted->ailment;
    sim_require(s, SIM_FD5, health <= HEALTH_MAX, "%s has a local health of %" PRIu32, n->name,
                health);
    for (size_t i = 0; i < CV_RINGS_MAX; i++) {
        const struct cv_watch *watch = &g->watches.subjects[i];
        if (watch->is_used && watch->is_heard)
            check_watch(s, n, watch);
    }
}
