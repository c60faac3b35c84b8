#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The output for the state {1, 2, 3, 4}, by the published algorithm. */
static void numbers_are_those_of_xoshiro256_starstar(void **state)
{
    (void)state;
    static const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
        UINT64_C(1216172134540287360),
        UINT64_C(607988272756665600),
        UINT64_C(16172922978634559625),
        UINT64_C(8476171486693032832),
        UINT64_C(10595114339597558777),
        UINT64_C(2904607092377533576),
    };
    struct cv_rand r = {.state = {1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_true(cv_rand_u64(&r) == expected[i]);
}

/* splitmix64 of 1234567 begins so in its published implementation. */
static void seeding_is_splitmix64(void **state)
{
    (void)state;
    struct cv_rand r;
    cv_rand_seed(&r, 1234567);
    assert_true(r.state[0] == UINT64_C(6457827717110365317));
    assert_true(r.state[1] == UINT64_C(3203168211198807973));
    assert_true(r.state[2] == UINT64_C(9817491932198370423));
}

static const struct {
    uint64_t seed;
    uint64_t state[4];
    uint64_t numbers[6];
} seeded[] = {
    {UINT64_C(0x0),
     {UINT64_C(0xe220a8397b1dcdaf), UINT64_C(0x6e789e6aa1b965f4), UINT64_C(0x06c45d188009454f),
      UINT64_C(0xf88bb8a8724c81ec)},
     {UINT64_C(0x99ec5f36cb75f2b4), UINT64_C(0xbf6e1f784956452a), UINT64_C(0x1a5f849d4933e6e0),
      UINT64_C(0x6aa594f1262d2d2c), UINT64_C(0xbba5ad4a1f842e59), UINT64_C(0xffef8375d9ebcaca)}},
    {UINT64_C(0x1),
     {UINT64_C(0x910a2dec89025cc1), UINT64_C(0xbeeb8da1658eec67), UINT64_C(0xf893a2eefb32555e),
      UINT64_C(0x71c18690ee42c90b)},
     {UINT64_C(0xb3f2af6d0fc710c5), UINT64_C(0x853b559647364cea), UINT64_C(0x92f89756082a4514),
      UINT64_C(0x642e1c7bc266a3a7), UINT64_C(0xb27a48e29a233673), UINT64_C(0x24c123126ffda722)}},
    {UINT64_C(0x2a),
     {UINT64_C(0xbdd732262feb6e95), UINT64_C(0x28efe333b266f103), UINT64_C(0x47526757130f9f52),
      UINT64_C(0x581ce1ff0e4ae394)},
     {UINT64_C(0x15780b2e0c2ec716), UINT64_C(0x6104d9866d113a7e), UINT64_C(0xae17533239e499a1),
      UINT64_C(0xecb8ad4703b360a1), UINT64_C(0xfde6dc7fe2ec5e64), UINT64_C(0xc50da53101795238)}},
    {UINT64_C(0xffffffffffffffff),
     {UINT64_C(0xe4d971771b652c20), UINT64_C(0xe99ff867dbf682c9), UINT64_C(0x382ff84cb27281e9),
      UINT64_C(0x6d1db36ccba982d2)},
     {UINT64_C(0x8f5520d52a7ead08), UINT64_C(0xc476a018caa1802d), UINT64_C(0x81de31c0d260469e),
      UINT64_C(0xbf658d7e065f3c2f), UINT64_C(0x913593fda1bca32a), UINT64_C(0xbb535e93941ba525)}},
};

static void seeds_give_known_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof seeded / sizeof seeded[0]; i++) {
        struct cv_rand r;
        cv_rand_seed(&r, seeded[i].seed);
        assert_memory_equal(r.state, seeded[i].state, sizeof r.state);
        for (size_t j = 0; j < 6; j++)
            assert_true(cv_rand_u64(&r) == seeded[i].numbers[j]);
    }
}

static void below_stays_below(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {1, 2, 3, 10, UINT64_C(1) << 63, UINT64_MAX};
    struct cv_rand r;
    cv_rand_seed(&r, 7);
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        for (int j = 0; j < 1000; j++)
            assert_true(cv_rand_below(&r, bounds[i]) < bounds[i]);
    }
}

static void below_0_is_0_and_draws_nothing(void **state)
{
    (void)state;
    struct cv_rand r;
    cv_rand_seed(&r, 7);
    struct cv_rand before = r;
    assert_true(cv_rand_below(&r, 0) == 0);
    assert_memory_equal(&r, &before, sizeof r);
}

/* With a bound of 3/4 of the range, numbers that are only taken modulo the bound fall into the
 * lower third twice as often. */
static void below_has_no_bias(void **state)
{
    (void)state;
    const uint64_t bound = UINT64_C(3) << 62;
    size_t thirds[3] = {0};
    struct cv_rand r;
    cv_rand_seed(&r, 11);
    for (int i = 0; i < 30000; i++)
        thirds[cv_rand_below(&r, bound) >> 62]++;
    for (size_t i = 0; i < 3; i++)
        assert_in_range(thirds[i], 9600, 10400);
}

static void below_reaches_every_number(void **state)
{
    (void)state;
    size_t counts[6] = {0};
    struct cv_rand r;
    cv_rand_seed(&r, 13);
    for (int i = 0; i < 6000; i++)
        counts[cv_rand_below(&r, 6)]++;
    for (size_t i = 0; i < 6; i++)
        assert_in_range(counts[i], 850, 1150);
}

static void bytes_are_the_numbers_low_byte_first(void **state)
{
    (void)state;
    struct cv_rand numbers, bytes;
    cv_rand_seed(&numbers, 5);
    uint8_t expected[16];
    for (size_t i = 0; i < 16; i += 8) {
        uint64_t number = cv_rand_u64(&numbers);
        for (size_t j = 0; j < 8; j++)
            expected[i + j] = (uint8_t)(number >> 8 * j);
    }
    for (size_t size = 0; size <= 16; size++) {
        uint8_t memory[17];
        memset(memory, 0xa5, sizeof memory);
        cv_rand_seed(&bytes, 5);
        cv_rand_bytes(&bytes, memory, size);
        assert_memory_equal(memory, expected, size);
        assert_int_equal(memory[size], 0xa5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_xoshiro256_starstar),
        cmocka_unit_test(seeding_is_splitmix64),
        cmocka_unit_test(seeds_give_known_numbers),
        cmocka_unit_test(below_stays_below),
        cmocka_unit_test(below_0_is_0_and_draws_nothing),
        cmocka_unit_test(below_has_no_bias),
        cmocka_unit_test(below_reaches_every_number),
        cmocka_unit_test(bytes_are_the_numbers_low_byte_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
