#include "sim/memberlist.h"

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/heap.h"
#include "base/rand.h"

#include <covey/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS COVEY_MILLISECOND
#define S  COVEY_SECOND

/*
 * Clusters of the model over a network with one delay for everything, against what the real
 * memberlist does. `memberlist_cluster_test NODES [SECONDS]` runs one large cluster instead and
 * prints its figures.
 */

struct event {
    struct cv_timer timer;
    uint16_t to, from;
    bool is_stream;
    size_t count;
    struct sim_memberlist_item items[];
};

struct wake {
    struct cv_timer timer;
    uint16_t node;
};

struct net {
    struct sim_memberlist_config config;
    struct cv_rand rand;
    struct cv_heap timers; /* of struct event and struct wake; `wakes` tells them apart */
    struct wake *wakes;
    struct sim_memberlist **nodes; /* NULL: crashed */
    uint32_t count;
    covey_time now;
    covey_time delay;
    uint32_t loss_permille; /* of datagrams */
    size_t flying;
    uint64_t datagrams, bytes;
    /* what the nodes think of the watched one */
    uint16_t watched;
    uint32_t suspecting, dead;
    covey_time first_suspect, first_dead, last_dead, last_update;
    uint32_t updated;
    uint16_t incarnation;
    size_t deaths; /* of anybody, in anybody's eyes */
};

static void set_wake(struct net *n, uint16_t node)
{
    covey_time t = sim_memberlist_deadline(n->nodes[node]);
    cv_heap_set(&n->timers, &n->wakes[node].timer, t < n->now ? n->now : t);
}

static void send(struct net *n, uint16_t from, const struct sim_memberlist_output *o)
{
    n->datagrams++;
    n->bytes += o->wire_size;
    if (!o->is_stream && cv_rand_below(&n->rand, 1000) < n->loss_permille)
        return;
    struct event *e = calloc(1, sizeof(*e) + o->count * sizeof(o->items[0]));
    assert_non_null(e);
    e->to = o->peer;
    e->from = from;
    e->is_stream = o->is_stream;
    e->count = o->count;
    memcpy(e->items, o->items, o->count * sizeof(o->items[0]));
    n->flying++;
    assert_int_equal(cv_heap_reserve(&n->timers, n->count + n->flying), COVEY_OK);
    cv_heap_set(&n->timers, &e->timer, n->now + n->delay);
}

static void see(struct net *n, const struct sim_memberlist_output *o)
{
    n->deaths += o->state == SIM_MEMBERLIST_DEAD;
    if (o->subject != n->watched)
        return;
    if (o->state == SIM_MEMBERLIST_SUSPECT && n->suspecting++ == 0)
        n->first_suspect = n->now;
    if (o->state == SIM_MEMBERLIST_DEAD && n->dead++ == 0)
        n->first_dead = n->now;
    if (o->state == SIM_MEMBERLIST_DEAD)
        n->last_dead = n->now;
    if (n->incarnation != 0 && o->incarnation == n->incarnation) {
        n->updated++;
        n->last_update = n->now;
    }
}

static void step(struct net *n, uint16_t node, struct sim_memberlist_input *input)
{
    struct sim_memberlist_output o;
    input->now = n->now;
    sim_memberlist_step(n->nodes[node], input);
    while (sim_memberlist_poll(n->nodes[node], &o)) {
        if (o.type == SIM_MEMBERLIST_OUTPUT_SEND)
            send(n, node, &o);
        else
            see(n, &o);
    }
    set_wake(n, node);
}

static void command(struct net *n, uint16_t node, enum sim_memberlist_input_type type,
                    uint16_t peer)
{
    struct sim_memberlist_input input = {.type = type, .peer = peer};
    step(n, node, &input);
}

static void arrive(struct net *n, struct event *e)
{
    struct sim_memberlist_input input = {
        .type = SIM_MEMBERLIST_INPUT_MESSAGE,
        .peer = e->from,
        .is_stream = e->is_stream,
        .items = e->items,
        .count = e->count,
    };
    if (n->nodes[e->to] != NULL)
        step(n, e->to, &input);
    n->flying--;
    free(e);
}

static bool is_wake(const struct net *n, const struct cv_timer *t)
{
    uintptr_t at = (uintptr_t)t;
    return at >= (uintptr_t)n->wakes && at < (uintptr_t)(n->wakes + n->count);
}

static void run_until(struct net *n, covey_time end)
{
    covey_time due;
    while ((due = cv_heap_deadline(&n->timers)) <= end) {
        struct cv_timer *t = cv_heap_expire(&n->timers, due);
        n->now = due;
        if (is_wake(n, t))
            command(n, ((struct wake *)t)->node, SIM_MEMBERLIST_INPUT_TIME, 0);
        else
            arrive(n, (struct event *)t);
    }
    n->now = end;
}

/* Nodes that started within a second, at random. */
static void start(struct net *n, uint64_t seed, uint32_t count, bool know_each_other)
{
    *n = (struct net){.config = sim_memberlist_config_lan(count), .count = count, .delay = MS};
    cv_rand_seed(&n->rand, seed);
    cv_heap_init(&n->timers, cv_alloc_default());
    n->wakes = calloc(count, sizeof(*n->wakes));
    n->nodes = calloc(count, sizeof(*n->nodes));
    assert_true(n->wakes != NULL && n->nodes != NULL);
    assert_int_equal(cv_heap_reserve(&n->timers, count), COVEY_OK);
    for (uint16_t i = 0; i < count; i++) {
        covey_time phase = cv_rand_below(&n->rand, S);
        n->nodes[i] = sim_memberlist_new(&n->config, i, phase, cv_rand_u64(&n->rand));
        n->wakes[i].node = i;
        if (know_each_other)
            sim_memberlist_assume(n->nodes[i], count);
    }
    n->watched = UINT16_MAX;
    n->now = S;
    for (uint16_t i = 0; i < count; i++) {
        struct sim_memberlist_output o;
        while (sim_memberlist_poll(n->nodes[i], &o))
            assert_int_equal(o.type, SIM_MEMBERLIST_OUTPUT_CHANGE);
        set_wake(n, i);
    }
}

static void crash(struct net *n, uint16_t node)
{
    cv_heap_clear(&n->timers, &n->wakes[node].timer);
    sim_memberlist_free(n->nodes[node]);
    n->nodes[node] = NULL;
}

static void stop(struct net *n)
{
    for (uint16_t i = 0; i < n->count; i++) {
        if (n->nodes[i] != NULL)
            crash(n, i);
    }
    struct cv_timer *t;
    while ((t = cv_heap_expire(&n->timers, COVEY_NEVER)) != NULL)
        free(t);
    cv_heap_fini(&n->timers);
    free(n->wakes);
    free(n->nodes);
}

/* The time from a crash at a random moment until the last one holds it for dead. */
static covey_time detect(uint64_t seed, uint32_t count, covey_time *suspected)
{
    struct net n;
    start(&n, seed, count, true);
    run_until(&n, 5 * S + cv_rand_below(&n.rand, S));
    covey_time begun = n.now;
    n.watched = (uint16_t)cv_rand_below(&n.rand, count);
    crash(&n, n.watched);
    run_until(&n, n.now + 60 * S);
    assert_int_equal(n.dead, count - 1);
    assert_int_equal(n.deaths, count - 1);
    covey_time min = sim_memberlist_suspicion_min(&n.config, count);
    /* Nobody is dead before the shortest suspicion, or after the longest. */
    assert_true(n.first_dead >= n.first_suspect + min);
    assert_true(n.first_dead <= n.first_suspect + min * n.config.suspicion_max_mult);
    /* The news is then everywhere within two seconds of gossip. */
    assert_true(n.last_dead <= n.first_dead + 2 * S);
    *suspected = n.first_suspect - begun;
    covey_time all = n.last_dead - begun;
    stop(&n);
    return all;
}

/*
 * The real memberlist, 0.5.x with its LAN profile and all nodes in one process: a crash was known
 * everywhere after 7.0 s among 10, 9.2 s among 50, 10.0 s among 100.
 */
static void a_crash_is_known_everywhere_when_the_real_one_knows_it(void **state)
{
    (void)state;
    static const struct {
        uint32_t count;
        double measured_s;
    } rows[] = {{10, 7.0}, {50, 9.2}, {100, 10.0}};
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        double sum = 0, suspected_sum = 0, least = 1e9, most = 0;
        for (uint64_t seed = 1; seed <= 20; seed++) {
            covey_time suspected;
            double s = (double)detect(seed, rows[r].count, &suspected) / 1e9;
            sum += s;
            suspected_sum += (double)suspected / 1e9;
            least = s < least ? s : least;
            most = s > most ? s : most;
        }
        double mean = sum / 20;
        print_message("N=%3u: suspected %.2f s, dead everywhere %.2f s (%.2f to %.2f), "
                      "real %.1f s, %+.0f %%\n",
                      (unsigned)rows[r].count, suspected_sum / 20, mean, least, most,
                      rows[r].measured_s, 100 * (mean / rows[r].measured_s - 1));
        assert_true(mean > 0.75 * rows[r].measured_s && mean < 1.25 * rows[r].measured_s);
    }
}

/* Measured with the real one: 0.8 s for all of 100. */
static void an_update_is_everywhere_as_fast_as_with_the_real_one(void **state)
{
    (void)state;
    double sum = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net n;
        start(&n, seed, 100, true);
        run_until(&n, 5 * S + cv_rand_below(&n.rand, S));
        n.watched = (uint16_t)cv_rand_below(&n.rand, 100);
        n.incarnation = 2;
        covey_time begun = n.now;
        command(&n, n.watched, SIM_MEMBERLIST_INPUT_UPDATE, 0);
        run_until(&n, n.now + 10 * S);
        assert_int_equal(n.updated, 100); /* its own among them */
        sum += (double)(n.last_update - begun) / 1e9;
        stop(&n);
    }
    print_message("update of one at all of 100: %.2f s, real 0.8 s\n", sum / 20);
    assert_true(sum / 20 > 0.5 && sum / 20 < 1.2);
}

static void joining_through_one_makes_a_cluster(void **state)
{
    (void)state;
    struct net n;
    start(&n, 7, 30, false);
    for (uint16_t i = 1; i < n.count; i++)
        command(&n, i, SIM_MEMBERLIST_INPUT_JOIN, 0);
    run_until(&n, 10 * S);
    for (uint16_t i = 0; i < n.count; i++) {
        assert_int_equal(sim_memberlist_count(n.nodes[i]), 30);
        assert_int_equal(sim_memberlist_queued(n.nodes[i]), 0);
        for (uint16_t j = 0; j < n.count; j++)
            assert_int_equal(sim_memberlist_state(n.nodes[i], j), SIM_MEMBERLIST_ALIVE);
    }
    assert_int_equal(n.deaths, 0);
    stop(&n);
}

/* Indirect pings, streams and refutation: one datagram in ten lost kills nobody in five minutes. */
static void lost_datagrams_kill_nobody(void **state)
{
    (void)state;
    struct net n;
    start(&n, 3, 20, true);
    n.loss_permille = 100;
    run_until(&n, 300 * S);
    assert_int_equal(n.deaths, 0);
    stop(&n);
}

static void goodbye_is_no_death(void **state)
{
    (void)state;
    struct net n;
    start(&n, 4, 20, true);
    run_until(&n, 5 * S);
    command(&n, 3, SIM_MEMBERLIST_INPUT_LEAVE, 0);
    run_until(&n, 10 * S);
    for (uint16_t i = 0; i < n.count; i++)
        assert_int_equal(sim_memberlist_state(n.nodes[i], 3), SIM_MEMBERLIST_LEFT);
    assert_int_equal(n.deaths, 0);
    /* After 30 s and a round it is forgotten. */
    run_until(&n, 100 * S);
    for (uint16_t i = 0; i < n.count; i++) {
        if (i != 3)
            assert_int_equal(sim_memberlist_state(n.nodes[i], 3), SIM_MEMBERLIST_UNKNOWN);
    }
    stop(&n);
}

static void the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    uint64_t bytes[2];
    for (size_t i = 0; i < 2; i++) {
        struct net n;
        start(&n, 11, 40, true);
        n.loss_permille = 50;
        run_until(&n, 20 * S);
        crash(&n, 5);
        run_until(&n, 60 * S);
        bytes[i] = n.bytes;
        stop(&n);
    }
    assert_true(bytes[0] == bytes[1] && bytes[0] > 0);
}

static int run_large(uint32_t count, uint64_t seconds)
{
    struct net n;
    start(&n, 1, count, true);
    run_until(&n, 6 * S);
    n.watched = 0;
    crash(&n, 0);
    covey_time begun = n.now;
    n.bytes = n.datagrams = 0;
    run_until(&n, begun + seconds * S);
    printf("%u nodes, %u s: suspected %.2f s, dead at the first %.2f s, at the last of %u %.2f s; "
           "%.2f packets/s and %.0f bytes/s a node; %zu deaths\n",
           (unsigned)count, (unsigned)seconds, (double)(n.first_suspect - begun) / 1e9,
           (double)(n.first_dead - begun) / 1e9, (unsigned)n.dead,
           (double)(n.last_dead - begun) / 1e9, (double)n.datagrams / (double)seconds / count,
           (double)n.bytes / (double)seconds / count, n.deaths);
    stop(&n);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_known_everywhere_when_the_real_one_knows_it),
        cmocka_unit_test(an_update_is_everywhere_as_fast_as_with_the_real_one),
        cmocka_unit_test(joining_through_one_makes_a_cluster),
        cmocka_unit_test(lost_datagrams_kill_nobody),
        cmocka_unit_test(goodbye_is_no_death),
        cmocka_unit_test(the_same_seed_is_the_same_run),
    };
    if (argc > 1)
        return run_large((uint32_t)strtoul(argv[1], NULL, 10),
                         argc > 2 ? strtoull(argv[2], NULL, 10) : 60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
