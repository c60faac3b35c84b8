#include "unit/cluster/core_fixture.h"

static int ack(uint32_t from, uint32_t sequence)
{
    return core_message(
        from, &(struct cv_message_head){.type = CV_MESSAGE_ACK, .sequence = sequence}, NULL, NULL);
}

/* Acknowledges what the last step asked of others than `but`. */
static void answer_others(uint32_t but)
{
    uint32_t from[16], sequence[16];
    size_t count = 0;
    for (uint32_t i = 1; i <= 16; i++) {
        const struct cv_message *ping = i == but ? NULL : core_sent(i, CV_MESSAGE_PING, NULL);
        if (ping == NULL)
            continue;
        from[count] = i;
        sequence[count++] = ping->head.sequence;
    }
    for (size_t i = 0; i < count; i++)
        ack(from[i], sequence[i]);
}

/* Runs until a ping to `to` is sent and gives its sequence number; the others are well. */
static uint32_t wait_for_ping(uint32_t to)
{
    for (int i = 0; i < 80; i++) {
        const struct cv_message *ping = core_sent(to, CV_MESSAGE_PING, NULL);
        if (ping != NULL)
            return ping->head.sequence;
        answer_others(to);
        core_tick();
    }
    fail_msg("no ping");
    return 0;
}

static void a_ping_is_answered_with_its_number(void **state)
{
    (void)state;
    struct cv_message_head ping = {.type = CV_MESSAGE_PING, .sequence = 77, .target = id_of(0)};
    core_add_member(1);
    assert_int_equal(core_message(1, &ping, NULL, NULL), COVEY_OK);
    const struct cv_message *m = core_sent(1, CV_MESSAGE_ACK, NULL);
    assert_non_null(m);
    assert_int_equal(m->head.sequence, 77);
    /* One for another node is not ours to answer. */
    ping.target = id_of(5);
    assert_int_equal(core_message(1, &ping, NULL, NULL), COVEY_OK);
    assert_null(core_sent(1, CV_MESSAGE_ACK, NULL));
}

static void an_ack_in_time_ends_the_probe(void **state)
{
    (void)state;
    core_add_member(1);
    for (int i = 0; i < 5; i++) {
        uint32_t sequence = wait_for_ping(1);
        core.now += 499 * MS;
        assert_int_equal(ack(1, sequence), COVEY_OK);
        core_run(510 * MS);
    }
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    assert_int_equal(core_stats().probes_failed, 0);
    assert_int_equal(core_stats().indirect_pings_sent, 0);
}

/* Another number, another peer: no ack. */
static void a_wrong_ack_is_none(void **state)
{
    (void)state;
    core_add_member(1);
    core_add_member(2);
    core_add_member(3);
    uint32_t sequence = wait_for_ping(1);
    assert_int_equal(ack(1, sequence + 100), COVEY_OK);
    assert_int_equal(ack(2, sequence), COVEY_OK);
    core_run(1 * SEC);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* K others are asked, each only once, and the target again on a stream. */
static void no_ack_asks_others(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 6; i++)
        core_add_member(i);
    uint32_t sequence = wait_for_ping(1);
    covey_time pinged = core.now;
    uint64_t asked_before = 0;
    while (core_sent(1, CV_MESSAGE_PING, NULL) == NULL || core.now == pinged) {
        asked_before = core_stats().indirect_pings_sent;
        core_tick();
    }
    assert_int_equal(core.now - pinged, 500 * MS);
    bool reliable = false;
    assert_int_equal(core_sent(1, CV_MESSAGE_PING, &reliable)->head.sequence, sequence);
    assert_true(reliable);
    size_t asked = 0;
    uint32_t relay = 0;
    for (uint32_t i = 2; i <= 6; i++) {
        const struct cv_message *request = core_sent(i, CV_MESSAGE_PING_REQ, NULL);
        if (request == NULL)
            continue;
        struct cv_address address = address_of(1);
        covey_node_id target = id_of(1);
        assert_int_equal(request->head.sequence, sequence);
        assert_true(id_equal(&request->head.target, &target));
        assert_true(cv_address_equal(&request->head.address, &address));
        asked++;
        relay = i;
    }
    assert_int_equal(asked, 3);
    assert_int_equal(core_stats().indirect_pings_sent - asked_before, 3);
    /* A nack says that the relay lives; an ack from it that the target does. */
    assert_int_equal(
        core_message(relay,
                     &(struct cv_message_head){.type = CV_MESSAGE_NACK, .sequence = sequence}, NULL,
                     NULL),
        COVEY_OK);
    assert_int_equal(core_stats().nacks_received, 1);
    assert_int_equal(ack(relay, sequence), COVEY_OK);
    core_run(499 * MS);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
}

static void without_any_ack_it_is_suspected(void **state)
{
    (void)state;
    core_add_member(1);
    wait_for_ping(1);
    core_run(999 * MS);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    core_run(1 * MS);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
    assert_int_equal(core_stats().probes_failed, 1);
    assert_int_equal(core_stats().suspicions, 1);
}

/* The clock of a probe starts when the connection is ready; the dial has a period of its own. */
static void a_dial_comes_before_the_ping(void **state)
{
    (void)state;
    core_add_member(1);
    core_disconnected(1);
    while (core_find(CV_OUTPUT_DIAL, 0) == NULL)
        core_tick();
    uint32_t dial = core_find(CV_OUTPUT_DIAL, 0)->dial.dial;
    assert_true(core_find(CV_OUTPUT_DIAL, 0)->dial.has_expected);
    core_run(900 * MS);
    assert_int_equal(core_connected(1, dial), COVEY_OK);
    uint32_t sequence = core_sent(1, CV_MESSAGE_PING, NULL)->head.sequence;
    core.now += 400 * MS;
    assert_int_equal(ack(1, sequence), COVEY_OK);
    core_run(100 * MS);
    assert_int_equal(core_stats().probes_failed, 0);
}

static void a_failed_dial_counts_as_no_ack(void **state)
{
    (void)state;
    core_add_member(1);
    core_add_member(2);
    core_disconnected(1);
    while (core_find(CV_OUTPUT_DIAL, 0) == NULL)
        core_tick();
    uint32_t dial = core_find(CV_OUTPUT_DIAL, 0)->dial.dial;
    assert_int_equal(core_dial_failed(dial, COVEY_ERR_UNREACHABLE), COVEY_OK);
    assert_non_null(core_sent(2, CV_MESSAGE_PING_REQ, NULL));
    core_run(500 * MS);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* Never two dials of one peer at a time. */
static void one_dial_for_each_peer(void **state)
{
    (void)state;
    core_add_member(1);
    core_disconnected(1);
    size_t dials = core_count(CV_OUTPUT_DIAL);
    for (int i = 0; i < 12; i++) {
        core_tick();
        dials += core_count(CV_OUTPUT_DIAL);
    }
    assert_int_equal(dials, 1);
}

/* A connection that is silent while others hear from the node is closed. */
static void a_dead_connection_is_given_up(void **state)
{
    (void)state;
    size_t closed = 0;
    core_add_member(1);
    core_add_member(2);
    for (int i = 0; i < 200 && closed == 0; i++) {
        core_tick();
        const struct cv_message *ping = core_sent(2, CV_MESSAGE_PING, NULL);
        if (ping != NULL)
            ack(2, ping->head.sequence);
        const struct cv_message *request = core_sent(2, CV_MESSAGE_PING_REQ, NULL);
        if (request != NULL)
            ack(2, request->head.sequence);
        closed = core_count(CV_OUTPUT_CLOSE);
    }
    assert_int_equal(closed, 1);
    assert_int_equal(core_member(1)->link, CV_LINK_NONE);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
}

/* --- local health --- */

/* Silence of those who were asked to help says more about us than about the target: one point for
 * each that did not even send a nack. */
static void missing_nacks_count_against_ourselves(void **state)
{
    (void)state;
    for (uint32_t nacks = 0; nacks <= 3; nacks++) {
        core_teardown(state);
        core_setup(state);
        for (uint32_t i = 1; i <= 6; i++)
            core_add_member(i);
        uint32_t sequence = wait_for_ping(1);
        core_run(500 * MS);
        uint32_t sent = 0;
        bool is_relay[7] = {false};
        for (uint32_t i = 2; i <= 6; i++)
            is_relay[i] = core_sent(i, CV_MESSAGE_PING_REQ, NULL) != NULL;
        for (uint32_t i = 2; i <= 6 && sent < nacks; i++) {
            if (is_relay[i]) {
                assert_int_equal(core_head(i, CV_MESSAGE_NACK, sequence), COVEY_OK);
                assert_int_equal(core_head(i, CV_MESSAGE_NACK, sequence), COVEY_OK);
                sent++;
            }
        }
        uint32_t before = core_stats().local_health;
        core_run(500 * MS);
        assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
        assert_int_equal(core_stats().local_health - before, 3 - nacks);
    }
}

static void with_nobody_to_ask_a_failure_counts_one(void **state)
{
    (void)state;
    core_add_member(1);
    wait_for_ping(1);
    core_run(1 * SEC);
    assert_int_equal(core_stats().probes_failed, 1);
    assert_int_equal(core_stats().local_health, 1);
}

/* While we hold ourselves for unwell all of a probe takes longer: its turn, the wait for the ack and
 * that for the others. */
static void who_is_unwell_waits_longer(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    config.gossip.watch_count = 0;
    cv_membership_free(core.m);
    core_start(&config);
    core_add_member(1);
    wait_for_ping(1);
    core_run(1 * SEC); /* unanswered: a score of 1 */
    core_gossip(1, &(struct cv_record){.id = id_of(1), .status.incarnation = CORE_WALL_MS + 1});
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    while (core_sent(1, CV_MESSAGE_PING, NULL) == NULL)
        core_tick();
    core_run(1999 * MS);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    assert_int_equal(core_stats().local_health, 1);
    core_run(1 * MS);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
    assert_int_equal(core_stats().local_health, 2);
    /* An answer is a point back, and the next turn is sooner. */
    uint32_t sequence = 0;
    while (sequence == 0) {
        core_tick();
        const struct cv_message *ping = core_sent(1, CV_MESSAGE_PING, NULL);
        sequence = ping != NULL ? ping->head.sequence : 0;
    }
    assert_int_equal(ack(1, sequence), COVEY_OK);
    assert_int_equal(core_stats().local_health, 1);
}

/* A score of 8 at most, and none at all when that is how it is set. */
static void the_score_is_bounded(void **state)
{
    (void)state;
    for (uint32_t most = 0; most <= 8; most += 8) {
        struct cv_membership_config config = core_config();
        config.gossip.local_health_max = most;
        cv_membership_free(core.m);
        core_start(&config);
        core_add_member(1);
        for (uint32_t i = 0; i < 12; i++) {
            core_run(20 * SEC);
            core_connected(1, 0);
            core_gossip(
                1, &(struct cv_record){.id = id_of(1), .status.incarnation = CORE_WALL_MS + 1 + i});
        }
        assert_int_equal(core_stats().local_health, most);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(a_ping_is_answered_with_its_number),
        CORE_TEST(an_ack_in_time_ends_the_probe),
        CORE_TEST(a_wrong_ack_is_none),
        CORE_TEST(no_ack_asks_others),
        CORE_TEST(without_any_ack_it_is_suspected),
        CORE_TEST(a_dial_comes_before_the_ping),
        CORE_TEST(a_failed_dial_counts_as_no_ack),
        CORE_TEST(one_dial_for_each_peer),
        CORE_TEST(a_dead_connection_is_given_up),
        CORE_TEST(missing_nacks_count_against_ourselves),
        CORE_TEST(with_nobody_to_ask_a_failure_counts_one),
        CORE_TEST(who_is_unwell_waits_longer),
        CORE_TEST(the_score_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
