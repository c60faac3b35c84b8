#ifndef EXAMPLE_ASSIGNER_H
#define EXAMPLE_ASSIGNER_H

#include "assignment.h"

#include <covey/cluster.h>

/*
 * Names workers to whoever asks: alive members with role=worker and available=true, one after the
 * other in the order of their ids, so that a worker that comes or goes does not change whose turn
 * it is. When there is none it looks again, three times in all, half a second apart, on a thread of
 * its own: asking never waits.
 */
struct assigner;

/* Gets the worker, or NULL when there was none; runs on the assigner's thread, exactly once. */
typedef void (*assigner_done)(const struct assignment *worker, void *user);

#define ASSIGNER_TRIES      3
#define ASSIGNER_TRY_AGAIN  (500 * COVEY_MILLISECOND)
#define ASSIGNER_QUEUE_SIZE 256

/* NULL when memory is out. */
struct assigner *assigner_new(void);

/* Begins to answer, from this cluster's members; questions asked before wait for it. False when no
 * thread can be had. */
bool assigner_start(struct assigner *assigner, covey_cluster *cluster);

/* False when ASSIGNER_QUEUE_SIZE questions wait already, or after the stop: `done` is not called
 * then. Any thread. */
bool assigner_ask(struct assigner *assigner, assigner_done done, void *user);

/* Answers all that wait with NULL and takes no more questions. */
void assigner_stop(struct assigner *assigner);

/* After the stop, when nobody can ask any more. */
void assigner_free(struct assigner *assigner);

#endif
