#include "sim_internal.h"

#include <assert.h>

/* What there is to see of a run. */

const struct cv_membership *sim_membership(const struct sim *s, size_t node)
{
    return s->nodes[node].membership;
}

const struct cv_member *sim_view(const struct sim *s, size_t observer, size_t subject)
{
    const struct cv_membership *m = s->nodes[observer].membership;
    if (m == NULL)
        return NULL;
    return cv_node_registry_get(cv_membership_registry(m), &s->nodes[subject].id);
}

bool sim_sees(const struct sim *s, size_t observer, size_t subject, enum covey_node_state state)
{
    const struct cv_member *m = sim_view(s, observer, subject);
    return m != NULL && m->state == state;
}

size_t sim_event_count(const struct sim *s, size_t observer, size_t subject,
                       enum covey_event_type type)
{
    assert(s->oracle.event_counts != NULL);
    size_t pair = observer * s->config.node_count + subject;
    return s->oracle.event_counts[pair * SIM_EVENT_TYPES + type];
}

size_t sim_event_total(const struct sim *s, enum covey_event_type type)
{
    return s->oracle.event_total[type];
}

size_t sim_suspicion_total(const struct sim *s)
{
    return s->oracle.suspicions;
}

int sim_join_error(const struct sim *s, size_t node)
{
    return s->nodes[node].join_error;
}

size_t sim_join_attempts(const struct sim *s, size_t node)
{
    return s->nodes[node].join_attempts;
}

struct sim_death sim_death(const struct sim *s, size_t node)
{
    return s->nodes[node].death;
}

struct sim_spread sim_tag_spread(const struct sim *s, size_t node)
{
    return s->nodes[node].spread;
}

uint64_t sim_bytes_sent(const struct sim *s, size_t node)
{
    return s->nodes[node].bytes_sent;
}

uint64_t sim_messages_sent(const struct sim *s, size_t node)
{
    return s->nodes[node].messages_sent;
}

struct sim_totals sim_totals(const struct sim *s)
{
    const struct sim_oracle *o = &s->oracle;
    struct sim_totals t = {
        .steps = s->steps,
        .events = s->events,
        .handshakes = s->handshakes,
        .suspicions = o->suspicions,
        .failures = o->failures,
        .false_failed = o->false_failed,
        .period_bytes_max = o->period_bytes_max,
        .healed_at = o->healed_at,
        .whole_at = o->whole_at,
        .violations = s->violation[0] != '\0',
        .hash = s->hash,
    };
    for (size_t i = 0; i < s->config.node_count; i++) {
        t.messages_sent += s->nodes[i].messages_sent;
        t.bytes_sent += s->nodes[i].bytes_sent;
    }
    for (size_t i = 0; i < SIM_INVARIANT_COUNT; i++)
        t.checks += o->checks[i];
    return t;
}
