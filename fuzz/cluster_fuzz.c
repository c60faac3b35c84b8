/*
 * Three honest cores and a network between them. The input is the schedule: which message comes next,
 * is lost or comes twice, how much time passes, who is cut off, paused, crashes, starts again with
 * whatever clock, leaves. After each step all of core_invariants.h holds, and nobody knows a later
 * incarnation of a node than that gave itself (M2). At the end the faults are over: all run, and in
 * bounded time each sees all alive, all know the same, and nobody misses a quorum (M12, M13, P5).
 *
 * The input is u8 of configuration | steps: u8 what | u8 which.
 */
#include "core_invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NODES       3
#define PACKETS_MAX 256
#define STEPS_MAX   600
/* One handful of steps answers another, but not for ever. */
#define ANSWERS_MAX 2000
/* X + PP * L of the list of invariants is 14 s here; a newcomer's patience with a seed, the wait
 * between its attempts and a suspicion come on top. */
#define QUIET_MAX (60 * COVEY_SECOND)

struct packet {
    uint8_t from, to;
    bool is_reliable;
    uint32_t connection;
    size_t size;
    uint8_t *bytes;
};

/* sides[a][b] is the connection that a holds with b, 0: none. One that both hold is alive; a side
 * that is left over learns of it later. */
struct world {
    covey_time now;
    struct driver cores[NODES];
    uint64_t issued[NUMBERS];
    bool is_paused[NODES];
    bool is_cut[NODES][NODES];
    int64_t clock_offset_ms[NODES];
    uint32_t sides[NODES][NODES];
    uint32_t last_connection;
    size_t packet_count;
    struct packet packets[PACKETS_MAX];
    uint8_t watch_count;
    size_t lives;
    size_t steps;
};

static struct world w;

static bool is_up(uint8_t node)
{
    return w.cores[node].m != NULL;
}

static bool runs(uint8_t node)
{
    return is_up(node) && !w.is_paused[node];
}

/* ---- packets ---- */

static struct packet take_packet(size_t index)
{
    struct packet packet = w.packets[index];
    w.packet_count--;
    for (size_t i = index; i < w.packet_count; i++)
        w.packets[i] = w.packets[i + 1];
    return packet;
}

/* A network that is full loses what comes; of a stream that breaks its connection. */
static void send_packet(uint8_t from, uint8_t to, const struct cv_output *output)
{
    struct cv_slice bytes = output->send.bytes;
    if (w.packet_count == PACKETS_MAX) {
        if (output->send.reliable)
            w.sides[to][from] =
                w.sides[to][from] == w.sides[from][to] ? UINT32_MAX : w.sides[to][from];
        return;
    }
    uint8_t *copy = malloc(bytes.size);
    if (copy == NULL)
        abort();
    memcpy(copy, bytes.data, bytes.size);
    w.packets[w.packet_count] = (struct packet){.from = from,
                                                .to = to,
                                                .is_reliable = output->send.reliable,
                                                .connection = w.sides[from][to],
                                                .size = bytes.size,
                                                .bytes = copy};
    w.packet_count++;
}

static void take_output(struct driver *d, const struct cv_output *output)
{
    if (output->type == CV_OUTPUT_SEND)
        send_packet(d->self, node_number(&output->send.to), output);
    else if (output->type == CV_OUTPUT_CLOSE)
        w.sides[d->self][node_number(&output->close.peer)] = 0;
}

/* ---- nodes ---- */

static void take_down(uint8_t node)
{
    struct driver *d = &w.cores[node];
    driver_end(d);
    w.is_paused[node] = false;
    memset(w.sides[node], 0, sizeof(w.sides[node]));
}

static void step(uint8_t node, struct cv_input input)
{
    struct driver *d = &w.cores[node];
    d->now = w.now;
    d->wall_ms =
        WALL_MS + (uint64_t)((int64_t)(w.now / COVEY_MILLISECOND) + w.clock_offset_ms[node]);
    w.steps++;
    int error = driver_step(d, &input);
    assert(error == COVEY_OK || input.type == CV_INPUT_COMMAND);
    (void)error;
    if (d->m->state == CV_MEMBERSHIP_LEFT)
        take_down(node);
}

/* Names are "n0:1" and so on, and known at once. */
static void answer_resolves(uint8_t node)
{
    struct driver *d = &w.cores[node];
    while (is_up(node) && d->resolve_count > 0) {
        struct cv_input input = {.type = CV_INPUT_RESOLVED};
        struct cv_address addresses[2];
        for (uint8_t i = 0; i < 2; i++)
            addresses[i] = node_address(i);
        d->resolve_count--;
        input.resolved.resolve = d->resolves[d->resolve_count];
        /* Each name of a seed stands for one node. */
        for (size_t i = 0; i < d->m->seed_count; i++) {
            if (d->m->seeds[i].resolve == input.resolved.resolve)
                input.resolved.addresses = &addresses[i];
        }
        input.resolved.count = input.resolved.addresses != NULL;
        step(node, input);
    }
}

static void start(uint8_t node)
{
    static const char *const seeds[] = {"n0:1", "n1:1"};
    struct driver *d = &w.cores[node];
    struct cv_membership_config config;
    *d = (struct driver){.self = node, .now = w.now, .issued = w.issued, .take = take_output};
    d->wall_ms =
        WALL_MS + (uint64_t)((int64_t)(w.now / COVEY_MILLISECOND) + w.clock_offset_ms[node]);
    memory_init(&d->memory);
    core_config(&config, &d->memory, node);
    config.seeds = seeds;
    config.seed_count = 2;
    config.seed = ++w.lives;
    config.members_max = 8;
    config.gossip.watch_count = w.watch_count;
    config.reconnect_interval = 2 * COVEY_SECOND;
    config.sync_interval = 2 * COVEY_SECOND;
    config.partition.grace = 5 * COVEY_SECOND;
    config.join.attempts_max = 0;
    config.join.backoff_max = COVEY_SECOND;
    int error = driver_start(d, &config);
    assert(error == COVEY_OK);
    (void)error;
    drain(d);
    answer_resolves(node);
}

static void tell_time(uint8_t node)
{
    if (!runs(node))
        return;
    step(node, (struct cv_input){.type = CV_INPUT_TIME});
    answer_resolves(node);
}

static void command(uint8_t node, enum cv_command_type type, const char *key)
{
    struct cv_input input = {.type = CV_INPUT_COMMAND};
    if (!runs(node))
        return;
    input.command.type = type;
    input.command.key = key;
    input.command.value = "v";
    step(node, input);
    answer_resolves(node);
}

/* ---- connections ---- */

static void tell_connected(uint8_t node, uint8_t peer, uint32_t dial)
{
    struct cv_input input = {.type = CV_INPUT_CONNECTED};
    input.connected.peer = node_id(peer);
    input.connected.name = node_name();
    input.connected.remote = node_address(peer);
    input.connected.dial = dial;
    w.cores[node].is_connected[peer] = true;
    step(node, input);
    answer_resolves(node);
}

static void tell_disconnected(uint8_t node, uint8_t peer)
{
    struct cv_input input = {.type = CV_INPUT_DISCONNECTED};
    w.sides[node][peer] = 0;
    if (!is_up(node) || !w.cores[node].is_connected[peer])
        return;
    w.cores[node].is_connected[peer] = false;
    input.disconnected.peer = node_id(peer);
    step(node, input);
    answer_resolves(node);
}

static void answer_dial(uint8_t node)
{
    struct driver *d = &w.cores[node];
    if (!runs(node) || d->dial_count == 0)
        return;
    const struct pending_dial dial = driver_take_dial(d, 0);
    uint8_t peer = dial.address.ip[3];
    assert(peer < NODES && peer != node);
    if (runs(peer) && !w.is_cut[node][peer]) {
        w.last_connection++;
        w.sides[node][peer] = w.sides[peer][node] = w.last_connection;
        tell_connected(node, peer, dial.number);
        if (runs(peer))
            tell_connected(peer, node, 0);
        return;
    }
    struct cv_input input = {.type = CV_INPUT_DIAL_FAILED};
    input.dial_failed.dial = dial.number;
    input.dial_failed.error = COVEY_ERR_UNREACHABLE;
    step(node, input);
    answer_resolves(node);
}

static bool is_left_over(uint8_t node, uint8_t peer)
{
    return w.sides[node][peer] != 0 && w.sides[node][peer] != w.sides[peer][node];
}

static void break_connection(uint8_t node, uint8_t peer)
{
    if (node != peer && runs(node) && w.sides[node][peer] != 0)
        tell_disconnected(node, peer);
}

static bool may_come(const struct packet *packet)
{
    return !w.is_cut[packet->from][packet->to] && !w.is_paused[packet->to];
}

/* Also to nobody, when the connection is over. */
static void deliver(struct packet packet)
{
    uint8_t to = packet.to;
    struct cv_input input = {.type = CV_INPUT_MESSAGE};
    if (is_up(to) && w.sides[to][packet.from] == packet.connection) {
        input.message.from = node_id(packet.from);
        input.message.bytes = cv_slice_of(packet.bytes, packet.size);
        step(to, input);
        answer_resolves(to);
    }
    free(packet.bytes);
}

/* ---- fair play: all that can happen at this moment happens ---- */

static bool happen_once(void)
{
    for (size_t i = 0; i < w.packet_count; i++) {
        if (may_come(&w.packets[i])) {
            deliver(take_packet(i));
            return true;
        }
    }
    for (uint8_t node = 0; node < NODES; node++) {
        if (runs(node) && w.cores[node].dial_count > 0) {
            answer_dial(node);
            return true;
        }
        for (uint8_t peer = 0; runs(node) && peer < NODES; peer++) {
            if (is_left_over(node, peer)) {
                tell_disconnected(node, peer);
                return true;
            }
        }
        if (runs(node) && cv_membership_deadline(w.cores[node].m) <= w.now) {
            tell_time(node);
            return true;
        }
    }
    return false;
}

static void happen(void)
{
    size_t count = 0;
    while (happen_once()) {
        count++;
        assert(count < ANSWERS_MAX);
    }
}

static covey_time next_deadline(void)
{
    covey_time next = COVEY_NEVER;
    for (uint8_t node = 0; node < NODES; node++) {
        covey_time deadline = runs(node) ? cv_membership_deadline(w.cores[node].m) : COVEY_NEVER;
        next = deadline < next ? deadline : next;
    }
    return next;
}

static bool play(void)
{
    happen();
    covey_time next = next_deadline();
    if (next == COVEY_NEVER)
        return false;
    w.now = next > w.now ? next : w.now;
    return true;
}

/* ---- the schedule ---- */

static void pause(uint8_t node)
{
    if (!is_up(node))
        return;
    w.is_paused[node] = !w.is_paused[node];
    tell_time(node);
}

static void crash_or_start(uint8_t node, uint8_t how)
{
    static const int64_t offsets[] = {0, -86400000, 3600000, -1000};
    if (is_up(node)) {
        take_down(node);
        return;
    }
    w.clock_offset_ms[node] = offsets[how % 4];
    start(node);
}

static void lose(size_t index)
{
    if (!w.packets[index].is_reliable)
        free(take_packet(index).bytes);
}

static void deliver_chosen(size_t index)
{
    if (may_come(&w.packets[index]))
        deliver(take_packet(index));
}

/* It will come again later. */
static void duplicate(size_t index)
{
    struct packet copy = w.packets[index];
    if (copy.is_reliable || w.packet_count == PACKETS_MAX)
        return;
    copy.bytes = malloc(copy.size);
    if (copy.bytes == NULL)
        abort();
    memcpy(copy.bytes, w.packets[index].bytes, copy.size);
    w.packets[w.packet_count] = copy;
    w.packet_count++;
}

static void use_packet(uint8_t what, uint8_t which)
{
    if (w.packet_count == 0)
        return;
    size_t index = which % w.packet_count;
    if (what == 5)
        lose(index);
    else if (what == 6)
        duplicate(index);
    else
        deliver_chosen(index);
}

static void pass_time(covey_time length)
{
    w.now += length;
    for (uint8_t node = 0; node < NODES; node++)
        tell_time(node);
}

static void use_command(uint8_t node, uint8_t how)
{
    static const char *const keys[] = {"a", "b"};
    if (how == 0)
        command(node, CV_COMMAND_LEAVE, NULL);
    else if (how == 1)
        command(node, CV_COMMAND_TAG_REMOVE, keys[0]);
    else
        command(node, CV_COMMAND_TAG_SET, keys[how % 2]);
}

static void take_step(uint8_t what, uint8_t which)
{
    uint8_t node = which % NODES, other = which / NODES % NODES, how = which / NODES / NODES;
    switch (what) {
    case 4:
        happen();
        break;
    case 7:
        answer_dial(node);
        break;
    case 8: {
        covey_time next = next_deadline();
        if (next != COVEY_NEVER)
            pass_time(next > w.now ? next - w.now : 0);
        break;
    }
    case 9:
        pass_time(which * 20 * COVEY_MILLISECOND);
        break;
    case 10:
        w.is_cut[node][other] = w.is_cut[other][node] = !w.is_cut[node][other] && node != other;
        break;
    case 11:
        break_connection(node, other);
        break;
    case 12:
        crash_or_start(node, how);
        break;
    case 13:
        pause(node);
        break;
    case 14:
        use_command(node, how);
        break;
    case 15:
        for (uint8_t i = 0; i < which % 16 && play(); i++) {
        }
        break;
    default:
        use_packet(what, which);
    }
}

/* ---- the end of all faults ---- */

static void heal(void)
{
    memset(w.is_cut, 0, sizeof(w.is_cut));
    for (uint8_t node = 0; node < NODES; node++) {
        w.is_paused[node] = false;
        if (!is_up(node))
            start(node);
        else
            tell_time(node);
    }
}

static bool sees_all(uint8_t node)
{
    const struct cv_node_registry *r = cv_membership_registry(w.cores[node].m);
    return w.cores[node].m->state == CV_MEMBERSHIP_JOINED &&
           cv_node_registry_count_state(r, COVEY_NODE_ALIVE) == NODES &&
           cv_membership_partition(w.cores[node].m).state == CV_PARTITION_HEALTHY;
}

static bool has_converged(void)
{
    uint8_t roots[NODES][CV_DIGEST_ROOT_SIZE];
    for (uint8_t node = 0; node < NODES; node++) {
        if (!is_up(node) || !sees_all(node))
            return false;
        cv_membership_digest(w.cores[node].m, roots[node]);
        if (memcmp(roots[node], roots[0], sizeof(roots[0])) != 0)
            return false;
    }
    return true;
}

/* One that was leaving when the faults ended starts again; one that could not join tries again. */
static void care(void)
{
    for (uint8_t node = 0; node < NODES; node++) {
        if (!is_up(node))
            start(node);
        else if (w.cores[node].m->state == CV_MEMBERSHIP_JOIN_FAILED)
            command(node, CV_COMMAND_JOIN, NULL);
    }
}

static void converge(void)
{
    heal();
    covey_time end = w.now + QUIET_MAX;
    while (!has_converged()) {
        care();
        bool goes_on = play();
        assert(goes_on && w.now < end);
        (void)goes_on;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cv_reader r;
    cv_reader_init(&r, cv_slice_of(data, size));
    w = (struct world){.now = 1000 * COVEY_SECOND, .watch_count = cv_read_u8(&r) % 3};
    for (uint8_t node = 0; node < NODES; node++)
        start(node);
    for (size_t i = 0; i < STEPS_MAX && cv_reader_left(&r) >= 2; i++) {
        uint8_t what = cv_read_u8(&r) % 16;
        take_step(what, cv_read_u8(&r));
    }
    converge();
    while (w.packet_count > 0)
        free(take_packet(0).bytes);
    for (uint8_t node = 0; node < NODES; node++)
        driver_end(&w.cores[node]);
    return 0;
}
