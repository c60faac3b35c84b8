#include "unit/cluster/cluster_fixture.h"

#include "cluster/outbox.h"

static void put_close(struct cv_outbox *o, uint32_t number)
{
    struct cv_output output = {.type = CV_OUTPUT_CLOSE};
    output.close.peer = id_of(number);
    cv_outbox_put(o, &output);
}

static void outputs_come_in_order(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_outbox o;
    struct cv_output output;
    covey_node_id to = id_of(5);
    test_alloc_init(&t);
    cv_outbox_init(&o, &t.alloc);
    assert_false(cv_outbox_poll(&o, &output));
    assert_int_equal(cv_outbox_reserve(&o, 2), COVEY_OK);
    put_close(&o, 1);
    cv_outbox_send(&o, &to, true, cv_slice_text("hello"));
    put_close(&o, 2);
    assert_true(cv_outbox_poll(&o, &output));
    assert_int_equal(output.type, CV_OUTPUT_CLOSE);
    assert_true(cv_outbox_poll(&o, &output));
    assert_int_equal(output.type, CV_OUTPUT_SEND);
    assert_true(output.send.reliable && id_equal(&output.send.to, &to));
    assert_true(cv_slice_equal(output.send.bytes, cv_slice_text("hello")));
    assert_true(cv_outbox_poll(&o, &output));
    assert_true(id_equal(&output.close.peer, &(covey_node_id){.bytes = {0, 2, [15] = 1}}));
    assert_false(cv_outbox_poll(&o, &output));
    assert_int_equal(o.sent, 1);
    cv_outbox_fini(&o);
    test_alloc_assert_empty(&t);
}

/* However many messages wait, what was reserved has its room. */
static void messages_are_shed_at_their_bound(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_outbox o;
    struct cv_output output;
    covey_node_id to = id_of(5);
    test_alloc_init(&t);
    cv_outbox_init(&o, &t.alloc);
    assert_int_equal(cv_outbox_reserve(&o, 100), COVEY_OK);
    for (size_t i = 0; i < CV_OUTBOX_SENDS_MAX + 3; i++)
        cv_outbox_send(&o, &to, false, cv_slice_text("x"));
    assert_int_equal(o.sent, CV_OUTBOX_SENDS_MAX);
    assert_int_equal(o.shed, 3);
    for (uint32_t i = 0; i < 100; i++)
        put_close(&o, i);
    assert_true(cv_outbox_poll(&o, &output));
    cv_outbox_send(&o, &to, false, cv_slice_text("x"));
    assert_int_equal(o.shed, 3);
    assert_int_equal(cv_outbox_reserve(&o, CV_OUTBOX_MAX), COVEY_ERR_LIMIT);
    cv_outbox_fini(&o);
    test_alloc_assert_empty(&t);
}

static void a_message_without_memory_is_shed(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_outbox o;
    struct cv_output output;
    covey_node_id to = id_of(5);
    test_alloc_init(&t);
    cv_outbox_init(&o, &t.alloc);
    for (size_t n = 1; n <= 2; n++) {
        t.fail_at = t.calls + 1;
        cv_outbox_send(&o, &to, false, cv_slice_text("x"));
        assert_int_equal(o.shed, n);
        assert_int_equal(cv_outbox_reserve(&o, 1), COVEY_OK);
    }
    assert_false(cv_outbox_poll(&o, &output));
    cv_outbox_fini(&o);
    test_alloc_assert_empty(&t);
}

static void what_was_not_polled_is_released(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_outbox o;
    struct cv_output output = {.type = CV_OUTPUT_EVENT};
    covey_node_id to = id_of(5);
    test_alloc_init(&t);
    cv_outbox_init(&o, &t.alloc);
    output.event.node = body_of(&t.alloc, 1, 1, 0);
    assert_int_equal(cv_outbox_reserve(&o, 1), COVEY_OK);
    cv_outbox_put(&o, &output);
    cv_outbox_send(&o, &to, false, cv_slice_text("x"));
    cv_outbox_fini(&o);
    test_alloc_assert_empty(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_come_in_order),
        cmocka_unit_test(messages_are_shed_at_their_bound),
        cmocka_unit_test(a_message_without_memory_is_shed),
        cmocka_unit_test(what_was_not_polled_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
