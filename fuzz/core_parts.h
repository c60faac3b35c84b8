#ifndef FUZZ_CORE_PARTS_H
#define FUZZ_CORE_PARTS_H

#include "memory.h"

#include "base/reader.h"
#include "cluster/incarnation.h"
#include "cluster/membership_internal.h"

#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>

/*
 * What the targets of the membership core are made of: nodes with numbers, bodies and messages
 * about them, memory that can run out. A node's number is the last byte but one of its id, so that
 * ids are ordered as the numbers are; the first byte spreads them over the digest's buckets.
 */

#define WALL_MS UINT64_C(1700000000000)

/* ---- nodes ---- */

static inline covey_node_id node_id(uint8_t number)
{
    covey_node_id id = {.bytes = {0}};
    id.bytes[0] = (uint8_t)(number / 4);
    id.bytes[14] = number;
    id.bytes[15] = 1;
    return id;
}

static inline uint8_t node_number(const covey_node_id *id)
{
    return id->bytes[14];
}

static inline struct cv_address node_address(uint8_t number)
{
    return (struct cv_address){.ip = {10, 0, 0, number}, .port = 4433, .family = 4};
}

static inline const char *node_name(void)
{
    return "node";
}

/* What a node says of itself at this incarnation and version: the same whoever tells it. */
static inline struct cv_cluster_node *node_body(const struct cv_alloc *alloc, uint8_t number,
                                                uint64_t incarnation, uint32_t version)
{
    char value[2] = {(char)('a' + version % 8), '\0'};
    const struct covey_tag tag = {.key = "v", .value = value};
    struct cv_cluster_node_config config = {.id = node_id(number),
                                            .incarnation = incarnation,
                                            .version = version,
                                            .address = node_address(number),
                                            .name = cv_slice_text(node_name()),
                                            .tags = &tag,
                                            .tag_count = version % 4 != 0};
    struct cv_cluster_node *body;
    if (cv_cluster_node_new(alloc, &config, &body) != COVEY_OK)
        abort();
    return body;
}

static inline bool is_accusation(enum covey_node_state state)
{
    return state == COVEY_NODE_SUSPECT || state == COVEY_NODE_FAILED;
}

/* A core with short times, alone unless the caller gives it seeds. */
static inline void core_config(struct cv_membership_config *config, const struct memory *memory,
                               uint8_t number)
{
    cv_membership_config_init(config, CV_PROFILE_LAN);
    config->alloc = &memory->alloc;
    config->id = node_id(number);
    config->name = node_name();
    config->address = node_address(number);
    config->seed = number;
    config->hash_secret[0] = 1;
    config->wall_ms = WALL_MS;
}

#endif
