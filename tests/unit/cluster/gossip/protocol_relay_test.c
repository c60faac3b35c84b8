#include "unit/cluster/core_fixture.h"

static struct cv_message_head request_for(uint32_t target)
{
    return (struct cv_message_head){.type = CV_MESSAGE_PING_REQ,
                                    .sequence = 500,
                                    .target = id_of(target),
                                    .address = address_of(target)};
}

static int ack(uint32_t from, uint32_t sequence)
{
    return core_message(
        from, &(struct cv_message_head){.type = CV_MESSAGE_ACK, .sequence = sequence}, NULL, NULL);
}

static void an_ack_is_passed_on(void **state)
{
    (void)state;
    struct cv_message_head request = request_for(2);
    core_add_member(1);
    core_add_member(2);
    assert_int_equal(core_message(1, &request, NULL, NULL), COVEY_OK);
    uint32_t sequence = core_sent(2, CV_MESSAGE_PING, NULL)->head.sequence;
    assert_int_equal(ack(1, sequence), COVEY_OK); /* not the target */
    assert_null(core_sent(1, CV_MESSAGE_ACK, NULL));
    assert_int_equal(ack(2, sequence), COVEY_OK);
    assert_int_equal(core_sent(1, CV_MESSAGE_ACK, NULL)->head.sequence, 500);
    assert_int_equal(ack(2, sequence), COVEY_OK); /* once */
    assert_null(core_sent(1, CV_MESSAGE_ACK, NULL));
}

/* Before the origin gives up, which is after 500 ms. */
static void silence_is_a_nack(void **state)
{
    (void)state;
    struct cv_message_head request = request_for(2);
    core_add_member(1);
    core_add_member(2);
    assert_int_equal(core_message(1, &request, NULL, NULL), COVEY_OK);
    covey_time begun = core.now;
    do {
        core_tick();
        assert_true(core.now - begun < 450 * MS);
    } while (core_sent(1, CV_MESSAGE_NACK, NULL) == NULL);
    assert_int_equal(core_sent(1, CV_MESSAGE_NACK, NULL)->head.sequence, 500);
}

/* A node that we have not heard of is dialled where we are told that it is. */
static void an_unknown_target_is_dialled(void **state)
{
    (void)state;
    struct cv_message_head request = request_for(7);
    struct cv_address address = address_of(7);
    core_add_member(1);
    assert_int_equal(core_message(1, &request, NULL, NULL), COVEY_OK);
    const struct cv_output *dial = core_find(CV_OUTPUT_DIAL, 0);
    assert_non_null(dial);
    uint32_t number = dial->dial.dial;
    assert_true(dial->dial.has_expected && id_equal(&dial->dial.expected, &request.target));
    assert_true(cv_address_equal(&dial->dial.address, &address));
    assert_true(dial->dial.is_hearsay);
    assert_int_equal(core_message(1, &request, NULL, NULL), COVEY_OK);
    assert_null(core_find(CV_OUTPUT_DIAL, 0)); /* under way */
    assert_int_equal(core_connected(7, number), COVEY_OK);
    uint32_t sequence = core_sent(7, CV_MESSAGE_PING, NULL)->head.sequence;
    assert_int_equal(ack(7, sequence), COVEY_OK);
    assert_int_equal(core_sent(1, CV_MESSAGE_ACK, NULL)->head.sequence, 500);
}

/* Whoever asks, and for whomever: so many dials, then one now and then, and a nack at once. */
static void dials_for_others_are_few(void **state)
{
    (void)state;
    uint32_t target = 20;
    for (uint32_t asker = 1; asker <= 3; asker++)
        core_add_member(asker);
    for (; target < 20 + CV_RELAY_DIALS; target++) {
        const uint32_t asker = 1 + target % 2;
        struct cv_message_head request = request_for(target);
        assert_int_equal(core_message(asker, &request, NULL, NULL), COVEY_OK);
        assert_non_null(core_find(CV_OUTPUT_DIAL, 0));
        assert_null(core_sent(asker, CV_MESSAGE_NACK, NULL));
    }
    struct cv_message_head request = request_for(target);
    assert_int_equal(core_message(3, &request, NULL, NULL), COVEY_OK);
    assert_null(core_find(CV_OUTPUT_DIAL, 0));
    assert_non_null(core_sent(3, CV_MESSAGE_NACK, NULL));
    assert_int_equal(core_stats().relays_shed, 1);

    core.now += CV_RELAY_PERIODS * COVEY_SECOND;
    assert_int_equal(core_message(3, &request, NULL, NULL), COVEY_OK);
    assert_non_null(core_find(CV_OUTPUT_DIAL, 0));
}

/* 1 asks for one member after the other that is not connected, without end: 2 gets what it asks for. */
static void an_honest_asker_is_served_beside_a_flood(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    config.gossip.watch_count = 1;
    core_start_known(&config, 100);
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    assert_int_equal(core_connected(2, 0), COVEY_OK);
    uint32_t cold = 3;
    for (int round = 0; round < 3; round++) {
        for (uint32_t target = 3; target < 100; target++) {
            struct cv_message_head flood = request_for(target);
            assert_int_equal(core_message(1, &flood, NULL, NULL), COVEY_OK);
        }
        while (core_member(cold)->link != CV_LINK_NONE)
            cold++;
        struct cv_message_head request = request_for(cold);
        assert_int_equal(core_message(2, &request, NULL, NULL), COVEY_OK);
        assert_null(core_sent(2, CV_MESSAGE_NACK, NULL));
        assert_int_equal(core_member(cold)->link, CV_LINK_DIALLING);
        core.now += CV_RELAY_ASKERS * CV_RELAY_PERIODS * COVEY_SECOND;
    }
    assert_true(core_stats().relays_shed > 200);
}

/* Nor do acks that are owed to one take the place of those that are owed to others. */
static void what_is_owed_to_one_is_bounded(void **state)
{
    (void)state;
    struct cv_message_head request = request_for(3);
    for (uint32_t member = 1; member <= 3; member++)
        core_add_member(member);
    for (size_t i = 0; i < CV_OWED_ACKS_SHARE; i++) {
        assert_int_equal(core_message(1, &request, NULL, NULL), COVEY_OK);
        assert_non_null(core_sent(3, CV_MESSAGE_PING, NULL));
    }
    assert_int_equal(core_stats().relays_shed, 0);
    assert_int_equal(core_message(1, &request, NULL, NULL), COVEY_OK);
    assert_null(core_sent(3, CV_MESSAGE_PING, NULL));
    assert_int_equal(core_stats().relays_shed, 1);
    assert_int_equal(core_message(2, &request, NULL, NULL), COVEY_OK);
    assert_non_null(core_sent(3, CV_MESSAGE_PING, NULL));
}

/* Those who are made up leave a member its place. */
static void a_member_is_dialled_whoever_is_made_up(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    config.gossip.watch_count = 1;
    core_start_known(&config, 100);
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    for (uint32_t target = 200; target <= 200 + CV_RELAY_DIALS; target++) {
        struct cv_message_head request = request_for(target);
        assert_int_equal(core_message(1, &request, NULL, NULL), COVEY_OK);
    }
    assert_non_null(core_sent(1, CV_MESSAGE_NACK, NULL));
    uint32_t cold = 2;
    while (core_member(cold)->link != CV_LINK_NONE)
        cold++;
    struct cv_message_head request = request_for(cold);
    assert_int_equal(core_message(1, &request, NULL, NULL), COVEY_OK);
    assert_null(core_sent(1, CV_MESSAGE_NACK, NULL));
    assert_int_equal(core_member(cold)->link, CV_LINK_DIALLING);
}

/* What costs no dial is not bounded by them. */
static void warm_targets_are_pinged_all_the_same(void **state)
{
    (void)state;
    struct cv_message_head request = request_for(2);
    core_add_member(1);
    core_add_member(2);
    for (size_t i = 0; i <= CV_RELAY_DIALS; i++) {
        assert_int_equal(core_message(1, &request, NULL, NULL), COVEY_OK);
        assert_non_null(core_sent(2, CV_MESSAGE_PING, NULL));
    }
    assert_int_equal(core_stats().relays_shed, 0);
}

static void requests_are_bounded(void **state)
{
    (void)state;
    const uint32_t askers = CV_OWED_ACKS_MAX / CV_OWED_ACKS_SHARE;
    struct cv_message_head request = request_for(20);
    core_add_member(20);
    for (uint32_t asker = 1; asker <= askers + 1; asker++)
        core_add_member(asker);
    for (uint32_t i = 0; i < CV_OWED_ACKS_MAX; i++) {
        assert_int_equal(core_message(1 + i % askers, &request, NULL, NULL), COVEY_OK);
        assert_non_null(core_sent(20, CV_MESSAGE_PING, NULL));
    }
    assert_int_equal(core_message(askers + 1, &request, NULL, NULL), COVEY_OK);
    assert_null(core_sent(20, CV_MESSAGE_PING, NULL));
    assert_int_equal(core_stats().relays_shed, 1);
}

/* Nothing is sent to an origin that is gone. */
static void a_lost_origin_gets_nothing(void **state)
{
    (void)state;
    struct cv_message_head request = request_for(2);
    core_add_member(1);
    core_add_member(2);
    assert_int_equal(core_message(1, &request, NULL, NULL), COVEY_OK);
    uint32_t sequence = core_sent(2, CV_MESSAGE_PING, NULL)->head.sequence;
    core_disconnected(1);
    assert_int_equal(ack(2, sequence), COVEY_OK);
    assert_null(core_sent(1, CV_MESSAGE_ACK, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(an_ack_is_passed_on),
        CORE_TEST(silence_is_a_nack),
        CORE_TEST(an_unknown_target_is_dialled),
        CORE_TEST(requests_are_bounded),
        CORE_TEST(a_lost_origin_gets_nothing),
        CORE_TEST(dials_for_others_are_few),
        CORE_TEST(an_honest_asker_is_served_beside_a_flood),
        CORE_TEST(what_is_owed_to_one_is_bounded),
        CORE_TEST(a_member_is_dialled_whoever_is_made_up),
        CORE_TEST(warm_targets_are_pinged_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
