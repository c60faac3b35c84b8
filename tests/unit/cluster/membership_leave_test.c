#include "unit/cluster/core_fixture.h"

static void ack_leave(uint32_t from)
{
    core_message(from, &(struct cv_message_head){.type = CV_MESSAGE_LEAVE_ACK}, NULL, NULL);
}

/* All that are connected are told; three that heard it are enough, each counted once. */
static void three_that_heard_it_are_enough(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 5; i++)
        core_add_member(i);
    assert_int_equal(core_command(CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
    for (uint32_t i = 1; i <= 5; i++) {
        bool reliable = false;
        const struct cv_message *m = core_sent(i, CV_MESSAGE_LEAVE, &reliable);
        assert_true(m != NULL && m->head.incarnation == CORE_WALL_MS);
    }
    assert_int_equal(core_state(0), COVEY_NODE_LEFT);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEAVING);
    ack_leave(1);
    ack_leave(1);
    ack_leave(2);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEAVING);
    ack_leave(4);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEFT);
    assert_int_equal(core_find(CV_OUTPUT_STATE, 0)->state.state, CV_MEMBERSHIP_LEFT);
}

static void one_member_is_enough_when_there_is_one(void **state)
{
    (void)state;
    core_add_member(1);
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    ack_leave(1);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEFT);
}

static void alone_it_ends_at_once(void **state)
{
    (void)state;
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEFT);
    assert_int_equal(core_count(CV_OUTPUT_STATE), 2);
}

static void its_time_is_bounded(void **state)
{
    (void)state;
    core_add_member(1);
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    covey_time begun = core.now;
    while (cv_membership_state(core.m) != CV_MEMBERSHIP_LEFT)
        core_tick();
    assert_int_equal(core.now - begun, 5 * SEC);
}

/* The short way: who is connected is told, nobody is dialled, and a silent one costs 200 ms. */
static void shutting_down_takes_200_ms_at_most(void **state)
{
    (void)state;
    core_add_member(1);
    core_add_member(2);
    core_add_member(3);
    core_disconnected(2);
    assert_int_equal(core_command(CV_COMMAND_SHUTDOWN, NULL, NULL), COVEY_OK);
    assert_non_null(core_sent(1, CV_MESSAGE_LEAVE, NULL));
    assert_non_null(core_sent(3, CV_MESSAGE_LEAVE, NULL));
    assert_null(core_find(CV_OUTPUT_DIAL, 0));
    covey_time begun = core.now;
    core_run(199 * MS);
    ack_leave(1);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEAVING);
    core_tick();
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEFT);
    assert_int_equal(core.now - begun, 200 * MS);
    assert_int_equal(core_command(CV_COMMAND_SHUTDOWN, NULL, NULL), COVEY_ERR_STATE);
}

static void shutting_down_ends_when_the_told_have_heard(void **state)
{
    (void)state;
    core_add_member(1);
    core_add_member(2);
    core_disconnected(2);
    core_command(CV_COMMAND_SHUTDOWN, NULL, NULL);
    ack_leave(1);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEFT);
}

/* Alone, or before it has joined, there is nobody to wait for. */
static void shutting_down_alone_takes_no_time(void **state)
{
    (void)state;
    core_command(CV_COMMAND_SHUTDOWN, NULL, NULL);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEFT);
    core_teardown(state);
    core_start_joining(1);
    core_command(CV_COMMAND_SHUTDOWN, NULL, NULL);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEFT);
}

/* It cuts the long way short, and never makes it longer. */
static void shutting_down_while_it_leaves(void **state)
{
    (void)state;
    core_add_member(1);
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    covey_time begun = core.now;
    core_run(SEC);
    assert_int_equal(core_command(CV_COMMAND_SHUTDOWN, NULL, NULL), COVEY_OK);
    assert_null(core_find(CV_OUTPUT_STATE, 0));
    core_run(100 * MS);
    assert_int_equal(core_command(CV_COMMAND_SHUTDOWN, NULL, NULL), COVEY_OK);
    while (cv_membership_state(core.m) != CV_MEMBERSHIP_LEFT)
        core_tick();
    assert_int_equal(core.now - begun, SEC + 200 * MS);
}

/* Members that are not connected are dialled when too few are, and told when they are. */
static void who_is_not_connected_is_dialled(void **state)
{
    (void)state;
    core_add_member(1);
    core_add_member(2);
    core_disconnected(2);
    uint32_t dial = core_find(CV_OUTPUT_DIAL, 0)->dial.dial;
    core_dial_failed(dial, COVEY_ERR_UNREACHABLE);
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    assert_non_null(core_find(CV_OUTPUT_DIAL, 0));
    core_connected(2, core_find(CV_OUTPUT_DIAL, 0)->dial.dial);
    assert_non_null(core_sent(2, CV_MESSAGE_LEAVE, NULL));
}

/* M3, M4: it stays with it, whatever is said; it still answers. */
static void a_leaving_node_stays_left(void **state)
{
    (void)state;
    struct cv_message_head ping = {.type = CV_MESSAGE_PING, .sequence = 3, .target = id_of(0)};
    core_add_member(1);
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    core_tell(1, 0, CORE_WALL_MS + 5, COVEY_NODE_FAILED, -1);
    assert_int_equal(core_state(0), COVEY_NODE_LEFT);
    assert_int_equal(core_member(0)->incarnation, CORE_WALL_MS);
    core_message(1, &ping, NULL, NULL);
    assert_non_null(core_sent(1, CV_MESSAGE_ACK, NULL));
}

/* What it hears of others while it leaves is theirs to settle. */
static void a_leaving_node_accuses_nobody(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    config.leave_timeout = 100 * SEC;
    cv_membership_free(core.m);
    core_start(&config);
    for (uint32_t i = 1; i <= 4; i++)
        core_add_member(i);
    core_tell(1, 2, CORE_WALL_MS, COVEY_NODE_SUSPECT, -1);
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    core_tell(1, 3, CORE_WALL_MS, COVEY_NODE_FAILED, -1);
    assert_int_equal(core_count_sent(CV_MESSAGE_PING), 0);
    core.now += 5 * SEC; /* and a pause of our own */
    core_head(1, CV_MESSAGE_PING, 1);
    core_run(90 * SEC);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEAVING);
    assert_int_equal(core_state(2), COVEY_NODE_SUSPECT);
    assert_int_equal(core_state(3), COVEY_NODE_SUSPECT);
    /* One that is told to be gone is let go as ever. */
    core_tell(1, 4, CORE_WALL_MS, COVEY_NODE_LEFT, -1);
    core_run(3 * SEC);
    assert_int_equal(core_member(4)->link, CV_LINK_NONE);
}

static void a_goodbye_is_acknowledged_and_told(void **state)
{
    (void)state;
    struct cv_message_head leave = {.type = CV_MESSAGE_LEAVE, .incarnation = CORE_WALL_MS};
    core_add_member(1);
    core_add_member(2);
    core_run(100 * MS);
    core_message(1, &leave, NULL, NULL);
    assert_int_equal(core_state(1), COVEY_NODE_LEFT);
    assert_true(core_member(1)->left_is_direct);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_LEFT), 1);
    assert_non_null(core_sent(1, CV_MESSAGE_LEAVE_ACK, NULL));
    assert_int_equal(core_update(core_sent(2, CV_MESSAGE_GOSSIP, NULL), 1)->status.state,
                     COVEY_NODE_LEFT);
    /* Again, as when the acknowledgement was lost. */
    core_message(1, &leave, NULL, NULL);
    assert_non_null(core_sent(1, CV_MESSAGE_LEAVE_ACK, NULL));
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_LEFT), 0);
    /* Only a new life brings it back. */
    core_tell(2, 1, CORE_WALL_MS + 1, COVEY_NODE_ALIVE, -1);
    assert_int_equal(core_state(1), COVEY_NODE_LEFT);
    core_tell(2, 1, CORE_WALL_MS + 1, COVEY_NODE_ALIVE, 0);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
}

/* A suspicion that others tell us of does not end by our word. */
static void who_leaves_accuses_nobody(void **state)
{
    (void)state;
    core_add_member(1);
    core_add_member(2);
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    core_tell(1, 2, CORE_WALL_MS, COVEY_NODE_SUSPECT, -1);
    core_run(5 * SEC - 1);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEAVING);
    assert_int_equal(core_state(2), COVEY_NODE_SUSPECT);
}

static void who_leaves_probes_nobody(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    cv_membership_free(core.m);
    config.leave_timeout = 60 * SEC;
    core_start(&config);
    core_add_member(1);
    core_add_member(2);
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    uint64_t probes = core_stats().probes_sent;
    for (uint32_t i = 1; i <= 8; i++) {
        core_message(1, &(struct cv_message_head){.type = CV_MESSAGE_HEARTBEAT, .sequence = i},
                     NULL, NULL);
        core_run(1 * SEC);
    }
    core_run(20 * SEC);
    core_tell(1, 2, CORE_WALL_MS, COVEY_NODE_FAILED, -1);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEAVING);
    assert_int_equal(core_stats().probes_sent, probes);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
}

/* Who has our JOIN holds us for a member, though we have no list yet. */
static void who_leaves_while_it_joins_tells_the_seed(void **state)
{
    (void)state;
    struct cv_address address = address_of(7);
    core_teardown(state);
    core_start_joining(1);
    core_resolved(core_find(CV_OUTPUT_RESOLVE, 0)->resolve.resolve, COVEY_OK, &address, 1);
    core_connected(7, core_find(CV_OUTPUT_DIAL, 0)->dial.dial);
    assert_non_null(core_sent(7, CV_MESSAGE_JOIN, NULL));
    assert_int_equal(core_command(CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
    const struct cv_message *goodbye = core_sent(7, CV_MESSAGE_LEAVE, NULL);
    assert_non_null(goodbye);
    /* It may come before the JOIN: so it says who leaves. */
    assert_int_equal(core_update(goodbye, 0)->status.state, COVEY_NODE_LEFT);
    assert_true(core_update(goodbye, 0)->has_body);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEAVING);
    ack_leave(7);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEFT);
}

static void who_was_told_nothing_is_told_no_goodbye(void **state)
{
    (void)state;
    core_teardown(state);
    core_start_joining(1);
    assert_int_equal(core_command(CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEFT);
}

static void a_goodbye_that_overtakes_the_join_stands(void **state)
{
    (void)state;
    struct cv_message_head leave = {.type = CV_MESSAGE_LEAVE, .incarnation = CORE_WALL_MS};
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 1, CORE_WALL_MS, 0);
    struct cv_record gone = record_of(1, CORE_WALL_MS, COVEY_NODE_LEFT, body);
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    assert_int_equal(core_message(1, &leave, &gone, NULL), COVEY_OK);
    assert_non_null(core_sent(1, CV_MESSAGE_LEAVE_ACK, NULL));
    core_add_member(1);
    assert_int_equal(core_state(1), COVEY_NODE_LEFT);
    assert_true(core_member(1)->left_is_direct);
    cv_cluster_node_release(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(three_that_heard_it_are_enough),
        CORE_TEST(one_member_is_enough_when_there_is_one),
        CORE_TEST(alone_it_ends_at_once),
        CORE_TEST(its_time_is_bounded),
        CORE_TEST(who_is_not_connected_is_dialled),
        CORE_TEST(a_leaving_node_stays_left),
        CORE_TEST(a_leaving_node_accuses_nobody),
        CORE_TEST(a_goodbye_is_acknowledged_and_told),
        CORE_TEST(shutting_down_takes_200_ms_at_most),
        CORE_TEST(shutting_down_ends_when_the_told_have_heard),
        CORE_TEST(shutting_down_alone_takes_no_time),
        CORE_TEST(shutting_down_while_it_leaves),
        CORE_TEST(who_leaves_accuses_nobody),
        CORE_TEST(who_leaves_probes_nobody),
        CORE_TEST(who_leaves_while_it_joins_tells_the_seed),
        CORE_TEST(who_was_told_nothing_is_told_no_goodbye),
        CORE_TEST(a_goodbye_that_overtakes_the_join_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
