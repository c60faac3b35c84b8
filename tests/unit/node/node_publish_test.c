/* When membership is shown to others: not at each change, at once for who waits, and never after its events. */
#include "unit/node/fixture.h"

#define LONG (60 * COVEY_SECOND)

/* Two members that know each other, and nothing new for a while. */
static void setup_pair(struct net *n, struct station **a, struct station **b)
{
    net_init(n);
    *a = net_add_named(n, "a", CV_ROLE_MEMBER);
    *b = net_add_named(n, "b", CV_ROLE_MEMBER);
    station_join(*a, NULL);
    station_join(*b, *a);
    assert_true(test_wire_wait(&n->wire, &(*a)->joined, 1, LONG));
    assert_true(test_wire_wait(&n->wire, &(*b)->joined, 1, LONG));
    test_wire_run(&n->wire, 5 * COVEY_SECOND);
}

static void set_tag(struct net *n, struct station *s, unsigned value)
{
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    assert_int_equal(
        cv_node_command(s->node, CV_COMMAND_TAG_SET, "k", text, n->wire.now, TEST_WALL_MS), 0);
}

/* b changes each millisecond; a shows that ten times less often, and the last of it. */
static void changes_of_others_are_shown_10_ms_apart(void **state)
{
    (void)state;
    struct net n;
    struct station *a, *b;
    setup_pair(&n, &a, &b);
    uint64_t before = a->changed;
    for (unsigned i = 0; i < 200; i++) {
        set_tag(&n, b, i);
        test_wire_run(&n.wire, COVEY_MILLISECOND);
    }
    uint64_t shown = a->changed - before;
    assert_true(shown >= 5 && shown <= 21);
    test_wire_run(&n.wire, COVEY_SECOND);
    assert_true(a->shown_events == a->seen_events && a->seen_events > 0);
    before = a->changed;
    test_wire_run(&n.wire, 5 * COVEY_SECOND); /* nothing new, nothing shown */
    assert_int_equal(a->changed, before);
    net_fini(&n);
}

/* The first change after a quiet time is not held back, nor one that a command makes. */
static void who_waits_is_shown_it_in_the_turn(void **state)
{
    (void)state;
    struct net n;
    struct station *a, *b;
    setup_pair(&n, &a, &b);
    for (unsigned i = 0; i < 5; i++) {
        uint64_t before = a->changed;
        set_tag(&n, a, i);
        assert_int_equal(cv_node_deadline(a->node), 0);
        test_wire_run(&n.wire, 0);
        assert_int_equal(a->changed, before + 1);
    }
    /* for who cannot wait for the turn: at once, and not again in it */
    uint64_t before = a->changed;
    set_tag(&n, a, 9);
    cv_node_publish(a->node, n.wire.now);
    assert_int_equal(a->changed, before + 1);
    test_wire_run(&n.wire, 100 * COVEY_MILLISECOND);
    assert_int_equal(a->changed, before + 1);
    net_fini(&n);
}

static void what_could_not_be_shown_is_shown_soon(void **state)
{
    (void)state;
    struct net n;
    struct station *a, *b;
    setup_pair(&n, &a, &b);
    a->refuses_changes = true;
    uint64_t before = a->changed;
    set_tag(&n, a, 1);
    test_wire_run(&n.wire, 10 * COVEY_MILLISECOND);
    assert_true(a->changed - before >= 8 && a->changed - before <= 12);
    a->refuses_changes = false;
    before = a->changed;
    test_wire_run(&n.wire, 10 * COVEY_MILLISECOND);
    assert_int_equal(a->changed, before + 1);
    net_fini(&n);
}

/* A health check's event changes no member and is shown all the same. */
static void an_event_alone_is_shown(void **state)
{
    (void)state;
    struct net n;
    struct station *a, *b;
    setup_pair(&n, &a, &b);
    const struct cv_health_check_config check = {
        .name = cv_slice_text("c"), .interval = 3600 * COVEY_SECOND, .timeout = COVEY_SECOND};
    struct cv_input add = {.type = CV_INPUT_COMMAND,
                           .command = {.type = CV_COMMAND_CHECK_ADD, .check = &check}};
    assert_int_equal(cv_node_input(a->node, &add, n.wire.now, TEST_WALL_MS), 0);
    test_wire_run(&n.wire, 500 * COVEY_MILLISECOND);
    assert_true(a->run > 0);
    uint64_t before = a->changed, events = a->seen_events;
    test_wire_run(&n.wire, COVEY_SECOND); /* no answer in time */
    assert_int_equal(a->seen_events, events + 1);
    assert_int_equal(a->shown_events, a->seen_events);
    assert_int_equal(a->changed, before + 1);
    net_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_others_are_shown_10_ms_apart),
        cmocka_unit_test(who_waits_is_shown_it_in_the_turn),
        cmocka_unit_test(what_could_not_be_shown_is_shown_soon),
        cmocka_unit_test(an_event_alone_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
