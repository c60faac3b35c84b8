#include "cluster/outbox.h"

#include <assert.h>
#include <covey/error.h>

struct item {
    struct cv_output output;
    void *bytes; /* of a message */
};

void cv_outbox_init(struct cv_outbox *o, const struct cv_alloc *alloc)
{
    *o = (struct cv_outbox){.alloc = alloc};
    cv_ring_init(&o->ring, alloc, sizeof(struct item), CV_OUTBOX_MAX);
}

static void release_held(struct cv_outbox *o)
{
    cv_release(o->alloc, o->held);
    o->held = NULL;
}

void cv_outbox_fini(struct cv_outbox *o)
{
    struct cv_output output;
    while (cv_outbox_poll(o, &output)) {
        if (output.type == CV_OUTPUT_EVENT)
            cv_cluster_node_release(output.event.node);
    }
    release_held(o);
    cv_ring_fini(&o->ring);
}

int cv_outbox_reserve(struct cv_outbox *o, size_t count)
{
    int error = cv_ring_reserve(&o->ring, count);
    if (error == COVEY_OK)
        o->reserved = count;
    return error;
}

void cv_outbox_put(struct cv_outbox *o, const struct cv_output *output)
{
    assert(output->type != CV_OUTPUT_SEND && o->reserved > 0);
    o->reserved--;
    struct item *item = cv_ring_push(&o->ring);
    assert(item != NULL);
    item->output = *output;
}

void cv_outbox_send(struct cv_outbox *o, const covey_node_id *to, bool reliable,
                    struct cv_slice bytes)
{
    assert(bytes.size > 0);
    void *copy = NULL;
    if (o->send_count < CV_OUTBOX_SENDS_MAX &&
        cv_ring_reserve(&o->ring, o->reserved + 1) == COVEY_OK)
        copy = cv_allocate(o->alloc, bytes.size);
    if (copy == NULL) {
        o->shed++;
        return;
    }
    struct item *item = cv_ring_push(&o->ring);
    assert(item != NULL);
    memcpy(copy, bytes.data, bytes.size);
    item->bytes = copy;
    item->output.type = CV_OUTPUT_SEND;
    item->output.send.to = *to;
    item->output.send.reliable = reliable;
    item->output.send.bytes = cv_slice_of(copy, bytes.size);
    o->send_count++;
    o->sent++;
}

bool cv_outbox_poll(struct cv_outbox *o, struct cv_output *output)
{
    release_held(o);
    const struct item *item = cv_ring_front(&o->ring);
    if (item == NULL)
        return false;
    *output = item->output;
    o->held = item->bytes;
    if (output->type == CV_OUTPUT_SEND)
        o->send_count--;
    cv_ring_pop(&o->ring);
    return true;
}
