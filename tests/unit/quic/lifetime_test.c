#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "quic/lifetime.h"

#define NOW     (5000 * COVEY_SECOND)
#define WALL    UINT64_C(1767225600000)
#define HOUR    (3600 * COVEY_SECOND)
#define MINUTE  (60 * COVEY_SECOND)
#define YEAR_MS (UINT64_C(365) * 86400 * 1000)

static struct cv_lifetime life_of(covey_time age_max, uint64_t left_ms, bool is_accepted,
                                  uint64_t random)
{
    struct cv_lifetime life;
    struct cv_lifetime_config config = {.age_max = age_max,
                                        .valid_until_ms = WALL + left_ms,
                                        .is_accepted = is_accepted,
                                        .random = random};
    cv_lifetime_init(&life, &config, NOW, WALL);
    return life;
}

/* After `span` on both clocks. */
static enum cv_lifetime_verdict judge(struct cv_lifetime *life, covey_time span)
{
    return cv_lifetime_judge(life, NOW + span, WALL + span / COVEY_MILLISECOND);
}

static covey_time deadline(const struct cv_lifetime *life, covey_time span)
{
    return cv_lifetime_deadline(life, NOW + span, WALL + span / COVEY_MILLISECOND) - NOW;
}

static void it_retires_once_and_ends_at_its_age(void **state)
{
    (void)state;
    struct cv_lifetime life = life_of(HOUR, YEAR_MS, false, 0);
    assert_int_equal(judge(&life, 0), CV_LIFETIME_GOES_ON);
    assert_int_equal(deadline(&life, 0), 50 * MINUTE);
    assert_int_equal(judge(&life, 50 * MINUTE - 1), CV_LIFETIME_GOES_ON);
    assert_int_equal(judge(&life, 50 * MINUTE), CV_LIFETIME_RETIRES);
    assert_int_equal(judge(&life, 50 * MINUTE), CV_LIFETIME_GOES_ON);
    assert_int_equal(deadline(&life, 50 * MINUTE), HOUR);
    assert_int_equal(judge(&life, HOUR - 1), CV_LIFETIME_GOES_ON);
    assert_int_equal(judge(&life, HOUR), CV_LIFETIME_AGED);
    assert_int_equal(judge(&life, HOUR + 1), CV_LIFETIME_AGED);
}

/* Between 4/6 and 5/6 for who dialled, all of it used; 11/12 for who accepted. */
static void the_time_to_retire_depends_on_chance_and_side(void **state)
{
    (void)state;
    covey_time first = HOUR;
    covey_time last = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t random = i * UINT64_C(0x9e3779b97f4a7c15);
        struct cv_lifetime life = life_of(HOUR, YEAR_MS, false, random);
        covey_time at = deadline(&life, 0);
        first = at < first ? at : first;
        last = at > last ? at : last;
        life = life_of(HOUR, YEAR_MS, true, random);
        assert_int_equal(deadline(&life, 0), 55 * MINUTE);
    }
    assert_in_range(first, 40 * MINUTE, 41 * MINUTE);
    assert_in_range(last, 49 * MINUTE, 50 * MINUTE);
}

static void the_earlier_end_counts(void **state)
{
    (void)state;
    struct cv_lifetime life = life_of(HOUR, 60000, false, 0);
    assert_int_equal(deadline(&life, 0), 50 * COVEY_SECOND + COVEY_MILLISECOND);
    assert_int_equal(judge(&life, 50 * COVEY_SECOND), CV_LIFETIME_GOES_ON);
    assert_int_equal(judge(&life, 50 * COVEY_SECOND + COVEY_MILLISECOND), CV_LIFETIME_RETIRES);
    /* The end itself is inside. */
    assert_int_equal(deadline(&life, MINUTE), MINUTE + COVEY_MILLISECOND);
    assert_int_equal(judge(&life, MINUTE), CV_LIFETIME_GOES_ON);
    assert_int_equal(judge(&life, MINUTE + COVEY_MILLISECOND), CV_LIFETIME_EXPIRED);
    assert_int_equal(judge(&life, 2 * HOUR), CV_LIFETIME_EXPIRED);
}

/* A certificate of a year needs no months to retire in. */
static void a_margin_is_ten_minutes_at_most(void **state)
{
    (void)state;
    struct cv_lifetime life = life_of(COVEY_NEVER, YEAR_MS, false, 0);
    covey_time year = YEAR_MS * COVEY_MILLISECOND;
    assert_int_equal(deadline(&life, 0), year - 10 * MINUTE + COVEY_MILLISECOND);
    life = life_of(24 * HOUR, YEAR_MS, false, UINT64_MAX);
    assert_in_range(deadline(&life, 0), 24 * HOUR - 20 * MINUTE, 24 * HOUR - 10 * MINUTE);
}

static void a_short_life_only_ends(void **state)
{
    (void)state;
    struct cv_lifetime life = life_of(CV_LIFETIME_SPAN_MIN, YEAR_MS, true, 0);
    assert_true(deadline(&life, 0) < CV_LIFETIME_SPAN_MIN);
    life = life_of(CV_LIFETIME_SPAN_MIN - 1, YEAR_MS, true, 0);
    assert_int_equal(deadline(&life, 0), CV_LIFETIME_SPAN_MIN - 1);
    assert_int_equal(judge(&life, CV_LIFETIME_SPAN_MIN - 1), CV_LIFETIME_AGED);
    life = life_of(HOUR, 9000, true, 0);
    assert_int_equal(judge(&life, 9 * COVEY_SECOND), CV_LIFETIME_GOES_ON);
    assert_int_equal(judge(&life, 9 * COVEY_SECOND + COVEY_MILLISECOND), CV_LIFETIME_EXPIRED);
}

static void what_is_over_is_over_at_once(void **state)
{
    (void)state;
    struct cv_lifetime life = life_of(0, YEAR_MS, false, 7);
    assert_int_equal(judge(&life, 0), CV_LIFETIME_AGED);
    struct cv_lifetime_config config = {.age_max = HOUR, .valid_until_ms = WALL - 1};
    cv_lifetime_init(&life, &config, NOW, WALL);
    assert_int_equal(cv_lifetime_deadline(&life, NOW, WALL), NOW);
    assert_int_equal(judge(&life, 0), CV_LIFETIME_EXPIRED);
}

static void without_any_end_there_is_no_deadline(void **state)
{
    (void)state;
    static const covey_time ages[] = {COVEY_NEVER, COVEY_NEVER - 1, COVEY_NEVER - NOW};
    for (size_t i = 0; i < 3; i++) {
        struct cv_lifetime life = life_of(ages[i], 100 * YEAR_MS, false, 7);
        assert_int_equal(cv_lifetime_deadline(&life, NOW, WALL), COVEY_NEVER);
        assert_int_equal(judge(&life, 24 * HOUR), CV_LIFETIME_GOES_ON);
    }
    /* The end of the year 9999, in nanoseconds, is more than 64 bits. */
    struct cv_lifetime life = life_of(COVEY_NEVER, UINT64_C(253402300799000) - WALL, true, 7);
    assert_int_equal(cv_lifetime_deadline(&life, NOW, WALL), COVEY_NEVER);
}

/* Age is exact whatever the wall clock says; certificates follow it both ways. */
static void the_wall_clock_may_jump(void **state)
{
    (void)state;
    struct cv_lifetime life = life_of(HOUR, 60000, false, 0);
    assert_int_equal(cv_lifetime_judge(&life, NOW, WALL - YEAR_MS), CV_LIFETIME_GOES_ON);
    assert_int_equal(cv_lifetime_deadline(&life, NOW, WALL - YEAR_MS), NOW + 50 * MINUTE);
    assert_int_equal(cv_lifetime_judge(&life, NOW + 50 * MINUTE, 0), CV_LIFETIME_RETIRES);
    assert_int_equal(cv_lifetime_judge(&life, NOW + HOUR, 0), CV_LIFETIME_AGED);
    life = life_of(HOUR, 60000, false, 0);
    assert_int_equal(cv_lifetime_judge(&life, NOW, WALL + 60000), CV_LIFETIME_RETIRES);
    assert_int_equal(cv_lifetime_judge(&life, NOW, WALL), CV_LIFETIME_GOES_ON);
    assert_int_equal(cv_lifetime_judge(&life, NOW, WALL + 60001), CV_LIFETIME_EXPIRED);
}

/* How often a peer is dialled whose certificate ends in an hour and is not renewed. */
static void the_last_hour_needs_few_connections(void **state)
{
    (void)state;
    for (uint64_t random = 0; random < 50; random++) {
        uint64_t left_ms = 3600 * 1000;
        int dials = 0;
        for (;;) {
            struct cv_lifetime life =
                life_of(HOUR, left_ms, false, random * UINT64_C(0x9e3779b97f4a7c15));
            covey_time at = deadline(&life, 0);
            if (judge(&life, at) != CV_LIFETIME_RETIRES)
                break;
            left_ms -= at / COVEY_MILLISECOND;
            dials++;
        }
        assert_in_range(dials, 3, 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_retires_once_and_ends_at_its_age),
        cmocka_unit_test(the_time_to_retire_depends_on_chance_and_side),
        cmocka_unit_test(the_earlier_end_counts),
        cmocka_unit_test(a_margin_is_ten_minutes_at_most),
        cmocka_unit_test(a_short_life_only_ends),
        cmocka_unit_test(what_is_over_is_over_at_once),
        cmocka_unit_test(without_any_end_there_is_no_deadline),
        cmocka_unit_test(the_wall_clock_may_jump),
        cmocka_unit_test(the_last_hour_needs_few_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
