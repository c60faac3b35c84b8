#include "base/reader.h"

#include "base/writer.h"

/* The next `size` bytes, at least one; NULL and failed when there are fewer. */
static const uint8_t *take(struct cv_reader *r, size_t size)
{
    if (size > cv_reader_left(r)) {
        cv_reader_fail(r);
        return NULL;
    }
    const uint8_t *bytes = r->next;
    r->next += size;
    return bytes;
}

/* Inline, so that the loop is gone where the size is a constant. */
static inline uint64_t big_endian(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

static inline uint64_t read_number(struct cv_reader *r, size_t size)
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
        cv_reader_fail(r);
        return 0;
    }
    uint64_t value = 0, least = 0; /* what needs so many bytes */
    switch (*r->next >> 6) {
    case 0:
        value = cv_read_u8(r);
        break;
    case 1:
        value = cv_read_u16(r) & 0x3fff;
        least = UINT64_C(1) << 6;
        break;
    case 2:
        value = cv_read_u32(r) & 0x3fffffff;
        least = UINT64_C(1) << 14;
        break;
    case 3:
        value = cv_read_u64(r) & CV_VARINT_MAX;
        least = UINT64_C(1) << 30;
        break;
    }
    if (r->failed || value < least) {
        cv_reader_fail(r);
        return 0;
    }
    return value;
}

struct cv_slice cv_read_rest(struct cv_reader *r)
{
    return cv_read_bytes(r, cv_reader_left(r));
}
