#include "payload.h"

#include <string.h>

#define PERIOD 256
#define TABLE  4096
#define STEP   31 /* odd: all 256 values occur */

static inline unsigned char pattern(size_t i)
{
    return (unsigned char)(i * STEP);
}

void payload_fill(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern(i);
}

void payload_stamp(unsigned char *bytes, size_t size, uint64_t stamp)
{
    memcpy(bytes, &stamp, size < sizeof stamp ? size : sizeof stamp);
}

/* A table that stays in the cache, as long as a body may be. */
static bool is_pattern(const unsigned char *data, size_t size, size_t offset)
{
    static _Thread_local unsigned char table[TABLE + PERIOD];
    static _Thread_local bool is_filled;
    if (!is_filled)
        payload_fill(table, sizeof table);
    is_filled = true;
    while (size > 0) {
        size_t n = size < TABLE ? size : TABLE;
        if (memcmp(data, table + offset % PERIOD, n) != 0)
            return false;
        data += n;
        size -= n;
        offset += n;
    }
    return true;
}

bool payload_is(const unsigned char *data, size_t size, size_t offset, const uint64_t *stamp)
{
    if (stamp != NULL && offset < PAYLOAD_STAMP_SIZE && size > 0) {
        size_t n = PAYLOAD_STAMP_SIZE - offset;
        if (n > size)
            n = size;
        if (memcmp(data, (const unsigned char *)stamp + offset, n) != 0)
            return false;
        data += n;
        size -= n;
        offset += n;
    }
    return size == 0 || is_pattern(data, size, offset);
}
