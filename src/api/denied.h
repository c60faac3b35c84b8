#ifndef CV_API_DENIED_H
#define CV_API_DENIED_H

#include "quic/deny_list.h"

#include <stdatomic.h>

/* A list of denied ids that does not change, and is shared by those who leave them out: balancers
 * and cluster clients, which may outlive the server that it is of. Any thread. */
struct cv_denied {
    struct cv_alloc alloc; /* its functions outlive it */
    atomic_size_t references;
    struct cv_deny_list list;
};

/* One reference. 0, COVEY_ERR_LIMIT, COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_denied_new(const struct cv_alloc *alloc, const covey_node_id *ids,
                                 size_t count, struct cv_denied **out);
/* NULL, which denies nobody, is allowed. */
struct cv_denied *cv_denied_retain(struct cv_denied *denied);
void cv_denied_release(struct cv_denied *denied);
bool cv_denied_has(const struct cv_denied *denied, const covey_node_id *id);

#endif
