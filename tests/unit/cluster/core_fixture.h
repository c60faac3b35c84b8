#ifndef TESTS_UNIT_CLUSTER_CORE_FIXTURE_H
#define TESTS_UNIT_CLUSTER_CORE_FIXTURE_H

#include "unit/cluster/cluster_fixture.h"

#include "cluster/membership.h"

#include <stdlib.h>

/*
 * One core, node 0, and the test as the rest of the world. Outputs of a step are kept until the
 * next one; nodes are numbered as by id_of(), so node 0 has the lowest id.
 */
#define CORE_OUTPUTS_MAX 1024
#define CORE_WALL_MS     UINT64_C(1700000000000)

struct core_output {
    struct cv_output output;
    uint8_t bytes[CV_MAX_MESSAGE_SIZE];
};

struct core {
    struct test_alloc t;
    struct cv_membership *m;
    covey_time now;
    uint64_t wall_ms;
    size_t count;
    struct core_output outputs[CORE_OUTPUTS_MAX];
    struct cv_message read;
};

static struct core core;

static inline void core_drain(void)
{
    struct cv_output output;
    core.count = 0;
    while (cv_membership_poll(core.m, &output)) {
        assert_true(core.count < CORE_OUTPUTS_MAX);
        struct core_output *kept = &core.outputs[core.count++];
        kept->output = output;
        if (output.type == CV_OUTPUT_SEND) {
            memcpy(kept->bytes, output.send.bytes.data, output.send.bytes.size);
            kept->output.send.bytes.data = kept->bytes;
        }
        if (output.type == CV_OUTPUT_EVENT)
            cv_cluster_node_release(output.event.node);
    }
}

static inline struct cv_membership_config core_config(void)
{
    struct cv_membership_config config;
    cv_membership_config_init(&config, CV_PROFILE_LAN);
    config.alloc = &core.t.alloc;
    config.id = id_of(0);
    config.name = "n0";
    config.address = (struct cv_address){.ip = {10, 1, 0, 0}, .port = 4433, .family = 4};
    config.seed = 11;
    config.hash_secret[0] = 1;
    config.wall_ms = CORE_WALL_MS;
    return config;
}

static inline void core_start(const struct cv_membership_config *config)
{
    core.now = 1000 * SEC;
    core.wall_ms = CORE_WALL_MS;
    assert_int_equal(cv_membership_new(config, core.now, &core.m), COVEY_OK);
    core_drain();
}

/* A cluster of one. */
static inline int core_setup(void **state)
{
    (void)state;
    memset(&core, 0, sizeof(core));
    test_alloc_init(&core.t);
    struct cv_membership_config config = core_config();
    core_start(&config);
    return 0;
}

/* One that wants to join through s1:4433 to sN:4433. */
static inline void core_start_joining(size_t seed_count)
{
    static const char *const seeds[] = {"s1:4433", "s2:4433", "s3:4433"};
    struct cv_membership_config config = core_config();
    config.seeds = seeds;
    config.seed_count = seed_count;
    memset(&core, 0, sizeof(core));
    test_alloc_init(&core.t);
    core_start(&config);
}

static inline int core_teardown(void **state)
{
    (void)state;
    cv_membership_free(core.m);
    test_alloc_assert_empty(&core.t);
    return 0;
}

static inline int core_step(struct cv_input *input)
{
    input->now = core.now;
    input->wall_ms = core.wall_ms;
    int error = cv_membership_step(core.m, input);
    core_drain();
    return error;
}

/* Lets time pass as a driver does: a step at each deadline. Outputs of the last one are kept. */
static inline void core_run(covey_time length)
{
    covey_time end = core.now + length;
    while (cv_membership_deadline(core.m) <= end) {
        struct cv_input input = {.type = CV_INPUT_TIME};
        if (core.now < cv_membership_deadline(core.m))
            core.now = cv_membership_deadline(core.m);
        assert_int_equal(core_step(&input), COVEY_OK);
    }
    core.now = end;
}

/* One step at the next deadline. */
static inline void core_tick(void)
{
    struct cv_input input = {.type = CV_INPUT_TIME};
    assert_int_not_equal(cv_membership_deadline(core.m), COVEY_NEVER);
    core.now = cv_membership_deadline(core.m);
    assert_int_equal(core_step(&input), COVEY_OK);
}

static inline int core_connected(uint32_t peer, uint32_t dial)
{
    struct cv_input input = {.type = CV_INPUT_CONNECTED};
    input.connected.peer = id_of(peer);
    input.connected.name = "name";
    input.connected.remote = address_of(peer);
    input.connected.dial = dial;
    return core_step(&input);
}

static inline int core_disconnected(uint32_t peer)
{
    struct cv_input input = {.type = CV_INPUT_DISCONNECTED};
    input.disconnected.peer = id_of(peer);
    return core_step(&input);
}

static inline int core_dial_failed(uint32_t dial, int error)
{
    struct cv_input input = {.type = CV_INPUT_DIAL_FAILED};
    input.dial_failed.dial = dial;
    input.dial_failed.error = error;
    return core_step(&input);
}

static inline int core_resolved(uint32_t resolve, int error, const struct cv_address *addresses,
                                size_t count)
{
    struct cv_input input = {.type = CV_INPUT_RESOLVED};
    input.resolved.resolve = resolve;
    input.resolved.error = error;
    input.resolved.addresses = addresses;
    input.resolved.count = count;
    return core_step(&input);
}

static inline int core_bytes(uint32_t from, struct cv_slice bytes)
{
    struct cv_input input = {.type = CV_INPUT_MESSAGE};
    input.message.from = id_of(from);
    input.message.bytes = bytes;
    return core_step(&input);
}

/* A message from a peer with up to two records, which may be NULL. */
static inline int core_message(uint32_t from, const struct cv_message_head *head,
                               const struct cv_record *a, const struct cv_record *b)
{
    uint8_t memory[CV_MAX_MESSAGE_SIZE];
    struct cv_message_writer mw;
    cv_message_begin(&mw, memory, sizeof(memory), head);
    if (a != NULL)
        assert_true(cv_message_add(&mw, a));
    if (b != NULL)
        assert_true(cv_message_add(&mw, b));
    return core_bytes(from, cv_message_bytes(&mw));
}

static inline int core_gossip(uint32_t from, const struct cv_record *record)
{
    return core_message(from, &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP}, record, NULL);
}

static inline int core_command(enum cv_command_type type, const char *key, const char *value)
{
    struct cv_input input = {.type = CV_INPUT_COMMAND};
    input.command.type = type;
    input.command.key = key;
    input.command.value = value;
    return core_step(&input);
}

/* Tells of a node's state, with its body when `version` is not negative. */
static inline int core_tell(uint32_t from, uint32_t about, uint64_t incarnation,
                            enum covey_node_state state, int version)
{
    struct cv_cluster_node *body = NULL;
    if (version >= 0)
        body = body_of(cv_alloc_default(), about, incarnation, (uint32_t)version);
    struct cv_record record = record_of(about, incarnation, state, body);
    int error = core_gossip(from, &record);
    cv_cluster_node_release(body);
    return error;
}

static inline const struct cv_member *core_member(uint32_t number)
{
    covey_node_id id = id_of(number);
    return cv_node_registry_get(cv_membership_registry(core.m), &id);
}

/* Has a node suspected, and failed after a time in which it could have refuted that. */
static inline void core_fail(uint32_t from, uint32_t about, uint64_t incarnation)
{
    core_tell(from, about, incarnation, COVEY_NODE_SUSPECT, -1);
    core_run(1600 * MS);
    core_tell(from, about, incarnation, COVEY_NODE_FAILED, -1);
}

/* The same in no time: what it is suspected of is old already. */
static inline void core_fail_now(uint32_t from, uint32_t about, uint64_t incarnation, int version)
{
    core_tell(from, about, incarnation, COVEY_NODE_SUSPECT, -1);
    core_member(about)->trouble->suspicion.start -= 2 * SEC;
    core_tell(from, about, incarnation, COVEY_NODE_FAILED, version);
}

/* A peer that joins us: connected, and its record known first-hand. */
static inline void core_add_member(uint32_t number)
{
    struct cv_cluster_node *body = body_of(cv_alloc_default(), number, CORE_WALL_MS, 0);
    struct cv_record record = record_of(number, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    assert_int_equal(core_connected(number, 0), COVEY_OK);
    assert_int_equal(
        core_message(number, &(struct cv_message_head){.type = CV_MESSAGE_JOIN}, &record, NULL),
        COVEY_OK);
    cv_cluster_node_release(body);
}

static inline enum covey_node_state core_state(uint32_t number)
{
    assert_non_null(core_member(number));
    return core_member(number)->state;
}

static inline const struct cv_output *core_find(enum cv_output_type type, size_t skip)
{
    for (size_t i = 0; i < core.count; i++) {
        if (core.outputs[i].output.type == type && skip-- == 0)
            return &core.outputs[i].output;
    }
    return NULL;
}

static inline size_t core_count(enum cv_output_type type)
{
    size_t count = 0;
    while (core_find(type, count) != NULL)
        count++;
    return count;
}

static inline size_t core_count_events(enum covey_event_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < core.count; i++) {
        const struct cv_output *output = &core.outputs[i].output;
        count += output->type == CV_OUTPUT_EVENT && output->event.type == type;
    }
    return count;
}

/* The last message of this type to this peer, decoded; NULL when there was none. */
static inline const struct cv_message *core_sent(uint32_t to, enum cv_message_type type,
                                                 bool *reliable)
{
    covey_node_id id = id_of(to);
    for (size_t i = core.count; i-- > 0;) {
        const struct cv_output *output = &core.outputs[i].output;
        if (output->type != CV_OUTPUT_SEND || !id_equal(&output->send.to, &id))
            continue;
        assert_int_equal(cv_message_read(output->send.bytes, &core.read), COVEY_OK);
        if (reliable != NULL)
            *reliable = output->send.reliable;
        if (core.read.head.type == type)
            return &core.read;
    }
    return NULL;
}

/* What a message says of a node; NULL when nothing. */
static inline const struct cv_update *core_update(const struct cv_message *m, uint32_t about)
{
    covey_node_id id = id_of(about);
    for (size_t i = 0; m != NULL && i < m->update_count; i++) {
        if (id_equal(&m->updates[i].id, &id))
            return &m->updates[i];
    }
    return NULL;
}

/* A message without updates. */
static inline int core_head(uint32_t from, enum cv_message_type type, uint32_t sequence)
{
    return core_message(from, &(struct cv_message_head){.type = type, .sequence = sequence}, NULL,
                        NULL);
}

static inline uint32_t core_number(const covey_node_id *id)
{
    return (uint32_t)id->bytes[0] << 8 | id->bytes[1];
}

/* How many messages of this type the last step sent, to whomever. */
static inline size_t core_count_sent(enum cv_message_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < core.count; i++) {
        const struct cv_output *output = &core.outputs[i].output;
        count += output->type == CV_OUTPUT_SEND && output->send.bytes.data[0] == type;
    }
    return count;
}

/* Lets time pass while everybody who is pinged answers, except `dead`; notes in `told`, which may be
 * NULL, who got a message of this type. */
static inline void core_run_answering(covey_time length, uint32_t dead, enum cv_message_type type,
                                      bool *told)
{
    static uint32_t from[CORE_OUTPUTS_MAX], sequence[CORE_OUTPUTS_MAX];
    covey_time end = core.now + length;
    while (cv_membership_deadline(core.m) <= end) {
        struct cv_input time = {.type = CV_INPUT_TIME};
        if (core.now < cv_membership_deadline(core.m))
            core.now = cv_membership_deadline(core.m);
        assert_int_equal(core_step(&time), COVEY_OK);
        size_t count = 0;
        for (size_t i = 0; i < core.count; i++) {
            const struct cv_output *output = &core.outputs[i].output;
            if (output->type != CV_OUTPUT_SEND)
                continue;
            if (told != NULL && output->send.bytes.data[0] == type)
                told[core_number(&output->send.to)] = true;
            if (output->send.bytes.data[0] != CV_MESSAGE_PING)
                continue;
            assert_int_equal(cv_message_read(output->send.bytes, &core.read), COVEY_OK);
            from[count] = core_number(&output->send.to);
            sequence[count] = core.read.head.sequence;
            count++;
        }
        for (size_t i = 0; i < count; i++) {
            if (from[i] != dead)
                core_head(from[i], CV_MESSAGE_ACK, sequence[i]);
        }
    }
    core.now = end;
}

/* Starts anew, knowing nodes 1 to `count` from before; its dials are under way. */
static inline void core_start_known(struct cv_membership_config *config, uint32_t count)
{
    struct cv_record *known = calloc(count + 1, sizeof(*known));
    assert_non_null(known);
    for (uint32_t i = 1; i <= count; i++)
        known[i - 1] = record_of(i, CORE_WALL_MS, COVEY_NODE_ALIVE,
                                 body_of(cv_alloc_default(), i, CORE_WALL_MS, 0));
    config->known = known;
    config->known_count = count;
    if (core.m != NULL)
        cv_membership_free(core.m);
    core_start(config);
    for (uint32_t i = 0; i < count; i++)
        cv_cluster_node_release(known[i].body);
    free(known);
}

static inline struct cv_membership_stats core_stats(void)
{
    struct cv_membership_stats stats;
    cv_membership_stats(core.m, &stats);
    return stats;
}

#define CORE_TEST(test) cmocka_unit_test_setup_teardown(test, core_setup, core_teardown)

#endif
