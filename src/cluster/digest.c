#include "cluster/digest.h"

#include "base/mix.h"
#include "base/siphash.h"
#include "base/writer.h"

#include <assert.h>
#include <string.h>

static uint64_t hash_of(const struct cv_cluster_node *body, uint64_t incarnation)
{
    return cv_mix64(body->hash ^ cv_mix64(incarnation));
}

void cv_digest_add(struct cv_digest *d, const struct cv_cluster_node *body, uint64_t incarnation)
{
    d->buckets[body->id.bytes[0]] += hash_of(body, incarnation);
}

void cv_digest_remove(struct cv_digest *d, const struct cv_cluster_node *body, uint64_t incarnation)
{
    d->buckets[body->id.bytes[0]] -= hash_of(body, incarnation);
}

void cv_digest_root(const struct cv_digest *d, uint8_t root[CV_DIGEST_ROOT_SIZE])
{
    uint8_t bytes[CV_DIGEST_BUCKETS_SIZE];
    struct cv_writer w;
    cv_digest_write(d, bytes);
    cv_writer_init(&w, root, CV_DIGEST_ROOT_SIZE);
    for (uint64_t i = 0; i < CV_DIGEST_ROOT_SIZE / 8; i++) {
        const uint64_t key[2] = {i, 0};
        cv_write_u64(&w, cv_siphash(key, cv_slice_of(bytes, sizeof(bytes))));
    }
}

void cv_digest_write(const struct cv_digest *d, uint8_t bytes[CV_DIGEST_BUCKETS_SIZE])
{
    struct cv_writer w;
    cv_writer_init(&w, bytes, CV_DIGEST_BUCKETS_SIZE);
    for (size_t i = 0; i < CV_DIGEST_BUCKETS; i++)
        cv_write_u64(&w, d->buckets[i]);
}

struct cv_bucket_set cv_digest_compare(const struct cv_digest *d, struct cv_slice others)
{
    uint8_t own[CV_DIGEST_BUCKETS_SIZE];
    struct cv_bucket_set set = {.bits = {0}};
    assert(others.size == CV_DIGEST_BUCKETS_SIZE);
    cv_digest_write(d, own);
    for (size_t i = 0; i < CV_DIGEST_BUCKETS; i++) {
        if (memcmp(&own[i * 8], &others.data[i * 8], 8) != 0)
            set.bits[i / 8] |= (uint8_t)(1u << (i % 8));
    }
    return set;
}

bool cv_bucket_set_has(const struct cv_bucket_set *set, const covey_node_id *id)
{
    size_t bucket = id->bytes[0];
    return (set->bits[bucket / 8] >> (bucket % 8)) & 1;
}

bool cv_bucket_set_is_empty(const struct cv_bucket_set *set)
{
    for (size_t i = 0; i < sizeof(set->bits); i++) {
        if (set->bits[i] != 0)
            return false;
    }
    return true;
}
