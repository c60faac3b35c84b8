#ifndef CV_API_METADATA_H
#define CV_API_METADATA_H

#include "api/runtime.h"
#include "rpc/frame.h"

#include <covey/metadata.h>

/*
 * Metadata between the public form (texts and pointers) and the RPC layer's (slices), and copies of
 * it that live as long as a call.
 */

/* What a set may take on the wire. */
#define CV_METADATA_SIZE_MAX ((size_t)8 * 1024)

/* A public set in the RPC layer's form, borrowing from it; `out` has room for
 * CV_RPC_METADATA_COUNT_MAX. 0, COVEY_ERR_INVALID_ARGUMENT (no key, no value), COVEY_ERR_TOO_LARGE
 * (more pairs). */
COVEY_MUST_USE int cv_metadata_borrow(const struct covey_metadata *set, size_t count,
                                      struct cv_rpc_metadata *out);

/* A copy that was received: one piece of memory of the runtime's pool. */
struct cv_metadata {
    struct covey_metadata *set; /* NULL: none */
    size_t count;
    size_t size; /* of the memory */
};

/* 0 or COVEY_ERR_NO_MEMORY; *out is empty then. */
COVEY_MUST_USE int cv_metadata_copy(covey_runtime *runtime, const struct cv_rpc_metadata *set,
                                    size_t count, struct cv_metadata *out);
/* Makes it empty. */
void cv_metadata_clear(covey_runtime *runtime, struct cv_metadata *metadata);

#endif
