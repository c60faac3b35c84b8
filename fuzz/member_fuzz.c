/*
 * A whole core among peers that do as the input says: they connect, send messages, mostly
 * well-formed and mostly lies, go away, are dialled or cannot be. Time passes in steps or jumps,
 * the wall clock too; the user gives commands; memory ends at any moment. After each step all of
 * core_invariants.h holds, whatever was said; at the end nothing is leaked.
 *
 * The input is three bytes of configuration and the steps: u8 what | u8 who, and more that each
 * reads for itself.
 */
#include "core_invariants.h"
#include "core_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CORE      3 /* some ids are lower, most are higher */
#define STEPS_MAX 2000
#define HERD_MAX  110 /* in all: twice what a full mesh has */

static const char *const seed_names[] = {"a:1", "b:2", "c:3"};

static int take_input(struct driver *d, struct cv_input input)
{
    int error = driver_step(d, &input);
    memory_limit(&d->memory, 0, false);
    return error;
}

/* A driver gives an answer again that was lost for want of memory. */
static void insist(struct driver *d, struct cv_input input)
{
    if (take_input(d, input) != COVEY_OK) {
        int error = take_input(d, input);
        assert(error == COVEY_OK);
        (void)error;
    }
}

/* ---- peers ---- */

static void disconnect(struct driver *d, uint8_t who)
{
    struct cv_input input = {.type = CV_INPUT_DISCONNECTED};
    input.disconnected.peer = node_id(who);
    d->is_connected[who] = false;
    insist(d, input);
}

static void fail_dial(struct driver *d, uint32_t number, int error)
{
    struct cv_input input = {.type = CV_INPUT_DIAL_FAILED};
    input.dial_failed.dial = number;
    input.dial_failed.error = error;
    insist(d, input);
}

/* `dial` is 0 when the peer dialled us. */
static void connect_peer(struct driver *d, uint8_t who, uint32_t dial)
{
    struct cv_input input = {.type = CV_INPUT_CONNECTED};
    bool was_connected = d->is_connected[who];
    input.connected.peer = node_id(who);
    input.connected.name = node_name();
    input.connected.remote = node_address(who);
    input.connected.dial = dial;
    d->is_connected[who] = true;
    struct pending_dial pending = {.number = 0};
    for (size_t i = d->dial_count; dial != 0 && i-- > 0;) {
        if (d->dials[i].number == dial)
            pending = driver_take_dial(d, i);
    }
    if (driver_try(d, &input) == COVEY_OK) {
        memory_limit(&d->memory, 0, false);
        drain(d);
        check_core(d);
        return;
    }
    /* The connection is closed again, and with it one that it took the place of. */
    memory_limit(&d->memory, 0, false);
    drain(d);
    d->is_connected[who] = false;
    if (was_connected)
        disconnect(d, who);
    if (pending.number != 0)
        fail_dial(d, pending.number, COVEY_ERR_NO_MEMORY);
}

static void say(struct driver *d, uint8_t who, struct cv_reader *r, size_t times)
{
    static uint8_t memory[CV_MAX_MESSAGE_SIZE];
    const struct told told = {.m = d->m, .self = d->self, .sender = who, .wall_ms = d->wall_ms};
    struct cv_input input = {.type = CV_INPUT_MESSAGE};
    input.message.from = node_id(who);
    input.message.bytes = read_message_bytes(&told, r, d->sequences[who], memory);
    for (size_t i = 0; i < times && d->m->state != CV_MEMBERSHIP_LEFT; i++)
        (void)take_input(d, input);
}

/* Several that connect one after the other and join. */
static void join_herd(struct driver *d, uint8_t first, size_t count)
{
    static uint8_t memory[CV_MAX_MESSAGE_SIZE];
    for (size_t i = 0; i < count && d->herd < HERD_MAX; i++) {
        uint8_t who = (uint8_t)(first + i);
        struct cv_message_writer mw;
        struct cv_input input = {.type = CV_INPUT_MESSAGE};
        if (d->m->state == CV_MEMBERSHIP_LEFT || who == CORE)
            continue;
        d->herd++;
        connect_peer(d, who, 0);
        struct cv_record record = {.id = node_id(who), .status.incarnation = d->wall_ms};
        record.body = node_body(cv_alloc_default(), who, d->wall_ms, 0);
        cv_message_begin(&mw, memory, sizeof(memory),
                         &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP});
        (void)cv_message_add(&mw, &record);
        input.message.from = record.id;
        input.message.bytes = cv_message_bytes(&mw);
        (void)take_input(d, input);
        cv_cluster_node_release(record.body);
    }
}

/* ---- what the core asked for ---- */

static void answer_dial(struct driver *d, uint8_t who, uint8_t how)
{
    static const int errors[] = {COVEY_ERR_UNREACHABLE, COVEY_ERR_TIMEOUT, COVEY_ERR_REFUSED,
                                 COVEY_ERR_WRONG_IDENTITY};
    if (d->dial_count == 0)
        return;
    const struct pending_dial dial = d->dials[how % d->dial_count];
    if (who % 4 != 0 && (!dial.has_expected || is_numbered(&dial.expected))) {
        /* A seed may be anybody, we too. */
        connect_peer(d, dial.has_expected ? node_number(&dial.expected) : who, dial.number);
        return;
    }
    (void)driver_take_dial(d, how % d->dial_count);
    fail_dial(d, dial.number, errors[who / 4 % 4]);
}

static void answer_all_dials(struct driver *d, uint8_t who)
{
    for (size_t i = d->dial_count; i-- > 0 && d->m->state != CV_MEMBERSHIP_LEFT;)
        answer_dial(d, who, 0);
}

static void answer_resolve(struct driver *d, uint8_t who, uint8_t how)
{
    const struct cv_address addresses[] = {node_address(who), node_address(CORE),
                                           node_address((uint8_t)(who + 1))};
    struct cv_input input = {.type = CV_INPUT_RESOLVED};
    if (d->resolve_count == 0)
        return;
    size_t index = how % d->resolve_count;
    input.resolved.resolve = d->resolves[index];
    input.resolved.addresses = addresses + how / 16 % 3;
    input.resolved.count = how / 64 % (4 - how / 16 % 3);
    input.resolved.error = input.resolved.count == 0 ? COVEY_ERR_RESOLVE : COVEY_OK;
    d->resolve_count--;
    d->resolves[index] = d->resolves[d->resolve_count];
    insist(d, input);
}

/* ---- time and commands ---- */

static void pass_time(struct driver *d, uint8_t unit, uint8_t length)
{
    static const covey_time units[] = {COVEY_MILLISECOND, 20 * COVEY_MILLISECOND,
                                       500 * COVEY_MILLISECOND, 60 * COVEY_SECOND};
    d->now += units[unit % 4] * length;
    d->wall_ms += units[unit % 4] / COVEY_MILLISECOND * length;
    if (unit >= 248)
        d->wall_ms = unit % 2 == 0 ? length : d->wall_ms + UINT64_C(315360000000);
    (void)take_input(d, (struct cv_input){.type = CV_INPUT_TIME});
}

/* As a good driver: a step at each deadline. */
static void run(struct driver *d, uint8_t steps)
{
    for (uint8_t i = 0; i < steps % 32; i++) {
        covey_time deadline = cv_membership_deadline(d->m);
        if (deadline == COVEY_NEVER)
            return;
        if (deadline > d->now) {
            d->wall_ms += (deadline - d->now) / COVEY_MILLISECOND;
            d->now = deadline;
        }
        (void)take_input(d, (struct cv_input){.type = CV_INPUT_TIME});
    }
}

static void answer_check(struct driver *d, uint8_t how)
{
    struct cv_input input = {.type = CV_INPUT_CHECK_RESULT};
    if (d->run_count == 0)
        return;
    size_t index = how % d->run_count;
    input.check_result.run = d->runs[index];
    input.check_result.status = (enum covey_check_status)(how / 8 % 4);
    input.check_result.message = cv_slice_text(how < 128 ? "" : "fine\xff");
    d->run_count--;
    d->runs[index] = d->runs[d->run_count];
    insist(d, input);
}

static void command(struct driver *d, uint8_t which, uint8_t how)
{
    static const char *const keys[] = {"k", "l", "m", "\xff", "", "n", "o", "p"};
    static const char *const values[] = {"", "1", "2", "\xff"};
    struct cv_input input = {.type = CV_INPUT_COMMAND};
    bool was_failed = d->m->state == CV_MEMBERSHIP_JOIN_FAILED;
    input.command.key = keys[how % 8];
    input.command.value = values[how / 8 % 4];
    input.command.size = how % 16;
    const struct cv_health_check_config check = {.name = cv_slice_text(keys[how % 8]),
                                                 .interval = how / 8 * 500 * COVEY_MILLISECOND,
                                                 .timeout = 1 + how / 64 * COVEY_SECOND};
    input.command.check = &check;
    switch (which % 16) {
    case 0:
        input.command.type = CV_COMMAND_LEAVE;
        break;
    case 1:
    case 2:
        input.command.type = CV_COMMAND_JOIN;
        break;
    case 3:
    case 4:
        input.command.type = CV_COMMAND_EXPECT;
        break;
    case 5:
    case 6:
        input.command.type = CV_COMMAND_TAG_REMOVE;
        break;
    case 7:
    case 8:
        input.command.type = CV_COMMAND_CHECK_ADD;
        break;
    case 9:
        input.command.type = CV_COMMAND_CHECK_REMOVE;
        break;
    case 10:
    case 11:
        answer_check(d, how);
        return;
    default:
        input.command.type = CV_COMMAND_TAG_SET;
    }
    int error = take_input(d, input);
    if (error == COVEY_OK && input.command.type == CV_COMMAND_JOIN)
        assert(was_failed);
}

static void take_step(struct driver *d, struct cv_reader *r)
{
    uint8_t what = cv_read_u8(r), who = cv_read_u8(r);
    switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        say(d, who, r, 1);
        break;
    case 4:
        /* Enough of them empty every bucket that the core has for a peer. */
        say(d, who, r, what == 255 - 11 ? 1600 : 1 + what / 16u);
        break;
    case 5:
        connect_peer(d, who, 0);
        break;
    case 6:
        disconnect(d, who);
        break;
    case 7:
        answer_dial(d, who, cv_read_u8(r));
        break;
    case 8:
        answer_resolve(d, who, cv_read_u8(r));
        break;
    case 9:
    case 10:
        pass_time(d, who, cv_read_u8(r));
        break;
    case 11:
    case 12:
        run(d, who);
        break;
    case 13:
        command(d, who, cv_read_u8(r));
        break;
    case 14:
        memory_limit(&d->memory, 1 + who % 32u, who >= 128);
        break;
    case 15:
        if (what < 128)
            answer_all_dials(d, who);
        else
            join_herd(d, who, cv_read_u8(r) % 128u);
        break;
    }
}

/* ---- the configuration ---- */

static void start(struct driver *d, struct cv_reader *r)
{
    static const uint32_t members_max[] = {16, 3, 1, 128};
    struct cv_membership_config config;
    struct cv_record known[2];
    uint8_t size = cv_read_u8(r), how = cv_read_u8(r), memory = cv_read_u8(r);
    *d = (struct driver){.self = CORE, .now = 1000 * COVEY_SECOND, .wall_ms = WALL_MS};
    memory_init(&d->memory);
    core_config(&config, &d->memory, CORE);
    config.members_max = members_max[size % 4];
    config.gossip.watch_count = size / 4 % 4 + (size / 4 % 4 == 3) * 2;
    config.seeds = seed_names;
    config.seed_count = size / 16 % 4;
    config.expected_size = size / 64;
    config.gossip.local_health_max = how % 2 * CV_LOCAL_HEALTH_MAX;
    config.partition.tie_break = how / 2 % 2 != 0;
    config.partition.quorum_percent = how / 4 % 2 != 0 ? 67 : 50;
    config.sync_interval = how / 8 % 2 * 30 * COVEY_SECOND;
    config.tombstone_ttl = how / 16 % 2 != 0 ? 60 * COVEY_SECOND : 24 * 3600 * COVEY_SECOND;
    config.known = known;
    config.known_count = how / 64 % 3;
    for (uint8_t i = 0; i < config.known_count; i++) {
        uint8_t number = (uint8_t)(CORE + 1 + i);
        known[i] = (struct cv_record){.id = node_id(number), .status.incarnation = WALL_MS};
        known[i].body = node_body(&d->memory.alloc, number, WALL_MS, 0);
    }
    memory_limit(&d->memory, memory < 32 ? memory : 0, true);
    int error = driver_start(d, &config);
    memory_limit(&d->memory, 0, false);
    for (size_t i = 0; i < config.known_count; i++)
        cv_cluster_node_release(known[i].body);
    assert(error == COVEY_OK || (error == COVEY_ERR_NO_MEMORY && memory < 32));
    if (error == COVEY_OK)
        drain(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct driver d;
    struct cv_reader r;
    cv_reader_init(&r, cv_slice_of(data, size));
    start(&d, &r);
    if (d.m == NULL) {
        assert(d.memory.out == 0);
        return 0;
    }
    (void)take_input(&d, (struct cv_input){.type = CV_INPUT_TIME});
    while (cv_reader_left(&r) >= 2 && d.m->state != CV_MEMBERSHIP_LEFT && d.steps < STEPS_MAX)
        take_step(&d, &r);
    check_core_fully(&d);
    driver_end(&d);
    return 0;
}
