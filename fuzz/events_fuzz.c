/*
 * The ring of events with many subscribers against a queue for each, which is too simple to be
 * wrong: it holds at most CV_EVENT_CAPACITY numbers and loses the oldest.
 *
 * The input is operations of two bytes: low three bits what, high five bits which subscriber; how
 * much. Held to: E1 (published since = delivered + dropped + waiting), E2 (in order), E3 (each loss
 * told once, with its number), E5 (after the end nothing comes).
 */
#include "cluster/events.h"

#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of one input: the ring turns over some times, and the fuzzer stays quick. */
#define PUBLISHED_MAX (6 * CV_EVENT_CAPACITY)

/* One subscriber and what it must see. The waiting ones are [first, first + waiting). */
struct follower {
    struct cv_subscriber *subscriber;
    uint64_t since; /* how many were published when it, or what it was cloned from, subscribed */
    uint64_t first;
    uint64_t waiting;
    uint64_t delivered;
    uint64_t told;
    uint64_t untold; /* lost and not told yet */
    bool ended;
};

struct world {
    struct cv_alloc alloc;
    bool is_out_of_memory; /* for the next allocation */
    struct cv_event_channel *channel;
    struct cv_cluster_node *node;
    uint64_t published;
    bool closed;
    struct follower followers[CV_SUBSCRIBERS_MAX];
    size_t count;
};

static void *allocate(void *user, size_t size)
{
    struct world *w = user;
    const bool fails = w->is_out_of_memory;
    w->is_out_of_memory = false;
    return fails ? NULL : malloc(size);
}

static void release(void *user, void *memory)
{
    (void)user;
    free(memory);
}

static void begin(struct world *w)
{
    *w = (struct world){.alloc = {.allocate = allocate, .release = release, .user = w}};
    const struct cv_cluster_node_config config = {
        .address = {.ip = {127, 0, 0, 1}, .port = 1, .family = 4}, .name = cv_slice_text("n")};
    int error = cv_cluster_node_new(&w->alloc, &config, &w->node);
    assert(error == 0);
    w->is_out_of_memory = true;
    error = cv_event_channel_new(&w->alloc, &w->channel);
    assert(error == COVEY_ERR_NO_MEMORY);
    error = cv_event_channel_new(&w->alloc, &w->channel);
    assert(error == 0);
}

/* E1, and what can be asked at any time. */
static void check(const struct follower *f, const struct world *w)
{
    assert(f->waiting <= CV_EVENT_CAPACITY);
    assert(w->published - f->since == f->delivered + f->told + f->untold + f->waiting);
    assert(cv_subscriber_dropped(f->subscriber) == f->told + f->untold);
    assert(cv_subscriber_is_ready(f->subscriber) == (f->waiting > 0 || f->untold > 0 || w->closed));
}

/* Every fourth event is about no node. */
static bool has_node(uint64_t number)
{
    return number % 4 != 3;
}

static void publish_one(struct world *w)
{
    const uint64_t number = w->published++;
    const struct cv_event event = {
        .type = COVEY_EVENT_NODE_JOINED,
        .wall_ms = number,
        .node = has_node(number) ? cv_cluster_node_retain(w->node) : NULL,
        .state = (enum covey_node_state)(number % 3),
        .incarnation = ~number,
    };
    cv_event_channel_publish(w->channel, &event);
    cv_event_channel_show(w->channel);
}

static void publish(struct world *w, uint64_t count)
{
    if (w->closed || w->published + count > PUBLISHED_MAX)
        return;
    for (uint64_t i = 0; i < count; i++)
        publish_one(w);
    for (size_t i = 0; i < w->count; i++) {
        struct follower *f = &w->followers[i];
        const uint64_t all = f->waiting + count;
        const uint64_t lost = all > CV_EVENT_CAPACITY ? all - CV_EVENT_CAPACITY : 0;
        f->waiting = all - lost;
        f->first += lost;
        f->untold += lost;
    }
}

static void subscribe(struct world *w)
{
    struct cv_subscriber *s = NULL;
    const bool fails = w->is_out_of_memory;
    const int error = cv_event_channel_subscribe(w->channel, &s);
    if (w->closed) {
        assert(error == COVEY_ERR_CLOSED);
    } else if (w->count == CV_SUBSCRIBERS_MAX) {
        assert(error == COVEY_ERR_LIMIT);
    } else if (fails) {
        assert(error == COVEY_ERR_NO_MEMORY);
    } else {
        assert(error == 0);
        w->followers[w->count++] =
            (struct follower){.subscriber = s, .since = w->published, .first = w->published};
    }
}

static void clone(struct world *w, const struct follower *from)
{
    struct cv_subscriber *s = NULL;
    const bool fails = w->is_out_of_memory;
    const int error = cv_subscriber_clone(from->subscriber, &s);
    if (w->count == CV_SUBSCRIBERS_MAX) {
        assert(error == COVEY_ERR_LIMIT);
    } else if (fails) {
        assert(error == COVEY_ERR_NO_MEMORY);
    } else {
        assert(error == 0);
        w->followers[w->count] = *from;
        w->followers[w->count++].subscriber = s;
    }
}

static void let_go(struct world *w, struct follower *f)
{
    cv_subscriber_free(f->subscriber);
    *f = w->followers[--w->count];
}

/* E2: it is the next one, as it was published. */
static void take_event(struct follower *f, struct world *w, const struct cv_event *event)
{
    assert(event->wall_ms == f->first && event->incarnation == ~f->first);
    assert(event->type == COVEY_EVENT_NODE_JOINED);
    assert(event->state == (enum covey_node_state)(f->first % 3));
    assert(event->node == (has_node(f->first) ? w->node : NULL));
    cv_cluster_node_release(event->node);
    f->first++;
    f->waiting--;
    f->delivered++;
}

static void read_one(struct follower *f, struct world *w)
{
    struct cv_event event;
    uint64_t dropped = 42;
    const int error = cv_subscriber_next(f->subscriber, &event, &dropped);
    assert(!f->ended || error == COVEY_ERR_CLOSED);
    if (f->untold > 0) {
        assert(error == COVEY_ERR_LAGGED && dropped == f->untold);
        f->told += f->untold;
        f->untold = 0;
        return;
    }
    assert(dropped == 0);
    if (f->waiting > 0) {
        assert(error == 0);
        take_event(f, w, &event);
    } else {
        assert(error == (w->closed ? COVEY_ERR_CLOSED : COVEY_ERR_WOULD_BLOCK));
        f->ended = w->closed;
    }
}

/* Up to so many, and once more where nothing is. */
static void read_some(struct follower *f, struct world *w, unsigned count)
{
    for (; count > 0 && f->waiting + f->untold > 0; count--)
        read_one(f, w);
    if (count > 0)
        read_one(f, w);
}

enum { PUBLISH, PUBLISH_MANY, SUBSCRIBE, CLONE, LET_GO, READ, FAIL_NEXT, CLOSE };

static void step(struct world *w, uint8_t operation, uint8_t amount)
{
    struct follower *f = w->count == 0 ? NULL : &w->followers[(operation >> 3) % w->count];
    switch (operation & 7) {
    case PUBLISH:
        publish(w, amount);
        break;
    case PUBLISH_MANY:
        publish(w, amount * 5u);
        break;
    case SUBSCRIBE:
        subscribe(w);
        break;
    case CLONE:
        if (f != NULL)
            clone(w, f);
        break;
    case LET_GO:
        if (f != NULL)
            let_go(w, f);
        break;
    case READ:
        if (f != NULL)
            read_some(f, w, amount + 1u);
        break;
    case FAIL_NEXT:
        w->is_out_of_memory = true;
        break;
    default:
        if (amount >= 192) { /* seldom: not much can follow */
            cv_event_channel_close(w->channel);
            w->closed = true;
        }
    }
}

/* What waits at the end comes all, and is what was missing. */
static void finish(struct world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct follower *f = &w->followers[i];
        while (f->untold > 0 || f->waiting > 0)
            read_one(f, w);
        read_one(f, w);
        assert(f->delivered + f->told == w->published - f->since);
        cv_subscriber_free(f->subscriber);
    }
    cv_event_channel_free(w->channel);
    assert(atomic_load(&w->node->references) == 1);
    cv_cluster_node_release(w->node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    begin(&w);
    for (size_t i = 0; i + 1 < size && i < 1000; i += 2) {
        step(&w, data[i], data[i + 1]);
        for (size_t k = 0; k < w.count; k++)
            check(&w.followers[k], &w);
    }
    finish(&w);
    return 0;
}
