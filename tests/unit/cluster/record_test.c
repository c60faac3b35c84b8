#include "unit/cluster/cluster_fixture.h"

#include "base/rand.h"

#define TRIPLES 200000
#define BASE    (UINT64_MAX - 4) /* the wrap is inside the window */

static struct cv_record random_record(struct cv_rand *rand, struct cv_cluster_node *bodies)
{
    struct cv_record record = {.id = id_of(7)};
    record.status.incarnation = BASE + cv_rand_below(rand, 8);
    record.status.state = (enum covey_node_state)cv_rand_below(rand, 4);
    record.status.accuser = id_of((uint32_t)cv_rand_below(rand, 3));
    size_t body = (size_t)cv_rand_below(rand, 17);
    if (body < 16)
        record.body = &bodies[body];
    return record;
}

static bool same(const struct cv_record *a, const struct cv_record *b)
{
    return cv_node_status_compare(&a->status, &b->status) == 0 &&
           cv_body_compare(a->body, b->body) == 0;
}

/* M6: in whatever order and how often news comes, all end with the same. */
static void a_merge_is_a_lattice(void **state)
{
    (void)state;
    const uint64_t seed = 20240;
    struct cv_rand rand;
    struct cv_cluster_node bodies[16];
    cv_rand_seed(&rand, seed);
    for (size_t i = 0; i < 16; i++)
        bodies[i] = (struct cv_cluster_node){.incarnation = BASE + i / 2, .version = i % 2};
    print_message("seed %d, %d triples\n", (int)seed, TRIPLES);
    for (int i = 0; i < TRIPLES; i++) {
        struct cv_record a = random_record(&rand, bodies);
        struct cv_record b = random_record(&rand, bodies);
        struct cv_record c = random_record(&rand, bodies);
        struct cv_record ab = cv_record_merge(&a, &b);
        struct cv_record ba = cv_record_merge(&b, &a);
        struct cv_record bc = cv_record_merge(&b, &c);
        struct cv_record ab_c = cv_record_merge(&ab, &c);
        struct cv_record a_bc = cv_record_merge(&a, &bc);
        struct cv_record aa = cv_record_merge(&a, &a);
        struct cv_record again = cv_record_merge(&ab, &a);
        if (!same(&ab, &ba) || !same(&ab_c, &a_bc) || !same(&aa, &a) || !same(&again, &ab))
            fail_msg("triple %d of seed %d", i, (int)seed);
    }
}

static void status_and_body_are_merged_apart(void **state)
{
    (void)state;
    struct cv_cluster_node old = {.incarnation = 5, .version = 3};
    struct cv_cluster_node new = {.incarnation = 6, .version = 0};
    struct cv_record a = record_of(1, 9, COVEY_NODE_FAILED, &old);
    struct cv_record b = record_of(1, 6, COVEY_NODE_ALIVE, &new);
    struct cv_record merged = cv_record_merge(&a, &b);
    assert_int_equal(merged.status.state, COVEY_NODE_FAILED);
    assert_ptr_equal(merged.body, &new);
}

static void a_body_is_after_none(void **state)
{
    (void)state;
    struct cv_cluster_node body = {.incarnation = 0};
    assert_true(cv_body_compare(&body, NULL) > 0);
    assert_true(cv_body_compare(NULL, &body) < 0);
    assert_int_equal(cv_body_compare(NULL, NULL), 0);
    struct cv_cluster_node later = {.incarnation = 0, .version = 1};
    assert_true(cv_body_compare(&later, &body) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_merge_is_a_lattice),
        cmocka_unit_test(status_and_body_are_merged_apart),
        cmocka_unit_test(a_body_is_after_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
