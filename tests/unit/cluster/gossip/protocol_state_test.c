#include "unit/cluster/core_fixture.h"

#define INC CORE_WALL_MS

static void add_members(uint32_t count)
{
    for (uint32_t i = 1; i <= count; i++)
        core_add_member(i);
}

/* Runs up to `length` while everybody but `dead` answers; stops when `dead` has another state. */
static covey_time run_until_changed(uint32_t members, uint32_t dead, covey_time length)
{
    covey_time begun = core.now;
    enum covey_node_state before = core_state(dead);
    while (core_state(dead) == before && core.now - begun < length) {
        core_tick();
        for (uint32_t i = 1; i <= members; i++) {
            const struct cv_message *ping = i == dead ? NULL : core_sent(i, CV_MESSAGE_PING, NULL);
            if (ping != NULL)
                core_message(i,
                             &(struct cv_message_head){.type = CV_MESSAGE_ACK,
                                                       .sequence = ping->head.sequence},
                             NULL, NULL);
        }
    }
    return core.now - begun;
}

/* Four members and us are five: a suspicion that nobody confirms lasts Smax, with three others
 * Smin. */
static void confirmations_decide_how_long_it_lasts(void **state)
{
    (void)state;
    add_members(4);
    core_tell(1, 4, INC, COVEY_NODE_SUSPECT, -1);
    core_disconnected(4);
    covey_time begun = core.now;
    for (uint32_t i = 1; i <= 3; i++) {
        struct cv_record record = record_of(4, INC, COVEY_NODE_SUSPECT, NULL);
        record.status.accuser = id_of(i);
        core_gossip(1, &record);
        core_gossip(1, &record);
    }
    run_until_changed(4, 4, 60 * SEC);
    assert_int_equal(core_state(4), COVEY_NODE_FAILED);
    assert_int_equal(core.now - begun, 3 * SEC);
}

static void with_few_members_nobody_can_confirm(void **state)
{
    (void)state;
    add_members(2);
    core_tell(1, 2, INC, COVEY_NODE_SUSPECT, -1);
    covey_time begun = core.now;
    run_until_changed(2, 2, 60 * SEC);
    assert_int_equal(core_state(2), COVEY_NODE_FAILED);
    assert_int_equal(core.now - begun, 3 * SEC);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_FAILED), 1);
}

/* D8: it talks, so it is pinged again, and asked to join in case it does not understand. */
static void a_suspect_that_is_heard_never_fails(void **state)
{
    (void)state;
    add_members(2);
    core_tell(1, 2, INC, COVEY_NODE_SUSPECT, -1);
    for (int i = 0; i < 30; i++) {
        core.now += 1 * MS;
        core_message(2, &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP}, NULL, NULL);
        core_run(1 * SEC);
    }
    assert_int_equal(core_state(2), COVEY_NODE_SUSPECT);
    core_tell(2, 2, INC + 1, COVEY_NODE_ALIVE, -1);
    assert_int_equal(core_state(2), COVEY_NODE_ALIVE);
}

/* Every message to it begins with what we hold it for. */
static void the_suspect_is_told_first(void **state)
{
    (void)state;
    add_members(1);
    core_tell(1, 1, INC, COVEY_NODE_SUSPECT, -1);
    for (int i = 0; i < 10 && core_sent(1, CV_MESSAGE_PING, NULL) == NULL; i++)
        core_tick();
    const struct cv_message *ping = core_sent(1, CV_MESSAGE_PING, NULL);
    covey_node_id id = id_of(1);
    assert_non_null(ping);
    assert_true(ping->update_count > 0 && id_equal(&ping->updates[0].id, &id));
    assert_int_equal(ping->updates[0].status.state, COVEY_NODE_SUSPECT);
}

/* D11: after a pause of our own every suspect gets a new full time and a ping. */
static void our_own_pause_accuses_nobody(void **state)
{
    (void)state;
    struct cv_input time = {.type = CV_INPUT_TIME};
    add_members(2);
    core_tell(1, 2, INC, COVEY_NODE_SUSPECT, -1);
    core.now += 60 * SEC;
    assert_int_equal(core_step(&time), COVEY_OK);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    assert_int_equal(core_state(2), COVEY_NODE_SUSPECT);
    assert_non_null(core_sent(2, CV_MESSAGE_PING, NULL));
    covey_time begun = core.now;
    run_until_changed(2, 2, 60 * SEC);
    assert_int_equal(core_state(2), COVEY_NODE_FAILED);
    assert_int_equal(core.now - begun, 3 * SEC);
}

/* A probe that was under way starts again, too. */
static void a_probe_over_a_pause_starts_again(void **state)
{
    (void)state;
    struct cv_input time = {.type = CV_INPUT_TIME};
    add_members(1);
    while (core_sent(1, CV_MESSAGE_PING, NULL) == NULL)
        core_tick();
    core.now += 10 * SEC;
    assert_int_equal(core_step(&time), COVEY_OK);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    core_run(400 * MS);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    core_run(2 * SEC);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* Its connection stays a moment for its last words, its tombstone for a day. */
static void the_gone_are_let_go(void **state)
{
    (void)state;
    add_members(2);
    core_message(2, &(struct cv_message_head){.type = CV_MESSAGE_LEAVE, .incarnation = INC}, NULL,
                 NULL);
    assert_int_equal(core_state(2), COVEY_NODE_LEFT);
    assert_int_equal(core_member(2)->link, CV_LINK_UP);
    while (core_count(CV_OUTPUT_CLOSE) == 0)
        core_tick();
    assert_int_equal(core_member(2)->link, CV_LINK_NONE);
    core_disconnected(1);
    core_run(86300 * SEC);
    assert_non_null(core_member(2));
    core_run(200 * SEC);
    assert_null(core_member(2));
}

/* E2: who failed and is forgotten has left. */
static void a_forgotten_failed_node_has_left(void **state)
{
    (void)state;
    size_t left = 0;
    add_members(1);
    core_disconnected(1);
    covey_time begun = core.now;
    while (core_member(1) != NULL && core.now - begun < 90000 * SEC) {
        core_tick();
        left += core_count_events(COVEY_EVENT_NODE_LEFT);
        const struct cv_output *dial = core_find(CV_OUTPUT_DIAL, 0);
        if (dial == NULL)
            continue;
        core_dial_failed(dial->dial.dial, COVEY_ERR_UNREACHABLE);
        left += core_count_events(COVEY_EVENT_NODE_LEFT);
    }
    assert_null(core_member(1));
    assert_int_equal(left, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(confirmations_decide_how_long_it_lasts),
        CORE_TEST(with_few_members_nobody_can_confirm),
        CORE_TEST(a_suspect_that_is_heard_never_fails),
        CORE_TEST(the_suspect_is_told_first),
        CORE_TEST(our_own_pause_accuses_nobody),
        CORE_TEST(a_probe_over_a_pause_starts_again),
        CORE_TEST(the_gone_are_let_go),
        CORE_TEST(a_forgotten_failed_node_has_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
