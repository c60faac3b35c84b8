#ifndef TESTS_UNIT_CLUSTER_CLUSTER_FIXTURE_H
#define TESTS_UNIT_CLUSTER_CLUSTER_FIXTURE_H

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cluster/record.h"
#include "support/test_alloc.h"

#include <covey/error.h>
#include <string.h>

#define MS  COVEY_MILLISECOND
#define SEC COVEY_SECOND

static const uint64_t fixture_secret[2] = {1, 2};

static inline covey_node_id id_of(uint32_t number)
{
    covey_node_id id = {.bytes = {0}};
    id.bytes[0] = (uint8_t)(number >> 8);
    id.bytes[1] = (uint8_t)number;
    id.bytes[15] = 1;
    return id;
}

static inline struct cv_address address_of(uint32_t number)
{
    return (struct cv_address){
        .ip = {10, 0, (uint8_t)(number >> 8), (uint8_t)number}, .port = 4433, .family = 4};
}

static inline struct cv_cluster_node *tagged_body(const struct cv_alloc *alloc, uint32_t number,
                                                  uint64_t incarnation, uint32_t version,
                                                  const struct covey_tag *tags, size_t count)
{
    struct cv_cluster_node *body = NULL;
    struct cv_cluster_node_config config = {.id = id_of(number),
                                            .incarnation = incarnation,
                                            .version = version,
                                            .address = address_of(number),
                                            .name = cv_slice_text("name"),
                                            .tags = tags,
                                            .tag_count = count};
    assert_int_equal(cv_cluster_node_new(alloc, &config, &body), COVEY_OK);
    return body;
}

static inline struct cv_cluster_node *body_of(const struct cv_alloc *alloc, uint32_t number,
                                              uint64_t incarnation, uint32_t version)
{
    return tagged_body(alloc, number, incarnation, version, NULL, 0);
}

static inline struct cv_record record_of(uint32_t number, uint64_t incarnation,
                                         enum covey_node_state state, struct cv_cluster_node *body)
{
    struct cv_record record = {.id = id_of(number), .body = body};
    record.status.incarnation = incarnation;
    record.status.state = state;
    if (state == COVEY_NODE_SUSPECT || state == COVEY_NODE_FAILED)
        record.status.accuser = id_of(99);
    return record;
}

static inline bool id_equal(const covey_node_id *a, const covey_node_id *b)
{
    return covey_node_id_compare(a, b) == 0;
}

#endif
