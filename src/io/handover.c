#include "io/handover.h"

#include <assert.h>
#include <covey/error.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

/*
 * Each end has a mailbox of its own, so that a flood of datagrams cannot fill the loop's, which
 * carries commands. When it stops being empty one mail, `wake`, goes to the loop and runs the whole
 * mailbox there. Such a mail may be on its way when the owner frees: it holds a reference.
 */

struct lane {
    struct cv_mail wake; /* first */
    struct cv_handover *handover;
    struct cv_handover_end end;
    struct cv_mailbox *box;
    atomic_uint_fast64_t delivered;
    atomic_uint_fast64_t shed;
    bool is_closed; /* the loop's */
};

struct cv_handover {
    const struct cv_alloc *alloc;
    atomic_uint references; /* the owner, and each wake-up on its way */
    unsigned count;
    struct lane lanes[];
};

/* A datagram that waits. */
struct parcel {
    struct cv_mail mail; /* first */
    struct lane *lane;
    struct cv_datagram datagram;
    uint8_t bytes[];
};

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void cv_handover_config_init(struct cv_handover_config *config)
{
    *config = (struct cv_handover_config){.packets_max = 1024};
}

static void destroy(struct cv_handover *h)
{
    for (unsigned i = 0; i < h->count; i++)
        cv_mailbox_free(h->lanes[i].box);
    cv_release(h->alloc, h);
}

static void release(struct cv_handover *h)
{
    if (atomic_fetch_sub(&h->references, 1) == 1)
        destroy(h);
}

static void run_wake(struct cv_mail *mail, bool cancelled)
{
    struct lane *lane = (struct lane *)mail;
    /* Cancelled: the loop ends, and its end's close() sheds what waits. It may be called under the
     * mailbox's lock. */
    if (!cancelled)
        (void)cv_mailbox_run(lane->box);
    release(lane->handover);
}

/* The mailbox stopped being empty; under its lock, so close() waits for it. */
static void wake(void *user)
{
    struct lane *lane = user;
    atomic_fetch_add(&lane->handover->references, 1);
    cv_loop_post_sure(lane->end.loop, &lane->wake);
}

int cv_handover_new(const struct cv_handover_config *config, struct cv_handover **out)
{
    struct cv_handover *h =
        cv_allocate_zeroed(config->alloc, 1, sizeof *h + config->count * sizeof(struct lane));
    if (h == NULL)
        return COVEY_ERR_NO_MEMORY;
    h->alloc = config->alloc;
    atomic_init(&h->references, 1);
    for (; h->count < config->count; h->count++) {
        struct lane *lane = &h->lanes[h->count];
        lane->wake.run = run_wake;
        lane->handover = h;
        lane->end = config->ends[h->count];
        atomic_init(&lane->delivered, 0);
        atomic_init(&lane->shed, 0);
        if (cv_mailbox_new(h->alloc, config->packets_max, wake, lane, &lane->box) != 0) {
            destroy(h);
            return COVEY_ERR_NO_MEMORY;
        }
    }
    *out = h;
    return 0;
}

static void run_parcel(struct cv_mail *mail, bool cancelled)
{
    struct parcel *parcel = (struct parcel *)mail;
    struct lane *lane = parcel->lane;
    /* Closed by a datagram before it in the same run. */
    if (cancelled || lane->is_closed) {
        count(&lane->shed);
    } else {
        count(&lane->delivered);
        lane->end.deliver(lane->end.user, &parcel->datagram);
    }
    cv_release(lane->handover->alloc, parcel);
}

static struct parcel *pack(struct lane *lane, const struct cv_datagram *d)
{
    struct parcel *parcel = cv_allocate(lane->handover->alloc, sizeof *parcel + d->bytes.size);
    if (parcel == NULL)
        return NULL;
    *parcel = (struct parcel){.mail = {.run = run_parcel}, .lane = lane, .datagram = *d};
    memcpy(parcel->bytes, d->bytes.data, d->bytes.size);
    parcel->datagram.bytes.data = parcel->bytes;
    parcel->datagram.handed_over = true;
    return parcel;
}

void cv_handover_send(struct cv_handover *h, unsigned to, const struct cv_datagram *d)
{
    assert(d->bytes.size > 0 && d->bytes.size <= CV_DATAGRAM_SIZE_MAX);
    assert(to < h->count);
    struct lane *lane = &h->lanes[to];
    struct parcel *parcel = pack(lane, d);
    if (parcel != NULL && cv_mailbox_post(lane->box, &parcel->mail) == 0)
        return;
    count(&lane->shed);
    cv_release(h->alloc, parcel);
}

void cv_handover_close(struct cv_handover *h, unsigned end)
{
    struct lane *lane = &h->lanes[end];
    assert(end < h->count);
    lane->is_closed = true;
    cv_mailbox_close(lane->box);
}

void cv_handover_free(struct cv_handover *h)
{
    if (h != NULL)
        release(h);
}

void cv_handover_stats(const struct cv_handover *h, unsigned end, struct cv_handover_stats *out)
{
    const struct lane *lane = &h->lanes[end];
    assert(end < h->count);
    *out = (struct cv_handover_stats){
        .delivered = atomic_load_explicit(&lane->delivered, memory_order_relaxed),
        .shed = atomic_load_explicit(&lane->shed, memory_order_relaxed),
    };
}
