#include "rival.h"

#include "base/heap.h"
#include "base/rand.h"

#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>
#include <string.h>

#define START_TIME   COVEY_SECOND
#define STREAM_RETRY COVEY_SECOND /* doubles with each */
#define STREAM_TIME  (10 * COVEY_SECOND)

/* What the heap holds: a node's wake, or a packet under way. */
struct timed {
    struct cv_timer timer; /* first: the heap gives it back */
    bool is_wake;
};

struct packet {
    struct timed timed;
    struct packet *next; /* that waits for the same paused node */
    uint16_t to, from;
    bool is_stream;
    size_t count;
    struct sim_memberlist_item items[];
};

struct rival_node {
    struct timed wake;
    struct sim_memberlist *machine; /* NULL: crashed */
    bool is_paused;
    bool is_held;
    uint32_t loss_from, loss_to;
    covey_time delay_max; /* more than the network's */
    struct packet *waiting_first, *waiting_last;
    struct packet *unsent_first, *unsent_last; /* while it is held */
};

struct rival {
    const struct sim_memberlist_config *config;
    struct sim_link link;
    struct cv_rand rand;
    struct cv_heap timers;
    struct rival_node *nodes;
    size_t flying;
    covey_time now;
    rival_change_fn change; /* NULL: nobody wants to know */
    void *user;
    uint64_t messages;
    uint64_t bytes;
};

static void reserve(struct rival *r, size_t count)
{
    if (cv_heap_reserve(&r->timers, count) != COVEY_OK)
        abort();
}

static void set_wake(struct rival *r, struct rival_node *n)
{
    covey_time t = sim_memberlist_deadline(n->machine);
    cv_heap_set(&r->timers, &n->wake.timer, t < r->now ? r->now : t);
}

/* --- the network --- */

static bool is_lost(struct rival *r, uint16_t from, uint16_t to)
{
    const uint32_t chances[] = {r->link.loss, r->nodes[from].loss_from, r->nodes[to].loss_to};
    for (size_t i = 0; i < sizeof(chances) / sizeof(chances[0]); i++) {
        if (chances[i] > 0 && cv_rand_below(&r->rand, 1000) < chances[i])
            return true;
    }
    return false;
}

static covey_time delay(struct rival *r, uint16_t from, uint16_t to)
{
    const struct rival_node *slow = &r->nodes[from];
    if (r->nodes[to].delay_max > slow->delay_max)
        slow = &r->nodes[to];
    covey_time range = r->link.delay_max - r->link.delay_min + slow->delay_max;
    return r->link.delay_min + cv_rand_below(&r->rand, range + 1);
}

/* Adds the time of one packet that is sent again until it is through; false when it never is. */
static bool pass_stream(struct rival *r, uint16_t from, uint16_t to, covey_time *time)
{
    covey_time retry = STREAM_RETRY;
    while (is_lost(r, from, to)) {
        *time += retry;
        retry *= 2;
        if (*time >= STREAM_TIME)
            return false;
    }
    *time += delay(r, from, to);
    return true;
}

/* An answer goes on the stream that its question opened. */
static bool is_answer(const struct packet *p)
{
    return p->items[0].kind == SIM_MEMBERLIST_ACK || p->items[0].kind == SIM_MEMBERLIST_PULL;
}

/* How long it is under way; false when it is lost. */
static bool pass(struct rival *r, const struct packet *p, covey_time *time)
{
    *time = 0;
    if (!p->is_stream) {
        *time = delay(r, p->from, p->to);
        return !is_lost(r, p->from, p->to);
    }
    bool is_open = is_answer(p) ||
                   (pass_stream(r, p->from, p->to, time) && pass_stream(r, p->to, p->from, time));
    return is_open && pass_stream(r, p->from, p->to, time);
}

static struct packet *packet_of(uint16_t from, const struct sim_memberlist_output *o)
{
    struct packet *p = calloc(1, sizeof(*p) + o->count * sizeof(o->items[0]));
    if (p == NULL)
        abort();
    p->to = o->peer;
    p->from = from;
    p->is_stream = o->is_stream;
    p->count = o->count;
    memcpy(p->items, o->items, o->count * sizeof(o->items[0]));
    return p;
}

/* Takes the packet. */
static void launch(struct rival *r, struct packet *p)
{
    covey_time time;
    if (!pass(r, p, &time) || r->nodes[p->to].machine == NULL) {
        free(p);
        return;
    }
    r->flying++;
    reserve(r, r->config->node_count + r->flying);
    cv_heap_set(&r->timers, &p->timed.timer, r->now + time);
}

static void append(struct packet **first, struct packet **last, struct packet *p)
{
    p->next = NULL;
    if (*first == NULL)
        *first = p;
    else
        (*last)->next = p;
    *last = p;
}

static void send(struct rival *r, uint16_t from, const struct sim_memberlist_output *o)
{
    struct rival_node *n = &r->nodes[from];
    struct packet *p = packet_of(from, o);
    r->messages++;
    r->bytes += o->wire_size;
    if (n->is_held)
        append(&n->unsent_first, &n->unsent_last, p);
    else
        launch(r, p);
}

static void drain(struct rival *r, uint16_t node)
{
    struct sim_memberlist_output o;
    while (sim_memberlist_poll(r->nodes[node].machine, &o)) {
        if (o.type == SIM_MEMBERLIST_OUTPUT_SEND)
            send(r, node, &o);
        else if (r->change != NULL)
            r->change(r->user, node, o.subject, o.state, o.incarnation);
    }
    set_wake(r, &r->nodes[node]);
}

static void step(struct rival *r, uint16_t node, struct sim_memberlist_input *input)
{
    input->now = r->now;
    sim_memberlist_step(r->nodes[node].machine, input);
    drain(r, node);
}

static void wake(struct rival *r, uint16_t node)
{
    struct sim_memberlist_input input = {.type = SIM_MEMBERLIST_INPUT_TIME};
    step(r, node, &input);
}

static void deliver(struct rival *r, struct packet *p)
{
    struct sim_memberlist_input input = {
        .type = SIM_MEMBERLIST_INPUT_MESSAGE,
        .peer = p->from,
        .is_stream = p->is_stream,
        .items = p->items,
        .count = p->count,
    };
    if (r->nodes[p->to].machine != NULL)
        step(r, p->to, &input);
    free(p);
}

static void arrive(struct rival *r, struct packet *p)
{
    struct rival_node *n = &r->nodes[p->to];
    r->flying--;
    if (n->is_paused || n->is_held)
        append(&n->waiting_first, &n->waiting_last, p);
    else
        deliver(r, p);
}

/* --- life --- */

static void start(struct rival *r, uint16_t node, bool has_full_views)
{
    struct rival_node *n = &r->nodes[node];
    n->wake.is_wake = true;
    n->machine = sim_memberlist_new(r->config, node, cv_rand_below(&r->rand, START_TIME),
                                    cv_rand_u64(&r->rand));
    if (has_full_views)
        sim_memberlist_assume(n->machine, r->config->node_count);
}

struct rival *rival_new(const struct sim_memberlist_config *config, uint64_t seed,
                        const struct sim_link *link, bool has_full_views)
{
    struct rival *r = calloc(1, sizeof(*r));
    if (r == NULL)
        abort();
    r->config = config;
    r->link = *link;
    r->now = START_TIME;
    r->nodes = calloc(config->node_count, sizeof(*r->nodes));
    if (r->nodes == NULL)
        abort();
    cv_rand_seed(&r->rand, seed);
    cv_heap_init(&r->timers, cv_alloc_default());
    reserve(r, config->node_count);
    for (uint16_t i = 0; i < config->node_count; i++)
        start(r, i, has_full_views);
    for (uint16_t i = 0; i < config->node_count; i++)
        drain(r, i);
    return r;
}

static void drop(struct packet **first)
{
    while (*first != NULL) {
        struct packet *next = (*first)->next;
        free(*first);
        *first = next;
    }
}

void rival_crash(struct rival *r, uint16_t node)
{
    struct rival_node *n = &r->nodes[node];
    assert(n->machine != NULL);
    cv_heap_clear(&r->timers, &n->wake.timer);
    drop(&n->waiting_first);
    drop(&n->unsent_first);
    sim_memberlist_free(n->machine);
    n->machine = NULL;
    n->is_paused = false;
    n->is_held = false;
}

void rival_free(struct rival *r)
{
    struct cv_timer *t;
    for (uint16_t i = 0; i < r->config->node_count; i++) {
        if (r->nodes[i].machine != NULL)
            rival_crash(r, i);
    }
    while ((t = cv_heap_expire(&r->timers, COVEY_NEVER)) != NULL)
        free(t);
    cv_heap_fini(&r->timers);
    free(r->nodes);
    free(r);
}

static void deliver_waiting(struct rival *r, struct rival_node *n)
{
    struct packet *p = n->waiting_first;
    n->waiting_first = NULL;
    while (p != NULL) {
        struct packet *next = p->next;
        deliver(r, p);
        p = next;
    }
}

void rival_pause(struct rival *r, uint16_t node)
{
    struct rival_node *n = &r->nodes[node];
    assert(n->machine != NULL && !n->is_paused);
    n->is_paused = true;
    cv_heap_clear(&r->timers, &n->wake.timer);
}

void rival_resume(struct rival *r, uint16_t node)
{
    struct rival_node *n = &r->nodes[node];
    assert(n->machine != NULL && n->is_paused);
    n->is_paused = false;
    deliver_waiting(r, n);
    wake(r, node);
}

void rival_hold(struct rival *r, uint16_t node)
{
    struct rival_node *n = &r->nodes[node];
    assert(n->machine != NULL && !n->is_paused && !n->is_held);
    n->is_held = true;
    sim_memberlist_block(n->machine, true);
    set_wake(r, n);
}

/* What it sent goes first, then the goroutines that were blocked go on, and then what came is taken: an
 * answer that has been there for long comes too late for a probe whose time is over. */
void rival_release(struct rival *r, uint16_t node)
{
    struct rival_node *n = &r->nodes[node];
    assert(n->machine != NULL && n->is_held);
    n->is_held = false;
    while (n->unsent_first != NULL) {
        struct packet *p = n->unsent_first;
        n->unsent_first = p->next;
        launch(r, p);
    }
    sim_memberlist_block(n->machine, false);
    wake(r, node);
    deliver_waiting(r, n);
}

/* --- time --- */

covey_time rival_now(const struct rival *r)
{
    return r->now;
}

void rival_run_until(struct rival *r, covey_time time)
{
    covey_time due;
    while ((due = cv_heap_deadline(&r->timers)) <= time) {
        struct timed *t = (struct timed *)cv_heap_expire(&r->timers, due);
        r->now = due;
        if (t->is_wake)
            wake(r, (uint16_t)((struct rival_node *)t - r->nodes));
        else
            arrive(r, (struct packet *)t);
    }
    r->now = time;
}

void rival_run_for(struct rival *r, covey_time length)
{
    rival_run_until(r, r->now + length);
}

/* --- what is done to it, and what there is to see --- */

void rival_join(struct rival *r, uint16_t node, uint16_t seed)
{
    struct sim_memberlist_input input = {.type = SIM_MEMBERLIST_INPUT_JOIN, .peer = seed};
    step(r, node, &input);
}

void rival_update(struct rival *r, uint16_t node)
{
    struct sim_memberlist_input input = {.type = SIM_MEMBERLIST_INPUT_UPDATE};
    step(r, node, &input);
}

void rival_set_loss(struct rival *r, uint32_t permille)
{
    r->link.loss = permille;
}

void rival_set_loss_from(struct rival *r, uint16_t node, uint32_t permille)
{
    r->nodes[node].loss_from = permille;
}

void rival_set_loss_to(struct rival *r, uint16_t node, uint32_t permille)
{
    r->nodes[node].loss_to = permille;
}

void rival_set_delay(struct rival *r, uint16_t node, covey_time max)
{
    r->nodes[node].delay_max = max;
}

void rival_on_change(struct rival *r, rival_change_fn change, void *user)
{
    r->change = change;
    r->user = user;
}

const struct sim_memberlist *rival_node(const struct rival *r, uint16_t node)
{
    return r->nodes[node].machine;
}

uint64_t rival_messages(const struct rival *r)
{
    return r->messages;
}

uint64_t rival_bytes(const struct rival *r)
{
    return r->bytes;
}
