#include "rpc/retry_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static unsigned take_all(struct cv_retry_budget *b)
{
    unsigned count = 0;
    while (count < 10000 && cv_retry_budget_take(b))
        count++;
    return count;
}

static void half_of_the_tokens_are_taken(void **state)
{
    (void)state;
    static const struct {
        unsigned tokens, taken;
    } cases[] = {{1, 1}, {2, 1}, {3, 2}, {10, 5}, {1000, 500}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cv_retry_budget b;
        cv_retry_budget_init(&b, cases[i].tokens);
        assert_int_equal(take_all(&b), cases[i].taken);
    }
}

static void ten_successes_give_one_back(void **state)
{
    (void)state;
    struct cv_retry_budget b;
    cv_retry_budget_init(&b, 10);
    take_all(&b);
    cv_retry_budget_success(&b);
    assert_int_equal(take_all(&b), 1); /* just above the half */
    for (int i = 0; i < 9; i++) {
        cv_retry_budget_success(&b);
        assert_false(cv_retry_budget_take(&b));
    }
    cv_retry_budget_success(&b);
    assert_int_equal(take_all(&b), 1);
}

static void successes_do_not_overfill_it(void **state)
{
    (void)state;
    struct cv_retry_budget b;
    cv_retry_budget_init(&b, 4);
    for (int i = 0; i < 1000; i++)
        cv_retry_budget_success(&b);
    assert_int_equal(take_all(&b), 2);
}

static void none_means_no_limit(void **state)
{
    (void)state;
    struct cv_retry_budget b;
    cv_retry_budget_init(&b, 0);
    assert_int_equal(take_all(&b), 10000);
    cv_retry_budget_success(&b);
    assert_true(cv_retry_budget_take(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_of_the_tokens_are_taken),
        cmocka_unit_test(ten_successes_give_one_back),
        cmocka_unit_test(successes_do_not_overfill_it),
        cmocka_unit_test(none_means_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
