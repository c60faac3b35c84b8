#ifndef CV_QUIC_STREAM_TABLE_H
#define CV_QUIC_STREAM_TABLE_H

#include "base/alloc.h"

#include <covey/export.h>
#include <stdint.h>

/*
 * Finds a stream by its id, for frames that the QUIC library does not hand us with our pointer.
 * A map of its own because each call adds and removes one, and next to none is ever looked for:
 * the streams of a slot are chained through themselves, which moves two pointers. Hashing is a
 * multiplication by a random odd number (Dietzfelbinger et al. 1997), unknown to the peer.
 */
struct cv_stream_entry {
    struct cv_stream_entry *next; /* of its slot */
    int64_t id;
};

struct cv_stream_table {
    const struct cv_alloc *alloc;
    struct cv_stream_entry **slots;
    uint64_t multiplier;
    unsigned bits; /* 2^bits slots */
    size_t count;
};

/* Allocates nothing. `random` becomes the multiplier. */
void cv_stream_table_init(struct cv_stream_table *t, const struct cv_alloc *alloc, uint64_t random);
void cv_stream_table_fini(struct cv_stream_table *t);

/* Room for one more put. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_stream_table_reserve(struct cv_stream_table *t);
/* There must be room, and no entry of this id. It stays where it is until it is removed. */
void cv_stream_table_put(struct cv_stream_table *t, struct cv_stream_entry *entry);
/* NULL when there is none. */
struct cv_stream_entry *cv_stream_table_get(const struct cv_stream_table *t, int64_t id);
/* One that is in the table. */
void cv_stream_table_remove(struct cv_stream_table *t, const struct cv_stream_entry *entry);

#endif
