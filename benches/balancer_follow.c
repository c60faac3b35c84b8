#include "balancer_follow.h"

#include "process.h"

#include "api/balancer_table.h"
#include "base/mix.h"

#include <stdlib.h>
#include <time.h>

#define ROUNDS 10
#define KEYS   1000

/* Some of a flock's nodes, by id. */
struct walk {
    const struct covey_node *nodes;
    unsigned count;
    unsigned at;
    unsigned step;
    unsigned left_out; /* count: none */
};

static const struct covey_node *next_node(void *user)
{
    struct walk *w = user;
    if (w->at == w->left_out)
        w->at += w->step;
    if (w->at >= w->count)
        return NULL;
    const struct covey_node *node = &w->nodes[w->at];
    w->at += w->step;
    return node;
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Shows those; returns how long it took. */
static double show(struct cv_balancer_table *t, struct walk walk)
{
    const double begun = cpu_us();
    if (cv_balancer_table_show(t, next_node, &walk) != 0)
        die("balancer: no room for a member");
    return cpu_us() - begun;
}

static void table_init(struct cv_balancer_table *t, unsigned nodes)
{
    if (cv_balancer_table_init(t, cv_alloc_default(), nodes, false, 1) != 0)
        die("balancer: no memory");
}

static uint64_t count_differences(struct cv_balancer_table *a, struct cv_balancer_table *b)
{
    uint64_t differences = 0;
    for (uint64_t key = 0; key < KEYS; key++) {
        struct covey_pick one, other;
        if (cv_balancer_table_pick_for(a, cv_mix64(key), NULL, &one) != 0 ||
            cv_balancer_table_pick_for(b, cv_mix64(key), NULL, &other) != 0)
            die("balancer: nobody has a key");
        differences += covey_node_id_compare(&one.id, &other.id) != 0;
    }
    return differences;
}

static void measure_changes(struct balancer_follow *f, struct cv_balancer_table *t,
                            const struct walk *all)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct walk but_one = *all;
        struct walk half = *all;
        but_one.left_out = (unsigned)(cv_mix64(i) % all->count);
        half.step = 2;
        f->same_us += show(t, *all) / ROUNDS;
        f->one_us += (show(t, but_one) + show(t, *all)) / (2 * ROUNDS);
        f->half_us += (show(t, half) + show(t, *all)) / (2 * ROUNDS);
    }
}

struct balancer_follow balancer_follow_measure(unsigned nodes)
{
    struct balancer_follow f = {.errors = 0};
    struct cv_balancer_table t, anew;
    struct covey_node *flock = calloc(nodes, sizeof *flock);
    if (flock == NULL)
        die("balancer: no memory");
    for (unsigned i = 0; i < nodes; i++) {
        flock[i].address = "10.0.0.1:4433";
        for (unsigned b = 0; b < 4; b++)
            flock[i].id.bytes[b] = (uint8_t)(i >> (24 - 8 * b));
    }
    const struct walk all = {.nodes = flock, .count = nodes, .step = 1, .left_out = nodes};
    const double begun = cpu_us();
    for (unsigned i = 0; i < ROUNDS; i++) {
        table_init(&t, nodes);
        f.first_us += show(&t, all) / ROUNDS;
        if (i + 1 < ROUNDS)
            cv_balancer_table_fini(&t);
    }
    measure_changes(&f, &t, &all);
    table_init(&anew, nodes);
    (void)show(&anew, all);
    f.errors = count_differences(&t, &anew);
    cv_balancer_table_fini(&t);
    cv_balancer_table_fini(&anew);
    free(flock);
    f.seconds = (cpu_us() - begun) / 1e6;
    return f;
}
