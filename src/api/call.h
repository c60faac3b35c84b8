#ifndef CV_API_CALL_H
#define CV_API_CALL_H

#include "api/runtime.h"
#include "node/link.h"
#include "rpc/dispatch.h"

#include <covey/call.h>
#include <covey/node.h>

#include <stdatomic.h>
#include <sys/queue.h>

/*
 * The server's side of one call: between the user, who may be on any thread, and the RPC layer on
 * the loop's. What the user sends goes straight through when he is on the loop's thread and nothing
 * waits; else it waits in `pending`, in order.
 *
 * Lives until it is finished by the user and let go by the RPC layer; when the server is freed
 * before, the call is detached and only its end is left to the user.
 */
STAILQ_HEAD(cv_call_messages, cv_call_message);
TAILQ_HEAD(cv_call_list, covey_call);

struct covey_call {
    covey_runtime *runtime; /* any thread */
    covey_node_id peer_id;  /* any thread, these never change */
    enum covey_role peer_role;
    char peer_name[COVEY_NODE_NAME_MAX + 1];
    covey_time deadline;
    atomic_bool is_cancelled;  /* any thread */
    atomic_bool is_given_back; /* any thread: the user has finished it */
    atomic_size_t queued;    /* any thread: bytes and messages that wait in mails or in `pending` */
    atomic_bool wants_ready; /* any thread: a send said BUSY */
    atomic_uint waiters;     /* any thread: in covey_call_wait_writable() */

    struct cv_link *link; /* the loop's thread from here on; NULL when detached */
    struct cv_rpc_call *rpc;
    const struct cv_rpc_method *method;
    struct cv_call_list *list; /* the server's */
    TAILQ_ENTRY(covey_call) entry;
    struct cv_call_messages pending;
    covey_call_ready ready;
    void *ready_user;
    bool has_request;
    bool in_handler;
    bool told_cancelled; /* `ready` has heard of the cancel */
    bool is_finished;

    struct cv_mail finish_mail; /* the user's last word */
    bool finish_wanted;
    enum covey_status_code code;
    char *text;
};

/* A call that began, put into `list`; NULL without memory. */
covey_call *cv_call_new(covey_runtime *runtime, struct cv_link *link, struct cv_rpc_call *rpc,
                        const struct cv_rpc_method *method, struct cv_call_list *list);
/* What the RPC layer tells of it: MESSAGE, END, WRITABLE or CANCELLED. */
void cv_call_event(covey_call *call, const struct cv_rpc_output *event);
/* Takes it out of its list and tells its user that it is cancelled: the server goes, and with it
 * the RPC layer's part. */
void cv_call_abandon(covey_call *call);

#endif
