#include "unit/cluster/core_fixture.h"

#include "cluster/membership_internal.h"

static void nothing_of_a_malformed_message_is_applied(void **state)
{
    (void)state;
    uint8_t memory[CV_MAX_MESSAGE_SIZE];
    struct cv_message_writer mw;
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 5, CORE_WALL_MS, 0);
    struct cv_record record = record_of(5, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    core_add_member(1);
    cv_message_begin(&mw, memory, sizeof(memory),
                     &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP});
    assert_true(cv_message_add(&mw, &record));
    struct cv_slice bytes = cv_message_bytes(&mw);
    memory[bytes.size] = 0;
    assert_int_equal(core_bytes(1, cv_slice_of(memory, bytes.size + 1)), COVEY_ERR_MALFORMED);
    assert_int_equal(core_bytes(1, cv_slice_of(memory, bytes.size - 1)), COVEY_ERR_MALFORMED);
    assert_null(core_member(5));
    assert_int_equal(core_stats().messages_malformed, 2);
    assert_int_equal(core_bytes(1, bytes), COVEY_OK);
    assert_non_null(core_member(5));
    cv_cluster_node_release(body);
}

static void who_is_not_connected_is_not_heard(void **state)
{
    (void)state;
    core_tell(1, 5, CORE_WALL_MS, COVEY_NODE_ALIVE, 0);
    assert_null(core_member(5));
    assert_int_equal(core_stats().messages_received, 0);
}

static covey_time heard_from(uint32_t number)
{
    covey_node_id id = id_of(number);
    return cv_links_peer(&core.m->gossip.links, &id)->last_heard;
}

static void every_message_is_a_sign_of_life(void **state)
{
    (void)state;
    core_add_member(1);
    core.now += 7 * SEC;
    core_message(1, &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP}, NULL, NULL);
    assert_int_equal(heard_from(1), core.now);
    core.now += 1 * SEC;
    core_bytes(1, cv_slice_text("\x7f"));
    assert_int_equal(heard_from(1), core.now - 1 * SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(nothing_of_a_malformed_message_is_applied),
        CORE_TEST(who_is_not_connected_is_not_heard),
        CORE_TEST(every_message_is_a_sign_of_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
