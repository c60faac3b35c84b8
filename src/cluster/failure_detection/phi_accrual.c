#include "cluster/failure_detection/phi_accrual.h"

#include <assert.h>
#include <math.h>

/* phi is 307 here, and its probability the last that is no subnormal number: erfc is exact so
 * far. */
#define Z_MAX 37.5

static const double sqrt_2 = 1.41421356237309504880;

/* Of the samples, in nanoseconds. */
struct normal {
    double mean;
    double sigma;
};

static double phi_of(double z)
{
    if (z >= Z_MAX)
        return CV_PHI_MAX;
    double phi = -log10(0.5 * erfc(z / sqrt_2));
    return phi < CV_PHI_MAX ? phi : CV_PHI_MAX;
}

/* The squares of the distances from the whole part of the mean are summed without rounding: the
 * true sum is no larger than that of the squares, so arithmetic modulo 2^64 gives it. */
static struct normal distribution(const struct cv_phi_accrual *d)
{
    double count = (double)d->count;
    uint64_t whole = d->sum / d->count;
    uint64_t rest = d->sum % d->count;
    uint64_t squares = d->sum_squares - whole * (d->sum + rest);
    double variance = ((double)squares - (double)(rest * rest) / count) / count;
    double sigma = sqrt(variance) * (double)COVEY_MICROSECOND;
    double sigma_min = (double)d->config.sigma_min;
    return (struct normal){.mean = (double)(d->sum * COVEY_MICROSECOND) / count,
                           .sigma = sigma > sigma_min ? sigma : sigma_min};
}

static covey_time silence(const struct cv_phi_accrual *d, covey_time now)
{
    return now > d->heard ? now - d->heard : 0;
}

static void push(struct cv_phi_accrual *d, uint32_t sample)
{
    if (d->count == CV_PHI_WINDOW) {
        uint64_t oldest = d->samples[d->next];
        d->sum -= oldest;
        d->sum_squares -= oldest * oldest;
    } else {
        d->count++;
    }
    d->samples[d->next] = sample;
    d->next = (uint8_t)((d->next + 1) % CV_PHI_WINDOW);
    d->sum += sample;
    d->sum_squares += (uint64_t)sample * sample;
}

void cv_phi_accrual_init(struct cv_phi_accrual *d, const struct cv_phi_config *config)
{
    assert(config->sigma_min >= COVEY_MICROSECOND && config->sigma_min <= CV_PHI_TIME_MAX);
    assert(config->acceptable_pause <= CV_PHI_TIME_MAX);
    *d = (struct cv_phi_accrual){.config = *config};
}

void cv_phi_accrual_clear(struct cv_phi_accrual *d)
{
    *d = (struct cv_phi_accrual){.config = d->config};
}

void cv_phi_accrual_heartbeat(struct cv_phi_accrual *d, covey_time now, uint64_t steps)
{
    assert(steps > 0);
    if (d->is_heard) {
        covey_time interval = silence(d, now) / steps;
        if (interval > CV_PHI_TIME_MAX)
            interval = CV_PHI_TIME_MAX;
        uint64_t count = steps < CV_PHI_WINDOW ? steps : CV_PHI_WINDOW;
        for (uint64_t i = 0; i < count; i++)
            push(d, (uint32_t)(interval / COVEY_MICROSECOND));
    }
    cv_phi_accrual_skip(d, now);
}

void cv_phi_accrual_skip(struct cv_phi_accrual *d, covey_time now)
{
    d->heard += silence(d, now);
    d->is_heard = true;
}

double cv_phi_accrual_phi(const struct cv_phi_accrual *d, covey_time now)
{
    if (d->count < CV_PHI_SAMPLES_MIN)
        return 0;
    struct normal n = distribution(d);
    double beyond = (double)silence(d, now) - n.mean - (double)d->config.acceptable_pause;
    return beyond > 0 ? phi_of(beyond / n.sigma) : 0;
}

bool cv_phi_accrual_is_available(const struct cv_phi_accrual *d, covey_time now, double threshold)
{
    return cv_phi_accrual_phi(d, now) < threshold;
}

double cv_phi_accrual_z(double threshold)
{
    assert(threshold > 0 && threshold <= CV_PHI_MAX);
    double low = 0, high = Z_MAX;
    /* Halved 60 times, an interval of 37.5 is below the last bit of what matters. */
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (phi_of(middle) >= threshold)
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* The microsecond more covers what rounding takes: phi computed at this time is never below. */
covey_time cv_phi_accrual_reaches(const struct cv_phi_accrual *d, double z)
{
    assert(z >= 0 && z <= Z_MAX);
    if (d->count < CV_PHI_SAMPLES_MIN)
        return COVEY_NEVER;
    struct normal n = distribution(d);
    double wait = n.mean + (double)d->config.acceptable_pause + z * n.sigma;
    covey_time after = (covey_time)wait + COVEY_MICROSECOND;
    return after < COVEY_NEVER - d->heard ? d->heard + after : COVEY_NEVER;
}
