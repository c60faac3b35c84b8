#ifndef CV_TRANSPORT_CONNECTION_POOL_H
#define CV_TRANSPORT_CONNECTION_POOL_H

#include "base/address.h"
#include "base/alloc.h"
#include "base/map.h"
#include "transport/dial_window.h"

#include <covey/export.h>
#include <covey/types.h>
#include <stdbool.h>
#include <sys/queue.h>

/*
 * The connections of one protocol (ALPN) with other nodes: at most one speaks for a peer, whoever
 * dialled it, and all that want it share it. Pure policy: a connection is a struct in its owner's
 * memory, time is an argument, and what is to be done comes out of poll(). One thread at a time.
 *
 *     acquire() --+-- there is one -----------------------------------------> lease -> release()
 *                 |                                                             ^
 *                 +-- none: waits --> DIAL --> connected() --> ANSWER: lease ---+
 *                        |              \----> failed() -----> ANSWER: its error, for all that wait
 *                        +-- no room, until the deadline ----> ANSWER: COVEY_ERR_POOL_EXHAUSTED
 *
 * A peer is known by its node id; where that is not known yet, by its address until it is connected.
 *
 * Bounds. At most `dialled_max` connections that we dialled are there or on their way, pinned ones apart.
 * When one more is wanted the least recently used one that nobody leases, and that was not used within the
 * last CV_POOL_USE_MIN, is closed; else its turn comes when there is room. So what was just dialled for
 * somebody does him a service before it goes. A wish may be modest (a stranger's): it fails when less than half
 * of `dialled_max` is free, closes nothing and waits for no room.
 *
 * Of the dials so many are under way at once as dial_window.h says; the others, pinned ones too, wait for
 * their turn. One without an answer for CV_POOL_UNHEARD is as good as dead and keeps nobody waiting any more; nor
 * does one that was answered, after CV_POOL_HEARD: its peer may never go on.
 *
 * Who was unused for `idle_max` is closed at the next check. Pinned connections are
 * those that somebody else decides on (membership, for its watch rings): neither counted nor closed here.
 * Accepted ones are used like any other; they are bounded apart, and end by their dialler's hand unless they
 * are dead: each `check_interval` the owner is asked to look whether unpinned ones are alive, which is no use of
 * them, and closes those that do not answer.
 *
 * Crossing dials. Two nodes that hear of each other dial each other, and of two connections both must keep
 * the same one: that dialled by the node with the lower id. A connection that comes when the other was up
 * for longer than CV_POOL_CROSSING is no such crossing: its dialler has lost the old one (it restarted, or
 * its path broke), so the newer one stays. A handshake costs a core a millisecond, so what is in vain is
 * not begun or given up:
 *
 *   - a dial waits for CV_POOL_HOLD when the peer is just dialling us (`is_coming`);
 *   - what the peer dials while our dial is on its way, and will stay or has come further, is turned away
 *     unread (is_in_vain());
 *   - what comes from the address of a connection that is only just ready is turned away too;
 *   - our dial is given up (ABANDON) when the peer's is ready, and will stay or has turned ours away.
 *
 * Addresses of packets can be forged, so what is done for a dial that nobody answered ends by itself after
 * a moment. No dial that the
 * peer has answered is given up for another that might not stay: so both sides never give up both.
 */
#define CV_POOL_CROSSING (1 * COVEY_SECOND)
#define CV_POOL_HOLD     (300 * COVEY_MILLISECOND)
#define CV_POOL_USE_MIN  (1 * COVEY_SECOND)
#define CV_POOL_UNHEARD  (2 * COVEY_SECOND)
#define CV_POOL_HEARD    (5 * COVEY_SECOND)

/* A connection, as its owner holds it; {0} before it is given to connected(). */
struct cv_pooled {
    struct cv_pool_slot *slot; /* that it speaks for; or NULL */
    bool accepted;
    bool is_closing;  /* its CLOSE waits to be polled */
    bool is_asked;    /* its CHECK does */
    size_t leases;    /* it is in use */
    covey_time since; /* connected */
    covey_time used_at;
    TAILQ_ENTRY(cv_pooled) order; /* of use; or of closing */
    TAILQ_ENTRY(cv_pooled) checks;
};
TAILQ_HEAD(cv_pooled_list, cv_pooled);

/* Somebody who waits, in his memory; set by acquire(). */
struct cv_pool_waiter {
    struct cv_pool_slot *slot;    /* NULL: answered */
    struct cv_pooled *connection; /* ANSWER: leased; NULL: it was in vain */
    int error;                    /* ANSWER: why */
    covey_time deadline;
    TAILQ_ENTRY(cv_pool_waiter) mates; /* those of the slot; or the answered ones */
    TAILQ_ENTRY(cv_pool_waiter) all;
};
TAILQ_HEAD(cv_pool_waiters, cv_pool_waiter);

struct cv_pool_config {
    size_t dialled_max;        /* 50 */
    size_t under_way_max;      /* dials at once at most, 32 */
    size_t accepted_max;       /* 4096 */
    size_t waiters_max;        /* 1024 */
    covey_time idle_max;       /* 60 s */
    covey_time check_interval; /* 30 s */
};
void cv_pool_config_init(struct cv_pool_config *config);

struct cv_pool_stats {
    uint64_t hits;      /* wanted, and there was one */
    uint64_t misses;    /* there was none */
    uint64_t dials;     /* begun */
    uint64_t failures;  /* of them */
    uint64_t delayed;   /* that waited until others were done */
    uint64_t created;   /* connections that ever spoke for a peer */
    uint64_t closed;    /* and do no more */
    uint64_t idle;      /* of these, closed for not being used */
    uint64_t evicted;   /* closed for another that was wanted */
    uint64_t replaced;  /* another one speaks for their peer */
    uint64_t unwanted;  /* connections that never spoke for a peer, which had one */
    uint64_t saved;     /* dials that were not begun, or given up, as the peer's came */
    uint64_t forgone;   /* that were not begun, as nobody wanted them any more */
    uint64_t exhausted; /* waited for room in vain, or were modest and found none */
    uint64_t timeouts;  /* waited for a connection in vain */
    size_t open;        /* now */
    size_t dialled;     /* of them and the dials on their way, what counts against dialled_max */
    size_t accepted;
    size_t waiting;
};

struct cv_connection_pool {
    const struct cv_alloc *alloc;
    covey_node_id self;
    struct cv_pool_config config;
    struct cv_dial_window window;
    struct cv_map slots;                          /* by node id */
    struct cv_map places;                         /* the same by address, the latest of each */
    TAILQ_HEAD(, cv_pool_slot) unnamed;           /* by address */
    TAILQ_HEAD(cv_pool_slots, cv_pool_slot) held; /* dials that wait for the peer's, */
    struct cv_pool_slots queued;                  /* for room, */
    struct cv_pool_slots wanted;                  /* to be polled; */
    struct cv_pool_slots under_way;               /* those that are made, */
    struct cv_pool_slots abandoned;               /* and those in vain, to be polled */
    struct cv_pooled_list by_use;                 /* speakers, least recently used first */
    struct cv_pooled_list closing;                /* to be polled */
    struct cv_pooled_list checks;                 /* the same */
    struct cv_pool_waiters waiters;               /* not answered yet */
    struct cv_pool_waiters answered;              /* to be polled */
    covey_time waiters_due;                       /* when the first waiter's time may be over */
    covey_time check_at;
    covey_time now; /* as last heard */
    struct cv_pool_stats stats;
};

/* Copies the configuration. */
void cv_connection_pool_init(struct cv_connection_pool *pool, const struct cv_alloc *alloc,
                             const covey_node_id *self, const uint64_t secret[2],
                             const struct cv_pool_config *config);
/* Forgets all connections and waiters; they are their owners'. */
void cv_connection_pool_fini(struct cv_connection_pool *pool);

/* ---- for those who use connections ---- */

struct cv_pool_wish {
    bool has_id;
    covey_node_id id;
    struct cv_address address; /* where to dial */
    bool is_pinned;            /* as pin() */
    bool is_coming;            /* the peer seems to be dialling us */
    bool is_modest;            /* nobody is to give way for it; not pinned */
};

/*
 * Wants a connection. 0 with *out leased at once; or with NULL there: the waiter, which must stay
 * where it is, is answered by one ANSWER, at the deadline at the latest. COVEY_ERR_LIMIT: too many wait;
 * COVEY_ERR_POOL_EXHAUSTED: it is modest, and there is not room enough; COVEY_ERR_NO_MEMORY.
 */
COVEY_MUST_USE int cv_connection_pool_acquire(struct cv_connection_pool *pool,
                                              const struct cv_pool_wish *wish, covey_time now,
                                              covey_time deadline, struct cv_pool_waiter *waiter,
                                              struct cv_pooled **out);
/* He waits no more: before his ANSWER was polled. A lease that it would have told of is given back. */
void cv_connection_pool_cancel(struct cv_connection_pool *pool, struct cv_pool_waiter *waiter,
                               covey_time now);
/* Gives a lease back, whatever became of the connection. */
void cv_connection_pool_release(struct cv_connection_pool *pool, struct cv_pooled *connection,
                                covey_time now);
/* The connection that speaks for the peer, for this moment; NULL when there is none. No use of it. */
struct cv_pooled *cv_connection_pool_get(const struct cv_connection_pool *pool,
                                         const covey_node_id *peer);
/* It was used. */
void cv_connection_pool_touch(struct cv_connection_pool *pool, struct cv_pooled *connection,
                              covey_time now);
/* Pins the peer's connection, or gives it free. Nothing for a peer without one. */
void cv_connection_pool_pin(struct cv_connection_pool *pool, const covey_node_id *peer,
                            bool is_pinned);

/* ---- for who makes connections ---- */

enum cv_pool_verdict {
    CV_POOL_ADDED,    /* the first one of this peer */
    CV_POOL_REPLACED, /* the new one speaks for the peer now, `loser` is the old one */
    CV_POOL_KEPT      /* the old one stays, the new one is not wanted */
};

struct cv_pool_offer {
    struct cv_pool_slot
        *slot; /* whose dial this is the outcome of; NULL: it was accepted, or its owner
                                  dialled it to replace an older one */
    covey_node_id peer;
    struct cv_address address; /* of the peer */
    struct cv_pooled *connection;
    bool accepted;
    /* set by connected(): */
    enum cv_pool_verdict verdict;
    struct cv_pooled *loser; /* REPLACED: the old one */
};

/*
 * A connection is usable. 0, or COVEY_ERR_LIMIT or COVEY_ERR_NO_MEMORY: it is not in the pool, and the dial
 * has failed by that.
 */
COVEY_MUST_USE int cv_connection_pool_connected(struct cv_connection_pool *pool,
                                                struct cv_pool_offer *offer, covey_time now);
/* The dial `slot` has failed. */
void cv_connection_pool_failed(struct cv_connection_pool *pool, struct cv_pool_slot *slot,
                               int error);
/*
 * The connection is no more. True when its owner has not heard of that before: it spoke for its peer, or its
 * CLOSE was not polled yet, and will not be any more.
 */
bool cv_connection_pool_closed(struct cv_connection_pool *pool, struct cv_pooled *connection);
/* Dials wait for their turn. */
bool cv_connection_pool_wants_to_dial(const struct cv_connection_pool *pool);
/* Instead of beginning the dial `slot` that was just polled: nobody wants it any more. */
void cv_connection_pool_forgo(struct cv_connection_pool *pool, struct cv_pool_slot *slot);
/* The peer of the dial has answered a first time. */
void cv_connection_pool_heard(struct cv_pool_slot *slot);
/* The dial `slot` that was just polled is made by `owner`, who outlives it. */
void cv_connection_pool_begun(struct cv_pool_slot *slot, void *owner);
/* Whose dial to a known peer at that address is under way; NULL when none is. */
void *cv_connection_pool_dialler(const struct cv_connection_pool *pool,
                                 const struct cv_address *address, struct cv_pool_slot **slot);
/* Somebody dials us from there: true when that would be in vain. However many connections there are,
 * strangers' packets ask for this: one look into a table. */
bool cv_connection_pool_is_in_vain(const struct cv_connection_pool *pool,
                                   const struct cv_address *from, covey_time now);

enum cv_pool_output_type {
    CV_POOL_DIAL,    /* `slot`: answered by one connected() or failed(), unless it is abandoned */
    CV_POOL_ABANDON, /* the dial `slot` is to be given up, without another word about it */
    CV_POOL_ANSWER,  /* `waiter` */
    CV_POOL_CLOSE,   /* `connection`: nobody gets it any more */
    CV_POOL_CHECK    /* `connection`: is it alive? If not, its owner closes it */
};

struct cv_pool_output {
    enum cv_pool_output_type type;
    struct cv_pool_slot *slot;
    struct cv_address address; /* DIAL */
    bool has_id;               /* DIAL */
    covey_node_id id;          /* DIAL: the only one to accept there */
    bool is_pinned;            /* DIAL */
    struct cv_pool_waiter *waiter;
    struct cv_pooled *connection;
};
/* What cv_connection_pool_heard() is to be told of should be told before. */
bool cv_connection_pool_poll(struct cv_connection_pool *pool, covey_time now,
                             struct cv_pool_output *out);
/* Acts on the time. */
void cv_connection_pool_expire(struct cv_connection_pool *pool, covey_time now);
/* When expire() is due. */
covey_time cv_connection_pool_deadline(const struct cv_connection_pool *pool);

#endif
