/*
 * A member list in chunks, as a joining core gets it (JOIN_ACK) and as two compare what they know
 * (SYNC_RECORDS, SYNC_ANSWER). A core with many members made them; the input says in what order they
 * come, how often, cut into two, damaged, or while memory ends.
 *
 *   - what is refused changes nothing: registry, digest, state, and which chunks are still missing
 *   - as long as no damage was taken for a message: each chunk counts once, and when all have come the
 *     core has joined and knows what the giver knows
 *   - after the last SYNC_RECORDS the core answers with numbered chunks, each of them once and in
 *     order, of the asked buckets only
 *
 * The input is u8 how it begins | steps: u8 what | u8 which chunk | u8 where.
 */
#include "core_invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GIVER      7
#define RECEIVER   3
#define LISTS      4
#define CHUNKS_MAX 16
#define STEPS_MAX  90 /* fewer than the nonsense for which a peer is closed */

struct chunk {
    size_t size;
    uint8_t bytes[CV_MAX_MESSAGE_SIZE];
};

/* What the giver says, and what it knows. */
struct list {
    size_t count;
    struct chunk chunks[CHUNKS_MAX];
    uint8_t last_member;
};

enum kind { KIND_JOIN, KIND_RECORDS, KIND_ANSWER };
#define KINDS 3

static struct list lists[KINDS][LISTS];
static const uint8_t last_members[LISTS] = {9, 27, 60, 120};

/* ---- the giver ---- */

static int give(struct cv_membership *giver, struct cv_input input, struct list *out,
                enum cv_message_type type)
{
    struct cv_output output;
    input.now = 1000 * COVEY_SECOND;
    input.wall_ms = WALL_MS;
    int error = cv_membership_step(giver, &input);
    while (cv_membership_poll(giver, &output)) {
        if (output.type == CV_OUTPUT_EVENT)
            cv_cluster_node_release(output.event.node);
        if (output.type != CV_OUTPUT_SEND || output.send.bytes.data[0] != type)
            continue;
        assert(out != NULL && out->count < CHUNKS_MAX);
        struct chunk *chunk = &out->chunks[out->count++];
        chunk->size = output.send.bytes.size;
        memcpy(chunk->bytes, output.send.bytes.data, chunk->size);
    }
    return error;
}

/* Every fifth member is suspected, every seventh failed, every eleventh left. */
static enum covey_node_state state_of(uint8_t number)
{
    if (number % 11 == 0)
        return COVEY_NODE_LEFT;
    if (number % 7 == 0 && number != GIVER)
        return COVEY_NODE_FAILED;
    return number % 5 == 0 ? COVEY_NODE_SUSPECT : COVEY_NODE_ALIVE;
}

static void tell(struct cv_membership *giver, const struct cv_record *record,
                 enum cv_message_type type, struct list *out, enum cv_message_type wanted)
{
    static uint8_t bytes[CV_MAX_MESSAGE_SIZE];
    static uint8_t digest[CV_DIGEST_BUCKETS_SIZE];
    struct cv_message_writer mw;
    struct cv_message_head head = {.type = type};
    struct cv_input input = {.type = CV_INPUT_MESSAGE};
    if (type == CV_MESSAGE_SYNC_BUCKETS)
        head.digest = cv_slice_of(digest, sizeof(digest));
    if (type == CV_MESSAGE_SYNC_RECORDS) {
        memset(digest, 0xff, sizeof(digest));
        head.chunk_count = 1;
        head.digest = cv_slice_of(digest, sizeof(struct cv_bucket_set));
    }
    cv_message_begin(&mw, bytes, sizeof(bytes), &head);
    if (record != NULL && !cv_message_add(&mw, record))
        abort();
    input.message.from = node_id(RECEIVER);
    input.message.bytes = cv_message_bytes(&mw);
    if (give(giver, input, out, wanted) != COVEY_OK)
        abort();
}

/* The receiver asks for all that the giver knows, in the way of this kind. */
static void ask(struct cv_membership *giver, enum kind kind, struct list *out)
{
    struct cv_record own = {.id = node_id(RECEIVER), .status.incarnation = WALL_MS};
    own.body = node_body(cv_alloc_default(), RECEIVER, WALL_MS, 0);
    if (kind == KIND_JOIN)
        tell(giver, &own, CV_MESSAGE_JOIN, out, CV_MESSAGE_JOIN_ACK);
    else if (kind == KIND_RECORDS)
        tell(giver, NULL, CV_MESSAGE_SYNC_BUCKETS, out, CV_MESSAGE_SYNC_RECORDS);
    else
        tell(giver, NULL, CV_MESSAGE_SYNC_RECORDS, out, CV_MESSAGE_SYNC_ANSWER);
    cv_cluster_node_release(own.body);
}

static struct cv_membership *new_giver(uint8_t last_member)
{
    static struct memory memory;
    struct cv_membership_config config;
    struct cv_membership *giver;
    struct cv_input input = {.type = CV_INPUT_CONNECTED};
    memory_init(&memory);
    core_config(&config, &memory, GIVER);
    if (cv_membership_new(&config, 1000 * COVEY_SECOND, &giver) != COVEY_OK)
        abort();
    input.connected.peer = node_id(RECEIVER);
    input.connected.remote = node_address(RECEIVER);
    if (give(giver, input, NULL, CV_MESSAGE_JOIN_ACK) != COVEY_OK)
        abort();
    for (uint8_t i = 1; i <= last_member; i++) {
        struct cv_record record = {.id = node_id(i), .status.incarnation = WALL_MS + i};
        if (i == GIVER)
            continue;
        record.status.state = i == RECEIVER ? COVEY_NODE_ALIVE : state_of(i);
        record.status.incarnation = i == RECEIVER ? WALL_MS : WALL_MS + i;
        if (is_accusation(record.status.state))
            record.status.accuser = node_id(1);
        record.body = node_body(cv_alloc_default(), i, WALL_MS, i == RECEIVER ? 0 : i);
        tell(giver, &record, CV_MESSAGE_GOSSIP, NULL, CV_MESSAGE_JOIN_ACK);
        cv_cluster_node_release(record.body);
    }
    return giver;
}

static void make_lists(void)
{
    for (size_t i = 0; i < LISTS; i++) {
        struct cv_membership *giver = new_giver(last_members[i]);
        for (int kind = 0; kind < KINDS; kind++) {
            lists[kind][i].last_member = last_members[i];
            ask(giver, (enum kind)kind, &lists[kind][i]);
            assert(lists[kind][i].count >= last_members[i] / CV_MAX_UPDATES_PER_MESSAGE);
        }
        cv_membership_free(giver);
    }
}

/* ---- the receiver ---- */

struct run {
    struct driver d;
    enum kind kind;
    const struct list *list;
    bool has_come[CHUNKS_MAX];
    bool is_tainted; /* damage was taken for a message */
    /* The answer to the last SYNC_RECORDS. */
    size_t answer_next;
    size_t answer_count;
};

static struct run run;

static void take_output(struct driver *d, const struct cv_output *output)
{
    static struct cv_message read;
    if (output->type != CV_OUTPUT_SEND || output->send.bytes.data[0] != CV_MESSAGE_SYNC_ANSWER)
        return;
    int error = cv_message_read(output->send.bytes, &read);
    assert(error == COVEY_OK && d == &run.d);
    (void)error;
    assert(read.head.chunk == run.answer_next);
    assert(run.answer_next == 0 || read.head.chunk_count == run.answer_count);
    for (size_t i = 0; i < read.update_count; i++) {
        struct cv_bucket_set buckets;
        memcpy(buckets.bits, read.head.digest.data, sizeof(buckets.bits));
        assert(read.updates[i].has_body || i == 0);
        assert(!read.updates[i].has_body || cv_bucket_set_has(&buckets, &read.updates[i].id));
    }
    run.answer_count = read.head.chunk_count;
    run.answer_next++;
}

static int take_input(struct cv_input input)
{
    run.answer_next = run.answer_count = 0;
    int error = driver_step(&run.d, &input);
    memory_limit(&run.d.memory, 0, false);
    assert(run.answer_next == run.answer_count);
    return error;
}

static void connect_giver(uint32_t dial)
{
    struct cv_input input = {.type = CV_INPUT_CONNECTED};
    input.connected.peer = node_id(GIVER);
    input.connected.name = node_name();
    input.connected.remote = node_address(GIVER);
    input.connected.dial = dial;
    run.d.is_connected[GIVER] = true;
    int error = take_input(input);
    assert(error == COVEY_OK);
    (void)error;
}

/* Until the seed has its JOIN. */
static void begin_to_join(void)
{
    const struct cv_address address = node_address(GIVER);
    struct cv_input input = {.type = CV_INPUT_RESOLVED};
    input.resolved.resolve = run.d.resolves[0];
    input.resolved.addresses = &address;
    input.resolved.count = 1;
    run.d.resolve_count = 0;
    int error = take_input(input);
    assert(error == COVEY_OK && run.d.dial_count == 1);
    (void)error;
    connect_giver(driver_take_dial(&run.d, 0).number);
    assert(run.d.m->join.is_asking);
}

static void start(uint8_t how)
{
    static const char *const seeds[] = {"seed:4433"};
    struct cv_membership_config config;
    run = (struct run){.kind = (enum kind)(how % KINDS)};
    run.list = &lists[run.kind][how / KINDS % LISTS];
    run.d = (struct driver){
        .self = RECEIVER, .now = 1000 * COVEY_SECOND, .wall_ms = WALL_MS, .take = take_output};
    memory_init(&run.d.memory);
    core_config(&config, &run.d.memory, RECEIVER);
    config.members_max = 128;
    config.seeds = seeds;
    config.seed_count = run.kind == KIND_JOIN;
    int error = driver_start(&run.d, &config);
    assert(error == COVEY_OK);
    (void)error;
    drain(&run.d);
    if (run.kind == KIND_JOIN)
        begin_to_join();
    else
        connect_giver(0);
}

static size_t count_missing(void)
{
    size_t missing = run.list->count;
    for (size_t i = 0; i < run.list->count; i++)
        missing -= run.has_come[i];
    return missing;
}

static void check_progress(void)
{
    const struct cv_join *join = &run.d.m->join;
    bool has_begun = count_missing() < run.list->count;
    if (run.is_tainted || run.kind != KIND_JOIN)
        return;
    if (count_missing() == 0) {
        assert(run.d.m->state == CV_MEMBERSHIP_JOINED && !join->is_asking);
        return;
    }
    assert(run.d.m->state == CV_MEMBERSHIP_JOINING && join->is_asking);
    assert(join->chunk_count == (has_begun ? run.list->count : 0));
    assert(!has_begun || join->chunk_left == count_missing());
}

/* True when it was taken for a message. */
static bool say(struct cv_slice bytes)
{
    uint8_t before[CV_DIGEST_ROOT_SIZE], after[CV_DIGEST_ROOT_SIZE];
    struct cv_input input = {.type = CV_INPUT_MESSAGE};
    const struct cv_join join = run.d.m->join;
    input.message.from = node_id(GIVER);
    input.message.bytes = bytes;
    cv_membership_digest(run.d.m, before);
    int error = take_input(input);
    cv_membership_digest(run.d.m, after);
    if (error == COVEY_OK)
        return true;
    assert(memcmp(before, after, sizeof(before)) == 0);
    assert(join.chunk_count == run.d.m->join.chunk_count);
    assert(join.chunk_left == run.d.m->join.chunk_left);
    return false;
}

static void say_whole(size_t which)
{
    const struct chunk *chunk = &run.list->chunks[which];
    if (say(cv_slice_of(chunk->bytes, chunk->size)))
        run.has_come[which] = true;
}

static void say_cut(size_t which, uint8_t where)
{
    const struct chunk *chunk = &run.list->chunks[which];
    size_t place = chunk->size * where / 256;
    /* Cut after a record, what comes before is a message of its own. */
    run.is_tainted |= say(cv_slice_of(chunk->bytes, place));
    run.is_tainted |= say(cv_slice_of(chunk->bytes + place, chunk->size - place));
}

static void say_damaged(size_t which, uint8_t where, uint8_t how)
{
    static uint8_t bytes[CV_MAX_MESSAGE_SIZE];
    const struct chunk *chunk = &run.list->chunks[which];
    size_t place = how % 2 == 0 ? where % chunk->size : chunk->size * where / 256;
    memcpy(bytes, chunk->bytes, chunk->size);
    bytes[place] ^= (uint8_t)(how | 1);
    run.is_tainted |= say(cv_slice_of(bytes, chunk->size));
}

static void take_step(struct cv_reader *r)
{
    uint8_t what = cv_read_u8(r);
    size_t which = cv_read_u8(r) % run.list->count;
    uint8_t where = cv_read_u8(r);
    if (what % 8 < 4) {
        say_whole(which);
    } else if (what % 8 == 4) {
        say_cut(which, where);
    } else if (what % 8 == 5) {
        memory_limit(&run.d.memory, 1 + where % 64u, where >= 128);
        say_whole(which);
    } else {
        say_damaged(which, where, what);
    }
    check_progress();
}

/* ---- the end ---- */

/* What the giver knows of this one the receiver knows too. */
static void check_known(uint8_t number)
{
    const covey_node_id id = node_id(number);
    const struct cv_member *m = cv_node_registry_get(cv_membership_registry(run.d.m), &id);
    enum covey_node_state state = number == GIVER ? COVEY_NODE_ALIVE : state_of(number);
    bool is_gone = state == COVEY_NODE_FAILED || state == COVEY_NODE_LEFT;
    if (is_gone && run.kind != KIND_JOIN) {
        assert(m == NULL);
        return;
    }
    assert(m != NULL && m->state == state);
    assert(m->incarnation == (number == GIVER ? WALL_MS : WALL_MS + number));
    assert(number == GIVER || m->body->version == number);
}

static void finish(void)
{
    for (size_t i = 0; i < run.list->count && run.d.is_connected[GIVER]; i++) {
        if (!run.has_come[i])
            say_whole(i);
        check_progress();
    }
    if (run.is_tainted || !run.d.is_connected[GIVER])
        return;
    for (uint8_t i = 1; i <= run.list->last_member; i++) {
        if (i != RECEIVER)
            check_known(i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cv_reader r;
    if (lists[0][0].count == 0)
        make_lists();
    cv_reader_init(&r, cv_slice_of(data, size));
    start(cv_read_u8(&r));
    for (size_t i = 0; i < STEPS_MAX / 2 && cv_reader_left(&r) >= 3; i++)
        take_step(&r);
    finish();
    check_core_fully(&run.d);
    driver_end(&run.d);
    return 0;
}
