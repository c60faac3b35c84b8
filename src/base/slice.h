#ifndef CV_BASE_SLICE_H
#define CV_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes: whoever hands out a slice says until when it holds. {NULL, 0} is empty. */
struct cv_slice {
    const uint8_t *data;
    size_t size;
};

static inline struct cv_slice cv_slice_of(const void *data, size_t size)
{
    return (struct cv_slice){.data = data, .size = size};
}

/* The bytes of a NUL-terminated string, without the NUL. */
static inline struct cv_slice cv_slice_text(const char *text)
{
    return (struct cv_slice){.data = (const uint8_t *)text, .size = strlen(text)};
}

static inline bool cv_slice_equal(struct cv_slice a, struct cv_slice b)
{
    /* Ids, most of the time: no call for them. */
    if (a.size == 16 && b.size == 16) {
        uint64_t x[2], y[2];
        memcpy(x, a.data, sizeof(x));
        memcpy(y, b.data, sizeof(y));
        return x[0] == y[0] && x[1] == y[1];
    }
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* By bytes, a prefix before what it begins. */
static inline int cv_slice_compare(struct cv_slice a, struct cv_slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

#endif
