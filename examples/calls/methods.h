#ifndef CALLS_METHODS_H
#define CALLS_METHODS_H

#include <covey/covey.h>

#include <stdatomic.h>

/* What the server of this example serves. */
struct methods {
    const char *name;   /* said in the metadata of an answer */
    covey_client *next; /* the server that `relay` asks */
    atomic_uint flaky_calls;
};

/* Adds all of them; `m` must outlive the server. 0 or the error of covey_server_add_method(). */
COVEY_MUST_USE int methods_add(covey_server *server, struct methods *m);

#endif
