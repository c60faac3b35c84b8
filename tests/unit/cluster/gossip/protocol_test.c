#include "unit/cluster/core_fixture.h"

#include "cluster/membership_internal.h"

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

/* Marks who got gossip in the last step that says something of node `about`. */
static size_t mark_told(uint32_t about, bool *told, size_t size)
{
    size_t count = 0;
    memset(told, 0, size);
    for (size_t i = 0; i < core.count; i++) {
        const struct core_output *kept = &core.outputs[i];
        if (kept->output.type != CV_OUTPUT_SEND || kept->bytes[0] != CV_MESSAGE_GOSSIP)
            continue;
        assert_int_equal(cv_message_read(kept->output.send.bytes, &core.read), COVEY_OK);
        if (core_update(&core.read, about) == NULL)
            continue;
        told[core_number(&kept->output.send.to)] = true;
        count++;
    }
    return count;
}

/* D9: at once to all neighbours on the rings, in both directions, each once; not to who told us. */
static void news_goes_to_all_neighbours(void **state)
{
    (void)state;
    bool subjects[64] = {false}, told[64];
    for (uint32_t i = 1; i <= 20; i++)
        core_add_member(i);
    core_run_answering(2 * SEC, 0, CV_MESSAGE_PING, NULL); /* so many are looked at together */
    core_run_answering(1100 * MS, 0, CV_MESSAGE_WATCH, subjects);
    uint32_t watcher = 1, subject = 1;
    while (subjects[watcher])
        watcher++;
    while (!subjects[subject])
        subject++;
    core_head(watcher, CV_MESSAGE_WATCH, 0);
    core_head(subject, CV_MESSAGE_WATCH, 0); /* two that watch each other */
    subjects[watcher] = true;
    core_run_answering(10 * SEC, 0, CV_MESSAGE_PING, NULL);
    core_command(CV_COMMAND_TAG_SET, "k", "v");
    assert_int_equal(mark_told(0, told, sizeof(told)), 6);
    assert_memory_equal(told, subjects, sizeof(told));
    core_run_answering(10 * SEC, 0, CV_MESSAGE_PING, NULL);
    assert_int_equal(core_tell(subject, 50, CORE_WALL_MS, COVEY_NODE_ALIVE, 0), COVEY_OK);
    assert_int_equal(mark_told(50, told, sizeof(told)), 5);
    subjects[subject] = false;
    assert_memory_equal(told, subjects, sizeof(told));
}

/* News of two tellers in one push goes to both. */
static void news_of_several_goes_to_all(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    bool told[64];
    cv_membership_free(core.m);
    config.gossip.protocol_period = 1000 * SEC;
    config.gossip.heartbeat_interval = 1000 * SEC;
    core_start(&config);
    cv_bucket_init(&core.m->gossip.settles, 5, SEC, core.now);
    for (uint32_t i = 1; i <= 5; i++)
        core_add_member(i);
    core_run(10 * SEC);
    /* Pushed already, so the next ones wait for a part of the interval. */
    assert_int_equal(core_tell(1, 3, CORE_WALL_MS + 1, COVEY_NODE_ALIVE, -1), COVEY_OK);
    assert_int_equal(mark_told(3, told, sizeof(told)), 4);
    assert_int_equal(core_tell(1, 4, CORE_WALL_MS + 1, COVEY_NODE_ALIVE, -1), COVEY_OK);
    assert_int_equal(core_tell(2, 5, CORE_WALL_MS + 1, COVEY_NODE_ALIVE, -1), COVEY_OK);
    assert_int_equal(mark_told(4, told, sizeof(told)), 0);
    for (int i = 0; i < 10 && mark_told(4, told, sizeof(told)) == 0; i++)
        core_tick();
    assert_int_equal(mark_told(4, told, sizeof(told)), 5);
    assert_int_equal(mark_told(5, told, sizeof(told)), 5);
}

static size_t bytes_sent(void)
{
    size_t size = 0;
    for (size_t i = 0; i < core.count; i++) {
        const struct cv_output *output = &core.outputs[i].output;
        size += output->type == CV_OUTPUT_SEND ? output->send.bytes.size : 0;
    }
    return size;
}

/* G7: a thousand nodes come within a second while as many pings are to be answered, and what is said
 * of the nodes stays within the bound, on whatever it rides; nothing of it is lost. */
static void a_storm_of_news_is_bounded(void **state)
{
    (void)state;
    const struct cv_message_head ping = {.type = CV_MESSAGE_PING, .target = id_of(0)};
    const size_t most = CV_MAX_MESSAGE_SIZE * (2 + 4 * 3 + 3 * 5);
    size_t size = 0;
    for (uint32_t i = 1; i <= 20; i++)
        core_add_member(i);
    core_run_answering(10 * SEC, 0, CV_MESSAGE_PING, NULL);
    assert_int_equal(core_stats().pushes_delayed, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(core_tell(1 + i % 20, 100 + i, CORE_WALL_MS, COVEY_NODE_ALIVE, 0),
                         COVEY_OK);
        size += bytes_sent();
        assert_int_equal(core_message(1 + i % 20, &ping, NULL, NULL), COVEY_OK);
        size += bytes_sent();
        core.now += 1 * MS;
        assert_int_equal(core_step(&(struct cv_input){.type = CV_INPUT_TIME}), COVEY_OK);
        size += bytes_sent();
    }
    assert_true(size > most / 2);
    assert_true(size <= most);
    assert_true(core_stats().pushes_delayed > 0);
    assert_int_equal(core_stats().gossip_shed, 0);
    bool told[64];
    for (int i = 0; i < 10000 && mark_told(1099, told, sizeof(told)) == 0; i++)
        core_tick();
    assert_true(mark_told(1099, told, sizeof(told)) > 0);
}

/* One that asks as often as it may, and tells something new each time, gets its answers; what is to be
 * told to all is told within the time that the bytes for it take to come. */
static void who_asks_often_keeps_no_news_from_the_rest(void **state)
{
    (void)state;
    const struct cv_message_head ping = {.type = CV_MESSAGE_PING, .target = id_of(0)};
    size_t count = 0;
    for (uint32_t i = 1; i <= 20; i++)
        core_add_member(i);
    core_run_answering(10 * SEC, 0, CV_MESSAGE_PING, NULL);
    for (uint32_t i = 0; i < 400; i++) {
        bool told[64];
        struct cv_cluster_node *body = body_of(cv_alloc_default(), 100 + i, CORE_WALL_MS, 0);
        struct cv_record record = record_of(100 + i, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
        assert_int_equal(core_message(1, &ping, &record, NULL), COVEY_OK);
        assert_int_equal(core_count_sent(CV_MESSAGE_ACK), 1);
        cv_cluster_node_release(body);
        if (i == 320)
            assert_int_equal(core_tell(2, 5, CORE_WALL_MS + 1, COVEY_NODE_ALIVE, -1), COVEY_OK);
        size_t now = mark_told(5, told, sizeof(told));
        count = now > count ? now : count;
        core.now += 5 * MS;
        assert_int_equal(core_step(&(struct cv_input){.type = CV_INPUT_TIME}), COVEY_OK);
        now = mark_told(5, told, sizeof(told));
        count = now > count ? now : count;
    }
    assert_true(count >= 3); /* a round at least */
}

/* --- known members --- */

static size_t count_events(void)
{
    return core_count(CV_OUTPUT_EVENT);
}

/* Joined at once, with nothing said of them; each is sought, and probed. */
static void known_members_are_members_at_once(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    core_start_known(&config, 4);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
    assert_int_equal(core_find(CV_OUTPUT_STATE, 0)->state.state, CV_MEMBERSHIP_JOINED);
    assert_int_equal(core_count(CV_OUTPUT_DIAL), 4);
    assert_int_equal(count_events(), 0);
    for (uint32_t i = 1; i <= 4; i++) {
        assert_int_equal(core_state(i), COVEY_NODE_ALIVE);
        assert_false(core_member(i)->body_is_direct);
    }
    /* Who is still there gets our record, and no JOIN. */
    assert_int_equal(core_connected(1, 1), COVEY_OK);
    assert_non_null(core_update(core_sent(1, CV_MESSAGE_GOSSIP, NULL), 0));
    assert_int_equal(core_count_sent(CV_MESSAGE_JOIN), 0);
    assert_int_equal(count_events(), 0);
    /* Who is not is found out; its end is news, as if it had been told of before. */
    size_t failed = 0;
    for (uint32_t dial = 2; dial <= 4; dial++)
        core_dial_failed(dial, COVEY_ERR_UNREACHABLE);
    covey_time end = core.now + 60 * SEC;
    while (core.now < end) {
        core_tick();
        failed += core_count_events(COVEY_EVENT_NODE_FAILED);
        const struct cv_message *ping = core_sent(1, CV_MESSAGE_PING, NULL);
        if (ping != NULL)
            core_head(1, CV_MESSAGE_ACK, ping->head.sequence);
    }
    assert_int_equal(failed, 3);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
}

/* Seeds are tried beside them, without a JOIN of the first kind. */
static void seeds_are_tried_beside_the_known(void **state)
{
    (void)state;
    static const char *const seeds[] = {"s1:4433"};
    struct cv_membership_config config = core_config();
    config.seeds = seeds;
    config.seed_count = 1;
    core_start_known(&config, 2);
    assert_int_equal(core_count(CV_OUTPUT_RESOLVE), 0);
    covey_time begun = core.now;
    while (core_count(CV_OUTPUT_RESOLVE) == 0)
        core_tick();
    assert_in_range(core.now - begun, 7500 * MS, 12500 * MS);
    const struct cv_address address = address_of(7);
    core_resolved(core_find(CV_OUTPUT_RESOLVE, 0)->resolve.resolve, COVEY_OK, &address, 1);
    uint32_t dial = core_find(CV_OUTPUT_DIAL, 0)->dial.dial;
    core_connected(7, dial);
    assert_int_equal(core_count_sent(CV_MESSAGE_JOIN), 1);
}

/* Ourselves and what is there twice are left out; without any other it is a start as any. */
static void what_is_known_is_sifted(void **state)
{
    (void)state;
    struct cv_record known[3];
    struct cv_cluster_node *own = body_of(cv_alloc_default(), 0, 1, 0);
    struct cv_cluster_node *other = body_of(cv_alloc_default(), 1, CORE_WALL_MS, 0);
    known[0] = record_of(0, 1, COVEY_NODE_ALIVE, own);
    known[1] = record_of(1, CORE_WALL_MS, COVEY_NODE_ALIVE, other);
    known[2] = known[1];
    struct cv_membership_config config = core_config();
    static const char *const seeds[] = {"s1:4433"};
    config.known = known;
    config.known_count = 1;
    config.seeds = seeds;
    config.seed_count = 1;
    cv_membership_free(core.m);
    core_start(&config);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINING);
    assert_int_equal(core_member(0)->incarnation, CORE_WALL_MS);
    cv_membership_free(core.m);
    config.known_count = 3;
    core_start(&config);
    assert_int_equal(cv_node_registry_count(cv_membership_registry(core.m)), 2);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
    cv_cluster_node_release(own);
    cv_cluster_node_release(other);
}

/* No body, or not alive: refused, with nothing left behind. More than members_max are left out. */
static void what_cannot_be_known_is_refused(void **state)
{
    (void)state;
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 2, CORE_WALL_MS, 0);
    struct cv_cluster_node *other = body_of(cv_alloc_default(), 1, CORE_WALL_MS, 0);
    struct cv_record known[2];
    known[0] = record_of(1, CORE_WALL_MS, COVEY_NODE_ALIVE, other);
    struct cv_membership_config config = core_config();
    config.known = known;
    config.known_count = 2;
    struct cv_membership *m = NULL;
    for (int i = 0; i < 4; i++) {
        known[1] = record_of(2, CORE_WALL_MS, (enum covey_node_state)i, i == 0 ? NULL : body);
        assert_int_equal(cv_membership_new(&config, 0, &m), COVEY_ERR_INVALID_ARGUMENT);
        assert_null(m);
    }
    known[1] = record_of(2, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    config.members_max = 2;
    cv_membership_free(core.m);
    core_start(&config);
    assert_int_equal(cv_node_registry_count(cv_membership_registry(core.m)), 2);
    assert_int_equal(core_stats().members_refused, 1);
    cv_cluster_node_release(body);
    cv_cluster_node_release(other);
}

/* Whichever allocation fails, shared bodies or not: an error and nothing kept. */
static void known_members_need_memory(void **state)
{
    (void)state;
    struct cv_record known[60];
    for (uint32_t i = 0; i < 60; i++)
        known[i] = record_of(i + 1, CORE_WALL_MS, COVEY_NODE_ALIVE,
                             body_of(cv_alloc_default(), i + 1, CORE_WALL_MS, 0));
    for (size_t n = 1;; n++) {
        struct test_alloc t;
        struct cv_membership *m = NULL;
        test_alloc_init(&t);
        struct cv_membership_config config = core_config();
        config.alloc = &t.alloc;
        config.known = known;
        config.known_count = 60;
        t.fail_at = n;
        int error = cv_membership_new(&config, 0, &m);
        if (error == COVEY_OK) {
            cv_membership_free(m);
            test_alloc_assert_empty(&t);
            assert_true(n > 10);
            break;
        }
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        test_alloc_assert_empty(&t);
        assert_true(n < 500);
    }
    for (uint32_t i = 0; i < 60; i++)
        cv_cluster_node_release(known[i].body);
}

/* Two cores of one process keep what a third says once. */
static void cores_share_bodies(void **state)
{
    (void)state;
    struct cv_body_table table;
    cv_body_table_init(&table, cv_alloc_default(), fixture_secret);
    struct cv_membership_config config = core_config();
    config.alloc = cv_alloc_default();
    config.bodies = &table;
    struct cv_membership *first = NULL;
    cv_membership_free(core.m);
    assert_int_equal(cv_membership_new(&config, 1000 * SEC, &first), COVEY_OK);
    core_start(&config);
    struct cv_membership *second = core.m;
    core_add_member(1);
    const struct cv_cluster_node *body = core_member(1)->body;
    core.m = first;
    core_add_member(1);
    assert_ptr_equal(core_member(1)->body, body);
    assert_int_equal(cv_body_table_count(&table), 1);
    core_command(CV_COMMAND_TAG_SET, "k", "v");
    assert_int_equal(cv_body_table_count(&table), 2);
    cv_membership_free(first);
    core.m = second;
    assert_ptr_equal(core_member(1)->body, body);
    cv_membership_free(second);
    cv_body_table_fini(&table);
    /* For the teardown. */
    config = core_config();
    core_start(&config);
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
        if (i < 6) {
            assert_int_equal(cv_links_add_peer(&p.links, cv_member_id(m), "", &address, 0),
                             COVEY_OK);
            cv_links_peer(&p.links, cv_member_id(m))->member = m;
        }
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
        CORE_TEST(news_goes_to_all_neighbours),
        CORE_TEST(news_of_several_goes_to_all),
        CORE_TEST(a_storm_of_news_is_bounded),
        CORE_TEST(who_asks_often_keeps_no_news_from_the_rest),
        CORE_TEST(known_members_are_members_at_once),
        CORE_TEST(seeds_are_tried_beside_the_known),
        CORE_TEST(what_is_known_is_sifted),
        CORE_TEST(what_cannot_be_known_is_refused),
        CORE_TEST(known_members_need_memory),
        CORE_TEST(cores_share_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
