#ifndef FUZZ_CORE_MESSAGE_H
#define FUZZ_CORE_MESSAGE_H

#include "core_driver.h"

/*
 * Messages made of a few input bytes: mostly well-formed, about nodes and incarnations that the
 * core knows, since random bytes seldom are.
 *
 *   message:  u8 type | u8 what its fields are | u8 how many records | the records
 *   record:   u8 about, state, body | i8 incarnation from the known one on | u8 body, if it has one
 *
 * 0 as the type: u8 how many bytes, and these as they are. The highest bit of the type: one byte is
 * damaged, u8 where | u8 how.
 */

#define ABOUT_SENDER 12
#define ABOUT_CORE   13
#define ABOUT_OTHER  14       /* u8 which */
#define FAR_AWAY     INT8_MIN /* u64 incarnation */

struct told {
    struct cv_membership *m;
    uint8_t self;
    uint8_t sender;
    uint64_t wall_ms;
};

static inline uint8_t read_about(const struct told *t, struct cv_reader *r, uint8_t what)
{
    switch (what % 16) {
    case ABOUT_SENDER:
        return t->sender;
    case ABOUT_CORE:
        return t->self;
    case ABOUT_OTHER:
        return cv_read_u8(r);
    default:
        return what % 16;
    }
}

static inline uint64_t read_incarnation(const struct told *t, struct cv_reader *r,
                                        const covey_node_id *id)
{
    const struct cv_member *known = cv_node_registry_get(cv_membership_registry(t->m), id);
    int8_t later = (int8_t)cv_read_u8(r);
    uint64_t from = known != NULL ? known->incarnation : t->wall_ms;
    if (later == FAR_AWAY)
        return cv_read_u64(r);
    return from + (uint64_t)(int64_t)later;
}

static inline struct cv_cluster_node *read_body(struct cv_reader *r, uint8_t about,
                                                uint64_t incarnation)
{
    static const char value[] = "a value of some length, so that a body is as large as it may be";
    static const struct covey_tag large[] = {{"a", value}, {"b", value}, {"c", value},
                                             {"d", value}, {"e", value}, {"f", value}};
    uint8_t how = cv_read_u8(r);
    char text[2] = {(char)('a' + how % 8), '\0'};
    const struct covey_tag small[] = {{"v", text}};
    bool is_large = how >= 128;
    struct cv_cluster_node_config config = {
        .id = node_id(about),
        .incarnation = incarnation - how / 8 % 2,
        .version = how % 8,
        .address = node_address((uint8_t)(about + (how / 16 % 2) * 100)),
        .name = cv_slice_text((how & 32) != 0 ? "somebody else" : node_name()),
        .tags = is_large ? large : small,
        .tag_count = is_large ? 6 : (how & 64) != 0,
    };
    struct cv_cluster_node *body;
    if (cv_cluster_node_new(cv_alloc_default(), &config, &body) != COVEY_OK)
        abort();
    return body;
}

/* The caller releases the body. */
static inline struct cv_record read_told(const struct told *t, struct cv_reader *r)
{
    uint8_t what = cv_read_u8(r);
    uint8_t about = read_about(t, r, what);
    struct cv_record record = {.id = node_id(about)};
    record.status.incarnation = read_incarnation(t, r, &record.id);
    record.status.state = (enum covey_node_state)(what / 16 % 4);
    if (is_accusation(record.status.state))
        record.status.accuser = node_id(what >= 128 ? t->self : t->sender);
    if ((what & 64) != 0)
        record.body = read_body(r, about, record.status.incarnation);
    return record;
}

/* A digest of this size: what the core has, or what it has with a change, or the same byte all
 * over. */
static inline void make_digest(const struct told *t, uint8_t how, size_t size, uint8_t *digest)
{
    if (size == CV_DIGEST_ROOT_SIZE && how < 64)
        cv_membership_digest(t->m, digest);
    else if (size == CV_DIGEST_BUCKETS_SIZE && how < 128)
        cv_digest_write(&cv_membership_registry(t->m)->digest, digest);
    else
        memset(digest, how, size);
    if (size == CV_DIGEST_BUCKETS_SIZE && how % 64 != 0)
        digest[(size_t)(how % 64) * 8]++;
}

static inline struct cv_message_head read_head(const struct told *t, struct cv_reader *r,
                                               uint8_t type, uint32_t sequence, uint8_t *digest)
{
    uint8_t how = cv_read_u8(r);
    struct cv_message_head head = {.type = (enum cv_message_type)type};
    size_t size = 0;
    switch (head.type) {
    case CV_MESSAGE_PING:
    case CV_MESSAGE_PING_REQ:
        head.target = node_id(how == 255 ? t->self : how);
        head.address = node_address(how);
        head.sequence = sequence;
        break;
    case CV_MESSAGE_ACK:
    case CV_MESSAGE_NACK:
    case CV_MESSAGE_HEARTBEAT:
        head.sequence = how < 128 ? sequence : how;
        break;
    case CV_MESSAGE_LEAVE:
        head.incarnation = t->wall_ms + how;
        break;
    case CV_MESSAGE_SYNC:
        size = CV_DIGEST_ROOT_SIZE;
        break;
    case CV_MESSAGE_SYNC_BUCKETS:
        size = CV_DIGEST_BUCKETS_SIZE;
        break;
    case CV_MESSAGE_SYNC_RECORDS:
    case CV_MESSAGE_SYNC_ANSWER:
        size = sizeof(struct cv_bucket_set);
        /* fall through */
    case CV_MESSAGE_JOIN_ACK:
        head.chunk_count = (uint16_t)(1 + how / 16);
        head.chunk = how % 16 % head.chunk_count;
        break;
    default:
        break;
    }
    if (size > 0)
        make_digest(t, how, size, digest);
    head.digest = cv_slice_of(digest, size);
    return head;
}

static inline struct cv_slice read_raw(struct cv_reader *r, uint8_t *memory)
{
    uint8_t wanted = cv_read_u8(r);
    size_t left = cv_reader_left(r);
    struct cv_slice bytes = cv_read_bytes(r, wanted < left ? wanted : left);
    if (bytes.size > 0)
        memcpy(memory, bytes.data, bytes.size);
    return cv_slice_of(memory, bytes.size);
}

static inline struct cv_slice read_whole(const struct told *t, struct cv_reader *r, uint8_t type,
                                         uint32_t sequence, uint8_t *memory)
{
    static uint8_t digest[CV_DIGEST_BUCKETS_SIZE];
    struct cv_message_writer mw;
    const struct cv_message_head head = read_head(t, r, type, sequence, digest);
    uint8_t count = cv_read_u8(r) % (CV_MAX_UPDATES_PER_MESSAGE + 1);
    cv_message_begin(&mw, memory, CV_MAX_MESSAGE_SIZE, &head);
    if (head.type == CV_MESSAGE_JOIN) {
        struct cv_record own = {.id = node_id(t->sender)};
        own.status.incarnation = read_incarnation(t, r, &own.id);
        own.body = read_body(r, t->sender, own.status.incarnation);
        (void)cv_message_add(&mw, &own);
        cv_cluster_node_release(own.body);
    }
    for (uint8_t i = 0; i < count && cv_reader_left(r) > 0; i++) {
        struct cv_record record = read_told(t, r);
        (void)cv_message_add(&mw, &record);
        cv_cluster_node_release(record.body);
    }
    return cv_message_bytes(&mw);
}

/* The next message of the input, in `memory` of CV_MAX_MESSAGE_SIZE bytes. */
static inline struct cv_slice read_message_bytes(const struct told *t, struct cv_reader *r,
                                                 uint32_t sequence, uint8_t *memory)
{
    uint8_t what = cv_read_u8(r);
    uint8_t type = (uint8_t)(what % 128 % (CV_MESSAGE_SYNC_ANSWER + 1));
    struct cv_slice bytes =
        type == 0 ? read_raw(r, memory) : read_whole(t, r, type, sequence, memory);
    if (what >= 128 && bytes.size > 0) {
        uint8_t where = cv_read_u8(r);
        memory[where % bytes.size] ^= cv_read_u8(r);
    }
    return bytes;
}

#endif
