#include "cluster/events.h"

#include <assert.h>
#include <covey/error.h>
#include <stddef.h>
#include <string.h>

/* Events are numbered from 0. The ring holds the numbers [published - count, published), of which those
 * below `shown` may be read. */
struct cv_event_channel {
    const struct cv_alloc *alloc;
    uint64_t published;
    uint64_t shown;
    size_t count;
    size_t subscriber_count;
    bool closed;
    struct cv_event ring[CV_EVENT_CAPACITY];
};

struct cv_subscriber {
    struct cv_event_channel *channel;
    uint64_t first;     /* the number of the first event that it could see */
    uint64_t next;      /* of the one to be read next */
    uint64_t delivered; /* read so far */
    uint64_t dropped;   /* told to the subscriber so far */
};

int cv_event_channel_new(const struct cv_alloc *alloc, struct cv_event_channel **out)
{
    struct cv_event_channel *ch = cv_allocate(alloc, sizeof(*ch));
    if (ch == NULL)
        return COVEY_ERR_NO_MEMORY;
    /* Not the ring: its pages come with the first events, and most clusters have few. */
    memset(ch, 0, offsetof(struct cv_event_channel, ring));
    ch->alloc = alloc;
    *out = ch;
    return COVEY_OK;
}

static struct cv_event *slot_of(struct cv_event_channel *ch, uint64_t number)
{
    return &ch->ring[number % CV_EVENT_CAPACITY];
}

static uint64_t oldest(const struct cv_event_channel *ch)
{
    return ch->published - ch->count;
}

void cv_event_channel_free(struct cv_event_channel *ch)
{
    assert(ch->subscriber_count == 0);
    for (uint64_t number = oldest(ch); number < ch->published; number++)
        cv_cluster_node_release(slot_of(ch, number)->node);
    cv_release(ch->alloc, ch);
}

void cv_event_channel_publish(struct cv_event_channel *ch, const struct cv_event *event)
{
    assert(!ch->closed);
    struct cv_event *slot = slot_of(ch, ch->published);
    if (ch->count == CV_EVENT_CAPACITY)
        cv_cluster_node_release(slot->node);
    else
        ch->count++;
    *slot = *event;
    ch->published++;
}

void cv_event_channel_show(struct cv_event_channel *ch)
{
    ch->shown = ch->published;
}

void cv_event_channel_close(struct cv_event_channel *ch)
{
    cv_event_channel_show(ch);
    ch->closed = true;
}

/* One like `as`. */
static int add_subscriber(const struct cv_subscriber *as, struct cv_subscriber **out)
{
    struct cv_event_channel *ch = as->channel;
    if (ch->subscriber_count == CV_SUBSCRIBERS_MAX)
        return COVEY_ERR_LIMIT;
    struct cv_subscriber *s = cv_allocate(ch->alloc, sizeof(*s));
    if (s == NULL)
        return COVEY_ERR_NO_MEMORY;
    *s = *as;
    ch->subscriber_count++;
    *out = s;
    return COVEY_OK;
}

int cv_event_channel_subscribe(struct cv_event_channel *ch, struct cv_subscriber **out)
{
    if (ch->closed)
        return COVEY_ERR_CLOSED;
    const struct cv_subscriber fresh = {.channel = ch, .first = ch->shown, .next = ch->shown};
    return add_subscriber(&fresh, out);
}

int cv_subscriber_clone(const struct cv_subscriber *s, struct cv_subscriber **out)
{
    return add_subscriber(s, out);
}

void cv_subscriber_free(struct cv_subscriber *s)
{
    struct cv_event_channel *ch = s->channel;
    ch->subscriber_count--;
    cv_release(ch->alloc, s);
}

/* What was overwritten before the subscriber read it and not told yet. */
static uint64_t lost(const struct cv_subscriber *s)
{
    uint64_t first = oldest(s->channel);
    return s->next < first ? first - s->next : 0;
}

int cv_subscriber_next(struct cv_subscriber *s, struct cv_event *event, uint64_t *dropped)
{
    struct cv_event_channel *ch = s->channel;
    *dropped = lost(s);
    if (*dropped > 0) {
        s->dropped += *dropped;
        s->next += *dropped;
        return COVEY_ERR_LAGGED;
    }
    if (s->next >= ch->shown)
        return ch->closed ? COVEY_ERR_CLOSED : COVEY_ERR_WOULD_BLOCK;
    *event = *slot_of(ch, s->next);
    if (event->node != NULL)
        cv_cluster_node_retain(event->node);
    s->next++;
    s->delivered++;
    return COVEY_OK;
}

bool cv_subscriber_is_ready(const struct cv_subscriber *s)
{
    return s->next < s->channel->shown || lost(s) > 0 || s->channel->closed;
}

uint64_t cv_subscriber_dropped(const struct cv_subscriber *s)
{
    return s->dropped + lost(s);
}

struct cv_subscriber_stats cv_subscriber_stats(const struct cv_subscriber *s)
{
    const struct cv_event_channel *ch = s->channel;
    return (struct cv_subscriber_stats){
        .emitted = ch->published - s->first,
        .delivered = s->delivered,
        .dropped = cv_subscriber_dropped(s),
        .waiting = ch->published - s->next - lost(s),
    };
}

const char *covey_event_name(enum covey_event_type type)
{
    switch (type) {
#define X(name, number, text)                                                                      \
    case COVEY_EVENT_##name:                                                                       \
        return text;
        COVEY_EVENTS(X)
#undef X
    }
    return "?";
}
