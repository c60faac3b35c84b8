#include "sim_internal.h"

#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>

#define RECORDED_MAX 16
#define REPLAY_AGE   (600 * COVEY_SECOND)

static const char *const names[SIM_LIE_COUNT] = {
    [SIM_LIE_SUSPECT] = "suspect",   [SIM_LIE_FAILED] = "failed",
    [SIM_LIE_LEFT] = "left",         [SIM_LIE_ADDRESS] = "address",
    [SIM_LIE_STRANGER] = "stranger", [SIM_LIE_MALFORMED] = "malformed",
    [SIM_LIE_REPLAY] = "replay",
};

/* A message that it was told. */
struct recorded {
    covey_time at;
    size_t size;
    uint8_t bytes[CV_MAX_MESSAGE_SIZE];
};

struct sim_liar {
    unsigned lies;
    covey_time interval;
    size_t recorded_count;
    struct recorded recorded[RECORDED_MAX]; /* the first of a time: the oldest are of use */
};

const char *sim_lie_name(enum sim_lie lie)
{
    return names[lie];
}

uint64_t sim_lie_count(const struct sim *s, enum sim_lie lie)
{
    return s->oracle.lies[lie];
}

static void expect_lie(struct sim *s, const struct sim_node *n)
{
    struct sim_event *e = sim_event_new(s, SIM_LIE, n->index, 0);
    sim_clock_set(&s->clock, e, s->clock.now + n->liar->interval);
}

void sim_lie(struct sim *s, size_t node, unsigned lies, covey_time interval)
{
    struct sim_node *n = &s->nodes[node];
    assert(n->membership != NULL && n->liar == NULL && interval > 0);
    assert(lies != 0 && lies < 1u << SIM_LIE_COUNT);
    sim_trace_line(s, "%s lies", n->name);
    sim_fault(s, SIM_FAULT_LIE);
    s->oracle.liar_count++;
    n->has_lied = true;
    n->liar = sim_allocate(1, sizeof(*n->liar));
    n->liar->lies = lies;
    n->liar->interval = interval;
    expect_lie(s, n);
}

void sim_stop_lying(struct sim *s, size_t node)
{
    struct sim_node *n = &s->nodes[node];
    if (n->liar == NULL)
        return;
    sim_trace_line(s, "%s tells the truth", n->name);
    sim_disturb(s);
    s->oracle.liar_count--;
    sim_liar_free(n->liar);
    n->liar = NULL;
}

void sim_liar_free(struct sim_liar *liar)
{
    free(liar);
}

void sim_liar_hears(struct sim *s, struct sim_node *n, struct cv_slice bytes)
{
    struct sim_liar *liar = n->liar;
    if (liar == NULL || liar->recorded_count == RECORDED_MAX)
        return;
    struct recorded *r = &liar->recorded[liar->recorded_count];
    r->at = s->clock.now;
    r->size = bytes.size;
    memcpy(r->bytes, bytes.data, bytes.size);
    liar->recorded_count++;
}

/* --- what it makes up --- */

static enum sim_lie choose(struct sim *s, const struct sim_liar *liar)
{
    enum sim_lie lie;
    do
        lie = (enum sim_lie)cv_rand_below(&s->rand, SIM_LIE_COUNT);
    while ((liar->lies >> lie & 1u) == 0);
    return lie;
}

static uint64_t forged_incarnation(struct sim *s, uint64_t known)
{
    const uint64_t choices[] = {known, known + 1, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
    return choices[cv_rand_below(&s->rand, sizeof(choices) / sizeof(choices[0]))];
}

/* Somebody else that it knows; NULL when nobody. */
static const struct cv_member *some_victim(struct sim *s, const struct sim_node *n)
{
    const struct cv_node_registry *r = cv_membership_registry(n->membership);
    const struct cv_member *m =
        cv_node_registry_at(r, (size_t)cv_rand_below(&s->rand, cv_node_registry_count(r)));
    return m == n->own ? NULL : m;
}

static struct cv_slice write(uint8_t *memory, const struct cv_record *record)
{
    const struct cv_message_head head = {.type = CV_MESSAGE_GOSSIP};
    struct cv_message_writer mw;
    cv_message_begin(&mw, memory, CV_DATAGRAM_MESSAGE_SIZE, &head);
    cv_message_add(&mw, record);
    return cv_message_bytes(&mw);
}

static struct cv_slice forge(const struct sim_node *n, const covey_node_id *victim,
                             enum covey_node_state state, uint64_t incarnation, uint8_t *memory)
{
    struct cv_record record = {.id = *victim,
                               .status = {.state = state, .incarnation = incarnation}};
    if (state != COVEY_NODE_LEFT)
        record.status.accuser = n->id;
    return write(memory, &record);
}

static struct cv_slice accuse(struct sim *s, const struct sim_node *n, enum covey_node_state state,
                              uint8_t *memory)
{
    const struct cv_member *victim = some_victim(s, n);
    if (victim == NULL)
        return cv_slice_of(NULL, 0);
    return forge(n, cv_member_id(victim), state, forged_incarnation(s, victim->incarnation),
                 memory);
}

void sim_forge(struct sim *s, size_t liar, size_t victim, enum covey_node_state state,
               uint64_t incarnation)
{
    static const enum sim_lie lies[] = {[COVEY_NODE_SUSPECT] = SIM_LIE_SUSPECT,
                                        [COVEY_NODE_FAILED] = SIM_LIE_FAILED,
                                        [COVEY_NODE_LEFT] = SIM_LIE_LEFT};
    const struct sim_node *n = &s->nodes[liar];
    const struct sim_peers *peers = &s->connections.peers_of[liar];
    uint8_t memory[CV_DATAGRAM_MESSAGE_SIZE];
    assert(n->liar != NULL && state != COVEY_NODE_ALIVE);
    const struct cv_slice bytes = forge(n, &s->nodes[victim].id, state, incarnation, memory);
    s->oracle.lies[lies[state]]++;
    for (size_t i = 0; i < peers->count; i++)
        sim_message_send(s, n->index, peers->peers[i], bytes, false);
}

/* A record with a body, of one that is elsewhere or does not exist. */
static struct cv_slice invent(struct sim *s, const covey_node_id *id, uint64_t incarnation,
                              uint8_t *memory)
{
    struct cv_record record = {.id = *id, .status = {.incarnation = incarnation}};
    const struct cv_cluster_node_config config = {
        .id = *id,
        .incarnation = incarnation,
        .address = {.ip = {192, 0, 2, (uint8_t)cv_rand_below(&s->rand, 256)},
                    .port = 9,
                    .family = 4},
        .name = cv_slice_text("forged"),
    };
    if (cv_cluster_node_new(cv_alloc_default(), &config, &record.body) != COVEY_OK)
        abort();
    struct cv_slice bytes = write(memory, &record);
    cv_cluster_node_release(record.body);
    return bytes;
}

static struct cv_slice redirect(struct sim *s, const struct sim_node *n, uint8_t *memory)
{
    const struct cv_member *victim = some_victim(s, n);
    if (victim == NULL)
        return cv_slice_of(NULL, 0);
    return invent(s, cv_member_id(victim), victim->incarnation + 1, memory);
}

static struct cv_slice invent_stranger(struct sim *s, uint8_t *memory)
{
    covey_node_id id;
    cv_rand_bytes(&s->rand, id.bytes, sizeof(id.bytes));
    id.bytes[12] = 0xff; /* no number of ours */
    return invent(s, &id, SIM_WALL_MS + s->clock.now / COVEY_MILLISECOND, memory);
}

static struct cv_slice garble(struct sim *s, uint8_t *memory)
{
    size_t size = 1 + (size_t)cv_rand_below(&s->rand, 200);
    cv_rand_bytes(&s->rand, memory, size);
    return cv_slice_of(memory, size);
}

static struct cv_slice replay(struct sim *s, const struct sim_liar *liar)
{
    const struct recorded *r = &liar->recorded[0];
    if (liar->recorded_count == 0 || s->clock.now - r->at < liar->interval)
        return cv_slice_of(NULL, 0);
    /* Each but the last that is old enough; before that the oldest. */
    for (size_t i = 1; i < liar->recorded_count; i++) {
        if (s->clock.now - liar->recorded[i].at >= REPLAY_AGE && cv_rand_below(&s->rand, 2) == 0)
            r = &liar->recorded[i];
    }
    return cv_slice_of(r->bytes, r->size);
}

static struct cv_slice make_up(struct sim *s, const struct sim_node *n, enum sim_lie lie,
                               uint8_t *memory)
{
    switch (lie) {
    case SIM_LIE_SUSPECT:
        return accuse(s, n, COVEY_NODE_SUSPECT, memory);
    case SIM_LIE_FAILED:
        return accuse(s, n, COVEY_NODE_FAILED, memory);
    case SIM_LIE_LEFT:
        return accuse(s, n, COVEY_NODE_LEFT, memory);
    case SIM_LIE_ADDRESS:
        return redirect(s, n, memory);
    case SIM_LIE_STRANGER:
        return invent_stranger(s, memory);
    case SIM_LIE_MALFORMED:
        return garble(s, memory);
    case SIM_LIE_REPLAY:
        return replay(s, n->liar);
    case SIM_LIE_COUNT:
        break;
    }
    return cv_slice_of(NULL, 0);
}

void sim_lie_event(struct sim *s, struct sim_event *e)
{
    struct sim_node *n = &s->nodes[e->node];
    const struct sim_peers *peers = &s->connections.peers_of[e->node];
    uint8_t memory[CV_MAX_MESSAGE_SIZE];
    sim_clock_free(&s->clock, e);
    if (n->liar == NULL)
        return;
    expect_lie(s, n);
    if (peers->count == 0)
        return;
    enum sim_lie lie = choose(s, n->liar);
    uint32_t to = peers->peers[cv_rand_below(&s->rand, peers->count)];
    struct cv_slice bytes = make_up(s, n, lie, memory);
    if (bytes.size == 0)
        return;
    s->oracle.lies[lie]++;
    sim_message_send(s, n->index, to, bytes, false);
}
