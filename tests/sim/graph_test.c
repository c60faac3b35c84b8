#include "fixture.h"

#include "graph.h"

/* What links do to packets. */

static const struct sim_link quick = {.delay_min = 1 * MS, .delay_max = 3 * MS};

static void begin(struct sim_graph *g, struct cv_rand *rand, const struct sim_link *all)
{
    sim_graph_init(g, 4, all, 1);
    cv_rand_seed(rand, 1);
}

/* How many of `count` single packets get through from 0 to 1. */
static size_t passed(struct sim_graph *g, struct cv_rand *rand, size_t count)
{
    size_t through = 0;
    covey_time delay;
    for (size_t i = 0; i < count; i++)
        through += sim_graph_pass(g, rand, 0, 1, i * S, 1, 100, &delay);
    return through;
}

static void delays_stay_in_their_range(void **state)
{
    (void)state;
    struct sim_graph g;
    struct cv_rand rand;
    begin(&g, &rand, &quick);
    for (int i = 0; i < 1000; i++) {
        covey_time delay;
        assert_true(sim_graph_pass(&g, &rand, 0, 1, 0, 1, 100, &delay));
        assert_in_range(delay, 1 * MS, 3 * MS);
    }
    sim_graph_fini(&g);
}

static void loss_is_as_often_as_asked_for(void **state)
{
    (void)state;
    struct sim_link lossy = quick;
    struct sim_graph g;
    struct cv_rand rand;
    lossy.loss = 200;
    begin(&g, &rand, &lossy);
    assert_in_range(passed(&g, &rand, 10000), 7800, 8200);
    sim_graph_fini(&g);
}

/* Three packets of a message: all must arrive. */
static void a_longer_message_is_lost_more_often(void **state)
{
    (void)state;
    struct sim_link lossy = quick;
    struct sim_graph g;
    struct cv_rand rand;
    size_t through = 0;
    lossy.loss = 200;
    begin(&g, &rand, &lossy);
    for (size_t i = 0; i < 10000; i++) {
        covey_time delay;
        through += sim_graph_pass(&g, &rand, 0, 1, 0, 3, 3000, &delay);
    }
    assert_in_range(through, 4900, 5350); /* 0.8^3 */
    sim_graph_fini(&g);
}

static void a_cut_is_one_way_and_heals(void **state)
{
    (void)state;
    struct sim_graph g;
    struct cv_rand rand;
    begin(&g, &rand, &quick);
    sim_graph_cut(&g, 0, 1);
    assert_true(sim_graph_is_cut(&g, 0, 1));
    assert_false(sim_graph_is_cut(&g, 1, 0));
    assert_int_equal(passed(&g, &rand, 10), 0);
    assert_false(sim_graph_is_whole(&g));
    sim_graph_heal(&g);
    assert_true(sim_graph_is_whole(&g));
    assert_int_equal(passed(&g, &rand, 10), 10);
    sim_graph_fini(&g);
}

static void sides_are_apart_both_ways(void **state)
{
    (void)state;
    struct sim_graph g;
    struct cv_rand rand;
    begin(&g, &rand, &quick);
    sim_graph_set_side(&g, 1, 7);
    sim_graph_set_side(&g, 2, 7);
    assert_true(sim_graph_is_cut(&g, 0, 1) && sim_graph_is_cut(&g, 1, 0));
    assert_false(sim_graph_is_cut(&g, 1, 2));
    sim_graph_set_side(&g, 1, 0);
    sim_graph_set_side(&g, 2, 0);
    assert_true(sim_graph_is_whole(&g));
    sim_graph_fini(&g);
}

static void one_link_may_differ(void **state)
{
    (void)state;
    const struct sim_link slow = {.delay_min = 1 * S, .delay_max = 1 * S};
    struct sim_graph g;
    struct cv_rand rand;
    covey_time delay;
    begin(&g, &rand, &quick);
    sim_graph_set(&g, 0, 1, &slow);
    assert_true(sim_graph_pass(&g, &rand, 0, 1, 0, 1, 100, &delay));
    assert_int_equal(delay, 1 * S);
    assert_true(sim_graph_pass(&g, &rand, 1, 0, 0, 1, 100, &delay));
    assert_in_range(delay, 1 * MS, 3 * MS);
    sim_graph_fini(&g);
}

/* 1000 bytes a second: the second packet waits for the first, and what the queue has no room for is
 * lost. */
static void a_slow_link_queues_and_overflows(void **state)
{
    (void)state;
    const struct sim_link slow = {.rate = 1000, .queue_size = 250};
    struct sim_graph g;
    struct cv_rand rand;
    covey_time delay;
    begin(&g, &rand, &slow);
    assert_true(sim_graph_pass(&g, &rand, 0, 1, 0, 1, 100, &delay));
    assert_int_equal(delay, 100 * MS);
    assert_true(sim_graph_pass(&g, &rand, 0, 1, 0, 1, 100, &delay));
    assert_int_equal(delay, 200 * MS);
    assert_false(sim_graph_pass(&g, &rand, 0, 1, 0, 1, 100, &delay));
    assert_int_equal(g.overflows, 1);
    assert_true(sim_graph_pass(&g, &rand, 0, 1, 1 * S, 1, 100, &delay));
    assert_int_equal(delay, 100 * MS);
    sim_graph_fini(&g);
}

static void packets_are_doubled_and_late(void **state)
{
    (void)state;
    struct sim_link odd = quick;
    struct sim_graph g;
    struct cv_rand rand;
    odd.duplication = 500;
    odd.reordering = 250;
    odd.reorder_delay = 100 * MS;
    begin(&g, &rand, &odd);
    assert_int_equal(passed(&g, &rand, 1000), 1000);
    assert_in_range(g.duplicates, 430, 570);
    assert_in_range(g.reordered, 190, 310);
    sim_graph_fini(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_stay_in_their_range),
        cmocka_unit_test(loss_is_as_often_as_asked_for),
        cmocka_unit_test(a_longer_message_is_lost_more_often),
        cmocka_unit_test(a_cut_is_one_way_and_heals),
        cmocka_unit_test(sides_are_apart_both_ways),
        cmocka_unit_test(one_link_may_differ),
        cmocka_unit_test(a_slow_link_queues_and_overflows),
        cmocka_unit_test(packets_are_doubled_and_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
