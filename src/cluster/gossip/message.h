#ifndef CV_CLUSTER_GOSSIP_MESSAGE_H
#define CV_CLUSTER_GOSSIP_MESSAGE_H

#include "cluster/digest.h"
#include "cluster/gossip/update.h"

#include <covey/export.h>

/*
 * Gossip messages: a type, the fields of that type, and up to 20 updates, which may ride on any
 * message. docs/PROTOCOL.md describes every byte. A message has one encoding: what was read and is
 * written again is the same, but for fields that this version does not know and leaves out.
 */
#define CV_MAX_MESSAGE_SIZE        4096
#define CV_MAX_UPDATES_PER_MESSAGE 20

enum cv_message_type {
    CV_MESSAGE_PING = 1,     /* sequence, target: are you there? */
    CV_MESSAGE_ACK = 2,      /* sequence of the ping */
    CV_MESSAGE_NACK = 3,     /* sequence of the ping request: no answer, but I am here */
    CV_MESSAGE_PING_REQ = 4, /* sequence, target, its address: please ping it for me */
    CV_MESSAGE_GOSSIP = 5,
    CV_MESSAGE_JOIN = 6,     /* the first update is the sender's own record */
    CV_MESSAGE_JOIN_ACK = 7, /* chunk, chunk count; the updates are the member list */
    CV_MESSAGE_LEAVE = 8,    /* the sender's incarnation */
    CV_MESSAGE_LEAVE_ACK = 9,
    CV_MESSAGE_WATCH = 10,        /* send me your heartbeats: for a while, until unwatched */
    CV_MESSAGE_UNWATCH = 11,      /* no more of them */
    CV_MESSAGE_HEARTBEAT = 12,    /* sequence: one more than the last */
    CV_MESSAGE_SYNC = 13,         /* digest: the root of what I know; do you know the same? */
    CV_MESSAGE_SYNC_BUCKETS = 14, /* digest: no, these are mine; where do we differ? */
    CV_MESSAGE_SYNC_RECORDS = 15, /* digest, chunk, chunk count: here; now tell me yours */
    CV_MESSAGE_SYNC_ANSWER = 16   /* the same: mine, as asked */
};

/* The fields apart from updates; those that the type does not have are zero. */
struct cv_message_head {
    enum cv_message_type type;
    uint32_t sequence;
    covey_node_id target;
    struct cv_address address;
    uint64_t incarnation;
    uint16_t chunk;
    uint16_t chunk_count;
    /* SYNC: CV_DIGEST_ROOT_SIZE bytes; SYNC_BUCKETS: CV_DIGEST_BUCKETS_SIZE; SYNC_RECORDS and
     * SYNC_ANSWER: a cv_bucket_set. Borrowed. */
    struct cv_slice digest;
};

struct cv_message {
    struct cv_message_head head;
    size_t update_count;
    struct cv_update updates[CV_MAX_UPDATES_PER_MESSAGE]; /* borrow from the bytes read */
};

/* 0 or COVEY_ERR_MALFORMED, *out undefined then. */
COVEY_MUST_USE int cv_message_read(struct cv_slice bytes, struct cv_message *out);

/* Records that one who knows much tells to one who knows less: JOIN_ACK, SYNC_RECORDS, SYNC_ANSWER.
 */
bool cv_message_is_list(enum cv_message_type type);

/* Builds one message into memory of the caller's. */
struct cv_message_writer {
    struct cv_writer writer;
    size_t update_count;
};

/* `size` is what the message may grow to, at most CV_MAX_MESSAGE_SIZE; the head itself takes up to
 * 64 bytes, and CV_DIGEST_BUCKETS_SIZE more in SYNC_BUCKETS. */
void cv_message_begin(struct cv_message_writer *mw, void *memory, size_t size,
                      const struct cv_message_head *head);
/* Adds an update; false, and nothing added, when it does not fit. */
bool cv_message_add(struct cv_message_writer *mw, const struct cv_record *record);
/* How many bytes of update still fit, headers apart; 0 after 20 of them. */
size_t cv_message_room(const struct cv_message_writer *mw);
struct cv_slice cv_message_bytes(const struct cv_message_writer *mw);

#endif
