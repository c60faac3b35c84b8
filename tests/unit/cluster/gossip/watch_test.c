#include "unit/cluster/cluster_fixture.h"

#include "cluster/gossip/watch.h"

static const struct cv_phi_config phi = {.sigma_min = 100 * MS};
static struct cv_watches watches;

static int setup(void **state)
{
    (void)state;
    cv_watches_init(&watches, 5);
    return 0;
}

static void each_subject_has_a_watch_of_its_own(void **state)
{
    (void)state;
    struct cv_watch *seen[CV_RINGS_MAX];
    for (uint32_t i = 0; i < CV_RINGS_MAX; i++) {
        const covey_node_id id = id_of(i);
        assert_null(cv_watches_subject(&watches, &id));
        seen[i] = cv_watches_begin(&watches, &id, &phi);
        assert_ptr_equal(cv_watches_subject(&watches, &id), seen[i]);
        assert_int_equal(seen[i]->alarm.kind, CV_ALARM_WATCH);
        assert_false(seen[i]->is_heard);
        for (uint32_t k = 0; k < i; k++)
            assert_ptr_not_equal(seen[k], seen[i]);
    }
}

/* The place of one that ended is taken again, with nothing of the last one in it. */
static void an_ended_watch_leaves_nothing(void **state)
{
    (void)state;
    const covey_node_id one = id_of(1), two = id_of(2), three = id_of(3);
    struct cv_watch *first = cv_watches_begin(&watches, &one, &phi);
    cv_watches_begin(&watches, &two, &phi);
    first->is_heard = first->is_probed = first->is_unanswered = first->spans_pause = true;
    first->number = 7;
    first->renew_at = 8;
    for (covey_time now = SEC; now < 10 * SEC; now += SEC)
        cv_phi_accrual_heartbeat(&first->phi, now, 1);
    cv_watch_end(first);
    assert_null(cv_watches_subject(&watches, &one));
    assert_non_null(cv_watches_subject(&watches, &two));
    assert_ptr_equal(cv_watches_begin(&watches, &three, &phi), first);
    assert_false(first->is_heard || first->is_probed || first->is_unanswered || first->spans_pause);
    assert_int_equal(first->number, 0);
    assert_int_equal(first->renew_at, 0);
    assert_int_equal(first->phi.count, 0);
}

static void watchers_come_once_and_go(void **state)
{
    (void)state;
    bool is_new = false;
    const covey_node_id one = id_of(1), two = id_of(2);
    assert_false(cv_watches_is_watcher(&watches, &one));
    assert_true(cv_watches_subscribe(&watches, &one, SEC, &is_new));
    assert_true(is_new);
    assert_true(cv_watches_subscribe(&watches, &two, SEC, &is_new));
    assert_true(cv_watches_subscribe(&watches, &one, 2 * SEC, &is_new));
    assert_false(is_new);
    assert_int_equal(watches.watcher_count, 2);
    assert_int_equal(watches.watchers[0].until, 2 * SEC);
    assert_true(cv_watches_unsubscribe(&watches, &one));
    assert_false(cv_watches_unsubscribe(&watches, &one));
    assert_false(cv_watches_is_watcher(&watches, &one));
    assert_true(cv_watches_is_watcher(&watches, &two));
    assert_int_equal(watches.watcher_count, 1);
}

/* At the bound the old ones may go on, and none comes. */
static void there_are_three_watchers_for_each_ring(void **state)
{
    (void)state;
    static const size_t rings[] = {0, 1, 5, CV_RINGS_MAX};
    for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
        bool is_new = false;
        size_t most = rings[i] * CV_WATCHERS_PER_RING;
        cv_watches_init(&watches, rings[i]);
        for (uint32_t k = 0; k < most; k++) {
            const covey_node_id id = id_of(k);
            assert_true(cv_watches_subscribe(&watches, &id, SEC, &is_new));
        }
        const covey_node_id first = id_of(0), more = id_of(1000);
        assert_false(cv_watches_subscribe(&watches, &more, SEC, &is_new));
        assert_false(cv_watches_is_watcher(&watches, &more));
        assert_int_equal(watches.watcher_count, most);
        if (most == 0)
            continue;
        assert_true(cv_watches_subscribe(&watches, &first, 2 * SEC, &is_new));
        assert_true(cv_watches_unsubscribe(&watches, &first));
        assert_true(cv_watches_subscribe(&watches, &more, SEC, &is_new));
    }
}

static void who_watches_or_is_watched_is_warm(void **state)
{
    (void)state;
    bool is_new;
    const covey_node_id subject = id_of(1), watcher = id_of(2), other = id_of(3);
    struct cv_watch *watch = cv_watches_begin(&watches, &subject, &phi);
    assert_true(cv_watches_subscribe(&watches, &watcher, SEC, &is_new));
    assert_true(cv_watches_is_warm(&watches, &subject));
    assert_true(cv_watches_is_warm(&watches, &watcher));
    assert_false(cv_watches_is_warm(&watches, &other));
    cv_watch_end(watch);
    cv_watches_unsubscribe(&watches, &watcher);
    assert_false(cv_watches_is_warm(&watches, &subject));
    assert_false(cv_watches_is_warm(&watches, &watcher));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_subject_has_a_watch_of_its_own, setup),
        cmocka_unit_test_setup(an_ended_watch_leaves_nothing, setup),
        cmocka_unit_test_setup(watchers_come_once_and_go, setup),
        cmocka_unit_test_setup(there_are_three_watchers_for_each_ring, setup),
        cmocka_unit_test_setup(who_watches_or_is_watched_is_warm, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
