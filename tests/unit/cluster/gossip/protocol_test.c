#include "unit/cluster/core_fixture.h"

static size_t gossip_count(void)
{
    size_t count = 0;
    for (size_t i = 0; i < core.count; i++) {
        const struct cv_output *output = &core.outputs[i].output;
        count += output->type == CV_OUTPUT_SEND && output->send.bytes.data[0] == CV_MESSAGE_GOSSIP;
    }
    return count;
}

static void alone_there_is_nothing_to_do(void **state)
{
    (void)state;
    core_run(1 * SEC);
    core_command(CV_COMMAND_TAG_SET, "k", "v");
    core_run(60 * SEC);
    assert_int_equal(core_stats().messages_sent, 0);
}

/* Pushed at once to `fanout` members, then each interval, 3 * ceil(log2(N + 1)) times in all. */
static void news_is_sent_at_once_and_often_enough(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    cv_membership_free(core.m);
    /* No probes, which would carry it, too. */
    config.gossip.protocol_period = 1000 * SEC;
    config.gossip.watch_count = 0;
    core_start(&config);
    for (uint32_t i = 1; i <= 6; i++)
        core_add_member(i);
    core_run(10 * SEC);
    core_command(CV_COMMAND_TAG_SET, "k", "v");
    size_t sent = gossip_count();
    assert_int_equal(sent, 3);
    for (covey_time end = core.now + 10 * SEC; cv_membership_deadline(core.m) < end;) {
        covey_time before = core.now;
        core_tick();
        if (gossip_count() > 0)
            assert_int_equal(core.now - before, 200 * MS);
        sent += gossip_count();
    }
    assert_int_equal(sent, 9);
}

/* One that is connected hears what waits as soon as we know it for a member, though that is no news
 * to tell: here from its own list. */
static void news_waits_for_a_listener(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    cv_membership_free(core.m);
    config.gossip.protocol_period = 1000 * SEC;
    config.gossip.watch_count = 0;
    core_start(&config);
    core_connected(1, 0);
    core_command(CV_COMMAND_TAG_SET, "k", "v");
    assert_int_equal(gossip_count(), 0);
    core_run(10 * SEC);
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 1, CORE_WALL_MS, 0);
    struct cv_record record = record_of(1, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    core_message(1, &(struct cv_message_head){.type = CV_MESSAGE_JOIN_ACK, .chunk_count = 1},
                 &record, NULL);
    cv_cluster_node_release(body);
    size_t sent = gossip_count();
    for (covey_time end = core.now + 1 * SEC; cv_membership_deadline(core.m) < end;) {
        core_tick();
        sent += gossip_count();
    }
    assert_true(sent > 0);
}

/* Much news in a short time is pushed now and then, not each piece. */
static void pushes_are_limited(void **state)
{
    (void)state;
    char value[8] = "0";
    size_t sent = 0;
    for (uint32_t i = 1; i <= 6; i++)
        core_add_member(i);
    core_run(10 * SEC);
    for (int i = 0; i < 100; i++) {
        value[0] = (char)('0' + i % 10);
        core_command(CV_COMMAND_TAG_SET, "k", value);
        sent += gossip_count();
    }
    assert_int_equal(sent, 5); /* once, to those whom it watches */
}

static void datagrams_stay_small(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 4; i++)
        core_add_member(i);
    for (uint32_t i = 10; i < 60; i++) {
        core_tell(1, i, CORE_WALL_MS, COVEY_NODE_ALIVE, 0);
        for (size_t k = 0; k < core.count; k++) {
            const struct cv_output *output = &core.outputs[k].output;
            if (output->type == CV_OUTPUT_SEND && !output->send.reliable)
                assert_true(output->send.bytes.size <= CV_DATAGRAM_MESSAGE_SIZE);
        }
    }
}

/* Different ones, connected, live, and not the one excepted. */
static void random_members_are_what_was_asked_for(void **state)
{
    (void)state;
    struct test_alloc t;
    static struct cv_gossip_protocol p;
    struct cv_member *chosen[8];
    bool seen[6] = {false};
    test_alloc_init(&t);
    struct cv_gossip_protocol_config config = {
        .alloc = &t.alloc, .members_max = 100, .seed = 5, .self = body_of(&t.alloc, 0, 1, 0)};
    config.gossip = core_config().gossip;
    assert_int_equal(cv_gossip_protocol_init(&p, &config), COVEY_OK);
    assert_int_equal(cv_node_registry_reserve(&p.registry, 6), COVEY_OK);
    for (uint32_t i = 1; i <= 6; i++) {
        struct cv_cluster_node *body = body_of(&t.alloc, i, 1, 0);
        struct cv_record record = record_of(i, 1, COVEY_NODE_ALIVE, body);
        struct cv_member *m = cv_node_registry_insert(&p.registry, &record, 0);
        struct cv_address address = address_of(i);
        m->link = i == 6 ? CV_LINK_NONE : CV_LINK_UP;
        if (i < 6)
            assert_int_equal(cv_links_add_peer(&p.links, cv_member_id(m), "", &address, 0),
                             COVEY_OK);
        cv_cluster_node_release(body);
    }
    covey_node_id except = id_of(2);
    for (int round = 0; round < 100; round++) {
        assert_int_equal(cv_gossip_protocol_select_random(&p, &except, chosen, 2), 2);
        assert_ptr_not_equal(chosen[0], chosen[1]);
        for (int k = 0; k < 2; k++)
            seen[cv_member_id(chosen[k])->bytes[1] - 1] = true;
    }
    for (int i = 0; i < 6; i++)
        assert_int_equal(seen[i], i != 1 && i != 5);
    assert_int_equal(cv_gossip_protocol_select_random(&p, &except, chosen, 8), 4);
    assert_int_equal(cv_gossip_protocol_select_random(&p, NULL, chosen, 8), 5);
    cv_gossip_protocol_fini(&p);
    cv_cluster_node_release(config.self);
    test_alloc_assert_empty(&t);
}

/* A pause with too few heartbeats to judge by: the subject is asked for more all the same. */
static void a_pause_does_not_end_a_watch(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    struct cv_input time = {.type = CV_INPUT_TIME};
    cv_membership_free(core.m);
    config.gossip.protocol_period = 1000 * SEC;
    core_start(&config);
    core_add_member(1);
    core_message(1, &(struct cv_message_head){.type = CV_MESSAGE_HEARTBEAT, .sequence = 1}, NULL,
                 NULL);
    core.now += 40 * SEC;
    core_step(&time);
    size_t asked = 0;
    for (covey_time end = core.now + 31 * SEC; cv_membership_deadline(core.m) < end;) {
        core_tick();
        asked += core_sent(1, CV_MESSAGE_WATCH, NULL) != NULL;
    }
    assert_true(asked > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(alone_there_is_nothing_to_do),
        CORE_TEST(news_is_sent_at_once_and_often_enough),
        CORE_TEST(news_waits_for_a_listener),
        CORE_TEST(pushes_are_limited),
        CORE_TEST(datagrams_stay_small),
        CORE_TEST(a_pause_does_not_end_a_watch),
        cmocka_unit_test(random_members_are_what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
