#ifndef CV_IO_HANDOVER_H
#define CV_IO_HANDOVER_H

#include "io/loop.h"
#include "transport/transport.h"

#include <covey/export.h>

/*
 * How loops that share a port give each other the datagrams that came to the wrong socket: for each
 * of them a bounded queue of copies, run on its thread. What finds no room or no memory is shed and
 * counted, as a network would.
 *
 *     loop 0: send(1, d) --+
 *                          +--> queue of loop 1 --> loop 1: deliver(d), before the turn's end
 *     loop 2: send(1, d) --+
 *
 * Life: new() before any of the loops reads; on each loop, when it ends, close() of its own end;
 * free() when every end is closed and no loop sends any more.
 */
struct cv_handover;

struct cv_handover_end {
    struct cv_loop *loop;
    /* On the loop's thread; `d` is borrowed, with `handed_over` set. May call cv_handover_send(). */
    void (*deliver)(void *user, const struct cv_datagram *d);
    void *user;
};

struct cv_handover_config {
    const struct cv_alloc *alloc;       /* of any thread */
    const struct cv_handover_end *ends; /* copied; the index is the loop's number */
    unsigned count;
    uint32_t packets_max; /* that wait for one loop, 1024 */
};
/* Sets `packets_max`. */
void cv_handover_config_init(struct cv_handover_config *config);

/* Any thread. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_handover_new(const struct cv_handover_config *config,
                                   struct cv_handover **out);
/* Any thread. Copies `d` (1 to CV_DATAGRAM_SIZE_MAX bytes) into the queue of loop `to`, which must be
 * below the count; a full queue, a closed end and lost memory shed it. */
void cv_handover_send(struct cv_handover *h, unsigned to, const struct cv_datagram *d);
/* The thread of loop `end`: deliver() is not called any more; what waits and what comes is shed.
 * Closing twice does nothing. */
void cv_handover_close(struct cv_handover *h, unsigned end);
/* Any thread, when every end is closed. The memory itself goes when the loops have run the wake-ups
 * that are on their way, at the latest when they are freed. NULL is allowed. */
void cv_handover_free(struct cv_handover *h);

struct cv_handover_stats {
    uint64_t delivered; /* to this loop */
    uint64_t shed;      /* that were meant for it */
};
/* Any thread. */
void cv_handover_stats(const struct cv_handover *h, unsigned end, struct cv_handover_stats *out);

#endif
