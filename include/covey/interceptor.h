#ifndef COVEY_INTERCEPTOR_H
#define COVEY_INTERCEPTOR_H

#include <covey/call.h>

COVEY_BEGIN

/*
 * Functions that see every call, for logs, measurements, limits and authorisation: one kind on the
 * server, one on the client. They run on the loops' threads unless said otherwise and must not block.
 */

/* What became of a call. */
struct covey_call_summary {
    size_t size;        /* of this struct as the library knows it */
    const char *method; /* valid until the function returns */
    enum covey_status_code code;
    covey_time duration; /* from its begin to its end, here */
    uint64_t messages_sent;
    uint64_t messages_received;
};

/*
 * Judges a call before its handler: COVEY_STATUS_OK lets it go on, any other code ends it with that
 * code and *text (static or as long as the server; "" before). covey_call_method(), _peer_*(),
 * _metadata() and _time_left() may be asked.
 */
typedef enum covey_status_code (*covey_call_judge)(const covey_call *call, const char **text,
                                                   void *user);

struct covey_server_interceptor {
    covey_call_judge begin; /* may be NULL */
    /* Once for each call that was begun, also for one that was refused by a later judge: when its
     * status is on its way, or CANCELLED when nobody waited for it any more. May be NULL. */
    void (*end)(const covey_call *call, const struct covey_call_summary *summary, void *user);
    void *user;
};

/* A call that is about to be made. */
typedef struct covey_call_draft covey_call_draft;
COVEY_API const char *covey_call_draft_method(const covey_call_draft *draft);
/* Adds a pair to what travels with the call. 0, COVEY_ERR_INVALID_ARGUMENT, COVEY_ERR_TOO_LARGE,
 * COVEY_ERR_NO_MEMORY. */
COVEY_API COVEY_MUST_USE int covey_call_draft_add_metadata(covey_call_draft *draft, const char *key,
                                                           const void *value, size_t size);

struct covey_client_interceptor {
    /* On the thread that makes the call, once for each call, before it is on its way. Not 0: the
     * call is not made, and the function that makes it returns that error. May be NULL. */
    int (*begin)(covey_call_draft *draft, void *user);
    /* Once for each call that was made. May be NULL. */
    void (*end)(const struct covey_call_summary *summary, void *user);
    void *user;
};

COVEY_END

#endif
