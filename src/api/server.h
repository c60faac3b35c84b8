#ifndef CV_API_SERVER_H
#define CV_API_SERVER_H

#include "api/call.h"
#include "api/host.h"
#include "rpc/dispatch.h"

#include <covey/server.h>

#include <stdatomic.h>
#include <sys/queue.h>

struct cv_server_method {
    struct covey_method method;
    SLIST_ENTRY(cv_server_method) entry;
};

/* The inside of a server. What is not marked otherwise belongs to the loop's thread. */
struct covey_server {
    covey_runtime *runtime; /* any thread */
    struct cv_host host;
    struct cv_rpc_dispatch methods;
    SLIST_HEAD(, cv_server_method) kept_methods; /* what `methods` points to */
    struct cv_call_list calls;
    TAILQ_HEAD(, cv_question) questions; /* of membership to the resolver */
    struct cv_address advertise;         /* {0}: the listen address */
    bool is_started;
    char address_text[CV_ADDRESS_TEXT_SIZE]; /* any thread, never changes */
    _Atomic(covey_cluster *) cluster;        /* any thread */
};

/* As covey_server_add_method(), reserved names included. The loop's thread, or before the host is
 * open. */
COVEY_MUST_USE int cv_server_add_method(covey_server *server, const struct covey_method *method);
/* The methods that every server has: covey.cluster.members, covey.admin.*. As add_method. */
COVEY_MUST_USE int cv_server_add_builtin_methods(covey_server *server);

#endif
