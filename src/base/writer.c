#include "base/writer.h"

#include <assert.h>

size_t cv_writer_size(const struct cv_writer *w)
{
    return (size_t)(w->next - w->begin);
}

bool cv_writer_ok(const struct cv_writer *w)
{
    return !w->failed;
}

struct cv_slice cv_writer_bytes(const struct cv_writer *w)
{
    if (w->failed)
        return (struct cv_slice){0};
    return cv_slice_of(w->begin, cv_writer_size(w));
}

void cv_writer_rewind(struct cv_writer *w, size_t size)
{
    assert(size <= cv_writer_size(w));
    if (size < cv_writer_size(w))
        w->next = w->begin + size;
    w->failed = false;
}

/* Room for `size` bytes, at least one; NULL and failed when there is less. */
static uint8_t *claim(struct cv_writer *w, size_t size)
{
    if (size > cv_writer_left(w)) {
        w->failed = true;
        return NULL;
    }
    uint8_t *room = w->next;
    w->next += size;
    return room;
}

/* Inline, so that the loop is gone where the size is a constant. */
static inline void write_number(struct cv_writer *w, uint64_t value, size_t size)
{
    uint8_t *room = claim(w, size);
    if (room == NULL)
        return;
    for (size_t i = 0; i < size; i++)
        room[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

void cv_write_u8(struct cv_writer *w, uint8_t value)
{
    write_number(w, value, 1);
}

void cv_write_u16(struct cv_writer *w, uint16_t value)
{
    write_number(w, value, 2);
}

void cv_write_u32(struct cv_writer *w, uint32_t value)
{
    write_number(w, value, 4);
}

void cv_write_u64(struct cv_writer *w, uint64_t value)
{
    write_number(w, value, 8);
}

/* The two highest bits of the first byte say the size: its binary logarithm. */
void cv_write_long_varint(struct cv_writer *w, uint64_t value)
{
    if (value < UINT64_C(1) << 6)
        cv_write_u8(w, (uint8_t)value);
    else if (value < UINT64_C(1) << 14)
        cv_write_u16(w, (uint16_t)(value | 0x4000));
    else if (value < UINT64_C(1) << 30)
        cv_write_u32(w, (uint32_t)(value | UINT32_C(0x80000000)));
    else if (value <= CV_VARINT_MAX)
        cv_write_u64(w, value | UINT64_C(0xc000000000000000));
    else
        w->failed = true;
}

void cv_write_prefixed(struct cv_writer *w, struct cv_slice bytes)
{
    size_t left = cv_writer_left(w);
    size_t prefix = cv_varint_size(bytes.size);
    if (prefix > left || bytes.size > left - prefix) {
        w->failed = true;
        return;
    }
    cv_write_varint(w, bytes.size);
    cv_write_bytes(w, bytes);
}
