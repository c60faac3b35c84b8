#include "unit/cluster/cluster_fixture.h"

#include "base/rand.h"
#include "cluster/failure_detection/phi_accrual.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

static_assert(sizeof(struct cv_phi_accrual) <= 450, "a simulator holds 50,000 of them");

static const struct cv_phi_config defaults = {.sigma_min = 100 * MS};
static const struct cv_phi_config no_floor = {.sigma_min = COVEY_MICROSECOND};

/* `count` samples of one length; the last heartbeat is at count * interval. */
static struct cv_phi_accrual steady(const struct cv_phi_config *config, covey_time interval,
                                    uint64_t count)
{
    struct cv_phi_accrual d;
    cv_phi_accrual_init(&d, config);
    for (uint64_t i = 0; i <= count; i++)
        cv_phi_accrual_heartbeat(&d, i * interval, 1);
    return d;
}

/* 100 samples, mean - away and mean + away in turn: sigma is `away`. The last heartbeat is at 100
 * means. */
static struct cv_phi_accrual swinging(const struct cv_phi_config *config, covey_time mean,
                                      covey_time away)
{
    struct cv_phi_accrual d;
    cv_phi_accrual_init(&d, config);
    for (uint64_t i = 0; i <= CV_PHI_WINDOW; i++)
        cv_phi_accrual_heartbeat(&d, i * mean - i % 2 * away, 1);
    assert_int_equal(d.count, CV_PHI_WINDOW);
    return d;
}

static void assert_near(double value, double expected, double part)
{
    if (!(fabs(value - expected) <= part * expected))
        fail_msg("%.17g is not %.17g", value, expected);
}

/* What the ring holds is what the sums say. */
static void assert_sums(const struct cv_phi_accrual *d)
{
    uint64_t sum = 0, squares = 0;
    for (size_t i = 0; i < d->count; i++) {
        sum += d->samples[i];
        squares += (uint64_t)d->samples[i] * d->samples[i];
    }
    assert_int_equal(d->sum, sum);
    assert_int_equal(d->sum_squares, squares);
}

/* N(1000 ms, 100 ms), computed with 80 digits. */
static const struct {
    uint32_t silence_ms;
    double phi;
} exact[] = {
    {1001, 0.30450900406579816170},
    {1050, 0.51069198926524077447},
    {1100, 0.79954554149197050003},
    {1200, 1.6430160801409370480},
    {1300, 2.8696990359293690772},
    {1426, 4.9904919449510699792},
    {1500, 6.5426456723906544963},
    {1561, 7.9949769797469483405},
    {1636, 9.9962083814036042649},
    {1703, 11.986039410383085964},
    {1800, 15.206142551017154558},
    {2000, 23.118053405486075894},
    {2200, 32.750439161191860631},
    {2500, 50.435219614275511368},
    {3000, 88.560095343075591920},
    {3500, 137.51474765099552618},
    {4000, 197.30920926166094939},
    {4500, 267.94888194975297088},
    {4700, 299.24218117860992167},
    {4704, 299.88575301903771173},
    {4705, 300.0},
    {4800, 300.0},
    {5500, 300.0},
    {100000, 300.0},
};

static void phi_is_exact_up_to_its_maximum(void **state)
{
    (void)state;
    const struct cv_phi_accrual measured = swinging(&no_floor, SEC, 100 * MS);
    const struct cv_phi_accrual floored = steady(&defaults, SEC, CV_PHI_WINDOW);
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        covey_time at = CV_PHI_WINDOW * SEC + exact[i].silence_ms * MS;
        assert_near(cv_phi_accrual_phi(&measured, at), exact[i].phi, 1e-14);
        assert_near(cv_phi_accrual_phi(&floored, at), exact[i].phi, 1e-14);
    }
}

static void whole_values_come_at_their_times(void **state)
{
    (void)state;
    /* From the same computation: z * 100 ms + 1 s, in microseconds. */
    static const struct {
        double phi;
        uint32_t silence_us;
    } times[] = {{0.1, 1000000}, {0.5, 1047827}, {1, 1128155},   {4, 1371901},
                 {5, 1426489},   {8, 1561200},   {10, 1636134},  {12, 1703448},
                 {50, 2493333},  {150, 3612296}, {299, 4698493}, {300, 4704709}};
    struct cv_phi_config config = defaults;
    for (covey_time pause = 0; pause <= 3 * SEC; pause += 3 * SEC) {
        config.acceptable_pause = pause;
        struct cv_phi_accrual d = steady(&config, SEC, 10);
        for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
            covey_time at = cv_phi_accrual_reaches(&d, cv_phi_accrual_z(times[i].phi));
            covey_time expected = 11 * SEC + pause - SEC + times[i].silence_us * COVEY_MICROSECOND;
            assert_in_range(at, expected, expected + 2 * COVEY_MICROSECOND);
            assert_true(cv_phi_accrual_phi(&d, at) >= times[i].phi);
            assert_true(cv_phi_accrual_phi(&d, at - 2 * COVEY_MICROSECOND) < times[i].phi);
            assert_false(cv_phi_accrual_is_available(&d, at, times[i].phi));
            assert_true(cv_phi_accrual_is_available(&d, at - 2 * COVEY_MICROSECOND, times[i].phi));
        }
    }
}

static void z_is_the_smallest_that_will_do(void **state)
{
    (void)state;
    assert_near(cv_phi_accrual_z(0.5), 0.478273532376162671, 1e-13);
    assert_near(cv_phi_accrual_z(1), 1.28155156554460047, 1e-13);
    assert_near(cv_phi_accrual_z(8), 5.61200124417478873, 1e-14);
    assert_near(cv_phi_accrual_z(150), 26.1229611905939835, 1e-14);
    assert_near(cv_phi_accrual_z(CV_PHI_MAX), 37.0470962993611992, 1e-14);
    assert_true(cv_phi_accrual_z(0.3) < 1e-15);
}

static void four_samples_say_nothing(void **state)
{
    (void)state;
    const double z = cv_phi_accrual_z(8);
    struct cv_phi_accrual d;
    cv_phi_accrual_init(&d, &defaults);
    for (uint64_t i = 0; i < CV_PHI_SAMPLES_MIN; i++) {
        assert_true(cv_phi_accrual_phi(&d, 1000 * SEC) == 0);
        assert_int_equal(cv_phi_accrual_reaches(&d, z), COVEY_NEVER);
        cv_phi_accrual_heartbeat(&d, i * SEC, 1);
        assert_int_equal(d.count, i);
    }
    assert_true(cv_phi_accrual_phi(&d, 1000 * SEC) == 0);
    assert_true(cv_phi_accrual_is_available(&d, 1000 * SEC, 0.001));
    cv_phi_accrual_heartbeat(&d, 5 * SEC, 1);
    assert_int_equal(d.count, CV_PHI_SAMPLES_MIN);
    assert_true(cv_phi_accrual_phi(&d, 1000 * SEC) == CV_PHI_MAX);
    assert_in_range(cv_phi_accrual_reaches(&d, z), 6561 * MS, 6562 * MS);
}

static void silence_within_the_mean_and_the_pause_is_none(void **state)
{
    (void)state;
    const struct cv_phi_config config = {.sigma_min = 100 * MS, .acceptable_pause = 2 * SEC};
    struct cv_phi_accrual d = steady(&config, SEC, 10);
    assert_true(cv_phi_accrual_phi(&d, 10 * SEC) == 0);
    assert_true(cv_phi_accrual_phi(&d, 13 * SEC) == 0);
    assert_true(cv_phi_accrual_phi(&d, 13 * SEC + 1) > 0.301);
    cv_phi_accrual_heartbeat(&d, 14 * SEC, 1);
    assert_true(cv_phi_accrual_phi(&d, 14 * SEC) == 0);
}

static void phi_grows_with_each_nanosecond_and_never_falls(void **state)
{
    (void)state;
    struct cv_phi_accrual d = swinging(&no_floor, SEC, 100 * MS);
    double last = 0;
    for (covey_time t = 0; t < 6 * SEC; t += 1009 * COVEY_MICROSECOND) {
        for (covey_time step = 0; step < 2; step++) {
            double phi = cv_phi_accrual_phi(&d, 100 * SEC + t + step);
            if (!(phi >= last && phi <= CV_PHI_MAX))
                fail_msg("%.17g after %.17g at %" PRIu64, phi, last, t + step);
            last = phi;
        }
    }
    assert_true(cv_phi_accrual_phi(&d, COVEY_NEVER) == CV_PHI_MAX);
}

/* RELIABILITY's FD3: 1 s +- 50 ms. */
static void steady_heartbeats_cross_8_between_1_5_and_1_7_seconds(void **state)
{
    (void)state;
    const double z = cv_phi_accrual_z(8);
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct cv_rand rand;
        struct cv_phi_accrual d;
        covey_time now = 0;
        cv_rand_seed(&rand, seed);
        cv_phi_accrual_init(&d, &defaults);
        for (int i = 0; i < 250; i++) {
            now += 950 * MS + cv_rand_below(&rand, 100 * MS + 1);
            cv_phi_accrual_heartbeat(&d, now, 1);
            assert_sums(&d);
            covey_time silence = cv_phi_accrual_reaches(&d, z) - now;
            if (d.count >= CV_PHI_SAMPLES_MIN && (silence < 1500 * MS || silence > 1700 * MS))
                fail_msg("seed %" PRIu64 ": 8 after %" PRIu64 " ns", seed, silence);
        }
    }
}

static void only_the_last_hundred_count(void **state)
{
    (void)state;
    struct cv_phi_accrual d = steady(&no_floor, 7 * SEC, 150);
    assert_int_equal(d.count, CV_PHI_WINDOW);
    covey_time now = 150 * 7 * SEC;
    for (int i = 0; i < CV_PHI_WINDOW; i++) {
        assert_int_equal(d.sum, (700 - 6 * (uint64_t)i) * 1000000);
        now += SEC;
        cv_phi_accrual_heartbeat(&d, now, 1);
        assert_sums(&d);
    }
    /* No trace of the 7 s: mean 1 s, and sigma is the floor. */
    covey_time at = cv_phi_accrual_reaches(&d, cv_phi_accrual_z(8));
    assert_in_range(at - now, SEC + 5612, SEC + 5612 + 2 * COVEY_MICROSECOND);
}

static void lost_heartbeats_are_not_late_ones(void **state)
{
    (void)state;
    struct cv_phi_accrual d = steady(&defaults, SEC, 10);
    cv_phi_accrual_heartbeat(&d, 14 * SEC, 4);
    assert_int_equal(d.count, 14);
    assert_int_equal(d.sum, 14 * 1000000);
    assert_sums(&d);
    cv_phi_accrual_heartbeat(&d, 114 * SEC + 50 * MS, 100);
    assert_int_equal(d.count, CV_PHI_WINDOW);
    assert_int_equal(d.sum, UINT64_C(100) * 1000500);
    cv_phi_accrual_heartbeat(&d, 314 * SEC + 50 * MS, UINT64_MAX);
    assert_int_equal(d.count, CV_PHI_WINDOW);
    assert_int_equal(d.sum, 0);
    assert_sums(&d);
    cv_phi_accrual_heartbeat(&d, 516 * SEC + 50 * MS, 101);
    assert_int_equal(d.sum, UINT64_C(100) * 2000000);
    assert_sums(&d);
}

static void the_time_of_our_own_pause_is_no_sample(void **state)
{
    (void)state;
    struct cv_phi_accrual d = steady(&defaults, SEC, 10), before = d;
    assert_true(cv_phi_accrual_phi(&d, 50 * SEC) == CV_PHI_MAX);
    cv_phi_accrual_skip(&d, 50 * SEC);
    before.heard = 50 * SEC;
    assert_memory_equal(&d, &before, sizeof d);
    assert_true(cv_phi_accrual_phi(&d, 51 * SEC) == 0);
    cv_phi_accrual_heartbeat(&d, 51 * SEC, 1);
    assert_int_equal(d.count, 11);
    assert_int_equal(d.sum, 11 * 1000000);
}

static void one_that_begins_with_a_skip_has_its_start(void **state)
{
    (void)state;
    struct cv_phi_accrual d;
    cv_phi_accrual_init(&d, &defaults);
    cv_phi_accrual_skip(&d, 10 * SEC);
    cv_phi_accrual_heartbeat(&d, 12 * SEC, 2);
    assert_int_equal(d.count, 2);
    assert_int_equal(d.sum, 2000000);
}

static void cleared_is_as_new(void **state)
{
    (void)state;
    struct cv_phi_accrual d = steady(&defaults, SEC, 200), fresh;
    cv_phi_accrual_clear(&d);
    cv_phi_accrual_init(&fresh, &defaults);
    assert_memory_equal(&d, &fresh, sizeof d);
}

static void an_earlier_time_counts_as_the_last_one(void **state)
{
    (void)state;
    struct cv_phi_accrual d = steady(&defaults, SEC, 10);
    assert_true(cv_phi_accrual_phi(&d, 3 * SEC) == 0);
    cv_phi_accrual_heartbeat(&d, 3 * SEC, 1);
    assert_int_equal(d.heard, 10 * SEC);
    assert_int_equal(d.count, 11);
    assert_int_equal(d.sum, 10 * 1000000);
    cv_phi_accrual_skip(&d, 0);
    assert_int_equal(d.heard, 10 * SEC);
}

static void the_extremes_stay_in_their_bounds(void **state)
{
    (void)state;
    const struct cv_phi_config largest = {.sigma_min = CV_PHI_TIME_MAX,
                                          .acceptable_pause = CV_PHI_TIME_MAX};
    const double z = cv_phi_accrual_z(CV_PHI_MAX);
    /* The longest samples: no sum overflows, and equal samples have no variance. */
    struct cv_phi_accrual d = steady(&largest, 1000 * SEC, 150);
    assert_int_equal(d.sum, UINT64_C(100) * 400000000);
    assert_sums(&d);
    covey_time at = cv_phi_accrual_reaches(&d, z);
    assert_in_range(at - 150000 * SEC, 15618 * SEC, 15619 * SEC);
    assert_true(cv_phi_accrual_phi(&d, at) == CV_PHI_MAX);
    assert_true(cv_phi_accrual_phi(&d, at - 2 * COVEY_MICROSECOND) < CV_PHI_MAX);
    /* Half 0 and half the longest: the largest variance. */
    cv_phi_accrual_heartbeat(&d, 150000 * SEC, 50);
    assert_sums(&d);
    d.config = no_floor;
    assert_near(cv_phi_accrual_phi(&d, 150400 * SEC), 0.79954554149197050003, 1e-14);
    /* Nothing but zeros, and the end of time. */
    d = steady(&no_floor, 0, 10);
    assert_true(cv_phi_accrual_phi(&d, 0) == 0);
    assert_true(cv_phi_accrual_phi(&d, SEC) == CV_PHI_MAX);
    cv_phi_accrual_skip(&d, COVEY_NEVER - 10);
    assert_int_equal(cv_phi_accrual_reaches(&d, z), COVEY_NEVER);
    assert_true(cv_phi_accrual_phi(&d, COVEY_NEVER - 10) == 0);
    assert_true(cv_phi_accrual_phi(&d, COVEY_NEVER) < 0.31);
}

/* FNV-1a over when the detectors of one seed reach 4 and 8: the same from each compiler. */
static void every_build_computes_the_same(void **state)
{
    (void)state;
    const double zs[] = {cv_phi_accrual_z(4), cv_phi_accrual_z(8)};
    struct cv_phi_accrual d;
    struct cv_rand rand;
    covey_time now = 0;
    uint64_t hash = UINT64_C(14695981039346656037);
    cv_rand_seed(&rand, 11);
    cv_phi_accrual_init(&d, &no_floor);
    for (int i = 0; i < 5000; i++) {
        now += cv_rand_below(&rand, 2 * SEC);
        cv_phi_accrual_heartbeat(&d, now, 1 + cv_rand_below(&rand, 3));
        for (size_t k = 0; k < 2; k++)
            hash = (hash ^ cv_phi_accrual_reaches(&d, zs[k])) * UINT64_C(1099511628211);
    }
    if (hash != UINT64_C(0xa7f56f6d16e8d940))
        fail_msg("the hash is %#" PRIx64, hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phi_is_exact_up_to_its_maximum),
        cmocka_unit_test(whole_values_come_at_their_times),
        cmocka_unit_test(z_is_the_smallest_that_will_do),
        cmocka_unit_test(four_samples_say_nothing),
        cmocka_unit_test(silence_within_the_mean_and_the_pause_is_none),
        cmocka_unit_test(phi_grows_with_each_nanosecond_and_never_falls),
        cmocka_unit_test(steady_heartbeats_cross_8_between_1_5_and_1_7_seconds),
        cmocka_unit_test(only_the_last_hundred_count),
        cmocka_unit_test(lost_heartbeats_are_not_late_ones),
        cmocka_unit_test(the_time_of_our_own_pause_is_no_sample),
        cmocka_unit_test(one_that_begins_with_a_skip_has_its_start),
        cmocka_unit_test(cleared_is_as_new),
        cmocka_unit_test(an_earlier_time_counts_as_the_last_one),
        cmocka_unit_test(the_extremes_stay_in_their_bounds),
        cmocka_unit_test(every_build_computes_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
