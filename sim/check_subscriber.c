#include "sim_internal.h"

#include <covey/error.h>
#include <stdlib.h>

/*
 * E1, E3: all events of a small cluster go through one channel, as those of a node go through its
 * own, and some subscribers read them, each in its way. What is delivered, dropped and waiting is
 * counted here anew, from the events' numbers alone.
 */
#define EVENTS_KEPT CV_EVENT_CAPACITY

/* How they read. */
enum { BRISK, SLOW, ASLEEP, LATE };
#define SLOW_READS  3                   /* one in so many */
#define SLEEP_READS (EVENTS_KEPT + 100) /* all of them, after so many */
#define LATE_SINCE  50

struct subscriber {
    struct cv_subscriber *cursor; /* NULL: not there yet */
    uint64_t since;               /* events that were published before it came */
    uint64_t next;                /* the number of the one that it gets next */
    uint64_t delivered;
    uint64_t dropped; /* that it was told of */
};

struct sim_audience {
    struct cv_event_channel *channel;
    uint64_t published;
    uint64_t marks[EVENTS_KEPT]; /* of the last ones, by their numbers */
    struct subscriber subscribers[SIM_SUBSCRIBERS];
};

static void subscribe(struct sim_audience *a, struct subscriber *r)
{
    if (cv_event_channel_subscribe(a->channel, &r->cursor) != COVEY_OK)
        abort();
    r->since = a->published;
    r->next = a->published;
}

struct sim_audience *sim_audience_new(void)
{
    struct sim_audience *a = sim_allocate(1, sizeof(*a));
    if (cv_event_channel_new(cv_alloc_default(), &a->channel) != COVEY_OK)
        abort();
    for (size_t i = 0; i < SIM_SUBSCRIBERS; i++) {
        if (i != LATE)
            subscribe(a, &a->subscribers[i]);
    }
    return a;
}

void sim_audience_free(struct sim_audience *a)
{
    for (size_t i = 0; i < SIM_SUBSCRIBERS; i++) {
        if (a->subscribers[i].cursor != NULL)
            cv_subscriber_free(a->subscribers[i].cursor);
    }
    cv_event_channel_free(a->channel);
    free(a);
}

static uint64_t mark_of(const struct cv_event *event)
{
    uint64_t mark = event->wall_ms * 31 + event->incarnation;
    return (mark * 31 + event->type) * 31 + (uint64_t)(uintptr_t)event->node;
}

/* The number of the oldest that is still there. */
static uint64_t oldest(const struct sim_audience *a)
{
    return a->published < EVENTS_KEPT ? 0 : a->published - EVENTS_KEPT;
}

static uint64_t lost(const struct sim_audience *a, const struct subscriber *r)
{
    return oldest(a) > r->next ? oldest(a) - r->next : 0;
}

static void check_account(struct sim *s, const struct sim_audience *a, const struct subscriber *r)
{
    uint64_t dropped = cv_subscriber_dropped(r->cursor);
    uint64_t waiting = a->published - r->next - lost(a, r);
    sim_require(s, SIM_E3, dropped == r->dropped + lost(a, r),
                "a subscriber lost %" PRIu64 " events, and is told of %" PRIu64,
                r->dropped + lost(a, r), dropped);
    sim_require(s, SIM_E1, waiting <= EVENTS_KEPT, "%" PRIu64 " events wait", waiting);
    sim_require(s, SIM_E1, a->published - r->since == r->delivered + dropped + waiting,
                "of %" PRIu64 " events %" PRIu64 " were delivered, %" PRIu64 " dropped, %" PRIu64
                " wait",
                a->published - r->since, r->delivered, dropped, waiting);
}

static void take(struct sim *s, const struct sim_audience *a, struct subscriber *r,
                 struct cv_event *event)
{
    sim_require(s, SIM_E1,
                r->next < a->published && mark_of(event) == a->marks[r->next % EVENTS_KEPT],
                "a subscriber gets another event than number %" PRIu64, r->next);
    cv_cluster_node_release(event->node);
    r->next++;
    r->delivered++;
}

/* False when there is nothing to read. */
static bool read_one(struct sim *s, const struct sim_audience *a, struct subscriber *r)
{
    struct cv_event event;
    uint64_t dropped;
    uint64_t expected = lost(a, r);
    int error = cv_subscriber_next(r->cursor, &event, &dropped);
    dropped += s->planted->overstated * (error == COVEY_ERR_LAGGED);
    sim_require(s, SIM_E3, (error == COVEY_ERR_LAGGED) == (expected > 0) && dropped == expected,
                "a subscriber lost %" PRIu64 " events, and is told that it lost %" PRIu64, expected,
                dropped);
    if (error == COVEY_ERR_LAGGED) {
        r->next += expected;
        r->dropped += expected;
        return true;
    }
    sim_require(s, SIM_E1, (error == COVEY_OK) == (r->next < a->published),
                "a subscriber that has read %" PRIu64 " of %" PRIu64 " events is told %s", r->next,
                a->published, covey_strerror(error));
    if (error == COVEY_OK)
        take(s, a, r, &event);
    return error == COVEY_OK;
}

static void read_all(struct sim *s, const struct sim_audience *a, struct subscriber *r)
{
    while (read_one(s, a, r) && sim_violation(s) == NULL)
        ;
}

/* What each does about one more. */
static void read_on(struct sim *s, struct sim_audience *a, size_t i)
{
    struct subscriber *r = &a->subscribers[i];
    if (i == LATE && r->cursor == NULL && a->published == LATE_SINCE)
        subscribe(a, r);
    if (r->cursor == NULL)
        return;
    bool is_time = i == BRISK || i == LATE || (i == SLOW && a->published % SLOW_READS == 0) ||
                   (i == ASLEEP && a->published - r->next >= SLEEP_READS);
    if (i == SLOW && is_time)
        read_one(s, a, r);
    else if (is_time)
        read_all(s, a, r);
    check_account(s, a, r);
}

void sim_audience_publish(struct sim *s, const struct cv_event *event)
{
    struct sim_audience *a = s->oracle.audience;
    struct cv_event copy = *event;
    if (a == NULL)
        return;
    if (copy.node != NULL)
        cv_cluster_node_retain(copy.node);
    cv_event_channel_publish(a->channel, &copy);
    cv_event_channel_show(a->channel);
    /* One that the channel loses is a bug on purpose. */
    if (!s->planted->is_event_uncounted || a->published % 7 != 0) {
        a->marks[a->published % EVENTS_KEPT] = mark_of(event);
        a->published++;
    }
    for (size_t i = 0; i < SIM_SUBSCRIBERS; i++)
        read_on(s, a, i);
}

void sim_audience_end(struct sim *s)
{
    struct sim_audience *a = s->oracle.audience;
    for (size_t i = 0; a != NULL && i < SIM_SUBSCRIBERS; i++) {
        if (a->subscribers[i].cursor == NULL)
            continue;
        read_all(s, a, &a->subscribers[i]);
        check_account(s, a, &a->subscribers[i]);
    }
}
