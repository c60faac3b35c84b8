#include "cluster/failure_detection/suspicion.h"

#include "base/node_id.h"

#include <assert.h>

/* log2(n) * 2^16, rounded, for n = 1..9. */
static const uint32_t log2_q16[] = {0,      0,      65536,  103872, 131072,
                                    152170, 169408, 183983, 196608, 207744};

void cv_suspicion_begin(struct cv_suspicion *s, covey_time now, covey_time min, covey_time max,
                        uint32_t wanted, const covey_node_id *accuser)
{
    assert(min <= max && wanted <= CV_SUSPICION_CONFIRMATIONS_MAX);
    *s = (struct cv_suspicion){.start = now, .min = min, .max = max, .wanted = wanted, .count = 1};
    s->accusers[0] = *accuser;
}

void cv_suspicion_begin_hearsay(struct cv_suspicion *s, covey_time now, covey_time max,
                                const covey_node_id *teller)
{
    cv_suspicion_begin(s, now, max, max, 0, teller);
    s->is_hearsay = true;
}

bool cv_suspicion_confirm(struct cv_suspicion *s, const covey_node_id *accuser)
{
    if (s->count > s->wanted)
        return false;
    for (uint32_t i = 0; i < s->count; i++) {
        if (cv_node_id_equal(&s->accusers[i], accuser))
            return false;
    }
    s->accusers[s->count] = *accuser;
    s->count++;
    return true;
}

void cv_suspicion_shorten(struct cv_suspicion *s)
{
    s->max = s->min;
}

covey_time cv_suspicion_deadline(const struct cv_suspicion *s)
{
    assert(s->count >= 1 && s->count <= s->wanted + 1);
    if (s->count > s->wanted)
        return s->start + s->min;
    uint64_t part = log2_q16[s->count];
    uint64_t whole = log2_q16[s->wanted + 1];
    /* Microseconds, so that the product stays far below 2^64. */
    uint64_t range = (s->max - s->min) / COVEY_MICROSECOND;
    return s->start + s->max - range * part / whole * COVEY_MICROSECOND;
}
