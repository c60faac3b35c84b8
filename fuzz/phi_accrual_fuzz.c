/*
 * Heartbeats at any times against a reference that adds up what it kept, in long double.
 *
 * The input is  u32 sigma_min in us | u32 acceptable pause in us | operations. An operation is one
 * byte, bits 0-1 what, bits 2-3 which time, bits 4-5 how many steps, and the numbers these need.
 * Times go backwards too, and to the end of the clock.
 */
#include "cluster/failure_detection/phi_accrual.h"

#include "base/reader.h"

#include <assert.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define THRESHOLDS 5

static const double thresholds[THRESHOLDS] = {0.2, 0.5, 4, 8, CV_PHI_MAX};

struct model {
    struct cv_phi_config config;
    uint64_t samples[CV_PHI_WINDOW]; /* the oldest first */
    size_t count;
    covey_time heard;
    bool is_heard;
    covey_time asked; /* the last time of a question since then, and its answer */
    double answer;
};

static void model_push(struct model *m, uint64_t sample)
{
    if (m->count == CV_PHI_WINDOW) {
        for (size_t i = 1; i < m->count; i++)
            m->samples[i - 1] = m->samples[i];
        m->count--;
    }
    m->samples[m->count++] = sample < 400000000 ? sample : 400000000;
}

static void model_hear(struct model *m, covey_time now, uint64_t samples)
{
    uint64_t interval = now > m->heard && samples > 0 ? (now - m->heard) / samples : 0;
    if (m->is_heard) {
        for (uint64_t i = 0; i < samples && i < CV_PHI_WINDOW; i++)
            model_push(m, interval / 1000);
    }
    m->heard = m->is_heard && m->heard > now ? m->heard : now;
    m->is_heard = true;
    m->asked = m->heard;
    m->answer = 0;
}

static long double model_mean(const struct model *m)
{
    long double sum = 0;
    for (size_t i = 0; i < m->count; i++)
        sum += (long double)m->samples[i];
    return sum / (long double)m->count * 1000;
}

static long double model_sigma(const struct model *m, long double mean)
{
    long double sum = 0;
    for (size_t i = 0; i < m->count; i++) {
        long double distance = (long double)m->samples[i] * 1000 - mean;
        sum += distance * distance;
    }
    long double sigma = sqrtl(sum / (long double)m->count);
    return sigma > (long double)m->config.sigma_min ? sigma : (long double)m->config.sigma_min;
}

static void assert_answer(const struct model *m, covey_time now, double phi)
{
    if (m->count < CV_PHI_SAMPLES_MIN) {
        assert(phi == 0);
        return;
    }
    long double mean = model_mean(m);
    long double silence = now > m->heard ? (long double)(now - m->heard) : 0;
    long double beyond = silence - mean - (long double)m->config.acceptable_pause;
    if (fabsl(beyond) < 1) /* rounding may decide whether it has begun */
        return;
    long double z = beyond / model_sigma(m, mean);
    long double expected = z <= 0 ? 0 : z > 50 ? 300 : -log10l(erfcl(z / sqrtl(2)) / 2);
    expected = expected < 300 ? expected : 300;
    assert(fabsl(expected - (long double)phi) < 1e-5L);
}

static void assert_reaches(const struct cv_phi_accrual *d)
{
    static double zs[THRESHOLDS];
    const covey_time margin = 2 * COVEY_MICROSECOND;
    for (size_t i = 0; i < THRESHOLDS; i++) {
        if (zs[i] == 0)
            zs[i] = cv_phi_accrual_z(thresholds[i]);
        covey_time at = cv_phi_accrual_reaches(d, zs[i]);
        if (at == COVEY_NEVER)
            continue;
        assert(at > d->heard && d->count >= CV_PHI_SAMPLES_MIN);
        assert(!cv_phi_accrual_is_available(d, at, thresholds[i]));
        assert(cv_phi_accrual_is_available(d, at < margin ? 0 : at - margin, thresholds[i]));
    }
}

static void assert_sums(const struct cv_phi_accrual *d, const struct model *m)
{
    uint64_t sum = 0, squares = 0;
    for (size_t i = 0; i < m->count; i++) {
        sum += m->samples[i];
        squares += m->samples[i] * m->samples[i];
    }
    assert(d->count == m->count && d->sum == sum && d->sum_squares == squares);
    assert(d->is_heard == m->is_heard && d->heard == m->heard);
}

static void ask(const struct cv_phi_accrual *d, struct model *m, covey_time now)
{
    double phi = cv_phi_accrual_phi(d, now);
    assert(phi >= 0 && phi <= CV_PHI_MAX);
    assert(now < m->asked || phi >= m->answer);
    assert(now > m->asked || phi <= m->answer);
    assert(now > m->heard || phi == 0);
    assert_answer(m, now, phi);
    m->asked = now;
    m->answer = phi;
}

static covey_time read_time(struct cv_reader *r, unsigned kind, covey_time now)
{
    switch (kind) {
    case 0:
        return now + cv_read_u32(r) * COVEY_MICROSECOND;
    case 1:
        return cv_read_u64(r);
    case 2:
        return now + cv_read_u8(r);
    default:
        return now + cv_read_u16(r) * COVEY_MILLISECOND;
    }
}

static uint64_t read_steps(struct cv_reader *r, unsigned kind)
{
    uint64_t steps = kind == 2 ? cv_read_u8(r) : kind == 3 ? cv_read_u64(r) : 1;
    return steps > 0 ? steps : 1;
}

static void step(struct cv_phi_accrual *d, struct model *m, struct cv_reader *r, covey_time *now)
{
    unsigned operation = cv_read_u8(r), what = operation & 3;
    *now = read_time(r, operation >> 2 & 3, *now);
    if (what == 0) {
        uint64_t steps = read_steps(r, operation >> 4 & 3);
        cv_phi_accrual_heartbeat(d, *now, steps);
        model_hear(m, *now, steps);
    } else if (what == 1) {
        cv_phi_accrual_skip(d, *now);
        model_hear(m, *now, 0);
    } else if (what == 3 && operation >> 6 == 3) {
        cv_phi_accrual_clear(d);
        *m = (struct model){.config = m->config};
    }
    assert_sums(d, m);
    assert_reaches(d);
    ask(d, m, *now);
}

static covey_time clamp(covey_time time, covey_time min)
{
    return time < min ? min : time > CV_PHI_TIME_MAX ? CV_PHI_TIME_MAX : time;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cv_reader r;
    struct cv_phi_accrual d;
    struct model m = {.is_heard = false};
    covey_time now = 0;
    cv_reader_init(&r, cv_slice_of(data, size));
    m.config.sigma_min = clamp(cv_read_u32(&r) * COVEY_MICROSECOND, COVEY_MICROSECOND);
    m.config.acceptable_pause = clamp(cv_read_u32(&r) * COVEY_MICROSECOND, 0);
    cv_phi_accrual_init(&d, &m.config);
    while (cv_reader_left(&r) > 0)
        step(&d, &m, &r, &now);
    return 0;
}
