#include "sim_internal.h"

#include "cluster/membership_internal.h"

#include <covey/error.h>

/*
 * What a message takes from the queue of news: G4, G5. The last message of a step is compared with
 * what is still queued after it. What was queued before the step and is not in the message was left
 * out by choice; so all that the message has instead must be more urgent, or smaller, or have waited
 * for longer. Looked at after one step in QUEUE_SAMPLE.
 */
#define QUEUE_SAMPLE 8

/* After so many that do not fit the queue gives up, though a smaller one might. */
#define MISFITS 16

/* An update that the message has and the queue still holds, as it was before. */
struct taken {
    struct cv_queued_update update; /* with one send less */
    size_t size;
    bool is_reserved; /* it may have been taken for its long wait */
};

/* What the message took. */
struct selection {
    size_t count;
    struct taken taken[CV_MAX_UPDATES_PER_MESSAGE];
    size_t known;   /* updates of the message, from the queue or not */
    size_t skipped; /* of which nobody can tell that */
    size_t dropped; /* sent for the last time: nobody knows any more how urgent they were */
    size_t largest; /* of those taken */
    size_t misfits; /* left out, for lack of room */
};

void sim_queue_before(struct sim *s, const struct sim_node *n)
{
    struct sim_filling *f = &s->oracle.filling;
    uint64_t sample = sim_is_small(s) ? QUEUE_SAMPLE : SIM_SAMPLE;
    f->is_looked_at = s->steps % sample == 0;
    f->sequence = n->membership->gossip.queue.sequence;
    f->size = 0;
}

/* Types that are filled up to the size of a datagram. */
static bool is_filled(uint8_t type)
{
    return type == CV_MESSAGE_PING || type == CV_MESSAGE_ACK || type == CV_MESSAGE_NACK ||
           type == CV_MESSAGE_PING_REQ || type == CV_MESSAGE_GOSSIP || type == CV_MESSAGE_WATCH ||
           type == CV_MESSAGE_UNWATCH || type == CV_MESSAGE_HEARTBEAT;
}

void sim_queue_sent(struct sim *s, const struct cv_output *output)
{
    struct sim_filling *f = &s->oracle.filling;
    const struct cv_slice bytes = output->send.bytes;
    /* Lists are not filled from the queue. */
    if (!f->is_looked_at || cv_message_is_list((enum cv_message_type)bytes.data[0]))
        return;
    f->size = 0;
    if (!is_filled(bytes.data[0]) || bytes.size > sizeof(f->bytes))
        return;
    memcpy(f->bytes, bytes.data, bytes.size);
    f->size = bytes.size;
    f->to = output->send.to;
}

/* As the checks see it. */
static struct cv_queued_update look(const struct sim *s, const struct cv_queued_update *u)
{
    struct cv_queued_update seen = *u;
    if (s->planted->waiting != NULL)
        s->planted->waiting(&seen);
    return seen;
}

static bool is_the_same(const struct cv_queued_update *queued, const struct cv_update *u)
{
    const struct cv_node_status *status = &queued->record.status;
    return status->incarnation == u->status.incarnation && status->state == u->status.state &&
           (queued->record.body != NULL) == u->has_body &&
           (!u->has_body || queued->record.body->version == u->version);
}

static void add(struct sim *s, struct selection *x, const struct cv_queued_update *queued)
{
    struct taken *t = &x->taken[x->count];
    t->update = look(s, queued);
    t->update.sends = queued->sends - 1;
    t->size = cv_update_size(&queued->record);
    t->is_reserved = x->count + x->dropped < CV_GOSSIP_RESERVED_SLOTS;
    x->largest = t->size > x->largest ? t->size : x->largest;
    x->count++;
}

/* What it says of its sender and of whom it goes to may not be from the queue. */
static void select_taken(struct sim *s, const struct sim_node *n, const struct cv_message *m,
                         struct selection *x)
{
    const struct cv_gossip_queue *q = &n->membership->gossip.queue;
    *x = (struct selection){.known = m->update_count};
    for (size_t i = 0; i < m->update_count; i++) {
        const struct cv_update *u = &m->updates[i];
        if (cv_node_id_equal(&u->id, &n->id) || cv_node_id_equal(&u->id, &s->oracle.filling.to)) {
            x->skipped++;
            continue;
        }
        const struct cv_queued_update *queued =
            cv_map_get(&q->subjects, cv_slice_of(u->id.bytes, sizeof(u->id.bytes)));
        if (queued == NULL || queued->sends == 0 || !is_the_same(queued, u))
            x->dropped++;
        else
            add(s, x, queued);
    }
}

static bool is_in(const struct cv_message *m, const covey_node_id *id)
{
    for (size_t i = 0; i < m->update_count; i++) {
        if (cv_node_id_equal(&m->updates[i].id, id))
            return true;
    }
    return false;
}

/* One that was left out, and one that was taken and is no smaller: urgency decides, then sends, then
 * age. */
static void check_order(struct sim *s, const struct sim_node *n, const struct cv_queued_update *out,
                        const struct taken *in)
{
    const struct cv_queued_update *u = &in->update;
    const char *name = n->name;
    sim_require(s, SIM_G4, out->priority >= u->priority,
                "%s told what has priority %d and left out what has %d", name, (int)u->priority,
                (int)out->priority);
    if (out->priority != u->priority)
        return;
    sim_require(s, SIM_G5, out->sends >= u->sends,
                "%s told what was sent %" PRIu32 " times and left out what was sent %" PRIu32, name,
                u->sends, out->sends);
    sim_require(s, SIM_G5, out->sends != u->sends || out->sequence < u->sequence,
                "%s told old news and left out new", name);
}

/* Two places are for those that wait longest: one that was never sent is left out for two older ones
 * only. */
static void check_wait(struct sim *s, const struct sim_node *n, const struct cv_queued_update *out,
                       size_t size, const struct selection *x)
{
    size_t older = x->dropped + x->skipped;
    for (size_t i = 0; i < x->count; i++)
        older += x->taken[i].update.sends == 0 && x->taken[i].update.sequence < out->sequence;
    sim_require(s, SIM_G4, older >= CV_GOSSIP_RESERVED_SLOTS || x->largest < size,
                "%s leaves out what waits longest", n->name);
}

/* It would still have had room. A tag and a length go with it. */
static bool fits(const struct sim *s, const struct cv_queued_update *queued)
{
    return s->oracle.filling.size + cv_update_size(&queued->record) + 4 <= CV_DATAGRAM_MESSAGE_SIZE;
}

static bool is_left_out(const struct sim *s, const struct cv_queued_update *queued)
{
    return queued->sequence < s->oracle.filling.sequence && !is_in(&s->message, &queued->record.id);
}

/* Those left out that are too large for the room left. */
static size_t count_misfits(const struct sim *s, const struct cv_gossip_queue *q)
{
    const struct cv_queued_update *u;
    size_t count = 0;
    size_t cursor = 0;
    while ((u = cv_map_next(&q->subjects, &cursor)) != NULL)
        count += is_left_out(s, u) && !fits(s, u);
    return count;
}

static void check_left_out(struct sim *s, const struct sim_node *n,
                           const struct cv_queued_update *queued, const struct selection *x)
{
    const struct cv_queued_update out = look(s, queued);
    size_t size = cv_update_size(&queued->record);
    sim_require(s, SIM_G4,
                !fits(s, queued) || x->known == CV_MAX_UPDATES_PER_MESSAGE || x->misfits >= MISFITS,
                "%s had room for more news", n->name);
    for (size_t i = 0; i < x->count; i++) {
        if (!x->taken[i].is_reserved && size <= x->taken[i].size)
            check_order(s, n, &out, &x->taken[i]);
    }
    if (out.sends == 0)
        check_wait(s, n, &out, size, x);
}

/* It has nothing of the queue because the bytes for news are used up, or kept for a push (G7). */
static bool is_too_early(const struct sim_node *n, const struct selection *x)
{
    struct cv_bucket news = n->membership->gossip.news;
    return x->known == x->skipped &&
           (n->membership->gossip.is_push_delayed ||
            cv_bucket_ready(&news, CV_DATAGRAM_MESSAGE_SIZE, n->membership->gossip.now) >
                n->membership->gossip.now);
}

void sim_check_queue(struct sim *s, const struct sim_node *n)
{
    const struct sim_filling *f = &s->oracle.filling;
    const struct cv_gossip_queue *q = &n->membership->gossip.queue;
    const struct cv_queued_update *u;
    struct selection x;
    size_t cursor = 0;
    if (f->size == 0 || cv_gossip_queue_count(q) == 0 ||
        cv_message_read(cv_slice_of(f->bytes, f->size), &s->message) != COVEY_OK)
        return;
    select_taken(s, n, &s->message, &x);
    if (is_too_early(n, &x))
        return;
    x.misfits = count_misfits(s, q);
    while ((u = cv_map_next(&q->subjects, &cursor)) != NULL) {
        if (is_left_out(s, u))
            check_left_out(s, n, u, &x);
    }
}
