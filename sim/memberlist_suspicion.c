#include "memberlist_internal.h"

#include <math.h>
#include <string.h>

covey_time sim_memberlist_suspicion_min(const struct sim_memberlist_config *config, uint32_t n)
{
    double scale = fmax(1.0, log10(fmax(1.0, (double)n)));
    uint64_t thousandths = (uint64_t)(scale * 1000);
    return config->suspicion_mult * thousandths * config->probe_interval / 1000;
}

covey_time sim_memberlist_suspicion_length(uint32_t confirmations, uint32_t wanted, covey_time min,
                                           covey_time max)
{
    assert(min <= max && confirmations <= wanted);
    if (wanted == 0)
        return min;
    if (confirmations == 0)
        return max;
    double part = log(confirmations + 1.0) / log(wanted + 1.0);
    double seconds = (double)max / 1e9 - part * (double)(max - min) / 1e9;
    covey_time length = (covey_time)floor(1000.0 * seconds) * COVEY_MILLISECOND;
    return length < min ? min : length;
}

/* Where the subject's suspicion is, or would be. */
static size_t place_of(const struct sim_memberlist *m, uint16_t subject)
{
    size_t low = 0;
    size_t high = m->suspicion_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->suspicions[middle].subject < subject)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct suspicion *find(struct sim_memberlist *m, uint16_t subject)
{
    size_t place = place_of(m, subject);
    assert(place < m->suspicion_count && m->suspicions[place].subject == subject);
    return &m->suspicions[place];
}

static void set_end(struct sim_memberlist *m, struct suspicion *s)
{
    covey_time length = sim_memberlist_suspicion_length(s->count - 1u, s->wanted, s->min,
                                                        s->min * m->config->suspicion_max_mult);
    s->end_at = s->start + length;
    if (s->end_at < m->suspicion_end)
        m->suspicion_end = s->end_at;
}

void memberlist_suspicion_begin(struct sim_memberlist *m, uint16_t subject, uint16_t from)
{
    uint32_t n = m->list_count;
    uint32_t wanted = m->config->suspicion_mult > 2 ? m->config->suspicion_mult - 2 : 0;
    size_t place = place_of(m, subject);
    m->suspicions = memberlist_grow(m->suspicions, m->suspicion_count, &m->suspicion_capacity,
                                    sizeof(*m->suspicions));
    struct suspicion *s = &m->suspicions[place];
    memmove(s + 1, s, (m->suspicion_count - place) * sizeof(*s));
    m->suspicion_count++;
    *s = (struct suspicion){
        .subject = subject,
        /* This node and the subject confirm nothing. */
        .wanted = (uint8_t)(n < wanted + 2 ? 0 : wanted),
        .count = 1,
        .accusers = {from},
        .start = m->now,
        .min = sim_memberlist_suspicion_min(m->config, n),
    };
    set_end(m, s);
}

bool memberlist_suspicion_confirm(struct sim_memberlist *m, uint16_t subject, uint16_t from)
{
    struct suspicion *s = find(m, subject);
    if (s->count > s->wanted)
        return false;
    for (uint8_t i = 0; i < s->count; i++) {
        if (s->accusers[i] == from)
            return false;
    }
    s->accusers[s->count] = from;
    s->count++;
    set_end(m, s);
    return true;
}

void memberlist_suspicion_end(struct sim_memberlist *m, uint16_t subject)
{
    struct suspicion *s = find(m, subject);
    size_t place = (size_t)(s - m->suspicions);
    m->suspicion_count--;
    memmove(s, s + 1, (m->suspicion_count - place) * sizeof(*s));
}

/* Takes out one that is due. */
static bool take_due(struct sim_memberlist *m, size_t *place, uint16_t *subject)
{
    while (*place < m->suspicion_count) {
        const struct suspicion *s = &m->suspicions[*place];
        if (s->end_at <= m->now) {
            *subject = s->subject;
            return true;
        }
        if (s->end_at < m->suspicion_end)
            m->suspicion_end = s->end_at;
        ++*place;
    }
    return false;
}

void memberlist_suspicion_expire(struct sim_memberlist *m)
{
    size_t place = 0;
    uint16_t subject;
    if (m->now < m->suspicion_end)
        return;
    m->suspicion_end = COVEY_NEVER;
    /* The death ends the suspicion, so the next one moves to this place. */
    while (take_due(m, &place, &subject))
        memberlist_dead(m, subject, memberlist_incarnation(m, subject), m->self);
}
