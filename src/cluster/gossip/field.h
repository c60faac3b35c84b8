#ifndef CV_CLUSTER_GOSSIP_FIELD_H
#define CV_CLUSTER_GOSSIP_FIELD_H

#include "base/reader.h"
#include "base/writer.h"

#include <covey/types.h>

/*
 * The fields that messages and records are made of:
 *
 *     +--------------+-----------------+---------------+
 *     | varint key   | varint length   | value         |
 *     +--------------+-----------------+---------------+
 *
 * in ascending order of their keys, each at most once but for one key of a list that may repeat. So
 * the same content has one encoding. Readers skip keys that they do not know.
 */
struct cv_fields {
    struct cv_reader *reader; /* fails with the list */
    uint64_t repeatable;      /* the key that may repeat, 0: none */
    uint64_t last;
};

struct cv_field {
    uint64_t key;
    struct cv_reader value;
};

/* Reads from `reader`, all that is left in it. */
void cv_fields_init(struct cv_fields *f, struct cv_reader *reader, uint64_t repeatable);
/* The next field; false at the end and when the reader failed. */
bool cv_fields_next(struct cv_fields *f, struct cv_field *field);
/* After reading a field's value: fails the list when the value was not well-formed or had bytes
 * left. */
void cv_fields_accept(struct cv_fields *f, const struct cv_field *field);

/* How many bytes a field of `size` bytes takes. */
size_t cv_field_size(uint64_t key, size_t size);
/* The key and the length; the caller writes the value. */
void cv_field_begin(struct cv_writer *w, uint64_t key, size_t size);
void cv_field_write_u8(struct cv_writer *w, uint64_t key, uint8_t value);
void cv_field_write_u16(struct cv_writer *w, uint64_t key, uint16_t value);
void cv_field_write_u32(struct cv_writer *w, uint64_t key, uint32_t value);
void cv_field_write_u64(struct cv_writer *w, uint64_t key, uint64_t value);
void cv_field_write_bytes(struct cv_writer *w, uint64_t key, struct cv_slice value);
void cv_field_write_id(struct cv_writer *w, uint64_t key, const covey_node_id *id);

covey_node_id cv_read_node_id(struct cv_reader *r);

#endif
