#include "unit/cluster/core_fixture.h"

#include "cluster/membership_internal.h"

static void a_lost_connection_is_a_hint(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 5; i++)
        core_add_member(i);
    core_disconnected(4);
    assert_int_equal(core_state(4), COVEY_NODE_ALIVE);
    /* It is the next to be probed, which takes a dial. */
    covey_time begun = core.now;
    while (core_find(CV_OUTPUT_DIAL, 0) == NULL)
        core_tick();
    covey_node_id id = id_of(4);
    assert_true(id_equal(&core_find(CV_OUTPUT_DIAL, 0)->dial.expected, &id));
    assert_true(core.now - begun <= 1 * SEC);
}

/* A peer and a member are known to be the same node whichever of them came first, and until one goes. */
static void a_peer_knows_its_member(void **state)
{
    (void)state;
    const covey_node_id id = id_of(2);
    const struct cv_links *links = &core.m->gossip.links;
    core_connected(2, 0);
    assert_null(cv_links_peer(links, &id)->member);
    core_disconnected(2);
    core_add_member(2);
    assert_ptr_equal(cv_links_peer(links, &id)->member, core_member(2));
    core_disconnected(2);
    assert_null(cv_links_peer(links, &id));
    core_connected(2, 0);
    assert_ptr_equal(cv_links_peer(links, &id)->member, core_member(2));
}

static void news_waits_for_a_connection(void **state)
{
    (void)state;
    core_add_member(1);
    core_disconnected(1);
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "k", "v"), COVEY_OK);
    assert_int_equal(core_count(CV_OUTPUT_SEND), 0);
    core_connected(1, 0);
    assert_non_null(core_update(core_sent(1, CV_MESSAGE_GOSSIP, NULL), 0));
}

/* A hundred at once are too many, then 33 a second are not. */
static void nonsense_is_counted_and_then_closed(void **state)
{
    (void)state;
    core_add_member(1);
    core.now += SEC; /* its JOIN cost something, too */
    for (int i = 0; i < 100; i++) {
        assert_int_equal(core_bytes(1, cv_slice_text("\x7f")), COVEY_ERR_MALFORMED);
        assert_int_equal(core_count(CV_OUTPUT_CLOSE), 0);
    }
    assert_int_equal(core_stats().messages_malformed, 100);
    assert_int_equal(core_bytes(1, cv_slice_text("\x7f")), COVEY_ERR_MALFORMED);
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 1);
    assert_int_equal(core_count_events(COVEY_EVENT_PEER_MISBEHAVED), 1);
    /* It is kept out for a minute. */
    core_connected(1, 0);
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 1);
    assert_int_equal(core_bytes(1, cv_slice_text("\x7f")), COVEY_OK);
    core.now += 60 * SEC;
    core_connected(1, 0);
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 0);
    assert_int_equal(core_member(1)->link, CV_LINK_UP);
}

static void some_nonsense_is_borne(void **state)
{
    (void)state;
    core_add_member(1);
    for (int i = 0; i < 1000; i++) {
        core.now += 310 * MS;
        assert_int_equal(core_bytes(1, cv_slice_text("\x7f")), COVEY_ERR_MALFORMED);
        assert_int_equal(core_count(CV_OUTPUT_CLOSE), 0);
    }
}

/* The second of two connections of one peer takes the place of the first. */
static void connected_again_is_greeted_again(void **state)
{
    (void)state;
    core_add_member(1);
    core_connected(1, 0);
    assert_non_null(core_update(core_sent(1, CV_MESSAGE_GOSSIP, NULL), 0));
    assert_int_equal(core_member(1)->link, CV_LINK_UP);
    core_disconnected(1);
    assert_int_equal(core_member(1)->link, CV_LINK_DIALLING); /* it is sought at once */
    core_disconnected(1);
}

/* A dial that fails while the peer dialled us changes nothing. */
static void a_failed_dial_does_not_hide_a_connection(void **state)
{
    (void)state;
    core_add_member(1);
    core_disconnected(1);
    while (core_find(CV_OUTPUT_DIAL, 0) == NULL)
        core_tick();
    uint32_t dial = core_find(CV_OUTPUT_DIAL, 0)->dial.dial;
    core_connected(1, 0);
    assert_int_equal(core_member(1)->link, CV_LINK_UP);
    core_dial_failed(dial, COVEY_ERR_UNREACHABLE);
    assert_int_equal(core_member(1)->link, CV_LINK_UP);
    core_dial_failed(dial, COVEY_ERR_UNREACHABLE);
    core_dial_failed(12345, COVEY_ERR_UNREACHABLE);
}

/* Has node 1 closed for what it says. */
static void close_1(void)
{
    for (int i = 0; i < 200 && core_count(CV_OUTPUT_CLOSE) == 0; i++)
        core_bytes(1, cv_slice_text("\x7f"));
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 1);
}

static void beat_1(uint32_t number)
{
    assert_int_equal(core_head(1, CV_MESSAGE_HEARTBEAT, number), COVEY_OK);
}

/* A connection that we close takes with it what the peer wanted of us and what we heard on it. */
static void who_we_close_is_no_watcher(void **state)
{
    (void)state;
    const struct cv_watches *w = &core.m->gossip.watches;
    core_add_member(1);
    core_tick();
    beat_1(1);
    assert_int_equal(core_head(1, CV_MESSAGE_WATCH, 0), COVEY_OK);
    const covey_node_id id = id_of(1);
    const struct cv_watch *watch = cv_watches_subject(&core.m->gossip.watches, &id);
    assert_true(watch->is_heard && w->watcher_count == 1);
    close_1();
    assert_false(watch->is_heard);
    assert_int_equal(w->watcher_count, 0);
    uint64_t beats = core_stats().heartbeats_sent;
    core_run(2 * SEC);
    assert_int_equal(core_stats().heartbeats_sent, beats);
}

/* Nor is who was closed for the very message that asks for it. */
static void the_last_straw_asks_for_nothing(void **state)
{
    (void)state;
    core_add_member(1);
    core_add_member(2);
    for (int i = 0; i < 99; i++)
        assert_int_equal(core_bytes(1, cv_slice_text("\x7f")), COVEY_ERR_MALFORMED);
    struct cv_record wild =
        record_of(2, CORE_WALL_MS + (UINT64_C(1) << 41), COVEY_NODE_SUSPECT, NULL);
    assert_int_equal(
        core_message(1, &(struct cv_message_head){.type = CV_MESSAGE_WATCH}, &wild, NULL),
        COVEY_OK);
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 1);
    assert_int_equal(core.m->gossip.watches.watcher_count, 0);
}

/* Who is kept out is not sought either, whatever for: to watch, to probe, to meet again. */
static void who_is_kept_out_is_not_dialled(void **state)
{
    (void)state;
    core_add_member(1);
    close_1();
    covey_time until = core.now + 60 * SEC;
    while (cv_membership_deadline(core.m) < until) {
        core_tick();
        assert_null(core_find(CV_OUTPUT_DIAL, 0));
    }
    while (core.now < until + 11 * SEC && core_find(CV_OUTPUT_DIAL, 0) == NULL)
        core_tick();
    assert_non_null(core_find(CV_OUTPUT_DIAL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(a_lost_connection_is_a_hint),
        CORE_TEST(a_peer_knows_its_member),
        CORE_TEST(news_waits_for_a_connection),
        CORE_TEST(nonsense_is_counted_and_then_closed),
        CORE_TEST(some_nonsense_is_borne),
        CORE_TEST(connected_again_is_greeted_again),
        CORE_TEST(a_failed_dial_does_not_hide_a_connection),
        CORE_TEST(who_we_close_is_no_watcher),
        CORE_TEST(the_last_straw_asks_for_nothing),
        CORE_TEST(who_is_kept_out_is_not_dialled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
