#include "base/reader.h"

#include "base/writer.h"

void cv_reader_init(struct cv_reader *r, struct cv_slice bytes)
{
    /* Even adding 0 to NULL is undefined. */
    const uint8_t *end = bytes.size == 0 ? bytes.data : bytes.data + bytes.size;
    *r = (struct cv_reader){.next = bytes.data, .end = end};
}

/* The next `size` bytes, at least one; NULL and failed when there are fewer. */
static const uint8_t *take(struct cv_reader *r, size_t size)
{
    if (size > cv_reader_left(r)) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *bytes = r->next;
    r->next += size;
    return bytes;
}

static uint64_t big_endian(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

static uint64_t read_number(struct cv_reader *r, size_t size)
{
    const uint8_t *bytes = take(r, size);
    return bytes == NULL ? 0 : big_endian(bytes, size);
}

uint16_t cv_read_u16(struct cv_reader *r)
{
    return (uint16_t)read_number(r, 2);
}

uint32_t cv_read_u32(struct cv_reader *r)
{
    return (uint32_t)read_number(r, 4);
}

uint64_t cv_read_u64(struct cv_reader *r)
{
    return read_number(r, 8);
}

uint64_t cv_read_long_varint(struct cv_reader *r)
{
    if (cv_reader_left(r) == 0) {
        r->failed = true;
        return 0;
    }
    size_t size = (size_t)1 << (*r->next >> 6);
    uint64_t mask = UINT64_MAX >> (64 - 8 * size + 2);
    uint64_t value = read_number(r, size) & mask;
    if (r->failed || cv_varint_size(value) != size) {
        r->failed = true;
        return 0;
    }
    return value;
}

struct cv_slice cv_read_bytes(struct cv_reader *r, uint64_t size)
{
    if (size > cv_reader_left(r))
        r->failed = true;
    if (r->failed || size == 0)
        return (struct cv_slice){0};
    return cv_slice_of(take(r, (size_t)size), (size_t)size);
}

struct cv_slice cv_read_prefixed(struct cv_reader *r, size_t size_max)
{
    uint64_t size = cv_read_varint(r);
    if (size > size_max)
        r->failed = true;
    return cv_read_bytes(r, size);
}

struct cv_slice cv_read_rest(struct cv_reader *r)
{
    return cv_read_bytes(r, cv_reader_left(r));
}
