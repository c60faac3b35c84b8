#include "unit/cluster/cluster_fixture.h"

#include "cluster/gossip/ack.h"

static struct cv_owed_acks owed;
static struct cv_heap heap;
static uint32_t asker_count;

static struct cv_owed_ack *owe(uint32_t target, uint32_t sequence, bool is_pinged)
{
    /* an asker of its own */
    const covey_node_id origin = id_of(1000 + asker_count++);
    struct cv_owed_ack *a = cv_owed_acks_free(&owed, &origin);
    assert_non_null(a);
    a->origin = origin;
    a->target = id_of(target);
    a->sequence = sequence;
    a->is_pinged = is_pinged;
    cv_heap_set(&heap, &a->alarm.timer, 10);
    return a;
}

static int setup(void **state)
{
    (void)state;
    cv_owed_acks_init(&owed);
    cv_heap_init(&heap, cv_alloc_default());
    return cv_heap_reserve(&heap, CV_OWED_ACKS_MAX);
}

static int teardown(void **state)
{
    (void)state;
    cv_heap_fini(&heap);
    return 0;
}

static void an_ack_is_matched_by_number_and_peer(void **state)
{
    (void)state;
    covey_node_id one = id_of(1), two = id_of(2);
    struct cv_owed_ack *a = owe(1, 5, true);
    owe(1, 6, false);
    assert_ptr_equal(cv_owed_acks_match(&owed, 5, &one), a);
    assert_null(cv_owed_acks_match(&owed, 5, &two));
    assert_null(cv_owed_acks_match(&owed, 4, &one));
    assert_null(cv_owed_acks_match(&owed, 6, &one)); /* not pinged yet */
    cv_heap_clear(&heap, &a->alarm.timer);
    assert_null(cv_owed_acks_match(&owed, 5, &one));
}

static void those_that_wait_are_found_one_after_the_other(void **state)
{
    (void)state;
    covey_node_id one = id_of(1);
    struct cv_owed_ack *a = owe(1, 0, false);
    owe(2, 0, false);
    owe(1, 7, true);
    struct cv_owed_ack *b = owe(1, 0, false);
    assert_ptr_equal(cv_owed_acks_waiting(&owed, NULL, &one), a);
    assert_ptr_equal(cv_owed_acks_waiting(&owed, a, &one), b);
    assert_null(cv_owed_acks_waiting(&owed, b, &one));
}

static void there_is_a_bound(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < CV_OWED_ACKS_MAX; i++)
        owe(i, i, true);
    assert_null(cv_owed_acks_free(&owed, &(const covey_node_id){.bytes = {9}}));
    cv_heap_clear(&heap, &owed.acks[3].alarm.timer);
    assert_ptr_equal(cv_owed_acks_free(&owed, &(const covey_node_id){.bytes = {9}}), &owed.acks[3]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_ack_is_matched_by_number_and_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(those_that_wait_are_found_one_after_the_other, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(there_is_a_bound, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
