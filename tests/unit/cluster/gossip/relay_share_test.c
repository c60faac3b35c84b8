#include "unit/cluster/cluster_fixture.h"

#include "cluster/gossip/relay_share.h"

#define INTERVAL (CV_RELAY_PERIODS * SEC)

static struct cv_relay_share share;
static covey_time now;

static int setup(void **state)
{
    (void)state;
    now = 1000 * SEC;
    cv_relay_share_init(&share, SEC, now);
    return 0;
}

static unsigned take(uint32_t asker, unsigned times)
{
    const covey_node_id id = id_of(asker);
    unsigned taken = 0;
    for (unsigned i = 0; i < times; i++)
        taken += cv_relay_share_take(&share, &id, now);
    return taken;
}

static void one_alone_has_his_share(void **state)
{
    (void)state;
    assert_int_equal(take(1, 10), CV_RELAY_SHARE);
    now += CV_RELAY_ASKERS * INTERVAL - 1;
    assert_int_equal(take(1, 10), 0);
    now += 1;
    assert_int_equal(take(1, 10), 1);
}

static void all_together_have_no_more_than_all(void **state)
{
    (void)state;
    for (uint32_t asker = 1; asker <= CV_RELAY_DIALS; asker++)
        assert_int_equal(take(asker, 1), 1);
    assert_int_equal(take(9, 1), 0);
    now += INTERVAL;
    assert_int_equal(take(9, 2), 1);
}

/* What is refused for want of dials costs nobody his share. */
static void a_refusal_takes_nothing(void **state)
{
    (void)state;
    for (uint32_t asker = 1; asker <= CV_RELAY_DIALS; asker++)
        assert_int_equal(take(asker, 1), 1);
    assert_int_equal(take(9, 10), 0);
    now += 2 * INTERVAL;
    assert_int_equal(take(9, 10), CV_RELAY_SHARE);
}

/* However often he asks, and for how long. */
static void one_without_end_leaves_others_theirs(void **state)
{
    (void)state;
    unsigned hostile = 0, honest = 0;
    for (unsigned i = 0; i < 100; i++) {
        hostile += take(1, 50);
        honest += take(2 + i, 1);
        now += 2 * INTERVAL; /* half of what could be made */
    }
    assert_int_equal(honest, 100);
    assert_in_range(hostile, 49, 51 + CV_RELAY_SHARE);
}

/* There is always a place to note an asker in: it asserts that. */
static void any_number_of_askers(void **state)
{
    (void)state;
    unsigned taken = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        taken += take(1 + i, 1);
        now += INTERVAL / 8;
    }
    assert_int_equal(taken, CV_RELAY_DIALS + 1999 / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_alone_has_his_share, setup),
        cmocka_unit_test_setup(all_together_have_no_more_than_all, setup),
        cmocka_unit_test_setup(a_refusal_takes_nothing, setup),
        cmocka_unit_test_setup(one_without_end_leaves_others_theirs, setup),
        cmocka_unit_test_setup(any_number_of_askers, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
