/*
 * Records of three nodes, told to replicas in different orders: all end with the same (M6). First as
 * records alone, merged one by one, twice each, and in two halves; then as gossip to whole cores, in
 * messages of different lengths.
 *
 * The input is u64 of the first incarnation | u8 which nodes may leave | the records, each
 * u8 about, state, accuser | u8 how much later | u8 body.
 *
 * What a core believes of one that left depends on when it hears it: an accusation of a later
 * incarnation is not taken, nor is a body. Only its owner can mend that. So who may leave is not
 * accused, and its bodies are not compared.
 */
#include "core_parts.h"

#include "base/rand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NODES    3
#define RECORDS  16
#define REPLICAS 3
#define TELLER   9

struct story {
    uint64_t first; /* incarnation */
    uint8_t leavers;
    size_t count;
    uint8_t about[RECORDS];
    struct cv_record records[RECORDS];
};

static uint64_t incarnation_of(const struct story *s, uint8_t later)
{
    /* All of them stay within the window in which incarnations have an order. */
    return later < 250 ? s->first + later : s->first + CV_INCARNATION_WINDOW - (255u - later);
}

static enum covey_node_state state_of(const struct story *s, uint8_t about, uint8_t chosen)
{
    if ((s->leavers >> about & 1) != 0)
        return chosen % 2 == 0 ? COVEY_NODE_ALIVE : COVEY_NODE_LEFT;
    return (enum covey_node_state)(chosen % 3);
}

static void read_record(struct story *s, struct cv_reader *r)
{
    uint8_t what = cv_read_u8(r), later = cv_read_u8(r), body = cv_read_u8(r);
    uint8_t about = what % NODES;
    struct cv_record *record = &s->records[s->count];
    *record = (struct cv_record){.id = node_id(about)};
    record->status.incarnation = incarnation_of(s, later);
    record->status.state = state_of(s, about, what / NODES % 4);
    if (is_accusation(record->status.state))
        record->status.accuser = node_id((uint8_t)(20 + what / 16));
    if (body >= 128) {
        uint8_t earlier = body % 4 < later ? body % 4 : later;
        record->body = node_body(cv_alloc_default(), about, record->status.incarnation - earlier,
                                 body / 4 % 8);
    }
    s->about[s->count] = about;
    s->count++;
}

static void read_story(struct story *s, struct cv_slice bytes)
{
    struct cv_reader r;
    cv_reader_init(&r, bytes);
    *s = (struct story){.first = cv_read_u64(&r), .leavers = cv_read_u8(&r)};
    while (cv_reader_left(&r) >= 3 && s->count < RECORDS)
        read_record(s, &r);
}

/* The order in which a replica hears the records: as they are, backwards, or any. */
static void choose_order(const struct story *s, size_t replica, size_t *order)
{
    struct cv_rand rand;
    cv_rand_seed(&rand, s->first + replica);
    for (size_t i = 0; i < s->count; i++)
        order[i] = replica == 1 ? s->count - 1 - i : i;
    for (size_t i = s->count; replica > 1 && i > 1; i--) {
        size_t other = (size_t)cv_rand_below(&rand, i);
        size_t moved = order[i - 1];
        order[i - 1] = order[other];
        order[other] = moved;
    }
}

/* ---- records ---- */

static bool is_same_body(const struct cv_cluster_node *a, const struct cv_cluster_node *b)
{
    return a == b || (a != NULL && b != NULL && cv_cluster_node_equal(a, b));
}

static bool is_same(const struct cv_record *a, const struct cv_record *b)
{
    return cv_node_status_compare(&a->status, &b->status) == 0 && is_same_body(a->body, b->body);
}

struct view {
    bool is_known[NODES];
    struct cv_record records[NODES];
};

static void hear(struct view *v, uint8_t about, const struct cv_record *record)
{
    struct cv_record *known = &v->records[about];
    *known = v->is_known[about] ? cv_record_merge(known, record) : *record;
    v->is_known[about] = true;
}

static void hear_in_order(const struct story *s, size_t replica, struct view *v)
{
    size_t order[RECORDS];
    choose_order(s, replica, order);
    for (size_t i = 0; i < s->count; i++)
        hear(v, s->about[order[i]], &s->records[order[i]]);
}

/* Half of the records each, and then each other's. */
static void hear_in_halves(const struct story *s, struct view *v)
{
    struct view other = {.is_known = {false}};
    for (size_t i = 0; i < s->count; i++)
        hear(i % 2 == 0 ? v : &other, s->about[i], &s->records[i]);
    for (uint8_t about = 0; about < NODES; about++) {
        if (other.is_known[about])
            hear(v, about, &other.records[about]);
    }
}

static void compare_views(const struct view *a, const struct view *b)
{
    for (size_t i = 0; i < NODES; i++) {
        assert(a->is_known[i] == b->is_known[i]);
        assert(!a->is_known[i] || is_same(&a->records[i], &b->records[i]));
    }
}

/* What all must end with. */
static void merge_records(const struct story *s, struct view *end)
{
    *end = (struct view){.is_known = {false}};
    hear_in_order(s, 0, end);
    struct view other = *end;
    hear_in_order(s, 0, &other);
    compare_views(end, &other);
    for (size_t replica = 1; replica < REPLICAS; replica++) {
        other = (struct view){.is_known = {false}};
        hear_in_order(s, replica, &other);
        compare_views(end, &other);
    }
    other = (struct view){.is_known = {false}};
    hear_in_halves(s, &other);
    compare_views(end, &other);
}

/* ---- cores ---- */

static int step(struct cv_membership *m, struct cv_input input)
{
    struct cv_output output;
    input.now = 1000 * COVEY_SECOND;
    int error = cv_membership_step(m, &input);
    while (cv_membership_poll(m, &output)) {
        if (output.type == CV_OUTPUT_EVENT)
            cv_cluster_node_release(output.event.node);
    }
    return error;
}

static void say(const struct story *s, struct cv_membership *m, const struct cv_message_writer *mw)
{
    struct cv_input input = {.type = CV_INPUT_MESSAGE, .wall_ms = s->first};
    input.message.from = node_id(TELLER);
    input.message.bytes = cv_message_bytes(mw);
    int error = step(m, input);
    assert(error == COVEY_OK);
    (void)error;
}

static void begin_gossip(struct cv_message_writer *mw)
{
    static uint8_t bytes[CV_MAX_MESSAGE_SIZE];
    cv_message_begin(mw, bytes, sizeof(bytes),
                     &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP});
}

/* All three nodes are known alive and with a body, and nobody hears from them directly. */
static struct cv_membership *new_core(const struct story *s, struct memory *memory)
{
    struct cv_membership_config config;
    struct cv_membership *m;
    struct cv_record records[NODES];
    core_config(&config, memory, 10);
    config.wall_ms = s->first;
    config.members_max = 8;
    for (uint8_t i = 0; i < NODES; i++) {
        records[i] = (struct cv_record){.id = node_id(i), .status.incarnation = s->first};
        records[i].body = node_body(&memory->alloc, i, s->first, 0);
    }
    config.known = records;
    config.known_count = NODES;
    int error = cv_membership_new(&config, 1000 * COVEY_SECOND, &m);
    assert(error == COVEY_OK);
    for (size_t i = 0; i < NODES; i++)
        cv_cluster_node_release(records[i].body);
    struct cv_input input = {.type = CV_INPUT_CONNECTED, .wall_ms = s->first};
    input.connected.peer = node_id(TELLER);
    input.connected.remote = node_address(TELLER);
    error = step(m, input);
    assert(error == COVEY_OK);
    return m;
}

/* Messages of 1 to 20 updates. */
static void gossip(const struct story *s, size_t replica, struct cv_membership *m)
{
    size_t order[RECORDS];
    struct cv_message_writer mw;
    choose_order(s, replica, order);
    begin_gossip(&mw);
    for (size_t i = 0; i < s->count; i++) {
        if (i % (1 + replica * 3) != 0 && cv_message_add(&mw, &s->records[order[i]]))
            continue;
        say(s, m, &mw);
        begin_gossip(&mw);
        bool added = cv_message_add(&mw, &s->records[order[i]]);
        assert(added);
        (void)added;
    }
    say(s, m, &mw);
}

/* No time passes: a failure that is told is a suspicion first, and stays one. */
static enum covey_node_state believed(enum covey_node_state told)
{
    return told == COVEY_NODE_FAILED ? COVEY_NODE_SUSPECT : told;
}

static void check_core(const struct story *s, const struct cv_membership *m, const struct view *end)
{
    for (uint8_t i = 0; i < NODES; i++) {
        const covey_node_id id = node_id(i);
        const struct cv_member *member = cv_node_registry_get(cv_membership_registry(m), &id);
        assert(member != NULL);
        const struct cv_node_status status = cv_member_status(member);
        assert(status.incarnation == end->records[i].status.incarnation);
        assert(status.state == believed(end->records[i].status.state));
        if ((s->leavers >> i & 1) == 0)
            assert(is_same_body(member->body, end->records[i].body));
    }
}

static void merge_cores(const struct story *s, struct view *end)
{
    uint8_t roots[2][CV_DIGEST_ROOT_SIZE];
    struct cv_cluster_node *bodies[NODES];
    struct memory memory;
    memory_init(&memory);
    for (uint8_t i = 0; i < NODES; i++) {
        bodies[i] = node_body(cv_alloc_default(), i, s->first, 0);
        hear(end, i,
             &(struct cv_record){
                 .id = node_id(i), .status.incarnation = s->first, .body = bodies[i]});
    }
    for (size_t replica = 0; replica < REPLICAS; replica++) {
        struct cv_membership *m = new_core(s, &memory);
        gossip(s, replica, m);
        gossip(s, 0, m);
        check_core(s, m, end);
        cv_membership_digest(m, roots[replica > 0]);
        assert(s->leavers % 8 != 0 ||
               cv_slice_equal(cv_slice_of(roots[0], sizeof(roots[0])),
                              cv_slice_of(roots[replica > 0], sizeof(roots[0]))));
        cv_membership_free(m);
    }
    assert(memory.out == 0);
    for (size_t i = 0; i < NODES; i++)
        cv_cluster_node_release(bodies[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct story s;
    struct view end;
    read_story(&s, cv_slice_of(data, size));
    merge_records(&s, &end);
    merge_cores(&s, &end);
    for (size_t i = 0; i < s.count; i++)
        cv_cluster_node_release(s.records[i].body);
    return 0;
}
