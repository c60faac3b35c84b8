#include "cluster/gossip/update.h"

#include "base/utf8.h"
#include "cluster/gossip/field.h"
#include "cluster/incarnation.h"
#include "cluster/tags.h"

#include <assert.h>
#include <covey/error.h>

enum update_field {
    FIELD_ID = 1,
    FIELD_INCARNATION = 2,
    FIELD_STATE = 3,
    FIELD_ACCUSER = 4,
    FIELD_BODY_INCARNATION = 5,
    FIELD_VERSION = 6,
    FIELD_ADDRESS = 7,
    FIELD_NAME = 8,
    FIELD_TAGS = 9
    /* 10 is kept for the owner's signature. */
};

#define BIT(field)  (1u << (field))
#define STATUS_BITS (BIT(FIELD_ID) | BIT(FIELD_INCARNATION) | BIT(FIELD_STATE))
#define BODY_BITS   (BIT(FIELD_BODY_INCARNATION) | BIT(FIELD_VERSION) | BIT(FIELD_ADDRESS))
#define TEXT_BITS   (BIT(FIELD_NAME) | BIT(FIELD_TAGS))

static bool has_accuser(enum covey_node_state state)
{
    return state == COVEY_NODE_SUSPECT || state == COVEY_NODE_FAILED;
}

static size_t address_size(const struct cv_address *address)
{
    return 1 + (address->family == 4 ? (size_t)4 : (size_t)16) + 2;
}

static size_t prefixed_size(const char *text)
{
    size_t size = strlen(text);
    return cv_varint_size(size) + size;
}

static size_t tags_size(const struct cv_cluster_node *body)
{
    size_t size = 0;
    for (size_t i = 0; i < body->tag_count; i++)
        size += prefixed_size(body->tags[i].key) + prefixed_size(body->tags[i].value);
    return size;
}

static size_t body_size(const struct cv_cluster_node *body)
{
    size_t size = cv_field_size(FIELD_BODY_INCARNATION, 8) + cv_field_size(FIELD_VERSION, 4) +
                  cv_field_size(FIELD_ADDRESS, address_size(&body->address));
    if (body->name[0] != '\0')
        size += cv_field_size(FIELD_NAME, strlen(body->name));
    if (body->tag_count > 0)
        size += cv_field_size(FIELD_TAGS, tags_size(body));
    return size;
}

size_t cv_update_size(const struct cv_record *record)
{
    size_t size = cv_field_size(FIELD_ID, COVEY_NODE_ID_SIZE) +
                  cv_field_size(FIELD_INCARNATION, 8) + cv_field_size(FIELD_STATE, 1);
    if (has_accuser(record->status.state))
        size += cv_field_size(FIELD_ACCUSER, COVEY_NODE_ID_SIZE);
    if (record->body != NULL)
        size += body_size(record->body);
    assert(size <= CV_UPDATE_SIZE_MAX);
    return size;
}

static void write_body(struct cv_writer *w, const struct cv_cluster_node *body)
{
    cv_field_write_u64(w, FIELD_BODY_INCARNATION, body->incarnation);
    cv_field_write_u32(w, FIELD_VERSION, body->version);
    cv_field_begin(w, FIELD_ADDRESS, address_size(&body->address));
    cv_address_write(w, &body->address);
    if (body->name[0] != '\0')
        cv_field_write_bytes(w, FIELD_NAME, cv_slice_text(body->name));
    if (body->tag_count == 0)
        return;
    cv_field_begin(w, FIELD_TAGS, tags_size(body));
    for (size_t i = 0; i < body->tag_count; i++) {
        cv_write_prefixed(w, cv_slice_text(body->tags[i].key));
        cv_write_prefixed(w, cv_slice_text(body->tags[i].value));
    }
}

void cv_update_write(struct cv_writer *w, const struct cv_record *record)
{
    cv_field_write_id(w, FIELD_ID, &record->id);
    cv_field_write_u64(w, FIELD_INCARNATION, record->status.incarnation);
    cv_field_write_u8(w, FIELD_STATE, (uint8_t)record->status.state);
    if (has_accuser(record->status.state))
        cv_field_write_id(w, FIELD_ACCUSER, &record->status.accuser);
    if (record->body != NULL)
        write_body(w, record->body);
}

static enum covey_node_state read_state(struct cv_reader *r)
{
    uint8_t state = cv_read_u8(r);
    if (state > COVEY_NODE_LEFT)
        cv_reader_fail(r);
    return cv_reader_ok(r) ? (enum covey_node_state)state : COVEY_NODE_ALIVE;
}

static struct cv_slice read_name(struct cv_reader *r)
{
    struct cv_slice name = cv_read_rest(r);
    if (name.size == 0 || name.size > COVEY_NODE_NAME_MAX || !cv_utf8_is_valid(name))
        cv_reader_fail(r);
    return name;
}

/* Checks the list and gives its bytes. */
static struct cv_slice read_tags(struct cv_reader *r)
{
    struct cv_reader list = *r;
    struct cv_slice bytes = cv_read_rest(r);
    struct cv_slice last = {NULL, 0};
    size_t count = 0;
    size_t size = 0;
    while (cv_reader_ok(&list) && cv_reader_left(&list) > 0) {
        struct cv_slice key = cv_read_prefixed(&list, COVEY_TAG_KEY_MAX);
        struct cv_slice value = cv_read_prefixed(&list, COVEY_TAG_VALUE_MAX);
        count++;
        size += key.size + value.size;
        if (cv_tag_check(key, value) != COVEY_OK || cv_slice_compare(last, key) >= 0)
            cv_reader_fail(&list);
        last = key;
    }
    if (!cv_reader_ok(&list) || count == 0 || count > COVEY_TAGS_MAX || size > COVEY_TAGS_SIZE_MAX)
        cv_reader_fail(r);
    return bytes;
}

/* False for a key that is not known. */
static bool read_field(struct cv_update *u, struct cv_field *field)
{
    struct cv_reader *value = &field->value;
    switch (field->key) {
    case FIELD_ID:
        u->id = cv_read_node_id(value);
        return true;
    case FIELD_INCARNATION:
        u->status.incarnation = cv_read_u64(value);
        return true;
    case FIELD_STATE:
        u->status.state = read_state(value);
        return true;
    case FIELD_ACCUSER:
        u->status.accuser = cv_read_node_id(value);
        return true;
    case FIELD_BODY_INCARNATION:
        u->body_incarnation = cv_read_u64(value);
        return true;
    case FIELD_VERSION:
        u->version = cv_read_u32(value);
        return true;
    case FIELD_ADDRESS:
        u->address = cv_address_read(value);
        return true;
    case FIELD_NAME:
        u->name = read_name(value);
        return true;
    case FIELD_TAGS:
        u->tags = read_tags(value);
        return true;
    default:
        return false;
    }
}

/* Which fields there are must fit together; a body never speaks of a later incarnation. */
static bool is_consistent(const struct cv_update *u, unsigned seen)
{
    unsigned accuser = has_accuser(u->status.state) ? BIT(FIELD_ACCUSER) : 0;
    unsigned body = seen & (BODY_BITS | TEXT_BITS);
    if ((seen & ~(BODY_BITS | TEXT_BITS)) != (STATUS_BITS | accuser))
        return false;
    if (body == 0)
        return true;
    return (body & BODY_BITS) == BODY_BITS &&
           cv_incarnation_compare(u->body_incarnation, u->status.incarnation) <= 0;
}

struct cv_update cv_update_read(struct cv_reader *r)
{
    struct cv_update u = {.has_body = false};
    struct cv_fields fields;
    struct cv_field field;
    unsigned seen = 0;
    cv_fields_init(&fields, r, 0);
    while (cv_fields_next(&fields, &field)) {
        if (!read_field(&u, &field))
            continue;
        cv_fields_accept(&fields, &field);
        seen |= BIT(field.key);
    }
    u.has_body = (seen & BODY_BITS) != 0;
    if (!is_consistent(&u, seen))
        cv_reader_fail(r);
    return u;
}

bool cv_update_says(const struct cv_update *update, const struct cv_cluster_node *body)
{
    struct cv_reader r;
    bool same = update->has_body && cv_address_equal(&update->address, &body->address) &&
                cv_slice_equal(update->name, cv_slice_text(body->name));
    cv_reader_init(&r, update->tags);
    for (size_t i = 0; same && i < body->tag_count; i++) {
        struct cv_slice key = cv_read_prefixed(&r, COVEY_TAG_KEY_MAX);
        struct cv_slice value = cv_read_prefixed(&r, COVEY_TAG_VALUE_MAX);
        same = cv_reader_ok(&r) && cv_slice_equal(key, cv_slice_text(body->tags[i].key)) &&
               cv_slice_equal(value, cv_slice_text(body->tags[i].value));
    }
    return same && cv_reader_left(&r) == 0;
}

/* A NUL-terminated copy at *next, which moves on. */
static const char *copy_text(char **next, struct cv_slice text)
{
    char *copy = *next;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *next = copy + text.size + 1;
    return copy;
}

int cv_update_body(const struct cv_alloc *alloc, const struct cv_update *update,
                   struct cv_cluster_node **out)
{
    assert(update->has_body);
    char texts[COVEY_TAGS_SIZE_MAX + 2 * COVEY_TAGS_MAX];
    struct covey_tag tags[COVEY_TAGS_MAX];
    char *next = texts;
    size_t count = 0;
    struct cv_reader r;
    cv_reader_init(&r, update->tags);
    while (cv_reader_left(&r) > 0) {
        tags[count].key = copy_text(&next, cv_read_prefixed(&r, COVEY_TAG_KEY_MAX));
        tags[count].value = copy_text(&next, cv_read_prefixed(&r, COVEY_TAG_VALUE_MAX));
        count++;
    }
    assert(cv_reader_done(&r));
    return cv_cluster_node_new(alloc,
                               &(struct cv_cluster_node_config){
                                   .id = update->id,
                                   .incarnation = update->body_incarnation,
                                   .version = update->version,
                                   .address = update->address,
                                   .name = update->name,
                                   .tags = tags,
                                   .tag_count = count,
                                   .tag_texts = cv_slice_of(texts, (size_t)(next - texts)),
                               },
                               out);
}
