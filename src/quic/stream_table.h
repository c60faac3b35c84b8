#ifndef CV_QUIC_STREAM_TABLE_H
#define CV_QUIC_STREAM_TABLE_H

#include "base/alloc.h"

#include <covey/export.h>
#include <stdint.h>

/*
 * Finds a stream by its id, for frames that the QUIC library does not hand us with our pointer.
 * Open addressing without tombstones. A map of its own because each call adds and removes one:
 * hashing is a multiplication by a random odd number (Dietzfelbinger et al. 1997), unknown to the
 * peer, and a slot is 16 bytes.
 */
struct cv_stream_slot {
    int64_t id;
    void *stream; /* NULL: free */
};

struct cv_stream_table {
    const struct cv_alloc *alloc;
    struct cv_stream_slot *slots;
    uint64_t multiplier;
    unsigned bits; /* 2^bits slots */
    size_t count;
};

/* Allocates nothing. `random` becomes the multiplier. */
void cv_stream_table_init(struct cv_stream_table *t, const struct cv_alloc *alloc, uint64_t random);
void cv_stream_table_fini(struct cv_stream_table *t);

/* Room for one more put. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_stream_table_reserve(struct cv_stream_table *t);
/* There must be room, and no stream of this id. */
void cv_stream_table_put(struct cv_stream_table *t, int64_t id, void *stream);
/* NULL when there is none. */
void *cv_stream_table_get(const struct cv_stream_table *t, int64_t id);
void cv_stream_table_remove(struct cv_stream_table *t, int64_t id);

#endif
