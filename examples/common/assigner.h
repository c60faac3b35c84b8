#ifndef EXAMPLE_ASSIGNER_H
#define EXAMPLE_ASSIGNER_H

#include "assignment.h"

#include <covey/call.h>

/*
 * Answers get_worker: with a worker, or, when there is none in three tries half a second apart, with
 * UNAVAILABLE and a text. The handler does not wait for that: it keeps the call, and the retrier's
 * thread answers it.
 *
 * A worker that the client wants to avoid is named in the last try only, when there is no other.
 */
struct assigner;

/* Names the worker whose turn it is among those that `request` does not avoid; false when there is
 * none. Runs on any thread, on several at once. */
typedef bool (*assigner_source)(const struct assignment_request *request, struct assignment *out,
                                void *user);

struct assigner_config {
    assigner_source source;
    void *user;
    bool quiet; /* does not say whom it sends where */
};

/* NULL when memory or threads are out. */
struct assigner *assigner_new(const struct assigner_config *config);

/* The handler of get_worker; `user` is the assigner. */
void assigner_get_worker(covey_call *call, const void *request, size_t size, void *user);

/* Answers all that wait, and refuses those that would have to. */
void assigner_stop(struct assigner *assigner);

/* After the stop, when no call can come any more. */
void assigner_free(struct assigner *assigner);

#endif
