#include "unit/cluster/cluster_fixture.h"

#include "base/rand.h"
#include "cluster/incarnation.h"

#include <inttypes.h>

/* The order on 8 bits is the order on 64 of the highest byte: the same function, every case. */
static int compare8(uint64_t a, uint64_t b)
{
    return cv_incarnation_compare(a << 56, b << 56);
}

static void the_order_is_antisymmetric_everywhere(void **state)
{
    (void)state;
    for (uint64_t a = 0; a < 256; a++) {
        for (uint64_t b = 0; b < 256; b++) {
            assert_int_equal(compare8(a, b), -compare8(b, a));
            assert_int_equal(compare8(a, b) == 0, a == b);
            if (((a - b) & 255) == 128)
                assert_int_equal(compare8(a, b), a > b ? 1 : -1);
            else if (a != b)
                assert_int_equal(compare8(a, b), ((a - b) & 255) < 128 ? 1 : -1);
        }
    }
}

static uint64_t later8(uint64_t a, uint64_t b)
{
    return compare8(a, b) >= 0 ? a : b;
}

/* How far b is ahead of a on the ring of 8 bits. */
static uint64_t ahead8(uint64_t a, uint64_t b)
{
    return (b - a) & 255;
}

/* One of the three has the others less than half the ring ahead. */
static bool is_window8(uint64_t a, uint64_t b, uint64_t c)
{
    return (ahead8(a, b) < 128 && ahead8(a, c) < 128) ||
           (ahead8(b, a) < 128 && ahead8(b, c) < 128) || (ahead8(c, a) < 128 && ahead8(c, b) < 128);
}

/* All 2^24 triples: inside a window of half the ring the order is transitive and taking the later
 * of two is commutative, associative and idempotent. */
static void inside_a_window_the_order_is_total(void **state)
{
    (void)state;
    uint64_t chains = 0;
    for (uint64_t a = 0; a < 256; a++) {
        for (uint64_t b = 0; b < 256; b++) {
            assert_int_equal(later8(a, b), later8(b, a));
            assert_int_equal(later8(a, a), a);
            for (uint64_t c = 0; c < 256; c++) {
                if (!is_window8(a, b, c))
                    continue;
                if (later8(a, later8(b, c)) != later8(later8(a, b), c))
                    fail_msg("%d %d %d", (int)a, (int)b, (int)c);
                bool is_chain = compare8(a, b) > 0 && compare8(b, c) > 0;
                chains += is_chain;
                if (is_chain && compare8(a, c) <= 0)
                    fail_msg("%d > %d > %d", (int)a, (int)b, (int)c);
            }
        }
    }
    /* For each lowest one, two of the 127 after it. */
    assert_int_equal(chains, 256 * 127 * 126 / 2);
}

static void a_refutation_is_after_both(void **state)
{
    (void)state;
    for (uint64_t a = 0; a < 256; a++) {
        for (uint64_t b = 0; b < 256; b++) {
            if (((a - b) & 255) == 128)
                continue;
            uint64_t r = cv_incarnation_refute(a << 56, b << 56);
            assert_int_equal(cv_incarnation_compare(r, a << 56), 1);
            assert_int_equal(cv_incarnation_compare(r, b << 56), 1);
        }
    }
    assert_int_equal(cv_incarnation_refute(UINT64_MAX, 5), 6);
    assert_int_equal(cv_incarnation_refute(UINT64_MAX, UINT64_MAX), 0);
    assert_int_equal(cv_incarnation_compare(0, UINT64_MAX), 1);
    assert_int_equal(cv_incarnation_refute(7, 3), 8);
}

static void hearsay_has_a_window(void **state)
{
    (void)state;
    uint64_t known = UINT64_MAX - 5;
    assert_true(cv_incarnation_is_near(known, known));
    assert_true(cv_incarnation_is_near(known, known - 1000));
    assert_true(cv_incarnation_is_near(known, known + CV_INCARNATION_WINDOW));
    assert_false(cv_incarnation_is_near(known, known + CV_INCARNATION_WINDOW + 1));
    assert_false(cv_incarnation_is_near(known, known + (UINT64_C(1) << 63) - 1));
}

/* A forger's largest number is before today's, as serial numbers go; but nobody was ever there. */
static void what_was_never_issued_is_not_near(void **state)
{
    (void)state;
    const uint64_t wall_ms = UINT64_C(1700000000000);
    assert_int_equal(cv_incarnation_compare(UINT64_MAX, wall_ms), -1);
    assert_false(cv_incarnation_is_near(wall_ms, UINT64_MAX));
    assert_false(cv_incarnation_is_near(wall_ms, (UINT64_C(1) << 63) + wall_ms));
    assert_false(cv_incarnation_is_owners(wall_ms, UINT64_MAX, wall_ms));
    /* Old news, of a clock that was never set, and of before a wrap. */
    assert_true(cv_incarnation_is_near(wall_ms, 0));
    assert_true(cv_incarnation_is_near(5, 5 - CV_INCARNATION_WINDOW));
    assert_false(cv_incarnation_is_near(5, 5 - CV_INCARNATION_WINDOW - 1));
}

/* Back after 60 days, or 60 years: its own word counts up to our clock and a day. */
static void the_owner_may_be_further_ahead(void **state)
{
    (void)state;
    uint64_t wall_ms = UINT64_C(1) << 42;
    assert_true(cv_incarnation_is_owners(0, wall_ms + CV_INCARNATION_CLOCK_SKEW_MS, wall_ms));
    assert_false(cv_incarnation_is_owners(0, wall_ms + CV_INCARNATION_CLOCK_SKEW_MS + 1, wall_ms));
    assert_true(cv_incarnation_is_owners(wall_ms * 2, wall_ms * 2 + 7, wall_ms));
}

static void numbers_near_each_other_compare_as_numbers(void **state)
{
    (void)state;
    struct cv_rand rand;
    const uint64_t seed = 77;
    cv_rand_seed(&rand, seed);
    for (int i = 0; i < 100000; i++) {
        uint64_t a = cv_rand_u64(&rand);
        uint64_t distance = 1 + cv_rand_below(&rand, CV_INCARNATION_WINDOW);
        if (cv_incarnation_compare(a + distance, a) != 1)
            fail_msg("seed %" PRIu64 ": %" PRIu64 " + %" PRIu64, seed, a, distance);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_is_antisymmetric_everywhere),
        cmocka_unit_test(inside_a_window_the_order_is_total),
        cmocka_unit_test(a_refutation_is_after_both),
        cmocka_unit_test(hearsay_has_a_window),
        cmocka_unit_test(what_was_never_issued_is_not_near),
        cmocka_unit_test(the_owner_may_be_further_ahead),
        cmocka_unit_test(numbers_near_each_other_compare_as_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
