#include "quic/lifetime.h"

#define MARGIN_SHARE 6

/* Further away than this is never: 30 years, and far from the end of 64 bits of nanoseconds. */
#define WALL_SPAN_MAX_MS (UINT64_C(30) * 365 * 86400 * 1000)

/* How long before the end of a span of that length to retire. */
static covey_time time_to_retire(covey_time span, const struct cv_lifetime_config *config)
{
    covey_time margin = span / MARGIN_SHARE;
    if (span < CV_LIFETIME_SPAN_MIN)
        return 0;
    if (margin > CV_LIFETIME_MARGIN_MAX)
        margin = CV_LIFETIME_MARGIN_MAX;
    return config->is_accepted ? margin / 2 : margin + config->random % (margin + 1);
}

void cv_lifetime_init(struct cv_lifetime *life, const struct cv_lifetime_config *config,
                      covey_time now, uint64_t wall_ms)
{
    uint64_t left_ms = config->valid_until_ms > wall_ms ? config->valid_until_ms - wall_ms : 0;
    if (left_ms > WALL_SPAN_MAX_MS)
        left_ms = WALL_SPAN_MAX_MS;
    *life = (struct cv_lifetime){.retire_at = COVEY_NEVER, .end_at = COVEY_NEVER};
    if (config->age_max < COVEY_NEVER - now) {
        life->end_at = now + config->age_max;
        life->retire_at = life->end_at - time_to_retire(config->age_max, config);
    }
    life->end_wall_ms = config->valid_until_ms;
    /* The end itself is inside. */
    life->retire_wall_ms = config->valid_until_ms + 1 -
                           time_to_retire(left_ms * COVEY_MILLISECOND, config) / COVEY_MILLISECOND;
}

enum cv_lifetime_verdict cv_lifetime_judge(struct cv_lifetime *life, covey_time now,
                                           uint64_t wall_ms)
{
    if (wall_ms > life->end_wall_ms)
        return CV_LIFETIME_EXPIRED;
    if (now >= life->end_at)
        return CV_LIFETIME_AGED;
    bool is_due = now >= life->retire_at || wall_ms >= life->retire_wall_ms;
    if (life->is_retiring || !is_due)
        return CV_LIFETIME_GOES_ON;
    life->is_retiring = true;
    return CV_LIFETIME_RETIRES;
}

/* When the wall clock will show `at_ms`. */
static covey_time when(uint64_t at_ms, covey_time now, uint64_t wall_ms)
{
    if (at_ms <= wall_ms)
        return now;
    uint64_t left_ms = at_ms - wall_ms;
    return left_ms > WALL_SPAN_MAX_MS ? COVEY_NEVER : now + left_ms * COVEY_MILLISECOND;
}

covey_time cv_lifetime_deadline(const struct cv_lifetime *life, covey_time now, uint64_t wall_ms)
{
    covey_time by_age = life->is_retiring ? life->end_at : life->retire_at;
    covey_time by_certificate =
        when(life->is_retiring ? life->end_wall_ms + 1 : life->retire_wall_ms, now, wall_ms);
    return by_age < by_certificate ? by_age : by_certificate;
}
