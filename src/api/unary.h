#ifndef CV_API_UNARY_H
#define CV_API_UNARY_H

#include "api/draft.h"
#include "api/reply.h"

/*
 * A unary call of a client: made by any thread, then the loop's. It is one attempt, or several when
 * the rules of struct covey_retry_policy allow it: one after the other, or side by side (hedges). The
 * first attempt that brings an answer is the call; the others are then cancelled.
 *
 *   made --posted--> attempt --> its status --> reply, freed
 *                       ^            |
 *                       '-- a pause, when it may be repeated
 */
struct cv_unary;

struct cv_attempt {
    struct cv_client_request request; /* first: the request names the attempt */
    struct cv_unary *unary;
    LIST_ENTRY(cv_attempt) entry;
    struct covey_reply answer; /* what came so far */
};

struct cv_unary_outcome {
    /* The end, on the loop's thread; what the reply holds may be moved away if `moves` says so. */
    void (*done)(struct cv_unary *unary, struct covey_reply *reply);
    bool moves;
};

/* What the end of a call needs comes first, close together; the rest is looked at only where it begins. */
struct cv_unary {
    struct cv_attempt first;
    LIST_HEAD(, cv_attempt) open;
    covey_client *client;
    const struct cv_unary_outcome *outcome;
    covey_reply_handler done; /* of its kinds */
    void *user;
    size_t size; /* of this memory */
    covey_time begun;
    covey_time hedge_after; /* 0: no hedges */
    unsigned attempts;      /* made so far */
    unsigned failures;      /* in a row, for the pause */
    bool is_here;           /* its memory is the loop's share's, else the pool's */
    bool is_idempotent;
    bool is_decided; /* one attempt has an answer */
    bool is_unbegun; /* at the end: no server has begun it, surely */
    bool has_last;   /* an attempt has failed, and others go on or will */

    struct cv_client_wish wish; /* its header is in `bytes`, as is */
    struct cv_slice request;
    struct cv_mail mail;
    struct covey_reply last;      /* if has_last */
    struct cv_client_timer timer; /* of the next hedge */
    _Alignas(max_align_t) uint8_t bytes[];
};

/* Any thread. Errors as covey_client_call(). */
COVEY_MUST_USE int cv_unary_new(covey_client *client, const char *method, struct cv_slice request,
                                const struct covey_call_options *options,
                                const struct cv_unary_outcome *outcome, struct cv_unary **out);
/* Sends it on its way. 0; or COVEY_ERR_BUSY, COVEY_ERR_CLOSED, and it is freed. */
COVEY_MUST_USE int cv_unary_post(struct cv_unary *unary);
/* Frees one that was not posted. */
void cv_unary_drop(struct cv_unary *unary);

#endif
