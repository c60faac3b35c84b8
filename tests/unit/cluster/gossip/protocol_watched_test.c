#include "unit/cluster/core_fixture.h"

#include "cluster/membership_internal.h"

/* The other end of a watch, gossip/protocol_watch.c again: we are the one who sends heartbeats. */

static void begin_with(uint32_t watch_count)
{
    struct cv_membership_config config = core_config();
    config.gossip.watch_count = watch_count;
    config.gossip.protocol_period = 1000 * SEC; /* no probes */
    config.gossip.gossip_interval = 1000 * SEC;
    config.sync_interval = 0;
    cv_membership_free(core.m);
    core_start(&config);
    core_add_member(1);
}

static void set_watchers(uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        assert_int_equal(core_head(i, CV_MESSAGE_WATCH, 0), COVEY_OK);
}

/* Each interval, with the next number, for the 90 s of a watch and not longer. */
static void watchers_get_heartbeats_for_a_while(void **state)
{
    (void)state;
    uint32_t last = 0;
    size_t count = 0;
    begin_with(5);
    core_add_member(2);
    set_watchers(1, 2);
    covey_time begun = core.now, at = 0;
    while (core.now < begun + 120 * SEC) {
        core_tick();
        const struct cv_message *m = core_sent(1, CV_MESSAGE_HEARTBEAT, NULL);
        if (m == NULL)
            continue;
        assert_int_equal(m->head.sequence, last + 1);
        last = m->head.sequence;
        assert_true(at == 0 ? core.now - begun < SEC : core.now - at == SEC);
        assert_int_equal(core_sent(2, CV_MESSAGE_HEARTBEAT, NULL)->head.sequence, last);
        at = core.now;
        count++;
    }
    assert_int_equal(count, 90);
    assert_int_equal(core_stats().heartbeats_sent, 180);
}

static void a_watch_is_prolonged_or_ended(void **state)
{
    (void)state;
    begin_with(5);
    core_add_member(2);
    set_watchers(1, 2);
    core_run(80 * SEC);
    set_watchers(1, 1);
    core_run(80 * SEC);
    /* Node 2 had its 90 s, node 1 all of the time. */
    assert_int_equal(core_stats().heartbeats_sent, 90 + 160);
    assert_int_equal(core_head(1, CV_MESSAGE_UNWATCH, 0), COVEY_OK);
    assert_int_equal(core_head(1, CV_MESSAGE_UNWATCH, 0), COVEY_OK);
    core_run(10 * SEC);
    assert_int_equal(core_stats().heartbeats_sent, 90 + 160);
    /* Watched again after a while without watchers. */
    set_watchers(2, 1);
    core_run(10 * SEC);
    assert_int_equal(core_stats().heartbeats_sent, 90 + 160 + 10);
}

/* One of 1 to 17 that does not watch us. */
static uint32_t outside(void)
{
    uint32_t i = 1;
    covey_node_id id = id_of(i);
    while (cv_watches_is_watcher(&core.m->gossip.watches, &id))
        id = id_of(++i);
    return i;
}

static void there_are_no_more_than_so_many_watchers(void **state)
{
    (void)state;
    begin_with(5);
    for (uint32_t i = 2; i <= 17; i++)
        core_add_member(i);
    set_watchers(1, 15);
    assert_int_equal(core_stats().watchers_refused, 0);
    set_watchers(16, 2);
    const struct cv_watches *w = &core.m->gossip.watches;
    assert_int_equal(core_stats().watchers_refused, 2);
    assert_int_equal(w->watcher_count, 15);
    assert_int_equal(core_head(core_number(&w->watchers[3].id), CV_MESSAGE_UNWATCH, 0), COVEY_OK);
    assert_int_equal(w->watcher_count, 14);
    set_watchers(outside(), 1);
    assert_int_equal(w->watcher_count, 15);
    assert_int_equal(core_stats().watchers_refused, 2);
}

/* Those that the rings want have a place, also when all are taken, and keep it: fifteen that were
 * quicker, or ask again and again, cannot have nobody watch us. */
static void the_right_watchers_find_a_place(void **state)
{
    (void)state;
    begin_with(5);
    for (uint32_t i = 2; i <= 200; i++)
        core_add_member(i);
    struct cv_gossip_protocol *g = &core.m->gossip;
    bool is_right[201] = {false};
    size_t right = 0;
    for (uint32_t i = 1; i <= 200; i++) {
        struct cv_watch_rings theirs;
        const covey_node_id id = id_of(i), self = id_of(0);
        cv_watch_rings_init(&theirs, &id, 5);
        cv_watch_rings_choose(&theirs, &g->registry);
        is_right[i] = cv_watch_rings_misses(&theirs, &self);
        right += is_right[i];
    }
    assert_in_range(right, 2, 12);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 1; i <= 200; i++) {
            if (round == 1 || !is_right[i])
                set_watchers(i, 1);
        }
    }
    for (uint32_t i = 1; i <= 200; i++) {
        const covey_node_id id = id_of(i);
        if (is_right[i])
            assert_true(cv_watches_is_watcher(&g->watches, &id));
    }
    assert_int_equal(g->watches.watcher_count, 15);
    assert_true(core_stats().watchers_refused > 400);
}

/* Only live members may watch; those that go, or whose connection does, no longer do. */
static void who_is_no_member_gets_no_heartbeats(void **state)
{
    (void)state;
    begin_with(5);
    core_add_member(2);
    core_connected(9, 0);
    set_watchers(9, 1);
    set_watchers(1, 2);
    core_run(2 * SEC);
    assert_int_equal(core_stats().heartbeats_sent, 4);
    core_disconnected(1);
    core_message(2,
                 &(struct cv_message_head){.type = CV_MESSAGE_LEAVE, .incarnation = CORE_WALL_MS},
                 NULL, NULL);
    set_watchers(2, 1);
    core_run(2 * SEC);
    assert_int_equal(core_stats().heartbeats_sent, 4);
}

/* Its UNWATCH was lost, or it never watched: said once more, and no state kept. */
static void unasked_heartbeats_are_declined(void **state)
{
    (void)state;
    begin_with(0);
    assert_int_equal(core_head(1, CV_MESSAGE_HEARTBEAT, 5), COVEY_OK);
    assert_int_equal(core_count_sent(CV_MESSAGE_UNWATCH), 1);
    assert_int_equal(core_stats().heartbeats_received, 1);
    set_watchers(1, 1);
    assert_int_equal(core_stats().watchers_refused, 1);
}

/* Who is no longer the right one is told so. */
static void the_rings_move_on(void **state)
{
    (void)state;
    size_t watched = 0, unwatched = 0;
    begin_with(5);
    for (uint32_t i = 2; i <= 40; i++) {
        core_add_member(i);
        unwatched += core_count_sent(CV_MESSAGE_UNWATCH);
        core_tick(); /* those newly chosen */
        watched += core_count_sent(CV_MESSAGE_WATCH);
    }
    /* Many that come at once are looked at together, a protocol period later. */
    const covey_time settled = core.now + 1000 * SEC;
    while (core.now < settled) {
        core_tick();
        watched += core_count_sent(CV_MESSAGE_WATCH);
        unwatched += core_count_sent(CV_MESSAGE_UNWATCH);
    }
    assert_true(unwatched > 0);
    assert_true(watched >= unwatched);
    size_t now = 0;
    covey_time end = core.now + CV_WATCH_RENEWAL;
    while (core.now < end) {
        core_tick();
        now += core_count_sent(CV_MESSAGE_WATCH);
    }
    /* None of the five has ever sent a heartbeat, so each is asked as seldom as can be. */
    assert_true(now >= 5 && now <= 10);
}

/* ---- as a watcher without a place ---- */

/* In how many of so many seconds node 1 was asked for heartbeats, which it sends or not. Everybody answers pings. */
static size_t count_asks(unsigned seconds, uint32_t *heartbeat)
{
    size_t asks = 0;
    for (unsigned i = 0; i < seconds; i++) {
        bool told[CORE_OUTPUTS_MAX] = {false};
        core_run_answering(SEC, 0, CV_MESSAGE_WATCH, told);
        asks += told[1];
        if (heartbeat != NULL)
            assert_int_equal(core_head(1, CV_MESSAGE_HEARTBEAT, ++*heartbeat), COVEY_OK);
    }
    return asks;
}

/* Better ones took our place with a node, or never left us one: it sends nothing and answers probes. It is asked more
 * and more seldom, accused of nothing, and watched as ever when it sends again. */
static void who_has_no_place_asks_seldom(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    uint32_t heartbeat = 0;
    config.sync_interval = 0;
    cv_membership_free(core.m);
    core_start(&config);
    core_add_member(1);
    assert_in_range(count_asks(300, NULL), 12, 18); /* no place from the beginning */
    (void)count_asks(30, &heartbeat);
    assert_in_range(count_asks(300, &heartbeat), 9, 11); /* a watch that works */
    assert_in_range(count_asks(300, NULL), 12, 20);      /* displaced */
    assert_int_equal(core_stats().silences + core_stats().suspicions, 0);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    heartbeat += 300;
    (void)count_asks(30, &heartbeat);
    assert_in_range(count_asks(300, &heartbeat), 9, 11);
    /* and its silence counts again, when it answers no more */
    core_run(10 * SEC);
    assert_true(core_stats().silences > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(watchers_get_heartbeats_for_a_while),
        CORE_TEST(a_watch_is_prolonged_or_ended),
        CORE_TEST(there_are_no_more_than_so_many_watchers),
        CORE_TEST(the_right_watchers_find_a_place),
        CORE_TEST(who_is_no_member_gets_no_heartbeats),
        CORE_TEST(unasked_heartbeats_are_declined),
        CORE_TEST(the_rings_move_on),
        CORE_TEST(who_has_no_place_asks_seldom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
