#include "unit/cluster/core_fixture.h"

#include "base/rand.h"
#include "cluster/incarnation.h"

#include <stdio.h>

/*
 * One core and a world that does as it likes: random messages of every type about everybody, from
 * members, strangers and the gone; connections that come, go and come again; pauses, commands, and
 * allocations that fail. Whatever comes, no assertion breaks and what must always hold does.
 * `test_unit_cluster_hostile_peers SEED [COUNT]` runs those seeds only.
 */
#define NODES 70
#define STEPS 1500

static uint64_t seed_first = 1;
static uint64_t seed_count = 40;

static struct world {
    struct cv_rand rand;
    bool is_connected[NODES];
    uint32_t disconnected; /* in this step, before which a pause of ours may have it pinged */
    struct {
        uint32_t number;
        uint32_t to;    /* 0: a seed, anybody */
    } dials[NODES + 8]; /* under way */
    uint32_t resolves[8];
    size_t dial_count;
    size_t resolve_count;
    bool is_by_hand; /* the expected size */
    struct {
        bool is_known;
        uint64_t incarnation;
        unsigned state;
    } views[NODES]; /* of the last step */
} world;

static uint64_t below(uint64_t n)
{
    return cv_rand_below(&world.rand, n);
}

static bool is_one_in(uint64_t n)
{
    return below(n) == 0;
}

/* --- what must hold --- */

static void check_send(const struct core_output *kept)
{
    const struct cv_output *output = &kept->output;
    uint32_t to = core_number(&output->send.to);
    assert_true(world.is_connected[to] || to == world.disconnected);
    assert_true(output->send.bytes.size <= CV_MAX_MESSAGE_SIZE);
    assert_true(output->send.reliable || output->send.bytes.size <= CV_DATAGRAM_MESSAGE_SIZE);
    assert_int_equal(cv_message_read(output->send.bytes, &core.read), COVEY_OK);
}

/* In their order: nothing is sent to one that is not connected, or was closed before. */
static void check_outputs(void)
{
    for (size_t i = 0; i < core.count; i++) {
        const struct cv_output *output = &core.outputs[i].output;
        switch (output->type) {
        case CV_OUTPUT_SEND:
            check_send(&core.outputs[i]);
            break;
        case CV_OUTPUT_CLOSE:
            world.is_connected[core_number(&output->close.peer)] = false;
            break;
        case CV_OUTPUT_DIAL:
            assert_true(world.dial_count < sizeof(world.dials) / sizeof(world.dials[0]));
            world.dials[world.dial_count].number = output->dial.dial;
            world.dials[world.dial_count].to =
                output->dial.has_expected ? core_number(&output->dial.expected) : 0;
            assert_false(output->dial.has_expected && world.dials[world.dial_count].to == 0);
            world.dial_count++;
            break;
        case CV_OUTPUT_RESOLVE:
            assert_true(world.resolve_count < sizeof(world.resolves) / sizeof(world.resolves[0]));
            world.resolves[world.resolve_count++] = output->resolve.resolve;
            break;
        default:
            break;
        }
    }
}

/* M1: what is known of one goes forward only, until it is forgotten. */
static void check_view(uint32_t number, const struct cv_member *m)
{
    bool was_known = world.views[number].is_known;
    world.views[number].is_known = m != NULL;
    if (m == NULL)
        return;
    if (was_known) {
        struct cv_node_status before = {.incarnation = world.views[number].incarnation,
                                        .state = (enum covey_node_state)world.views[number].state};
        struct cv_node_status now = {.incarnation = m->incarnation,
                                     .state = (enum covey_node_state)m->state};
        int order = cv_incarnation_compare(now.incarnation, before.incarnation);
        assert_true(order > 0 || (order == 0 && now.state >= before.state));
    }
    world.views[number].incarnation = m->incarnation;
    world.views[number].state = m->state;
    assert_true(cv_incarnation_compare(m->body->incarnation, m->incarnation) <= 0);
    assert_int_equal(m->trouble == NULL, m->state == COVEY_NODE_ALIVE);
}

static void check_registry(void)
{
    const struct cv_node_registry *r = cv_membership_registry(core.m);
    static struct cv_digest digest;
    size_t live = 0, expected = 0;
    memset(&digest, 0, sizeof(digest));
    for (size_t i = 0; i < cv_node_registry_count(r); i++) {
        const struct cv_member *m = cv_node_registry_at(r, i);
        live += cv_member_is_live(m);
        expected += m->is_expected;
        if (cv_member_is_live(m))
            cv_digest_add(&digest, m->body, m->incarnation);
        if (core_number(cv_member_id(m)) != 0)
            assert_int_equal(m->link == CV_LINK_UP,
                             world.is_connected[core_number(cv_member_id(m))]);
    }
    assert_memory_equal(&digest, &r->digest, sizeof(digest));
    assert_int_equal(live, cv_node_registry_live_count(r));
    assert_true(live <= r->members_max);
    assert_true(cv_node_registry_count(r) - live <= r->members_max + 1u);
    if (!world.is_by_hand)
        assert_int_equal(cv_membership_partition(core.m).expected, expected);
}

static void check(void)
{
    enum cv_membership_state state = cv_membership_state(core.m);
    bool is_gone = state == CV_MEMBERSHIP_LEAVING || state == CV_MEMBERSHIP_LEFT;
    check_outputs();
    for (uint32_t i = 0; i < NODES; i++)
        check_view(i, core_member(i));
    assert_int_equal(core_state(0), is_gone ? COVEY_NODE_LEFT : COVEY_NODE_ALIVE);
    check_registry();
    if (state == CV_MEMBERSHIP_LEFT)
        assert_int_equal(cv_membership_deadline(core.m), COVEY_NEVER);
}

/* --- what may happen --- */

static uint64_t some_incarnation(void)
{
    switch (below(12)) {
    case 0:
        return CORE_WALL_MS + (UINT64_C(1) << 40) + below(3);
    case 1:
        return UINT64_MAX - below(3);
    case 2:
        return CORE_WALL_MS - below(1000000);
    default:
        return CORE_WALL_MS + below(6) + below(8) * 4;
    }
}

static void add_update(struct cv_message_writer *mw, uint32_t about)
{
    struct cv_cluster_node *body = NULL;
    uint64_t incarnation = some_incarnation();
    if (!is_one_in(3)) {
        body = body_of(cv_alloc_default(), about, incarnation - below(3), (uint32_t)below(3));
        if (is_one_in(6))
            body->address.port++;
    }
    enum covey_node_state state = is_one_in(2) ? COVEY_NODE_ALIVE : (enum covey_node_state)below(4);
    struct cv_record record = record_of(about, incarnation, state, body);
    if (state == COVEY_NODE_SUSPECT)
        record.status.accuser = id_of((uint32_t)below(NODES));
    cv_message_add(mw, &record);
    cv_cluster_node_release(body);
}

static int say_something(void)
{
    static uint8_t memory[CV_MAX_MESSAGE_SIZE], digest[CV_DIGEST_BUCKETS_SIZE];
    uint32_t from = 1 + (uint32_t)below(NODES - 1);
    struct cv_message_writer mw;
    struct cv_message_head head = {.type = (enum cv_message_type)(1 + below(16)),
                                   .sequence = (uint32_t)below(is_one_in(4) ? UINT32_MAX : 50),
                                   .target = id_of((uint32_t)below(NODES)),
                                   .address = address_of((uint32_t)below(NODES)),
                                   .incarnation = some_incarnation()};
    if (is_one_in(3))
        head.type = is_one_in(2) ? CV_MESSAGE_WATCH : CV_MESSAGE_HEARTBEAT;
    head.chunk_count = (uint16_t)(1 + below(3));
    head.chunk = (uint16_t)below(head.chunk_count);
    cv_rand_bytes(&world.rand, digest, sizeof(digest));
    if (head.type == CV_MESSAGE_SYNC)
        head.digest = cv_slice_of(digest, CV_DIGEST_ROOT_SIZE);
    else if (head.type == CV_MESSAGE_SYNC_BUCKETS)
        head.digest = cv_slice_of(digest, CV_DIGEST_BUCKETS_SIZE);
    else if (head.type == CV_MESSAGE_SYNC_RECORDS || head.type == CV_MESSAGE_SYNC_ANSWER)
        head.digest = cv_slice_of(digest, sizeof(struct cv_bucket_set));
    cv_message_begin(&mw, memory, sizeof(memory), &head);
    if (head.type == CV_MESSAGE_JOIN) {
        struct cv_cluster_node *body = body_of(cv_alloc_default(), from, CORE_WALL_MS, 0);
        struct cv_record own = record_of(from, CORE_WALL_MS + below(4), COVEY_NODE_ALIVE, body);
        assert_true(cv_message_add(&mw, &own));
        cv_cluster_node_release(body);
    }
    for (uint64_t count = below(is_one_in(5) ? 20 : 3); count > 0; count--)
        add_update(&mw, is_one_in(4) ? from : (uint32_t)below(NODES));
    return core_bytes(from, cv_message_bytes(&mw));
}

/* Connects, by a dial of ours or not; with one that is connected already, too. */
static int connect(uint32_t peer, uint32_t dial)
{
    bool was_connected = world.is_connected[peer];
    world.is_connected[peer] = peer != 0;
    int error = core_connected(peer, dial);
    if (error == COVEY_OK)
        return COVEY_OK;
    /* As a driver must: the connection goes, and with it the dial. */
    world.is_connected[peer] = was_connected;
    check_outputs();
    return dial == 0 ? error : core_dial_failed(dial, COVEY_ERR_CONNECTION_LOST);
}

static int answer_a_dial(void)
{
    static const int errors[] = {COVEY_ERR_UNREACHABLE, COVEY_ERR_WRONG_IDENTITY,
                                 COVEY_ERR_CERTIFICATE};
    if (world.dial_count == 0)
        return core_dial_failed((uint32_t)below(5), COVEY_ERR_UNREACHABLE);
    size_t index = (size_t)below(world.dial_count);
    uint32_t dial = world.dials[index].number, to = world.dials[index].to;
    world.dials[index] = world.dials[--world.dial_count];
    if (is_one_in(2))
        return core_dial_failed(dial, errors[below(3)]);
    return connect(to == 0 ? (uint32_t)below(NODES) : to, dial);
}

static int disconnect(void)
{
    uint32_t peer = 1 + (uint32_t)below(NODES - 1);
    world.is_connected[peer] = false;
    world.disconnected = peer;
    return core_disconnected(peer);
}

static int command(void)
{
    static const char *const keys[] = {"a", "b", "", "c"};
    struct cv_input input = {.type = CV_INPUT_COMMAND};
    input.command.type = (enum cv_command_type[]){CV_COMMAND_TAG_SET, CV_COMMAND_TAG_REMOVE,
                                                  CV_COMMAND_JOIN, CV_COMMAND_EXPECT}[below(4)];
    input.command.key = keys[below(4)];
    input.command.value = keys[below(4)];
    input.command.size = (uint32_t)below(3) * 10;
    if (is_one_in(60))
        input.command.type = CV_COMMAND_LEAVE;
    int error = core_step(&input);
    if (input.command.type == CV_COMMAND_EXPECT && error == COVEY_OK)
        world.is_by_hand = input.command.size != 0;
    return error;
}

static int resolve(void)
{
    const struct cv_address address = address_of((uint32_t)below(NODES));
    uint32_t number = (uint32_t)below(5);
    if (world.resolve_count > 0) {
        number = world.resolves[0];
        world.resolves[0] = world.resolves[--world.resolve_count];
    }
    return core_resolved(number, is_one_in(3) ? COVEY_ERR_RESOLVE : COVEY_OK, &address, 1);
}

static int let_time_pass(void)
{
    struct cv_input time = {.type = CV_INPUT_TIME};
    covey_time deadline = cv_membership_deadline(core.m);
    if (is_one_in(20))
        core.now += below(20 * SEC);
    else if (deadline != COVEY_NEVER && deadline > core.now)
        core.now = deadline;
    return core_step(&time);
}

static void something_happens(void)
{
    int error;
    world.disconnected = 0;
    core.now += is_one_in(3) ? below(300 * MS) : 0;
    core.t.fail_at = is_one_in(10) ? core.t.calls + 1 + below(20) : 0;
    switch (below(10)) {
    case 0:
        error = connect(1 + (uint32_t)below(NODES - 1), 0);
        break;
    case 1:
        error = is_one_in(3) ? disconnect() : answer_a_dial();
        break;
    case 2:
        error = is_one_in(4) ? command() : resolve();
        break;
    case 3:
    case 4:
    case 5:
        error = let_time_pass();
        break;
    default:
        error = say_something();
        break;
    }
    core.t.fail_at = 0;
    assert_true(error <= 0);
}

static void begin(uint64_t seed)
{
    static const char *const seeds[] = {"s1:1", "s2:2", "s3:3"};
    static const uint32_t members[] = {3, 8, 52, 100};
    cv_rand_seed(&world.rand, seed);
    struct cv_membership_config config = core_config();
    config.seeds = seeds;
    config.seed_count = is_one_in(2) ? (size_t)below(4) : 0;
    config.seed = seed;
    config.address = address_of(0);
    config.members_max = members[below(4)];
    config.gossip.watch_count = (uint32_t)below(CV_RINGS_MAX + 1);
    config.partition.tie_break = is_one_in(2);
    config.tombstone_ttl = is_one_in(2) ? 30 * SEC : config.tombstone_ttl;
    config.leave_timeout = 60 * SEC;
    core_start_known(&config, is_one_in(2) ? (uint32_t)below(NODES - 1) : 0);
    check_outputs();
    struct cv_input time = {.type = CV_INPUT_TIME};
    assert_int_equal(core_step(&time), COVEY_OK);
    check();
}

static void whatever_comes_the_invariants_hold(void **state)
{
    (void)state;
    for (uint64_t seed = seed_first; seed < seed_first + seed_count; seed++) {
        memset(&world, 0, sizeof(world));
        memset(&core, 0, sizeof(core));
        test_alloc_init(&core.t);
        printf("seed %llu\n", (unsigned long long)seed);
        begin(seed);
        for (int i = 0; i < STEPS && cv_membership_state(core.m) != CV_MEMBERSHIP_LEFT; i++) {
            something_happens();
            check();
        }
        cv_membership_free(core.m);
        core.m = NULL;
        test_alloc_assert_empty(&core.t);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_comes_the_invariants_hold)};
    if (argc > 1) {
        seed_first = strtoull(argv[1], NULL, 10);
        seed_count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
