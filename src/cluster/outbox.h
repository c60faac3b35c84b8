#ifndef CV_CLUSTER_OUTBOX_H
#define CV_CLUSTER_OUTBOX_H

#include "base/ring.h"
#include "cluster/output.h"

#include <covey/export.h>

/*
 * The outputs that wait to be polled: a bounded queue. Messages may be shed at the bound, as a
 * network sheds packets, and are counted; all else has room reserved for it before a step changes
 * anything.
 */
#define CV_OUTBOX_MAX       2048
#define CV_OUTBOX_SENDS_MAX 1024 /* waiting messages; the other half is for the rest */

struct cv_outbox {
    const struct cv_alloc *alloc;
    struct cv_ring ring;
    size_t send_count;
    size_t reserved; /* outputs of this step that are no messages and still to come */
    void *held;      /* the bytes of the message polled last */
    uint64_t sent;
    uint64_t shed;
};

void cv_outbox_init(struct cv_outbox *o, const struct cv_alloc *alloc);
void cv_outbox_fini(struct cv_outbox *o);

/* Room for `count` outputs that are no messages, in place of what was reserved before. 0,
 * COVEY_ERR_LIMIT until some are polled, or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_outbox_reserve(struct cv_outbox *o, size_t count);
/* Needs a reserve; copies all but the pointers of `output`, which is no message. */
void cv_outbox_put(struct cv_outbox *o, const struct cv_output *output);
/* Copies the bytes; sheds the message when there is no room or no memory. */
void cv_outbox_send(struct cv_outbox *o, const covey_node_id *to, bool reliable,
                    struct cv_slice bytes);

/* The oldest output; false when there is none. Its bytes are valid until the next call. */
bool cv_outbox_poll(struct cv_outbox *o, struct cv_output *output);

#endif
