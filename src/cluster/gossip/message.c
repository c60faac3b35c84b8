#include "cluster/gossip/message.h"

#include "cluster/gossip/field.h"

#include <assert.h>
#include <covey/error.h>

enum message_field {
    FIELD_SEQUENCE = 1,
    FIELD_TARGET = 2,
    FIELD_ADDRESS = 3,
    FIELD_INCARNATION = 4,
    FIELD_CHUNK = 5,
    FIELD_CHUNK_COUNT = 6,
    FIELD_DIGEST = 7,
    FIELD_UPDATE = 15 /* the last: what is added after the head */
};

#define BIT(field) (1u << (field))

/* The fields that each type has: all of them, no others. */
static const unsigned fields_of_type[] = {
    [CV_MESSAGE_PING] = BIT(FIELD_SEQUENCE) | BIT(FIELD_TARGET),
    [CV_MESSAGE_ACK] = BIT(FIELD_SEQUENCE),
    [CV_MESSAGE_NACK] = BIT(FIELD_SEQUENCE),
    [CV_MESSAGE_PING_REQ] = BIT(FIELD_SEQUENCE) | BIT(FIELD_TARGET) | BIT(FIELD_ADDRESS),
    [CV_MESSAGE_GOSSIP] = 0,
    [CV_MESSAGE_JOIN] = 0,
    [CV_MESSAGE_JOIN_ACK] = BIT(FIELD_CHUNK) | BIT(FIELD_CHUNK_COUNT),
    [CV_MESSAGE_LEAVE] = BIT(FIELD_INCARNATION),
    [CV_MESSAGE_LEAVE_ACK] = 0,
    [CV_MESSAGE_WATCH] = 0,
    [CV_MESSAGE_UNWATCH] = 0,
    [CV_MESSAGE_HEARTBEAT] = BIT(FIELD_SEQUENCE),
    [CV_MESSAGE_SYNC] = BIT(FIELD_DIGEST),
    [CV_MESSAGE_SYNC_BUCKETS] = BIT(FIELD_DIGEST),
    [CV_MESSAGE_SYNC_RECORDS] = BIT(FIELD_CHUNK) | BIT(FIELD_CHUNK_COUNT) | BIT(FIELD_DIGEST),
    [CV_MESSAGE_SYNC_ANSWER] = BIT(FIELD_CHUNK) | BIT(FIELD_CHUNK_COUNT) | BIT(FIELD_DIGEST),
};
#define TYPE_COUNT (sizeof(fields_of_type) / sizeof(fields_of_type[0]))

static void read_update(struct cv_message *m, struct cv_reader *value)
{
    if (m->update_count == CV_MAX_UPDATES_PER_MESSAGE) {
        cv_reader_fail(value);
        return;
    }
    m->updates[m->update_count] = cv_update_read(value);
    m->update_count++;
}

/* False for a key that is not known. */
static bool read_field(struct cv_message *m, struct cv_field *field)
{
    struct cv_reader *value = &field->value;
    switch (field->key) {
    case FIELD_SEQUENCE:
        m->head.sequence = cv_read_u32(value);
        return true;
    case FIELD_TARGET:
        m->head.target = cv_read_node_id(value);
        return true;
    case FIELD_ADDRESS:
        m->head.address = cv_address_read(value);
        return true;
    case FIELD_INCARNATION:
        m->head.incarnation = cv_read_u64(value);
        return true;
    case FIELD_CHUNK:
        m->head.chunk = cv_read_u16(value);
        return true;
    case FIELD_CHUNK_COUNT:
        m->head.chunk_count = cv_read_u16(value);
        return true;
    case FIELD_DIGEST:
        m->head.digest = cv_read_bytes(value, cv_reader_left(value));
        return true;
    case FIELD_UPDATE:
        read_update(m, value);
        return true;
    default:
        return false;
    }
}

static size_t digest_size(enum cv_message_type type)
{
    switch (type) {
    case CV_MESSAGE_SYNC:
        return CV_DIGEST_ROOT_SIZE;
    case CV_MESSAGE_SYNC_BUCKETS:
        return CV_DIGEST_BUCKETS_SIZE;
    case CV_MESSAGE_SYNC_RECORDS:
    case CV_MESSAGE_SYNC_ANSWER:
        return sizeof(struct cv_bucket_set);
    default:
        return 0;
    }
}

bool cv_message_is_list(enum cv_message_type type)
{
    return (fields_of_type[type] & BIT(FIELD_CHUNK)) != 0;
}

static bool is_consistent(const struct cv_message *m, unsigned seen)
{
    if ((seen & ~BIT(FIELD_UPDATE)) != fields_of_type[m->head.type])
        return false;
    if (m->head.digest.size != digest_size(m->head.type))
        return false;
    if (m->head.type == CV_MESSAGE_JOIN)
        return m->update_count > 0 && m->updates[0].has_body;
    return !cv_message_is_list(m->head.type) || m->head.chunk < m->head.chunk_count;
}

int cv_message_read(struct cv_slice bytes, struct cv_message *out)
{
    if (bytes.size > CV_MAX_MESSAGE_SIZE)
        return COVEY_ERR_MALFORMED;
    struct cv_reader r;
    struct cv_fields fields;
    struct cv_field field;
    unsigned seen = 0;
    cv_reader_init(&r, bytes);
    uint8_t type = cv_read_u8(&r);
    if (!cv_reader_ok(&r) || type == 0 || type >= TYPE_COUNT)
        return COVEY_ERR_MALFORMED;
    out->head = (struct cv_message_head){.type = (enum cv_message_type)type};
    out->update_count = 0;
    cv_fields_init(&fields, &r, FIELD_UPDATE);
    while (cv_fields_next(&fields, &field)) {
        if (!read_field(out, &field))
            continue;
        cv_fields_accept(&fields, &field);
        seen |= BIT(field.key);
    }
    return cv_reader_done(&r) && is_consistent(out, seen) ? COVEY_OK : COVEY_ERR_MALFORMED;
}

static void write_head(struct cv_writer *w, const struct cv_message_head *head)
{
    unsigned fields = fields_of_type[head->type];
    cv_write_u8(w, (uint8_t)head->type);
    if (fields & BIT(FIELD_SEQUENCE))
        cv_field_write_u32(w, FIELD_SEQUENCE, head->sequence);
    if (fields & BIT(FIELD_TARGET))
        cv_field_write_id(w, FIELD_TARGET, &head->target);
    if (fields & BIT(FIELD_ADDRESS)) {
        cv_field_begin(w, FIELD_ADDRESS, head->address.family == 4 ? 7 : 19);
        cv_address_write(w, &head->address);
    }
    if (fields & BIT(FIELD_INCARNATION))
        cv_field_write_u64(w, FIELD_INCARNATION, head->incarnation);
    if (fields & BIT(FIELD_CHUNK)) {
        cv_field_write_u16(w, FIELD_CHUNK, head->chunk);
        cv_field_write_u16(w, FIELD_CHUNK_COUNT, head->chunk_count);
    }
    assert(head->digest.size == digest_size(head->type));
    if (fields & BIT(FIELD_DIGEST))
        cv_field_write_bytes(w, FIELD_DIGEST, head->digest);
}

void cv_message_begin(struct cv_message_writer *mw, void *memory, size_t size,
                      const struct cv_message_head *head)
{
    assert(size <= CV_MAX_MESSAGE_SIZE && head->type > 0 && head->type < TYPE_COUNT);
    cv_writer_init(&mw->writer, memory, size);
    mw->update_count = 0;
    write_head(&mw->writer, head);
    assert(cv_writer_ok(&mw->writer));
}

bool cv_message_add(struct cv_message_writer *mw, const struct cv_record *record)
{
    size_t size = cv_update_size(record);
    if (mw->update_count == CV_MAX_UPDATES_PER_MESSAGE ||
        cv_field_size(FIELD_UPDATE, size) > cv_writer_left(&mw->writer))
        return false;
    cv_field_begin(&mw->writer, FIELD_UPDATE, size);
    cv_update_write(&mw->writer, record);
    assert(cv_writer_ok(&mw->writer));
    mw->update_count++;
    return true;
}

size_t cv_message_room(const struct cv_message_writer *mw)
{
    size_t left = cv_writer_left(&mw->writer);
    size_t header = cv_field_size(FIELD_UPDATE, CV_UPDATE_SIZE_MAX) - CV_UPDATE_SIZE_MAX;
    if (mw->update_count == CV_MAX_UPDATES_PER_MESSAGE || left <= header)
        return 0;
    return left - header;
}

struct cv_slice cv_message_bytes(const struct cv_message_writer *mw)
{
    return cv_writer_bytes(&mw->writer);
}
