#include "unit/cluster/cluster_fixture.h"

#include "cluster/digest.h"

#include "base/rand.h"

/* The protocol's own example: a known record and what it makes, so that the wire stays as it is. */
static void the_bytes_are_those_of_the_protocol(void **state)
{
    (void)state;
    static const uint8_t empty_root[CV_DIGEST_ROOT_SIZE] = {
        0xdf, 0x47, 0x58, 0x56, 0x97, 0x6e, 0x5a, 0x85, 0x20, 0x32, 0x94,
        0x90, 0xbc, 0x75, 0x9f, 0xbd, 0x10, 0x68, 0x12, 0xa5, 0xb6, 0x92,
        0xc6, 0x15, 0x4a, 0x3d, 0x60, 0x97, 0xb1, 0xe5, 0x8b, 0xce};
    static const uint8_t bucket[8] = {0x05, 0x2a, 0x19, 0x4d, 0x0f, 0x10, 0xc2, 0x3f};
    static const uint8_t root[CV_DIGEST_ROOT_SIZE] = {
        0xbf, 0xec, 0x7a, 0xf2, 0xb7, 0xed, 0x6a, 0x5f, 0x35, 0x42, 0x95,
        0x88, 0xea, 0x8b, 0xf1, 0x0e, 0x59, 0xbe, 0xd3, 0x69, 0xa5, 0xb5,
        0xa3, 0xcb, 0xeb, 0x42, 0x67, 0x95, 0xb6, 0xda, 0xb0, 0x05};
    const struct covey_tag tags[] = {{"role", "worker"}, {"zone", ""}};
    struct cv_digest d = {.buckets = {0}};
    uint8_t bytes[CV_DIGEST_BUCKETS_SIZE], made[CV_DIGEST_ROOT_SIZE];
    cv_digest_root(&d, made);
    assert_memory_equal(made, empty_root, sizeof(made));
    struct cv_cluster_node *body =
        tagged_body(cv_alloc_default(), 0x0203, UINT64_C(1700000000000), 2, tags, 2);
    cv_digest_add(&d, body, UINT64_C(1700000000007));
    cv_digest_write(&d, bytes);
    assert_memory_equal(&bytes[2 * 8], bucket, sizeof(bucket));
    for (size_t i = 0; i < sizeof(bytes); i++)
        assert_true(bytes[i] == 0 || i / 8 == 2);
    cv_digest_root(&d, made);
    assert_memory_equal(made, root, sizeof(made));
    cv_cluster_node_release(body);
}

/* A hundred records in two orders, some of them taken out again on the way. */
static void the_order_does_not_matter(void **state)
{
    (void)state;
    struct cv_digest a = {.buckets = {0}}, b = {.buckets = {0}};
    struct cv_cluster_node *bodies[100];
    struct cv_rand rand;
    cv_rand_seed(&rand, 3);
    for (uint32_t i = 0; i < 100; i++) {
        bodies[i] = body_of(cv_alloc_default(), i * 613, 1, i);
        cv_digest_add(&a, bodies[i], i);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        size_t which = (size_t)cv_rand_below(&rand, 100);
        cv_digest_add(&b, bodies[which], which + i);
        cv_digest_remove(&b, bodies[which], which + i);
    }
    for (uint32_t i = 100; i-- > 0;) {
        assert_memory_not_equal(&a, &b, sizeof(a));
        cv_digest_add(&b, bodies[i], i);
    }
    assert_memory_equal(&a, &b, sizeof(a));
    for (uint32_t i = 0; i < 100; i++) {
        cv_digest_remove(&a, bodies[i], i);
        cv_cluster_node_release(bodies[i]);
    }
    for (size_t i = 0; i < CV_DIGEST_BUCKETS; i++)
        assert_int_equal(a.buckets[i], 0);
}

/* Whatever the owner says changes the root: incarnations, version, address, tags. */
static void everything_counts(void **state)
{
    (void)state;
    const struct covey_tag one[] = {{"k", "v"}}, other[] = {{"kv", ""}};
    struct cv_cluster_node *bodies[] = {
        body_of(cv_alloc_default(), 5, 1, 0),
        body_of(cv_alloc_default(), 5, 2, 0),
        body_of(cv_alloc_default(), 5, 1, 1),
        tagged_body(cv_alloc_default(), 5, 1, 0, one, 1),
        tagged_body(cv_alloc_default(), 5, 1, 0, other, 1),
        body_of(cv_alloc_default(), 6, 1, 0),
    };
    const size_t count = sizeof(bodies) / sizeof(bodies[0]);
    uint8_t roots[2 * sizeof(bodies) / sizeof(bodies[0])][CV_DIGEST_ROOT_SIZE];
    for (size_t i = 0; i < 2 * count; i++) {
        struct cv_digest d = {.buckets = {0}};
        cv_digest_add(&d, bodies[i % count], 3 + i / count);
        cv_digest_root(&d, roots[i]);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(roots[i], roots[k], CV_DIGEST_ROOT_SIZE);
    }
    for (size_t i = 0; i < count; i++)
        cv_cluster_node_release(bodies[i]);
}

static void differing_buckets_are_found(void **state)
{
    (void)state;
    static const uint32_t firsts[] = {0, 1, 7, 8, 128, 255};
    struct cv_digest a = {.buckets = {0}}, b = {.buckets = {0}};
    uint8_t bytes[CV_DIGEST_BUCKETS_SIZE];
    cv_digest_write(&b, bytes);
    struct cv_bucket_set set = cv_digest_compare(&a, cv_slice_of(bytes, sizeof(bytes)));
    assert_true(cv_bucket_set_is_empty(&set));
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        struct cv_cluster_node *body = body_of(cv_alloc_default(), firsts[i] << 8 | 9, 1, 0);
        cv_digest_add(&a, body, 1);
        set = cv_digest_compare(&a, cv_slice_of(bytes, sizeof(bytes)));
        assert_false(cv_bucket_set_is_empty(&set));
        for (uint32_t first = 0; first < CV_DIGEST_BUCKETS; first++) {
            const covey_node_id id = id_of(first << 8 | 77);
            assert_int_equal(cv_bucket_set_has(&set, &id), first == firsts[i]);
            assert_int_equal(set.bits[first / 8] >> (first % 8) & 1, first == firsts[i]);
        }
        cv_digest_remove(&a, body, 1);
        cv_cluster_node_release(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_the_protocol),
        cmocka_unit_test(the_order_does_not_matter),
        cmocka_unit_test(everything_counts),
        cmocka_unit_test(differing_buckets_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
