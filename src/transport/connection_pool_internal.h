#ifndef CV_TRANSPORT_CONNECTION_POOL_INTERNAL_H
#define CV_TRANSPORT_CONNECTION_POOL_INTERNAL_H

#include "transport/connection_pool.h"

/*
 *   connection_pool.c        connections: who speaks, leases, bounds, idleness
 *   connection_pool_slots.c  what is known of each peer
 *   connection_pool_dials.c  what is not connected yet: dials, waiters
 */

/* The dial of a slot, which is in the list of that name. */
enum cv_pool_dial {
    CV_POOL_DIAL_NONE,
    CV_POOL_DIAL_HELD,
    CV_POOL_DIAL_QUEUED,
    CV_POOL_DIAL_WANTED,
    CV_POOL_DIAL_UNDER_WAY,
    CV_POOL_DIAL_ABANDONED
};

/* A peer that is connected, dialled or waited for. */
struct cv_pool_slot {
    bool has_id;
    covey_node_id id;
    struct cv_address address; /* where to dial */
    struct cv_address place;   /* a dial went there, or came from there: the key of `places` */
    bool is_placed;            /* in `places` */
    void *owner;               /* UNDER_WAY: of cv_connection_pool_begun() */
    bool is_pinned;
    bool is_counted; /* in stats.dialled */
    enum cv_pool_dial dial;
    covey_time dial_at; /* HELD: when it is not held any longer; UNDER_WAY: when it began */
    bool is_heard;      /* UNDER_WAY: the peer has answered */
    bool is_delayed;    /* WANTED: it waits for others that are under way */
    struct cv_pooled *speaker;
    struct cv_pool_waiters waiters;
    TAILQ_ENTRY(cv_pool_slot) unnamed;
    TAILQ_ENTRY(cv_pool_slot) dials;
};

/* ---- connection_pool.c ---- */
/* The least recently used one that may be closed; NULL when there is none. */
struct cv_pooled *cv_pool_least_used(const struct cv_connection_pool *pool);
/* Closes it; false when there is none, or it was used within the last `unused_min`. */
bool cv_pool_evict(struct cv_connection_pool *pool, covey_time unused_min);
void cv_pool_lease(struct cv_connection_pool *pool, struct cv_pooled *connection, covey_time now);

/* ---- connection_pool_slots.c ---- */
struct cv_pool_slot *cv_pool_slot_of(const struct cv_connection_pool *pool,
                                     const covey_node_id *id);
/* Whose place that is; NULL. */
struct cv_pool_slot *cv_pool_slot_at(const struct cv_connection_pool *pool,
                                     const struct cv_address *address);
/* The slot for an id, with room for it in the map. COVEY_ERR_LIMIT, COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_pool_slot_need(struct cv_connection_pool *pool, const covey_node_id *id,
                                     struct cv_pool_slot **out);
/* The same for an address whose peer is not known. */
COVEY_MUST_USE int cv_pool_unnamed_slot_need(struct cv_connection_pool *pool,
                                             const struct cv_address *address,
                                             struct cv_pool_slot **out);
/* Notes down where it was dialled, or was dialled from. */
void cv_pool_slot_place(struct cv_connection_pool *pool, struct cv_pool_slot *slot,
                        const struct cv_address *address);
/* After each change: counts it anew, starts dials that have room now, and frees it when it holds
 * nothing. */
void cv_pool_slot_settle(struct cv_connection_pool *pool, struct cv_pool_slot *slot);

/* ---- connection_pool_dials.c ---- */
void cv_pool_dial_set(struct cv_connection_pool *pool, struct cv_pool_slot *slot,
                      enum cv_pool_dial dial);
/* Answers all that wait: with the speaker, or with the error. */
void cv_pool_answer_all(struct cv_connection_pool *pool, struct cv_pool_slot *slot, int error,
                        covey_time now);
/* Those to whom `old` was given and who do not know it yet get `new` instead, or, NULL, an error. */
void cv_pool_change_answers(struct cv_connection_pool *pool, struct cv_pooled *old,
                            struct cv_pooled *new);
/* Dials that were held for long enough, waiters whose time is over, and dials that have room now. */
void cv_pool_expire_dials(struct cv_connection_pool *pool, covey_time now);
/* Starts the dials that waited for room. */
void cv_pool_serve_queue(struct cv_connection_pool *pool);

#endif
