#include "unit/cluster/cluster_fixture.h"

#include "cluster/gossip/ping.h"

struct fixture {
    struct test_alloc t;
    struct cv_rand rand;
    struct cv_probe_order o;
};

static void setup(struct fixture *f, uint32_t count)
{
    test_alloc_init(&f->t);
    cv_rand_seed(&f->rand, 3);
    cv_probe_order_init(&f->o, &f->t.alloc);
    assert_int_equal(cv_probe_order_reserve(&f->o, count), COVEY_OK);
    for (uint32_t i = 0; i < count; i++) {
        covey_node_id id = id_of(i);
        cv_probe_order_insert(&f->o, &id, &f->rand);
    }
}

static void teardown(struct fixture *f)
{
    cv_probe_order_fini(&f->o);
    test_alloc_assert_empty(&f->t);
}

static uint32_t next(struct fixture *f)
{
    covey_node_id id;
    assert_true(cv_probe_order_next(&f->o, &f->rand, &id));
    return (uint32_t)(id.bytes[0] << 8 | id.bytes[1]);
}

static void nobody_is_probed_when_there_is_nobody(void **state)
{
    (void)state;
    struct fixture f;
    covey_node_id id;
    setup(&f, 0);
    assert_false(cv_probe_order_next(&f.o, &f.rand, &id));
    teardown(&f);
}

/* Each once in every round, and the rounds differ. */
static void every_round_has_each_once(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t first[20], differ = 0;
    setup(&f, 20);
    for (int round = 0; round < 10; round++) {
        bool seen[20] = {false};
        for (int i = 0; i < 20; i++) {
            uint32_t number = next(&f);
            assert_false(seen[number]);
            seen[number] = true;
            differ += round > 0 && first[i] != number;
            first[i] = number;
        }
    }
    assert_true(differ > 100);
    teardown(&f);
}

/* A new member has its turn in this round, at any place of what is left of it. */
static void a_new_one_comes_in_this_round(void **state)
{
    (void)state;
    bool places[6] = {false};
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct fixture f;
        covey_node_id new = id_of(77);
        setup(&f, 10);
        cv_rand_seed(&f.rand, seed);
        for (int i = 0; i < 5; i++)
            next(&f);
        assert_int_equal(cv_probe_order_reserve(&f.o, 1), COVEY_OK);
        cv_probe_order_insert(&f.o, &new, &f.rand);
        int turns = 0;
        while (next(&f) != 77)
            turns++;
        assert_in_range(turns, 0, 5);
        places[turns] = true;
        teardown(&f);
    }
    for (int i = 0; i < 6; i++)
        assert_true(places[i]);
}

static void removing_keeps_the_round(void **state)
{
    (void)state;
    struct fixture f;
    bool seen[10] = {false};
    setup(&f, 10);
    uint32_t done = next(&f);
    covey_node_id gone = id_of(done);
    cv_probe_order_remove(&f.o, &gone);
    cv_probe_order_remove(&f.o, &gone);
    for (int i = 0; i < 9; i++) {
        uint32_t number = next(&f);
        assert_false(seen[number] || number == done);
        seen[number] = true;
    }
    teardown(&f);
}

static void a_hastened_one_is_next(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 10);
    for (int i = 0; i < 7; i++)
        next(&f);
    for (uint32_t i = 0; i < 10; i++) {
        covey_node_id id = id_of(i);
        cv_probe_order_hasten(&f.o, &id);
        assert_int_equal(next(&f), i);
    }
    covey_node_id unknown = id_of(50);
    cv_probe_order_hasten(&f.o, &unknown);
    assert_int_equal(f.o.count, 10);
    teardown(&f);
}

/* An ack is matched by number and peer. */
static void only_who_was_asked_answers(void **state)
{
    (void)state;
    struct cv_probe p = {.phase = CV_PROBE_DIRECT, .target = id_of(1), .sequence = 9};
    covey_node_id target = id_of(1), relay = id_of(2), other = id_of(3);
    p.relays[0] = relay;
    p.relay_count = 1;
    assert_true(cv_probe_is_answered(&p, 9, &target));
    assert_false(cv_probe_is_answered(&p, 8, &target));
    assert_false(cv_probe_is_answered(&p, 9, &relay)); /* not asked yet */
    p.phase = CV_PROBE_INDIRECT;
    assert_true(cv_probe_is_answered(&p, 9, &target));
    assert_true(cv_probe_is_answered(&p, 9, &relay));
    assert_false(cv_probe_is_answered(&p, 9, &other));
    assert_false(cv_probe_is_relay(&p, 9, &target));
    p.phase = CV_PROBE_DIALLING;
    assert_false(cv_probe_is_answered(&p, 9, &target));
    p.phase = CV_PROBE_IDLE;
    assert_false(cv_probe_is_answered(&p, 9, &target));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_probed_when_there_is_nobody),
        cmocka_unit_test(every_round_has_each_once),
        cmocka_unit_test(a_new_one_comes_in_this_round),
        cmocka_unit_test(removing_keeps_the_round),
        cmocka_unit_test(a_hastened_one_is_next),
        cmocka_unit_test(only_who_was_asked_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
