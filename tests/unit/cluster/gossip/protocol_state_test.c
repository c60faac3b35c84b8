#include "unit/cluster/core_fixture.h"

#include "cluster/gossip/protocol_internal.h"
#include "cluster/membership_internal.h"

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

/* K of those that could confirm, but not all of them: one that does not notice delays nobody. */
static void one_that_does_not_notice_delays_nobody(void **state)
{
    static const uint32_t wanted[] = {0, 0, 0, 0, 1, 2, 3, 3, 3}; /* by size of the cluster */
    for (uint32_t size = 3; size <= 8; size++) {
        core_teardown(state);
        core_setup(state);
        add_members(size - 1);
        for (uint32_t accusers = 1; accusers <= wanted[size] + 1; accusers++) {
            struct cv_record record = record_of(1, INC, COVEY_NODE_SUSPECT, NULL);
            record.status.accuser = id_of(100 + accusers);
            core_gossip(2, &record);
            assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
            covey_time left = core_member(1)->trouble->alarm.timer.deadline - core.now;
            assert_int_equal(left == 3 * SEC, accusers == wanted[size] + 1);
        }
    }
}

/* Only the newest word about a node is told: ours goes out before another's takes its place, though
 * there was a push just now. */
static void our_own_accusation_does_not_wait(void **state)
{
    (void)state;
    struct cv_gossip_protocol *g = &core.m->gossip;
    add_members(5);
    core_run(1 * MS);
    core_tell(1, 5, INC, COVEY_NODE_SUSPECT, -1);
    assert_true(g->push_next > g->now);
    cv_member_unanswered(g, cv_node_registry_get(&g->registry, cv_member_id(core_member(5))));
    struct cv_record record = record_of(5, INC, COVEY_NODE_SUSPECT, NULL);
    core_step(&(struct cv_input){.type = CV_INPUT_TIME});
    size_t told = 0;
    const covey_node_id self = id_of(0);
    for (uint32_t i = 1; i <= 4; i++) {
        const struct cv_update *u = core_update(core_sent(i, CV_MESSAGE_GOSSIP, NULL), 5);
        told += u != NULL && id_equal(&u->status.accuser, &self);
    }
    assert_int_equal(told, 4);
    record.status.accuser = id_of(2);
    core_gossip(2, &record);
    assert_int_equal(core_count_sent(CV_MESSAGE_GOSSIP), 0);
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
        CORE_TEST(one_that_does_not_notice_delays_nobody),
        CORE_TEST(our_own_accusation_does_not_wait),
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
