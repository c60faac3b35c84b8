#include "unit/cluster/cluster_fixture.h"

#include "cluster/token_bucket.h"

static void a_burst_then_the_rate(void **state)
{
    (void)state;
    struct cv_token_bucket b;
    cv_token_bucket_init(&b, 100, 3, 10);
    assert_true(cv_token_bucket_take(&b, 100, 2));
    assert_true(cv_token_bucket_take(&b, 100, 1));
    assert_false(cv_token_bucket_take(&b, 109, 1));
    assert_true(cv_token_bucket_take(&b, 110, 1));
    assert_false(cv_token_bucket_take(&b, 119, 1));
}

static void parts_of_an_interval_add_up(void **state)
{
    (void)state;
    struct cv_token_bucket b;
    cv_token_bucket_init(&b, 0, 1, 10);
    assert_true(cv_token_bucket_take(&b, 0, 1));
    for (covey_time now = 1; now < 10; now++)
        assert_false(cv_token_bucket_take(&b, now, 1));
    assert_true(cv_token_bucket_take(&b, 10, 1));
}

static void it_never_holds_more_than_its_burst(void **state)
{
    (void)state;
    struct cv_token_bucket b;
    cv_token_bucket_init(&b, 0, 5, 1);
    assert_false(cv_token_bucket_take(&b, UINT64_MAX, 6));
    assert_int_equal(b.tokens, 0);
    cv_token_bucket_init(&b, 0, 5, 1);
    assert_true(cv_token_bucket_take(&b, UINT64_MAX, 5));
    assert_true(cv_token_bucket_take(&b, UINT64_MAX, 0));
}

/* More than a burst at once, taken or faded at the rate of what is earned. */
static void what_a_pause_earned_is_there_for_a_while(void **state)
{
    (void)state;
    struct cv_token_bucket b;
    cv_token_bucket_init(&b, 100, 3, 10);
    assert_true(cv_token_bucket_take(&b, 100, 2));
    cv_token_bucket_credit(&b, 100, 49);
    assert_int_equal(b.tokens, 3 + 4);
    cv_token_bucket_credit(&b, 100, 49); /* no more for the same */
    assert_true(cv_token_bucket_take(&b, 100, 2));
    assert_int_equal(b.tokens, 5);
    assert_true(cv_token_bucket_take(&b, 115, 1));
    assert_int_equal(b.tokens, 3);
    cv_token_bucket_credit(&b, 120, 49);
    assert_true(cv_token_bucket_take(&b, 1000, 0));
    assert_int_equal(b.tokens, 3);
    cv_token_bucket_init(&b, 0, UINT32_MAX, 1);
    cv_token_bucket_credit(&b, 5, UINT64_MAX);
    assert_int_equal(b.tokens, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_then_the_rate),
        cmocka_unit_test(parts_of_an_interval_add_up),
        cmocka_unit_test(it_never_holds_more_than_its_burst),
        cmocka_unit_test(what_a_pause_earned_is_there_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
