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

/* A peer that says more than it may is not heard, and pays for going on. */
static void a_flood_is_not_read(void **state)
{
    (void)state;
    const struct cv_message_head ack = {.type = CV_MESSAGE_ACK, .sequence = 1};
    core_add_member(1);
    core.now += 5 * MS; /* its JOIN was one */
    for (int i = 0; i < 400; i++)
        core_message(1, &ack, NULL, NULL);
    assert_int_equal(core_stats().messages_shed, 0);
    uint64_t received = core_stats().messages_received;
    core_tell(1, 5, CORE_WALL_MS, COVEY_NODE_ALIVE, 0);
    assert_int_equal(core_stats().messages_shed, 1);
    assert_int_equal(core_stats().messages_received, received);
    assert_null(core_member(5));
    core.now += 5 * MS;
    core_tell(1, 5, CORE_WALL_MS, COVEY_NODE_ALIVE, 0);
    assert_non_null(core_member(5));
    for (int i = 0; i < 1000 && core_count(CV_OUTPUT_CLOSE) == 0; i++)
        core_message(1, &ack, NULL, NULL);
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 1);
}

/* The list of a large cluster comes in a bunch. */
static void a_member_list_is_no_flood(void **state)
{
    (void)state;
    struct cv_message_head chunk = {.type = CV_MESSAGE_JOIN_ACK, .chunk_count = 4096};
    core_add_member(1);
    core.now += 10 * SEC;
    for (; chunk.chunk < 4096; chunk.chunk++)
        core_message(1, &chunk, NULL, NULL);
    assert_int_equal(core_stats().messages_shed, 0);
    chunk.chunk = 0;
    core_message(1, &chunk, NULL, NULL);
    assert_int_equal(core_stats().messages_shed, 1);
}

/* What waited while we paused was sent in good time. More than that is not read either, but nobody
 * pays for it until we have caught up. */
static void what_waited_for_us_is_no_flood(void **state)
{
    (void)state;
    const struct cv_message_head ack = {.type = CV_MESSAGE_ACK, .sequence = 1};
    core_add_member(1);
    core.now += 10 * SEC;
    for (int i = 0; i < 400 + 10 * 200; i++)
        core_message(1, &ack, NULL, NULL);
    assert_int_equal(core_stats().messages_shed, 0);
    for (int i = 0; i < 2000; i++) {
        core_message(1, &ack, NULL, NULL);
        assert_int_equal(core_count(CV_OUTPUT_CLOSE), 0);
    }
    /* A second is 200 more, paid for or not. */
    assert_in_range(core_stats().messages_shed, 1790, 2000);
    core.now += 400 * MS;
    core_head(1, CV_MESSAGE_GOSSIP, 0);
    core.now += 400 * MS;
    core_head(1, CV_MESSAGE_GOSSIP, 0);
    core.now += 400 * MS;
    core_head(1, CV_MESSAGE_GOSSIP, 0);
    for (int i = 0; i < 2000 && core_count(CV_OUTPUT_CLOSE) == 0; i++)
        core_message(1, &ack, NULL, NULL);
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(nothing_of_a_malformed_message_is_applied),
        CORE_TEST(who_is_not_connected_is_not_heard),
        CORE_TEST(every_message_is_a_sign_of_life),
        CORE_TEST(a_flood_is_not_read),
        CORE_TEST(a_member_list_is_no_flood),
        CORE_TEST(what_waited_for_us_is_no_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
