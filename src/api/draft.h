#ifndef CV_API_DRAFT_H
#define CV_API_DRAFT_H

#include "api/client.h"

/*
 * A call between the user's words and its way: what was asked for is checked, the parent's share and
 * the interceptors' are added, and all of it is then copied into the memory of the call. On the
 * stack of who makes the call; borrows what the user gave.
 */
struct cv_draft_piece;

/* Of a call without options. */
extern const struct covey_call_options cv_draft_defaults;

struct covey_call_draft {
    covey_client *client;
    const char *method;
    struct cv_slice name; /* the same */
    struct covey_call_options options;
    covey_time deadline;
    covey_time begun; /* 0: nobody wants to know */
    size_t metadata_count;
    struct cv_draft_piece *pieces; /* copies of what interceptors added */
    struct cv_rpc_metadata metadata[CV_RPC_METADATA_COUNT_MAX];
};

/* Errors as covey_client_call(), or what an interceptor says; *draft holds nothing then. */
COVEY_MUST_USE int cv_draft_init(struct covey_call_draft *draft, covey_client *client,
                                 const char *method, const struct covey_call_options *options);
void cv_draft_fini(struct covey_call_draft *draft);

/* How much memory cv_draft_copy() fills. */
size_t cv_draft_size(const struct covey_call_draft *draft);

/* Copies to `memory`, aligned as malloc's. */
void cv_draft_copy(const struct covey_call_draft *draft, void *memory, struct cv_call_header *out);

/* Tells the interceptors of the end of a call that was made. */
struct cv_draft_end {
    covey_time begun; /* the draft's */
    struct cv_slice method;
    enum covey_status_code code;
    uint64_t messages_sent;
    uint64_t messages_received;
};
void cv_draft_tell_end(covey_client *client, const struct cv_draft_end *end);

#endif
