#include "unit/cluster/core_fixture.h"

static uint64_t own_incarnation(void)
{
    return core_member(0)->incarnation;
}

/* M4: at our own, accused: one more, announced. */
static void an_accusation_is_refuted(void **state)
{
    (void)state;
    const enum covey_node_state accusations[] = {COVEY_NODE_SUSPECT, COVEY_NODE_FAILED,
                                                 COVEY_NODE_LEFT};
    core_add_member(1);
    for (size_t i = 0; i < 3; i++) {
        uint64_t own = own_incarnation();
        core.now += 1 * SEC;
        assert_int_equal(core_tell(1, 0, own, accusations[i], -1), COVEY_OK);
        assert_int_equal(own_incarnation(), own + 1);
        assert_int_equal(core_state(0), COVEY_NODE_ALIVE);
        const struct cv_update *u = core_update(core_sent(1, CV_MESSAGE_GOSSIP, NULL), 0);
        assert_non_null(u);
        assert_int_equal(u->status.incarnation, own + 1);
        assert_int_equal(u->status.state, COVEY_NODE_ALIVE);
        assert_true(u->has_body);
        assert_int_equal(u->body_incarnation, own + 1);
        /* Once: the same again is old. */
        assert_int_equal(core_tell(1, 0, own, accusations[i], -1), COVEY_OK);
        assert_int_equal(own_incarnation(), own + 1);
    }
    assert_int_equal(core_stats().refutations, 3);
}

static void an_ack_carries_the_refutation(void **state)
{
    (void)state;
    core_add_member(1);
    core_run(300 * MS);
    struct cv_record record = record_of(0, own_incarnation(), COVEY_NODE_SUSPECT, NULL);
    struct cv_message_head ping = {.type = CV_MESSAGE_PING, .sequence = 4, .target = id_of(0)};
    assert_int_equal(core_message(1, &ping, &record, NULL), COVEY_OK);
    const struct cv_update *u = core_update(core_sent(1, CV_MESSAGE_ACK, NULL), 0);
    assert_non_null(u);
    assert_int_equal(u->status.incarnation, CORE_WALL_MS + 1);
}

/* M4: above our own after joining: ours again, unchanged. */
static void an_accusation_ahead_of_us_changes_nothing(void **state)
{
    (void)state;
    const uint64_t ahead[] = {
        1,         UINT64_C(1) << 32, UINT64_C(1) << 40, (UINT64_C(1) << 40) + 1, UINT64_C(1) << 63,
        UINT64_MAX};
    core_add_member(1);
    for (size_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
        assert_int_equal(core_tell(1, 0, CORE_WALL_MS + ahead[i], COVEY_NODE_FAILED, -1), COVEY_OK);
        assert_int_equal(own_incarnation(), CORE_WALL_MS);
        assert_int_equal(core_state(0), COVEY_NODE_ALIVE);
    }
}

/* C35: a node that began alone with its clock set back, and is met by one that knew it. */
static void our_last_life_is_gone_past(void **state)
{
    (void)state;
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 1, CORE_WALL_MS, 0);
    struct cv_record peer = record_of(1, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    struct cv_record us = record_of(0, CORE_WALL_MS + 500, COVEY_NODE_FAILED, NULL);
    struct cv_message_head join = {.type = CV_MESSAGE_JOIN};
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    assert_int_equal(core_message(1, &join, &peer, &us), COVEY_OK);
    assert_int_equal(own_incarnation(), CORE_WALL_MS + 501);
    assert_int_equal(core_member(0)->body->incarnation, CORE_WALL_MS + 501);
    /* Later, too, when it joins with us again. */
    us.status.incarnation = CORE_WALL_MS + 900;
    assert_int_equal(core_message(1, &join, &peer, &us), COVEY_OK);
    assert_int_equal(own_incarnation(), CORE_WALL_MS + 901);
    cv_cluster_node_release(body);
}

/* C35 with members known from before: nothing is learnt while joining, so what they still hold us
 * for, alive and later than we are, is gone past when we compare what we know. */
static void our_last_life_is_gone_past_without_joining(void **state)
{
    (void)state;
    const uint64_t last = CORE_WALL_MS + 86400000;
    const struct cv_bucket_set set = {.bits = {1}};
    struct cv_message_head head = {.type = CV_MESSAGE_SYNC_RECORDS,
                                   .chunk_count = 1,
                                   .digest = cv_slice_of(set.bits, sizeof(set.bits))};
    struct cv_membership_config config = core_config();
    config.address = address_of(0);
    core_start_known(&config, 3);
    core_run(1 * SEC);
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 0, last, 4);
    struct cv_record us = record_of(0, last, COVEY_NODE_ALIVE, body);
    assert_int_equal(core_message(1, &head, &us, NULL), COVEY_OK);
    assert_int_equal(own_incarnation(), last + 1);
    assert_int_equal(core_member(0)->body->incarnation, last + 1);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_CONFLICT), 0);
    cv_cluster_node_release(body);
    /* Another address is another process: it stays a conflict. */
    body = body_of(cv_alloc_default(), 0, last + 5, 0);
    body->address = address_of(9);
    us = record_of(0, last + 5, COVEY_NODE_ALIVE, body);
    assert_int_equal(core_message(1, &head, &us, NULL), COVEY_OK);
    assert_int_equal(own_incarnation(), last + 1);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_CONFLICT), 1);
    cv_cluster_node_release(body);
}

/* An accusation that we refute is a sign that we are slow; not while we join, when it is of our last
 * life. */
static void refuting_counts_against_our_health(void **state)
{
    (void)state;
    core_add_member(1);
    core_run(SEC / 10);
    core_tell(1, 0, CORE_WALL_MS, COVEY_NODE_SUSPECT, -1);
    assert_int_equal(own_incarnation(), CORE_WALL_MS + 1);
    assert_int_equal(core_stats().local_health, 1);
    /* Old news is none. */
    core_tell(1, 0, CORE_WALL_MS, COVEY_NODE_FAILED, -1);
    assert_int_equal(core_stats().local_health, 1);
    core_teardown(state);
    core_setup(state);
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    core_tell(1, 0, CORE_WALL_MS, COVEY_NODE_FAILED, -1);
    assert_int_equal(own_incarnation(), CORE_WALL_MS + 1);
    assert_int_equal(core_stats().local_health, 0);
}

/* C37: neither gives way, and it is said once. */
static void another_process_with_our_key_is_a_conflict(void **state)
{
    (void)state;
    size_t conflicts = 0;
    core_add_member(1);
    for (uint64_t i = 1; i < 5; i++) {
        struct cv_cluster_node *body = body_of(cv_alloc_default(), 0, CORE_WALL_MS + i, 0);
        struct cv_record other = record_of(0, CORE_WALL_MS + i, COVEY_NODE_ALIVE, body);
        assert_int_equal(core_gossip(1, &other), COVEY_OK);
        conflicts += core_count_events(COVEY_EVENT_NODE_CONFLICT);
        assert_int_equal(own_incarnation(), CORE_WALL_MS);
        cv_cluster_node_release(body);
    }
    assert_int_equal(conflicts, 1);
}

/* A record of us at our own incarnation, that says something else than we do. */
static void told_alive(uint32_t version, const char *key, struct cv_address address,
                       enum cv_message_type type)
{
    const struct covey_tag tag = {key, "v"};
    struct cv_cluster_node_config config = {.id = id_of(0),
                                            .incarnation = own_incarnation(),
                                            .version = version,
                                            .address = address,
                                            .name = cv_slice_text("n0"),
                                            .tags = &tag,
                                            .tag_count = key == NULL ? 0 : 1};
    struct cv_cluster_node *body = NULL;
    assert_int_equal(cv_cluster_node_new(cv_alloc_default(), &config, &body), COVEY_OK);
    struct cv_record us = record_of(0, own_incarnation(), COVEY_NODE_ALIVE, body);
    assert_int_equal(core_message(1, &(struct cv_message_head){.type = type}, &us, NULL), COVEY_OK);
    cv_cluster_node_release(body);
}

/* C35: the clock is set back to where an incarnation of our last life was, or our last one was raised
 * to where this one is: only we can end that there are two of us at the same age. */
static void our_last_life_at_the_same_age_is_gone_past(void **state)
{
    (void)state;
    const struct cv_address address = core_config().address;
    core_add_member(1);
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "a", "v"), COVEY_OK);
    /* What we said ourselves, now and before. */
    told_alive(1, "a", address, CV_MESSAGE_GOSSIP);
    told_alive(0, NULL, address, CV_MESSAGE_GOSSIP);
    told_alive(0, "b", address, CV_MESSAGE_GOSSIP);
    assert_int_equal(own_incarnation(), CORE_WALL_MS);
    core.now += 300 * MS;
    told_alive(1, "b", address, CV_MESSAGE_GOSSIP);
    assert_int_equal(own_incarnation(), CORE_WALL_MS + 1);
    const struct cv_update *u = core_update(core_sent(1, CV_MESSAGE_GOSSIP, NULL), 0);
    assert_non_null(u);
    assert_int_equal(u->status.incarnation, CORE_WALL_MS + 1);
    assert_int_equal(u->body_incarnation, CORE_WALL_MS + 1);
    assert_string_equal(core_member(0)->body->tags[0].key, "a");
    /* A later one. */
    told_alive(1, "a", address, CV_MESSAGE_GOSSIP);
    assert_int_equal(own_incarnation(), CORE_WALL_MS + 2);
    /* From where we were before. */
    told_alive(0, "a", address_of(9), CV_MESSAGE_GOSSIP);
    assert_int_equal(own_incarnation(), CORE_WALL_MS + 3);
    /* Not a word of it is held against the teller, or ourselves. */
    assert_int_equal(core_stats().local_health, 0);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_CONFLICT), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(an_accusation_is_refuted),
        CORE_TEST(an_ack_carries_the_refutation),
        CORE_TEST(an_accusation_ahead_of_us_changes_nothing),
        CORE_TEST(our_last_life_is_gone_past),
        CORE_TEST(our_last_life_at_the_same_age_is_gone_past),
        CORE_TEST(another_process_with_our_key_is_a_conflict),
        CORE_TEST(our_last_life_is_gone_past_without_joining),
        CORE_TEST(refuting_counts_against_our_health),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
