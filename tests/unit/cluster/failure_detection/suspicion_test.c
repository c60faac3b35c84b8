#include "unit/cluster/cluster_fixture.h"

#include "cluster/failure_detection/suspicion.h"

static struct cv_suspicion begun(uint32_t wanted)
{
    struct cv_suspicion s;
    covey_node_id accuser = id_of(1);
    cv_suspicion_begin(&s, 100 * SEC, 3 * SEC, 18 * SEC, wanted, &accuser);
    return s;
}

static void confirm(struct cv_suspicion *s, uint32_t number, bool counts)
{
    covey_node_id accuser = id_of(number);
    assert_int_equal(cv_suspicion_confirm(s, &accuser), counts);
}

/* 18 s, then 18 - 15 * log(c + 1) / log 4. */
static void confirmations_shorten_it(void **state)
{
    (void)state;
    struct cv_suspicion s = begun(3);
    assert_int_equal(cv_suspicion_deadline(&s), 118 * SEC);
    confirm(&s, 2, true);
    assert_int_equal(cv_suspicion_deadline(&s), 110 * SEC + 500 * MS);
    confirm(&s, 3, true);
    assert_in_range(cv_suspicion_deadline(&s), 106112 * MS, 106113 * MS);
    confirm(&s, 4, true);
    assert_int_equal(cv_suspicion_deadline(&s), 103 * SEC);
    confirm(&s, 5, false);
    assert_int_equal(cv_suspicion_deadline(&s), 103 * SEC);
}

static void an_accuser_counts_once(void **state)
{
    (void)state;
    struct cv_suspicion s = begun(3);
    confirm(&s, 1, false);
    confirm(&s, 2, true);
    confirm(&s, 2, false);
    assert_int_equal(s.count, 2);
}

static void with_none_to_be_had_it_is_short_at_once(void **state)
{
    (void)state;
    struct cv_suspicion s = begun(0);
    assert_int_equal(cv_suspicion_deadline(&s), 103 * SEC);
    confirm(&s, 2, false);
}

static void it_never_leaves_its_bounds(void **state)
{
    (void)state;
    for (uint32_t wanted = 1; wanted <= CV_SUSPICION_CONFIRMATIONS_MAX; wanted++) {
        struct cv_suspicion s = begun(wanted);
        covey_time last = cv_suspicion_deadline(&s);
        assert_int_equal(last, 118 * SEC);
        for (uint32_t i = 0; i < wanted; i++) {
            confirm(&s, 2 + i, true);
            assert_true(cv_suspicion_deadline(&s) < last);
            last = cv_suspicion_deadline(&s);
        }
        assert_int_equal(last, 103 * SEC);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confirmations_shorten_it),
        cmocka_unit_test(an_accuser_counts_once),
        cmocka_unit_test(with_none_to_be_had_it_is_short_at_once),
        cmocka_unit_test(it_never_leaves_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
