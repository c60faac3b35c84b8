/*
 * Triples of incarnations, each 17 or more bytes: one number, and two more that are free, or
 * near the one before, or about half the ring or a window away from it, where the rules change.
 */
#include "cluster/incarnation.h"

#include "base/reader.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HALF (UINT64_C(1) << 63)

static uint64_t read_next(struct cv_reader *r, uint64_t before)
{
    unsigned kind = cv_read_u8(r);
    if ((kind & 7) == 0)
        return cv_read_u64(r);
    uint64_t near = before + cv_read_u16(r) - (UINT64_C(1) << 15);
    switch (kind & 7) {
    case 1:
        return near + HALF;
    case 2:
        return near + CV_INCARNATION_WINDOW;
    case 3:
        return near - CV_INCARNATION_WINDOW;
    case 4:
        return near + CV_INCARNATION_CLOCK_SKEW_MS;
    default:
        return near;
    }
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return cv_incarnation_compare(a, b) >= 0 ? a : b;
}

static void try_pair(uint64_t a, uint64_t b)
{
    int order = cv_incarnation_compare(a, b);
    assert(order >= -1 && order <= 1);
    assert(order == -cv_incarnation_compare(b, a));
    assert((order == 0) == (a == b));
    assert(later(a, b) == later(b, a));
    if (b != a && b - a < HALF)
        assert(order == -1);
    if (b - a == HALF)
        assert(order == (a > b ? 1 : -1));

    uint64_t refuted = cv_incarnation_refute(a, b);
    assert(refuted == later(a, b) + 1);
    if (refuted - a < HALF && refuted - b < HALF) {
        assert(cv_incarnation_compare(refuted, a) == 1);
        assert(cv_incarnation_compare(refuted, b) == 1);
    }
    bool is_close = b - a <= CV_INCARNATION_WINDOW || a - b <= CV_INCARNATION_WINDOW;
    assert(cv_incarnation_is_near(a, b) == (is_close || (order >= 0 && b < a)));
}

/* One of the three has the others less than half the ring ahead: there the order is total. */
static bool is_window(uint64_t a, uint64_t b, uint64_t c)
{
    return (b - a < HALF && c - a < HALF) || (a - b < HALF && c - b < HALF) ||
           (a - c < HALF && b - c < HALF);
}

static void try_triple(uint64_t a, uint64_t b, uint64_t c)
{
    if (is_window(a, b, c)) {
        assert(later(a, later(b, c)) == later(later(a, b), c));
        if (cv_incarnation_compare(a, b) > 0 && cv_incarnation_compare(b, c) > 0)
            assert(cv_incarnation_compare(a, c) > 0);
    }
    bool is_owners = cv_incarnation_is_owners(a, b, c);
    const uint64_t latest = c + CV_INCARNATION_CLOCK_SKEW_MS;
    bool is_of_now = cv_incarnation_compare(b, latest) <= 0 &&
                     (b <= latest || latest - b <= CV_INCARNATION_WINDOW);
    assert(is_owners == (is_of_now || cv_incarnation_is_near(a, b)));
}

static void try_all(uint64_t a, uint64_t b, uint64_t c)
{
    try_pair(a, b);
    try_pair(b, c);
    try_pair(c, a);
    try_triple(a, b, c);
    try_triple(b, c, a);
    try_triple(c, a, b);
    try_triple(a, c, b);
    try_triple(c, b, a);
    try_triple(b, a, c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cv_reader r;
    cv_reader_init(&r, cv_slice_of(data, size));
    while (cv_reader_left(&r) > 0) {
        uint64_t a = cv_read_u64(&r);
        uint64_t b = read_next(&r, a);
        uint64_t c = read_next(&r, b);
        if (cv_reader_ok(&r))
            try_all(a, b, c);
    }
    return 0;
}
