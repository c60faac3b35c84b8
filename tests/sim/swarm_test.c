#include "fixture.h"

#include "base/rand.h"

/*
 * C26: random faults on random clusters. All invariants hold at every step (safety); when the
 * faults end, everybody who runs sees everybody who runs (liveness). `swarm_test SEED [COUNT]` runs
 * those seeds only.
 */
#define NODES_MAX 10
#define FAULTS    60

enum life { DOWN, UP, PAUSED, GONE };

struct swarm {
    struct sim *sim;
    struct cv_rand rand;
    size_t count;
    enum life life[NODES_MAX];
};

static uint64_t seed_first = 1;
static uint64_t seed_count = 40;

static bool is_one_in(struct swarm *w, uint64_t n)
{
    return cv_rand_below(&w->rand, n) == 0;
}

static void begin(struct swarm *w, uint64_t seed)
{
    const size_t seeds[] = {0, 1};
    cv_rand_seed(&w->rand, seed * 77 + 1);
    w->count = 3 + (size_t)cv_rand_below(&w->rand, NODES_MAX - 2);
    struct sim_config config = sim_config_default(seed, w->count);
    config.delay_max = config.delay_min + cv_rand_below(&w->rand, 50 * MS);
    if (is_one_in(w, 2))
        config.loss_permille = (uint32_t)cv_rand_below(&w->rand, 300);
    if (is_one_in(w, 3))
        config.idle_timeout = 0;
    w->sim = sim_new(&config);
    for (size_t i = 0; i < w->count; i++) {
        sim_set_seeds(w->sim, i, seeds, 2);
        sim_start(w->sim, i);
        w->life[i] = UP;
    }
}

static void restart(struct swarm *w, size_t node)
{
    const uint64_t range_ms = 200 * 1000 * 1000;
    if (w->life[node] == GONE)
        sim_crash(w->sim, node);
    if (is_one_in(w, 2))
        sim_set_clock(w->sim, node,
                      (int64_t)cv_rand_below(&w->rand, range_ms) - (int64_t)(range_ms / 2));
    if (is_one_in(w, 2))
        sim_start(w->sim, node);
    else
        sim_start_elsewhere(w->sim, node);
    w->life[node] = UP;
}

static void crash(struct swarm *w, size_t node)
{
    sim_crash(w->sim, node);
    w->life[node] = DOWN;
}

static void resume(struct swarm *w, size_t node)
{
    sim_resume(w->sim, node);
    w->life[node] = UP;
}

static void disturb_node(struct swarm *w, size_t node)
{
    char value[24];
    switch (cv_rand_below(&w->rand, 5)) {
    case 0:
        crash(w, node);
        break;
    case 1:
        sim_pause(w->sim, node);
        w->life[node] = PAUSED;
        break;
    case 2:
        if (is_one_in(w, 3) && sim_command(w->sim, node, CV_COMMAND_LEAVE, NULL, NULL) == COVEY_OK)
            w->life[node] = GONE;
        break;
    case 3:
        snprintf(value, sizeof(value), "%llu", (unsigned long long)sim_now(w->sim));
        sim_command(w->sim, node, CV_COMMAND_TAG_SET, "k", value);
        break;
    default:
        if (cv_membership_state(sim_membership(w->sim, node)) == CV_MEMBERSHIP_JOIN_FAILED)
            sim_command(w->sim, node, CV_COMMAND_JOIN, NULL, NULL);
        break;
    }
}

static void disturb_network(struct swarm *w, size_t a, size_t b)
{
    switch (cv_rand_below(&w->rand, 3)) {
    case 0:
        if (a != b)
            sim_cut(w->sim, a, b);
        break;
    case 1:
        sim_set_side(w->sim, a, 1);
        break;
    default:
        sim_heal(w->sim);
        break;
    }
}

static void disturb(struct swarm *w)
{
    size_t a = (size_t)cv_rand_below(&w->rand, w->count);
    size_t b = (size_t)cv_rand_below(&w->rand, w->count);
    if (is_one_in(w, 3))
        disturb_network(w, a, b);
    else if (w->life[a] == UP)
        disturb_node(w, a);
    else if (w->life[a] == PAUSED)
        resume(w, a);
    else
        restart(w, a);
}

/* Everybody runs but who left, seeds always do, and the network is whole. */
static void calm(struct swarm *w)
{
    sim_heal(w->sim);
    sim_set_loss(w->sim, 0);
    for (size_t i = 0; i < w->count; i++) {
        if (w->life[i] == PAUSED)
            resume(w, i);
        if (w->life[i] == GONE && i < 2)
            crash(w, i);
        if (w->life[i] == DOWN)
            restart(w, i);
    }
}

static void retry_joins(struct swarm *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->life[i] == UP &&
            cv_membership_state(sim_membership(w->sim, i)) == CV_MEMBERSHIP_JOIN_FAILED)
            sim_command(w->sim, i, CV_COMMAND_JOIN, NULL, NULL);
    }
}

static bool is_whole(struct sim *s, void *user)
{
    const struct swarm *w = user;
    for (size_t o = 0; o < w->count; o++) {
        for (size_t i = 0; i < w->count; i++) {
            if (w->life[o] == UP && w->life[i] == UP && !sim_sees(s, o, i, COVEY_NODE_ALIVE))
                return false;
        }
    }
    return true;
}

static void tell_who_misses_whom(const struct swarm *w)
{
    for (size_t o = 0; o < w->count; o++) {
        for (size_t i = 0; i < w->count; i++) {
            const struct cv_member *m = sim_view(w->sim, o, i);
            if (w->life[o] == UP && w->life[i] == UP && !sim_sees(w->sim, o, i, COVEY_NODE_ALIVE))
                print_error("n%zu holds n%zu for %s\n", o, i,
                            m == NULL ? "unknown" : covey_node_state_name(m->state));
        }
    }
}

static void a_swarm_of_faults(void **state)
{
    (void)state;
    for (uint64_t seed = seed_first; seed < seed_first + seed_count; seed++) {
        struct swarm w;
        bool whole = false;
        begin(&w, seed);
        for (int i = 0; i < FAULTS; i++) {
            disturb(&w);
            assert_sim(w.sim, sim_run_for(w.sim, cv_rand_below(&w.rand, 10 * S)));
        }
        calm(&w);
        for (int i = 0; i < 30 && !whole; i++) {
            retry_joins(&w);
            whole = sim_run_while_not(w.sim, is_whole, &w, 10 * S);
        }
        if (!whole)
            tell_who_misses_whom(&w);
        if (!whole)
            print_error("seed %llu\n", (unsigned long long)seed);
        assert_sim(w.sim, whole);
        sim_free(w.sim);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_swarm_of_faults)};
    if (argc > 1) {
        seed_first = strtoull(argv[1], NULL, 10);
        seed_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
