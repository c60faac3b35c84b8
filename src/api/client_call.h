#ifndef CV_API_CLIENT_CALL_H
#define CV_API_CLIENT_CALL_H

#include "io/loop.h"
#include "node/link.h"

#include <covey/client.h>

#include <sys/queue.h>

/*
 * The client's side of one call: made by any thread, posted, and from then on the loop's. What is
 * done with the messages and the outcome is its kind's business: a unary call, a stream that is
 * called back, a stream that is read.
 *
 *   made ---> posted ---> on client->calls ---> end(), freed
 *     '--> dropped
 */
struct cv_client_call;
TAILQ_HEAD(cv_client_call_list, cv_client_call);

struct cv_client_call_kind {
    size_t size; /* of the kind's struct, whose first member is the call */
    /*
     * A message, borrowed for the call. 0: used up; COVEY_ERR_BUSY: kept, and
     * cv_client_call_read() will say when it is used up. Other errors end the call:
     * COVEY_ERR_NO_MEMORY, COVEY_ERR_PROTOCOL (there was one already).
     */
    int (*message)(struct cv_client_call *call, struct cv_slice message);
    /* The outcome, once, the last; what the reply holds may be moved away. */
    void (*end)(struct cv_client_call *call, struct covey_reply *reply);
};

struct cv_client_call {
    struct cv_mail mail; /* first: the mail names the call */
    covey_client *client;
    const struct cv_client_call_kind *kind;
    struct cv_slice method; /* both in the same memory as the call */
    struct cv_slice request;
    covey_time deadline;

    struct cv_link *link; /* the loop's thread from here on */
    struct cv_rpc_call *rpc;
    TAILQ_ENTRY(cv_client_call) entry;
};

struct cv_client_call_config {
    covey_client *client;
    const char *method;
    const void *request;
    size_t size;
    const struct covey_call_options *options;
};

/* Any thread. Copies method and request. 0, COVEY_ERR_INVALID_ARGUMENT, COVEY_ERR_TOO_LARGE,
 * COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_client_call_new(const struct cv_client_call_config *config,
                                      const struct cv_client_call_kind *kind,
                                      struct cv_client_call **out);
/* Sends it on its way. 0; or COVEY_ERR_BUSY, COVEY_ERR_CLOSED, and the call is freed. */
COVEY_MUST_USE int cv_client_call_post(struct cv_client_call *call);
/* Frees one that was not posted. */
void cv_client_call_drop(struct cv_client_call *call);

/* The loop's thread, from here on. */
void cv_client_call_event(struct cv_client_call *call, const struct cv_rpc_output *event);
/* `count` kept messages of `size` bytes together are used up. */
void cv_client_call_read(struct cv_client_call *call, size_t count, size_t size);
/* Ends the call with a constant text; the server sees it cancelled. It is freed after this. */
void cv_client_call_end(struct cv_client_call *call, enum covey_status_code code, const char *text);

#endif
