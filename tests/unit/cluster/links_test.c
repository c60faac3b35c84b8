#include "unit/cluster/cluster_fixture.h"

#include "cluster/links.h"

static void peers_are_known_while_connected(void **state)
{
    (void)state;
    struct test_alloc t;
    static struct cv_links l;
    covey_node_id id = id_of(3);
    struct cv_address here = address_of(3), there = address_of(4);
    test_alloc_init(&t);
    cv_links_init(&l, &t.alloc, fixture_secret);
    assert_null(cv_links_peer(&l, &id));
    assert_int_equal(cv_links_add_peer(&l, &id, "three", &here, 0), COVEY_OK);
    assert_string_equal(cv_links_peer(&l, &id)->name, "three");
    /* Again, by another connection; what it may still send wrong is not new. */
    cv_links_peer(&l, &id)->glitches.level = 5;
    assert_int_equal(cv_links_add_peer(&l, &id, NULL, &there, 0), COVEY_OK);
    assert_string_equal(cv_links_peer(&l, &id)->name, "");
    assert_true(cv_address_equal(&cv_links_peer(&l, &id)->remote, &there));
    assert_int_equal(cv_links_peer(&l, &id)->glitches.level, 5);
    cv_links_remove_peer(&l, &id);
    assert_null(cv_links_peer(&l, &id));
    cv_links_remove_peer(&l, &id);
    for (size_t n = 1; n <= 2; n++) {
        t.fail_at = t.calls + n;
        if (cv_links_add_peer(&l, &id, "", &here, 0) == COVEY_OK)
            break;
        assert_null(cv_links_peer(&l, &id));
    }
    cv_links_fini(&l);
    test_alloc_assert_empty(&t);
}

static void dials_have_numbers_and_a_bound(void **state)
{
    (void)state;
    struct test_alloc t;
    static struct cv_links l;
    struct cv_dial dial;
    covey_node_id id = id_of(3), other = id_of(4);
    test_alloc_init(&t);
    cv_links_init(&l, &t.alloc, fixture_secret);
    l.last_dial = UINT32_MAX - 1;
    uint32_t seed = cv_links_dial_seed(&l, 7);
    uint32_t node = cv_links_dial_node(&l, &id);
    assert_int_equal(seed, UINT32_MAX);
    assert_int_equal(node, 1); /* 0 is no number */
    assert_true(cv_links_is_dialling(&l, &id));
    assert_false(cv_links_is_dialling(&l, &other));
    for (size_t i = 2; i < CV_DIALS_MAX; i++)
        assert_int_not_equal(cv_links_dial_node(&l, &other), 0);
    assert_int_equal(cv_links_dial_node(&l, &other), 0);
    assert_true(cv_links_take_dial(&l, seed, &dial));
    assert_true(dial.is_seed && dial.seed == 7);
    assert_true(cv_links_take_dial(&l, node, &dial));
    assert_true(!dial.is_seed && id_equal(&dial.id, &id));
    assert_false(cv_links_take_dial(&l, node, &dial));
    cv_links_fini(&l);
}

static void who_is_banished_stays_out_for_a_while(void **state)
{
    (void)state;
    struct test_alloc t;
    static struct cv_links l;
    covey_node_id id = id_of(3), other = id_of(4);
    test_alloc_init(&t);
    cv_links_init(&l, &t.alloc, fixture_secret);
    assert_false(cv_links_is_banished(&l, &id, 0));
    cv_links_banish(&l, &id, 10);
    assert_true(cv_links_is_banished(&l, &id, 10 + CV_QUARANTINE_TIME - 1));
    assert_false(cv_links_is_banished(&l, &other, 10));
    assert_false(cv_links_is_banished(&l, &id, 10 + CV_QUARANTINE_TIME));
    cv_links_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_are_known_while_connected),
        cmocka_unit_test(dials_have_numbers_and_a_bound),
        cmocka_unit_test(who_is_banished_stays_out_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
