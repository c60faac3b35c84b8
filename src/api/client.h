#ifndef CV_API_CLIENT_H
#define CV_API_CLIENT_H

#include "api/client_call.h"
#include "api/host.h"

#include <covey/client.h>

/*
 * The inside of a client: a host that never serves, with one link at a time. A link's user is NULL
 * until the link was ready once, then the client: so the end of a call can say whether the server
 * was ever reached.
 */
struct covey_client {
    covey_runtime *runtime; /* any thread, as all up to the lock */
    bool has_expected;
    covey_node_id expected;
    uint8_t family; /* of the socket */
    pthread_mutex_t lock;
    bool is_closing; /* under the lock: what is posted now would come after the end */

    struct cv_host host;  /* the loop's thread from here on */
    struct cv_link *link; /* takes new calls; NULL: there is none */
    struct cv_client_call_list calls;

    char address[]; /* any thread, never changes */
};

/* Any thread: posts what comes before the end of the client. 0, COVEY_ERR_BUSY, or COVEY_ERR_CLOSED
 * once the client is being freed. */
COVEY_MUST_USE int cv_client_post(covey_client *client, struct cv_mail *mail);

/* The loop's thread: starts a call on a link that is there or on a new one. 0, COVEY_ERR_BUSY,
 * COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_client_start(covey_client *client, const struct cv_rpc_start *start,
                                   struct cv_link **link, struct cv_rpc_call **rpc);

#endif
