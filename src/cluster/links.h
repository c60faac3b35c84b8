#ifndef CV_CLUSTER_LINKS_H
#define CV_CLUSTER_LINKS_H

#include "base/address.h"
#include "base/bucket.h"
#include "base/map.h"

#include <covey/export.h>
#include <covey/node.h>
#include <covey/types.h>

/*
 * Who is connected, whether it is a known node or not, and which dials are under way. Also how much
 * nonsense a peer may still send, and who sent too much of it and is kept out for a while.
 */
#define CV_PEERS_MAX       32768
#define CV_DIALS_MAX       128 /* at once; a probe that finds no place is a failed dial */
#define CV_QUARANTINE_MAX  64
#define CV_QUARANTINE_TIME (60 * COVEY_SECOND)

/* Non-productive messages: a burst of 1000 points and 33 a second. */
#define CV_GLITCH_BURST     1000
#define CV_GLITCH_INTERVAL  (COVEY_SECOND / 33)
#define CV_GLITCH_MALFORMED 10
#define CV_GLITCH_REFUSED   1
#define CV_GLITCH_LIST      10 /* asking for a member list: productive, but dear for its size */

/* Messages of one peer that are read: a burst of 400 and 200 a second; and apart from them the parts
 * of member lists, which come in a bunch: 4096, 16 MiB, and 64 a second. */
#define CV_MESSAGE_BURST    400
#define CV_MESSAGE_INTERVAL (COVEY_SECOND / 200)
#define CV_CHUNK_BURST      4096
#define CV_CHUNK_INTERVAL   (COVEY_SECOND / 64)
/* Bytes that one peer's questions may have us send, the lists and digests of joins and comparisons:
 * 4 MiB at once, a list of any size when none of it is used up, and 128 KiB a second. */
#define CV_ANSWER_BURST    (4u << 20)
#define CV_ANSWER_INTERVAL (COVEY_SECOND / (128 * 1024))
/* After a pause of ours a peer may have sent as much as it was allowed to in that time, up to this:
 * of those who pause for longer the others let go. */
#define CV_CATCH_UP_MAX (30 * COVEY_SECOND)

struct cv_member;

/* What each message asks for comes first. */
struct cv_peer {
    covey_node_id id;
    struct cv_bucket messages;
    covey_time last_heard;    /* on this connection */
    struct cv_member *member; /* NULL: it is not known. Kept by the protocol */
    bool we_dialled;
    bool knows_a_part; /* it asked us for all members before we knew them */
    size_t index;      /* in the order of the links */
    struct cv_bucket glitches;
    struct cv_bucket chunks;
    struct cv_bucket answers;
    struct cv_address remote;
    char name[COVEY_NODE_NAME_MAX + 1]; /* of its certificate; "" when not known */
};

struct cv_dial {
    uint32_t number;
    bool is_seed;
    covey_node_id id; /* of a node */
    uint32_t seed;    /* of a seed */
};

struct cv_quarantine {
    covey_node_id id;
    covey_time until;
};

struct cv_links {
    const struct cv_alloc *alloc;
    struct cv_map peers;
    struct cv_peer **order; /* all of them: as they came, but the last one fills a gap */
    size_t count;
    size_t capacity;
    uint64_t removals; /* while it stays the same, so do all peers */
    uint32_t last_dial;
    size_t dial_count;
    struct cv_dial dials[CV_DIALS_MAX];
    size_t quarantine_next;
    struct cv_quarantine quarantine[CV_QUARANTINE_MAX];
};

void cv_links_init(struct cv_links *l, const struct cv_alloc *alloc, const uint64_t secret[2]);
void cv_links_fini(struct cv_links *l);

/* NULL when it is not connected. */
struct cv_peer *cv_links_peer(const struct cv_links *l, const covey_node_id *id);
/* All peers by index. */
size_t cv_links_count(const struct cv_links *l);
struct cv_peer *cv_links_at(const struct cv_links *l, size_t index);
/* A new peer or the one that is there, with what is known now. 0, COVEY_ERR_LIMIT,
 * COVEY_ERR_NO_MEMORY. `name` may be NULL. */
COVEY_MUST_USE int cv_links_add_peer(struct cv_links *l, const covey_node_id *id, const char *name,
                                     const struct cv_address *remote, covey_time now);
void cv_links_remove_peer(struct cv_links *l, const covey_node_id *id);

/* Its number, or 0 when there are too many dials. */
uint32_t cv_links_dial_node(struct cv_links *l, const covey_node_id *id);
uint32_t cv_links_dial_seed(struct cv_links *l, uint32_t seed);
bool cv_links_is_dialling(const struct cv_links *l, const covey_node_id *id);
/* Takes the dial of that number out; false when there is none. */
bool cv_links_take_dial(struct cv_links *l, uint32_t number, struct cv_dial *out);

/* We paused for so long: what the peers sent meanwhile comes at once. */
void cv_links_catch_up(struct cv_links *l, covey_time now, covey_time pause);

void cv_links_banish(struct cv_links *l, const covey_node_id *id, covey_time now);
bool cv_links_is_banished(const struct cv_links *l, const covey_node_id *id, covey_time now);

#endif
