#ifndef CV_API_CALL_H
#define CV_API_CALL_H

#include "api/caller.h"
#include "api/count.h"
#include "api/exchange.h"
#include "api/metadata.h"
#include "rpc/dispatch.h"

#include <covey/interceptor.h>
#include <covey/node.h>
#include <covey/server.h>

#include <sys/queue.h>

/*
 * The server's side of one call. It lives until its user finished it and the RPC layer let it go;
 * when the server is freed before, the call is detached and only its end is left to the user.
 *
 *   begun ---> judged ---> its request comes ---> handler ---> finished by the user ---> freed
 *      (stream handlers do not wait for a request)      '-- gone or past its deadline --^
 */
TAILQ_HEAD(cv_call_list, covey_call);

/* What a server has to do with its calls; on the loop's thread unless said otherwise. */
struct cv_call_owner {
    /* The call is over for the server: `code` is what was said, or CANCELLED. */
    void (*ended)(void *user, covey_call *call, enum covey_status_code code);
    /* No worker takes the call. */
    void (*exhausted)(void *user);
    /* A handler goes to a worker (+1) or has returned there (-1). Any thread. */
    void (*work)(void *user, int change);
    void *user;
};

struct covey_call {
    struct cv_exchange x;     /* first: the exchange names the call */
    struct cv_caller *caller; /* any thread, these never change */
    covey_time begun;
    covey_time deadline;
    bool is_stream; /* its method has a stream handler */
    struct cv_metadata metadata;
    atomic_bool is_given_back; /* any thread: the user has finished it */
    atomic_bool has_metadata;  /* any thread: the answer's was sent */

    enum covey_status_code code; /* the user's, until he gives it back */
    char *text;
    void *details;
    size_t details_size;

    covey_call_ready ready; /* under the exchange's lock */
    void *ready_user;

    const struct covey_method *method; /* the loop's thread from here on */
    const struct cv_call_owner *owner; /* NULL when detached */
    TAILQ_ENTRY(covey_call) entry;     /* of the owner's list */
    struct cv_call_list *list;
    unsigned judged; /* interceptors that have seen it begin */
    bool has_user;   /* the handler runs or ran */
    bool in_handler;
    bool is_said;     /* the status was, with the message */
    bool is_kept;     /* it outlives the turn: it has references to its caller and its runtime */
    bool release_due; /* when the handler has returned */
    atomic_uint_fast64_t messages_sent;
    cv_count messages_received;

    struct cv_pool_share *share; /* where the memory is from */
    size_t size;                 /* of it, the name included */
    char name[];                 /* of the method */
};

struct cv_call_begin {
    covey_runtime *runtime;
    struct cv_loop *loop;
    struct cv_link *link;
    struct cv_caller *caller;
    const struct cv_rpc_output *event; /* EVENT_CALL */
    const struct cv_rpc_method *method;
    const struct cv_call_owner *owner; /* outlives the call's place in `list` */
    struct cv_call_list *list;
    struct cv_pool_share *share; /* the loop's */
    size_t message_size_max;
};

/* What a user's number means: one that is no status is UNKNOWN, as it would be for the client. */
enum covey_status_code cv_call_code(enum covey_status_code code);

/* A call that began, in `list`; NULL without memory. */
covey_call *cv_call_new(const struct cv_call_begin *begin);
/* Ends one whose user never heard of it, with a text that lives for ever. */
void cv_call_refuse(covey_call *call, enum covey_status_code code, const char *text);
/* It may have its handler: a stream handler runs at once, and so does any when `request` is given, all that
 * its client sends. The call may be gone after it. */
void cv_call_admit(covey_call *call, const struct cv_slice *request);
/* What the RPC layer tells of it: MESSAGE, END, WRITABLE or CANCELLED. */
void cv_call_event(covey_call *call, const struct cv_rpc_output *event);
/* Takes it out of its list and tells its user that it is cancelled: the server goes, and with it
 * the RPC layer's part. */
void cv_call_abandon(covey_call *call);
/* Ends it with ABORTED for the client and cancels it for its user. */
void cv_call_abort(covey_call *call);

#endif
