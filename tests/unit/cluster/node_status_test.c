#include "unit/cluster/cluster_fixture.h"

#include "cluster/node_status.h"

static struct cv_node_status status(uint64_t incarnation, enum covey_node_state state, uint32_t by)
{
    return (struct cv_node_status){
        .incarnation = incarnation, .state = state, .accuser = id_of(by)};
}

static void the_later_incarnation_stands(void **state)
{
    (void)state;
    struct cv_node_status left = status(5, COVEY_NODE_LEFT, 0);
    struct cv_node_status alive = status(6, COVEY_NODE_ALIVE, 0);
    assert_true(cv_node_status_compare(&alive, &left) > 0);
    assert_int_equal(cv_node_status_resolve(&left, &alive).state, COVEY_NODE_ALIVE);
    struct cv_node_status wrapped = status(0, COVEY_NODE_ALIVE, 0);
    struct cv_node_status last = status(UINT64_MAX, COVEY_NODE_FAILED, 1);
    assert_true(cv_node_status_is_after(&wrapped, &last));
}

static void at_equal_incarnations_the_worse_state_stands(void **state)
{
    (void)state;
    for (int a = 0; a < 4; a++) {
        for (int b = 0; b < 4; b++) {
            struct cv_node_status x = status(5, (enum covey_node_state)a, 0);
            struct cv_node_status y = status(5, (enum covey_node_state)b, 0);
            assert_int_equal(cv_node_status_is_after(&x, &y), a > b);
            assert_int_equal((int)cv_node_status_resolve(&x, &y).state, a > b ? a : b);
        }
    }
}

/* A tie that all break the same way, but no news. */
static void the_accuser_breaks_a_tie(void **state)
{
    (void)state;
    struct cv_node_status x = status(5, COVEY_NODE_SUSPECT, 1);
    struct cv_node_status y = status(5, COVEY_NODE_SUSPECT, 2);
    covey_node_id two = id_of(2);
    struct cv_node_status xy = cv_node_status_resolve(&x, &y);
    struct cv_node_status yx = cv_node_status_resolve(&y, &x);
    assert_true(id_equal(&xy.accuser, &two) && id_equal(&yx.accuser, &two));
    assert_false(cv_node_status_is_after(&y, &x));
    assert_int_equal(cv_node_status_compare(&x, &x), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_later_incarnation_stands),
        cmocka_unit_test(at_equal_incarnations_the_worse_state_stands),
        cmocka_unit_test(the_accuser_breaks_a_tie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
