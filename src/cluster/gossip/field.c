#include "cluster/gossip/field.h"

void cv_fields_init(struct cv_fields *f, struct cv_reader *reader, uint64_t repeatable)
{
    *f = (struct cv_fields){.reader = reader, .repeatable = repeatable};
}

bool cv_fields_next(struct cv_fields *f, struct cv_field *field)
{
    if (!cv_reader_ok(f->reader) || cv_reader_left(f->reader) == 0)
        return false;
    uint64_t key = cv_read_varint(f->reader);
    bool repeats = key != 0 && key == f->last && key == f->repeatable;
    if (key <= f->last && !repeats)
        cv_reader_fail(f->reader);
    uint64_t size = cv_read_varint(f->reader);
    cv_reader_init(&field->value, cv_read_bytes(f->reader, size));
    field->key = key;
    f->last = key;
    return cv_reader_ok(f->reader);
}

void cv_fields_accept(struct cv_fields *f, const struct cv_field *field)
{
    if (!cv_reader_done(&field->value))
        cv_reader_fail(f->reader);
}

size_t cv_field_size(uint64_t key, size_t size)
{
    return cv_varint_size(key) + cv_varint_size(size) + size;
}

void cv_field_begin(struct cv_writer *w, uint64_t key, size_t size)
{
    cv_write_varint(w, key);
    cv_write_varint(w, size);
}

void cv_field_write_u8(struct cv_writer *w, uint64_t key, uint8_t value)
{
    cv_field_begin(w, key, 1);
    cv_write_u8(w, value);
}

void cv_field_write_u16(struct cv_writer *w, uint64_t key, uint16_t value)
{
    cv_field_begin(w, key, 2);
    cv_write_u16(w, value);
}

void cv_field_write_u32(struct cv_writer *w, uint64_t key, uint32_t value)
{
    cv_field_begin(w, key, 4);
    cv_write_u32(w, value);
}

void cv_field_write_u64(struct cv_writer *w, uint64_t key, uint64_t value)
{
    cv_field_begin(w, key, 8);
    cv_write_u64(w, value);
}

void cv_field_write_bytes(struct cv_writer *w, uint64_t key, struct cv_slice value)
{
    cv_field_begin(w, key, value.size);
    cv_write_bytes(w, value);
}

void cv_field_write_id(struct cv_writer *w, uint64_t key, const covey_node_id *id)
{
    cv_field_write_bytes(w, key, cv_slice_of(id->bytes, sizeof(id->bytes)));
}

covey_node_id cv_read_node_id(struct cv_reader *r)
{
    covey_node_id id = {.bytes = {0}};
    struct cv_slice bytes = cv_read_bytes(r, sizeof(id.bytes));
    if (bytes.size == sizeof(id.bytes))
        memcpy(id.bytes, bytes.data, sizeof(id.bytes));
    return id;
}
