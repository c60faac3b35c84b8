#include "unit/cluster/core_fixture.h"

/* A member hears our record from us; one that we hold for failed is asked for all it knows. */
static void a_connection_is_greeted(void **state)
{
    (void)state;
    core_add_member(1);
    core_tell(1, 5, CORE_WALL_MS, COVEY_NODE_ALIVE, 0);
    core_connected(5, 0);
    const struct cv_update *own = core_update(core_sent(5, CV_MESSAGE_GOSSIP, NULL), 0);
    assert_non_null(own);
    assert_true(own->has_body);
    core_tell(1, 6, CORE_WALL_MS, COVEY_NODE_ALIVE, 0);
    core_fail(1, 6, CORE_WALL_MS);
    core_connected(6, 0);
    const struct cv_message *join = core_sent(6, CV_MESSAGE_JOIN, NULL);
    assert_non_null(join);
    assert_int_equal(core_update(join, 6)->status.state, COVEY_NODE_FAILED);
    /* Somebody unknown speaks first. */
    core_connected(9, 0);
    assert_int_equal(core_count(CV_OUTPUT_SEND), 0);
}

/* D10: each interval one failed member is tried. */
static void failed_members_are_tried_again(void **state)
{
    (void)state;
    bool tried[4] = {false};
    core_add_member(1);
    for (uint32_t i = 5; i < 8; i++) {
        struct cv_cluster_node *body = body_of(cv_alloc_default(), i, CORE_WALL_MS, 0);
        struct cv_record record = record_of(i, CORE_WALL_MS, COVEY_NODE_FAILED, body);
        core_message(1, &(struct cv_message_head){.type = CV_MESSAGE_JOIN_ACK, .chunk_count = 1},
                     &record, NULL);
        cv_cluster_node_release(body);
    }
    for (int i = 0; i < 400; i++) {
        core_tick();
        const struct cv_output *dial = core_find(CV_OUTPUT_DIAL, 0);
        if (dial == NULL)
            continue;
        uint32_t number = dial->dial.expected.bytes[1];
        if (number >= 5)
            tried[number - 5] = true;
        core_dial_failed(dial->dial.dial, COVEY_ERR_UNREACHABLE);
    }
    assert_true(tried[0] && tried[1] && tried[2]);
}

/* A seed that is no member is sought for ever: resolved again, dialled, joined with. */
static void a_lost_seed_is_sought(void **state)
{
    (void)state;
    cv_membership_free(core.m);
    core_start_joining(2);
    struct cv_address address = address_of(7);
    uint32_t first = core_find(CV_OUTPUT_RESOLVE, 0)->resolve.resolve;
    uint32_t second = core_find(CV_OUTPUT_RESOLVE, 1)->resolve.resolve;
    core_resolved(second, COVEY_ERR_RESOLVE, NULL, 0);
    core_resolved(first, 0, &address, 1);
    core_connected(7, core_find(CV_OUTPUT_DIAL, 0)->dial.dial);
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 7, CORE_WALL_MS, 0);
    struct cv_record record = record_of(7, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    core_message(7, &(struct cv_message_head){.type = CV_MESSAGE_JOIN_ACK, .chunk_count = 1},
                 &record, NULL);
    cv_cluster_node_release(body);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
    covey_time begun = core.now;
    while (core_count(CV_OUTPUT_RESOLVE) == 0) {
        core_tick();
        const struct cv_message *ping = core_sent(7, CV_MESSAGE_PING, NULL);
        if (ping != NULL)
            core_message(
                7,
                &(struct cv_message_head){.type = CV_MESSAGE_ACK, .sequence = ping->head.sequence},
                NULL, NULL);
    }
    assert_in_range(core.now - begun, 7500 * MS, 12500 * MS);
    assert_int_equal(core_count(CV_OUTPUT_RESOLVE), 1);
    assert_string_equal(core_find(CV_OUTPUT_RESOLVE, 0)->resolve.name, "s2:4433");
    address = address_of(8);
    core_resolved(core_find(CV_OUTPUT_RESOLVE, 0)->resolve.resolve, 0, &address, 1);
    core_connected(8, core_find(CV_OUTPUT_DIAL, 0)->dial.dial);
    assert_non_null(core_sent(8, CV_MESSAGE_JOIN, NULL));
}

/* An input that is lost for want of memory has changed nothing. */
static void without_memory_nobody_is_connected(void **state)
{
    (void)state;
    core_run(1 * SEC);
    for (size_t n = 1; n < 20; n++) {
        core.t.fail_at = core.t.calls + n;
        int error = core_connected(3, 0);
        core.t.fail_at = 0;
        if (error == COVEY_OK)
            return;
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        assert_int_equal(core.count, 0);
    }
    fail_msg("it never works");
}

/* Nodes that lost the same members at the same time do not seek them at the same time for ever. */
static void attempts_are_not_in_step(void **state)
{
    (void)state;
    covey_time last = core.now, least = COVEY_NEVER, most = 0;
    core_add_member(1);
    core_add_member(2);
    core_fail_now(1, 2, CORE_WALL_MS, -1);
    assert_int_equal(core_state(2), COVEY_NODE_FAILED);
    assert_int_equal(core_disconnected(2), COVEY_OK);
    for (int i = 0; i < 20; i++) {
        while (core_count(CV_OUTPUT_DIAL) == 0)
            core_run_answering(1 * MS, 0, CV_MESSAGE_PING, NULL);
        const covey_time wait = core.now - last;
        last = core.now;
        core_dial_failed(core_find(CV_OUTPUT_DIAL, 0)->dial.dial, COVEY_ERR_UNREACHABLE);
        assert_in_range(wait, 7490 * MS, 12510 * MS);
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    assert_true(most - least > SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(a_connection_is_greeted),  CORE_TEST(failed_members_are_tried_again),
        CORE_TEST(a_lost_seed_is_sought),    CORE_TEST(without_memory_nobody_is_connected),
        CORE_TEST(attempts_are_not_in_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
