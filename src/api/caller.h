#ifndef CV_API_CALLER_H
#define CV_API_CALLER_H

#include "api/runtime.h"
#include "node/link.h"
#include "quic/certificate_names.h"

#include <covey/identity.h>

#include <stdatomic.h>

/*
 * Who is at the other end of a link, as its calls show it: made with the first call, shared by all,
 * gone with the last. One piece of memory, which never changes.
 */
struct cv_caller {
    covey_runtime *runtime;
    atomic_uint references;
    covey_node_id id;
    enum covey_role role;
    char name[CV_NAME_SIZE];
    const uint8_t *der; /* the certificate */
    size_t der_size;
    size_t name_count;
    const char *names[CV_CERTIFICATE_NAMES_MAX]; /* DNS names, addresses and URIs in it */
};

/* Of a link that is ready, with one reference; NULL without memory or when the link was lost. */
struct cv_caller *cv_caller_new(covey_runtime *runtime, const struct cv_link *link);
void cv_caller_retain(struct cv_caller *caller);
/* Any thread. NULL is allowed. */
void cv_caller_release(struct cv_caller *caller);

#endif
