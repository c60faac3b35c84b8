#include "unit/cluster/cluster_fixture.h"

#include "cluster/failure_detection/local_health.h"

static const enum cv_local_health_note bad[] = {
    CV_LOCAL_HEALTH_PROBE_FAILED, CV_LOCAL_HEALTH_NACK_MISSING, CV_LOCAL_HEALTH_REFUTED};

static void each_sign_of_weakness_counts_one(void **state)
{
    (void)state;
    struct cv_local_health h;
    cv_local_health_init(&h, CV_LOCAL_HEALTH_MAX);
    assert_int_equal(cv_local_health_scale(&h, SEC), SEC);
    for (uint32_t i = 0; i < 3; i++) {
        cv_local_health_note(&h, bad[i]);
        assert_int_equal(h.score, i + 1);
        assert_int_equal(cv_local_health_scale(&h, SEC), (i + 2) * SEC);
    }
    cv_local_health_note(&h, CV_LOCAL_HEALTH_PROBE_OK);
    assert_int_equal(h.score, 2);
}

/* A period of 1 s is never above 9 s, and eight good probes undo everything. */
static void the_score_stays_in_its_bounds(void **state)
{
    (void)state;
    struct cv_local_health h;
    cv_local_health_init(&h, CV_LOCAL_HEALTH_MAX);
    for (uint32_t i = 0; i < 20; i++) {
        cv_local_health_note(&h, bad[i % 3]);
        assert_int_equal(h.score, i < 8 ? i + 1 : 8);
    }
    assert_int_equal(cv_local_health_scale(&h, SEC), 9 * SEC);
    for (uint32_t i = 0; i < 12; i++) {
        cv_local_health_note(&h, CV_LOCAL_HEALTH_PROBE_OK);
        assert_int_equal(h.score, i < 8 ? 7 - i : 0);
    }
    assert_int_equal(cv_local_health_scale(&h, SEC), SEC);
}

static void a_maximum_of_0_switches_it_off(void **state)
{
    (void)state;
    struct cv_local_health h;
    cv_local_health_init(&h, 0);
    for (size_t i = 0; i < 3; i++)
        cv_local_health_note(&h, bad[i]);
    assert_int_equal(h.score, 0);
    assert_int_equal(cv_local_health_scale(&h, 500 * MS), 500 * MS);
}

static void what_is_no_time_is_never(void **state)
{
    (void)state;
    struct cv_local_health h;
    cv_local_health_init(&h, 1);
    assert_int_equal(cv_local_health_scale(&h, COVEY_NEVER), COVEY_NEVER);
    assert_int_equal(cv_local_health_scale(&h, COVEY_NEVER - 1), COVEY_NEVER - 1);
    cv_local_health_note(&h, CV_LOCAL_HEALTH_REFUTED);
    assert_int_equal(cv_local_health_scale(&h, 0), 0);
    assert_int_equal(cv_local_health_scale(&h, COVEY_NEVER / 2 - 1), COVEY_NEVER - 3);
    assert_int_equal(cv_local_health_scale(&h, COVEY_NEVER / 2 + 1), COVEY_NEVER);
    assert_int_equal(cv_local_health_scale(&h, COVEY_NEVER), COVEY_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sign_of_weakness_counts_one),
        cmocka_unit_test(the_score_stays_in_its_bounds),
        cmocka_unit_test(a_maximum_of_0_switches_it_off),
        cmocka_unit_test(what_is_no_time_is_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
