#include "support/test_alloc.h"

#include "api/balancer_ring.h"
#include "base/mix.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NODES 64
#define KEYS  20000

/* Nodes by number, which is their slot, too; two rings in turn. */
struct flock {
    struct test_alloc t;
    struct cv_balancer_ring rings[2];
    unsigned shown; /* which ring is the newest */
    covey_node_id owners[NODES];
    bool is_in[NODES];
};

static void put_word(uint8_t *bytes, uint64_t word)
{
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(word >> (56 - 8 * i));
}

static covey_node_id id_of(uint64_t first, uint64_t second)
{
    covey_node_id id;
    put_word(id.bytes, first);
    put_word(id.bytes + 8, second);
    return id;
}

static void setup(struct flock *f)
{
    memset(f, 0, sizeof *f);
    test_alloc_init(&f->t);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(cv_balancer_ring_init(&f->rings[i], &f->t.alloc, NODES), 0);
    for (uint32_t i = 0; i < NODES; i++)
        f->owners[i] = id_of(0, i);
}

static void teardown(struct flock *f)
{
    for (size_t i = 0; i < 2; i++)
        cv_balancer_ring_fini(&f->rings[i]);
    test_alloc_assert_empty(&f->t);
}

static bool stays(const void *user, uint32_t slot)
{
    const struct flock *f = user;
    return f->is_in[slot];
}

/* Those of [from, end) come, and [gone, gone_end) go, in one revision. */
static void change(struct flock *f, uint32_t from, uint32_t end, uint32_t gone, uint32_t gone_end)
{
    struct cv_balancer_ring *new = &f->rings[1 - f->shown];
    uint32_t nodes = 0;
    cv_balancer_ring_begin(new);
    for (uint32_t i = gone; i < gone_end; i++)
        f->is_in[i] = false;
    for (uint32_t i = from; i < end; i++) {
        assert_false(f->is_in[i]);
        cv_balancer_ring_enter(new, &f->owners[i], i);
    }
    for (uint32_t i = 0; i < NODES; i++)
        nodes += f->is_in[i];
    cv_balancer_ring_merge(new, &f->rings[f->shown], nodes + end - from, f->owners, stays, f);
    for (uint32_t i = from; i < end; i++)
        f->is_in[i] = true;
    f->shown = 1 - f->shown;
}

static void come(struct flock *f, uint32_t from, uint32_t end)
{
    change(f, from, end, 0, 0);
}

static void go(struct flock *f, uint32_t from, uint32_t end)
{
    change(f, 0, 0, from, end);
}

static uint32_t owner_of(const struct flock *f, uint64_t hash, uint32_t avoid)
{
    uint32_t slot;
    assert_true(cv_balancer_ring_find(&f->rings[f->shown], hash, avoid, &slot));
    return slot;
}

static void owners_of_all(const struct flock *f, uint32_t *owners)
{
    for (uint64_t key = 0; key < KEYS; key++)
        owners[key] = owner_of(f, cv_mix64(key), UINT32_MAX);
}

/* What is said of a ring, found out the long way: of all ways from all probes to all points the shortest. */
static uint32_t owner_the_long_way(const struct flock *f, uint64_t hash)
{
    const struct cv_balancer_ring *r = &f->rings[f->shown];
    uint64_t nearest = UINT64_MAX;
    uint32_t owner = UINT32_MAX;
    for (uint64_t i = 0; i < CV_RING_PROBES; i++) {
        const uint64_t probe = hash + i * (cv_mix64(hash) | 1);
        for (uint32_t at = 0; at < r->size; at++) {
            const uint64_t way = (uint64_t)r->points[at] - probe;
            if (way < nearest) {
                nearest = way;
                owner = (uint32_t)r->slots[at];
            }
        }
    }
    return owner;
}

/* ---- tests ---- */

static void nobody_has_a_key(void **state)
{
    (void)state;
    struct flock f;
    uint32_t slot;
    setup(&f);
    assert_false(cv_balancer_ring_find(&f.rings[0], 1, UINT32_MAX, &slot));
    come(&f, 0, 1);
    assert_int_equal(owner_of(&f, 1, UINT32_MAX), 0);
    assert_int_equal(owner_of(&f, UINT64_MAX, 0), 0); /* there is no other */
    go(&f, 0, 1);
    assert_false(cv_balancer_ring_find(&f.rings[f.shown], 1, UINT32_MAX, &slot));
    teardown(&f);
}

static void the_shortest_way_decides(void **state)
{
    (void)state;
    struct flock f;
    setup(&f);
    for (uint32_t count = 1; count <= NODES; count *= 2) {
        come(&f, count / 2, count);
        for (uint64_t key = 0; key < 500; key++)
            assert_int_equal(owner_of(&f, cv_mix64(key), UINT32_MAX),
                             owner_the_long_way(&f, cv_mix64(key)));
    }
    teardown(&f);
}

/* Processes saw the members come in other orders. */
static void who_came_first_does_not_matter(void **state)
{
    (void)state;
    static uint32_t at_once[KEYS], one_by_one[KEYS];
    struct flock f, g;
    setup(&f);
    setup(&g);
    come(&f, 0, 40);
    for (uint32_t i = 60; i-- > 0;)
        come(&g, i, i + 1);
    for (uint32_t i = 40; i < 60; i += 2)
        go(&g, i, i + 2);
    owners_of_all(&f, at_once);
    owners_of_all(&g, one_by_one);
    assert_memory_equal(at_once, one_by_one, sizeof at_once);
    for (uint32_t at = 0; at < 40 * CV_RING_POINTS; at++) {
        assert_int_equal(f.rings[f.shown].points[at], g.rings[g.shown].points[at]);
        assert_int_equal(f.rings[f.shown].slots[at], g.rings[g.shown].slots[at]);
    }
    teardown(&f);
    teardown(&g);
}

/* Each of all in turn: its own keys move, to where they go while it is avoided, and no other's. When it is
 * back all is as before: so one that comes gets keys, and moves none between others. */
static void one_that_goes_moves_its_own_keys(void **state)
{
    (void)state;
    static uint32_t before[KEYS], after[KEYS], again[KEYS];
    struct flock f;
    setup(&f);
    come(&f, 0, 20);
    owners_of_all(&f, before);
    for (uint32_t i = 0; i < 20; i++) {
        unsigned moved = 0;
        for (uint64_t key = 0; key < KEYS; key++)
            again[key] = owner_of(&f, cv_mix64(key), i);
        go(&f, i, i + 1);
        owners_of_all(&f, after);
        for (size_t key = 0; key < KEYS; key++) {
            moved += before[key] == i;
            assert_int_not_equal(after[key], i);
            if (before[key] != i)
                assert_int_equal(after[key], before[key]);
        }
        assert_memory_equal(again, after, sizeof after);
        assert_in_range(moved, KEYS / 20 * 6 / 10, KEYS / 20 * 14 / 10);
        come(&f, i, i + 1);
        owners_of_all(&f, after);
        assert_memory_equal(after, before, sizeof after);
    }
    teardown(&f);
}

static void many_come_while_many_go(void **state)
{
    (void)state;
    struct flock f, g;
    setup(&f);
    setup(&g);
    come(&f, 0, 32);
    change(&f, 32, 64, 10, 32);
    come(&g, 0, 10);
    come(&g, 32, 64);
    for (uint64_t key = 0; key < KEYS; key++)
        assert_int_equal(owner_of(&f, cv_mix64(key), UINT32_MAX),
                         owner_of(&g, cv_mix64(key), UINT32_MAX));
    teardown(&f);
    teardown(&g);
}

/* Ids are made so that all have the same points: the order of ids decides, whoever came first, and the
 * others come after it. */
static void equal_points_are_decided_by_id(void **state)
{
    (void)state;
    struct flock f;
    setup(&f);
    for (uint32_t i = 0; i < NODES; i++) {
        const uint64_t second = NODES - i;
        f.owners[i] = id_of(cv_mix64(second) ^ cv_mix64(1), second);
    }
    uint32_t lowest = 0;
    for (uint32_t i = 1; i < NODES; i++) {
        if (covey_node_id_compare(&f.owners[i], &f.owners[lowest]) < 0)
            lowest = i;
    }
    for (uint32_t i = 0; i < NODES; i += 16)
        come(&f, i, i + 16);
    assert_int_equal(f.rings[f.shown].points[0], f.rings[f.shown].points[NODES - 1]);
    for (uint64_t key = 0; key < 1000; key++) {
        assert_int_equal(owner_of(&f, cv_mix64(key), UINT32_MAX), lowest);
        assert_int_not_equal(owner_of(&f, cv_mix64(key), lowest), lowest);
    }
    go(&f, lowest, lowest + 1);
    for (uint64_t key = 0; key < 1000; key++)
        assert_int_not_equal(owner_of(&f, cv_mix64(key), UINT32_MAX), lowest);
    teardown(&f);
}

/* The inverse of cv_mix64(). */
static uint64_t unmix(uint64_t x)
{
    x ^= x >> 31 ^ x >> 62;
    x *= UINT64_C(0x319642b2d24d8ec3);
    x ^= x >> 27 ^ x >> 54;
    x *= UINT64_C(0x96de1b173f119089);
    return x ^ x >> 30 ^ x >> 60;
}

/* Ids are made so that a point of each is in one small place. */
static void a_crowd_in_one_place_is_told_apart(void **state)
{
    (void)state;
    struct flock f;
    setup(&f);
    for (uint64_t i = 0; i < NODES; i++)
        f.owners[i] = id_of(unmix(unmix((i + 1) << 32)) ^ cv_mix64(i), i);
    come(&f, 0, NODES / 2);
    come(&f, NODES / 2, NODES);
    for (uint32_t i = 0; i < NODES; i++) /* no other probe has so short a way */
        assert_int_equal(owner_of(&f, ((uint64_t)(i + 1) << 32) - 5, UINT32_MAX), i);
    teardown(&f);
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_balancer_ring ring;
    test_alloc_init(&t);
    for (size_t n = 1; n <= 3; n++) {
        t.fail_at = t.calls + n;
        assert_int_equal(cv_balancer_ring_init(&ring, &t.alloc, 4), COVEY_ERR_NO_MEMORY);
        test_alloc_assert_empty(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_has_a_key),
        cmocka_unit_test(the_shortest_way_decides),
        cmocka_unit_test(who_came_first_does_not_matter),
        cmocka_unit_test(one_that_goes_moves_its_own_keys),
        cmocka_unit_test(many_come_while_many_go),
        cmocka_unit_test(equal_points_are_decided_by_id),
        cmocka_unit_test(a_crowd_in_one_place_is_told_apart),
        cmocka_unit_test(without_memory_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
