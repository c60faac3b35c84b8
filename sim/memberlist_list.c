#include "memberlist_internal.h"

#include <string.h>

static uint32_t below(struct sim_memberlist *m, uint32_t bound)
{
    return (uint32_t)cv_rand_below(&m->rand, bound);
}

static void swap(uint16_t *list, uint32_t a, uint32_t b)
{
    uint16_t kept = list[a];
    list[a] = list[b];
    list[b] = kept;
}

static void shuffle(struct sim_memberlist *m, uint16_t *list, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--)
        swap(list, i - 1, below(m, i));
}

void memberlist_list_add(struct sim_memberlist *m, uint16_t subject)
{
    size_t capacity = m->list_capacity;
    m->list = memberlist_grow(m->list, m->list_count, &capacity, sizeof(*m->list));
    m->list_capacity = (uint32_t)capacity;
    m->list[m->list_count] = subject;
    m->list_count++;
    /* A random place, or all nodes would find a dead newcomer at the end of a round. */
    if (m->list_count > 1)
        swap(m->list, m->list_count - 1, below(m, m->list_count - 1));
}

void memberlist_list_shuffle(struct sim_memberlist *m)
{
    shuffle(m, m->list, m->list_count);
}

void memberlist_died(struct sim_memberlist *m, uint16_t subject)
{
    m->deaths = memberlist_grow(m->deaths, m->death_count, &m->death_capacity, sizeof(*m->deaths));
    m->deaths[m->death_count] = (struct death){
        .subject = subject,
        .incarnation = memberlist_incarnation(m, subject),
        .since = m->now,
    };
    m->death_count++;
}

/* A node dies once in an incarnation, so the incarnation tells whether it lived again since. */
static void grow_old(struct sim_memberlist *m, const struct death *d)
{
    enum view_state state = memberlist_view(m, d->subject);
    if (memberlist_incarnation(m, d->subject) != d->incarnation)
        return;
    if (state == VIEW_DEAD)
        memberlist_set_view(m, d->subject, VIEW_DEAD_OLD, d->incarnation);
    else if (state == VIEW_LEFT)
        memberlist_set_view(m, d->subject, VIEW_LEFT_OLD, d->incarnation);
}

void memberlist_age(struct sim_memberlist *m)
{
    while (m->death_first < m->death_count &&
           m->now - m->deaths[m->death_first].since > m->config->gossip_to_the_dead) {
        grow_old(m, &m->deaths[m->death_first]);
        m->death_first++;
    }
    if (m->death_first == m->death_count) {
        m->death_first = 0;
        m->death_count = 0;
    }
}

void memberlist_begin_round(struct sim_memberlist *m)
{
    uint32_t kept = 0;
    memberlist_age(m);
    for (uint32_t i = 0; i < m->list_count; i++) {
        uint16_t subject = m->list[i];
        if (memberlist_view(m, subject) >= VIEW_DEAD_OLD) {
            memberlist_set_view(m, subject, VIEW_UNKNOWN, 0);
            continue;
        }
        m->list[kept] = subject;
        kept++;
    }
    m->list_count = kept;
    m->list_index = 0;
    memberlist_list_shuffle(m);
}

static bool may_choose(const struct sim_memberlist *m, uint16_t subject, uint16_t except,
                       bool gossip)
{
    enum view_state state = memberlist_view(m, subject);
    if (subject == m->self || subject == except)
        return false;
    return state == VIEW_ALIVE || (gossip && (state == VIEW_SUSPECT || state == VIEW_DEAD));
}

/* Too few for luck: looks at all of them. */
static uint32_t choose_of_few(struct sim_memberlist *m, uint32_t count, uint16_t except,
                              bool gossip, uint16_t *chosen)
{
    uint16_t list[64];
    uint32_t found = 0;
    assert(m->list_count <= 64);
    memcpy(list, m->list, m->list_count * sizeof(*list));
    shuffle(m, list, m->list_count);
    for (uint32_t i = 0; i < m->list_count && found < count; i++) {
        if (may_choose(m, list[i], except, gossip))
            chosen[found++] = list[i];
    }
    return found;
}

static bool holds(const uint16_t *list, uint32_t count, uint16_t subject)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == subject)
            return true;
    }
    return false;
}

uint32_t memberlist_choose(struct sim_memberlist *m, uint32_t count, uint16_t except, bool gossip,
                           uint16_t *chosen)
{
    uint32_t found = 0;
    memberlist_age(m);
    if (m->list_count < count * 3)
        return choose_of_few(m, count, except, gossip, chosen);
    for (uint32_t tries = 0; tries < 3 * m->list_count && found < count; tries++) {
        uint16_t subject = m->list[below(m, m->list_count)];
        if (may_choose(m, subject, except, gossip) && !holds(chosen, found, subject))
            chosen[found++] = subject;
    }
    return found;
}
