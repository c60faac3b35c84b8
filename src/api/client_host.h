#ifndef CV_API_CLIENT_HOST_H
#define CV_API_CLIENT_HOST_H

#include "api/client_loop.h"
#include "api/host.h"

#include <covey/client.h>

#include <sys/queue.h>

/*
 * A host that clients of one loop share: those that present the same identity and have the same
 * limits, however many servers they call. So ten thousand connections need one socket. The loop's
 * thread only.
 */
struct cv_client_host {
    struct cv_host host;
    LIST_ENTRY(cv_client_host) entry; /* of its loop's */
    unsigned users;
    char *ca_pem; /* whose it is */
    char *cert_pem;
    char *key_pem;
    uint8_t family;
    size_t message_send_max;
    size_t message_receive_max;
    covey_time age_max;
};

struct cv_client_host_wish {
    covey_runtime *runtime;
    struct cv_client_loop *shared;
    const covey_identity *identity;
    uint8_t family; /* of the socket */
    size_t message_send_max;
    size_t message_receive_max;
    covey_time age_max;
    struct cv_link_events events; /* the same for all; their `user` is the host */
};

/* One that is there already, or a new one. 0, or the errors of cv_host_open(). */
COVEY_MUST_USE int cv_client_host_get(const struct cv_client_host_wish *wish,
                                      struct cv_client_host **out);
/* Closes it with the last user; not inside its callbacks. */
void cv_client_host_put(struct cv_client_host *host);
/* Its resolver, made when it is asked for first: 0, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM. */
COVEY_MUST_USE int cv_client_host_resolver(struct cv_client_host *host, struct cv_resolver **out);

#endif
