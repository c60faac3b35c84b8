/*
 * Random histories of a pool against what must always hold. The seed of a run is in its failure's text:
 *     test_unit_transport_connection_pool_model SEED
 */
#include "unit/transport/pool_fixture.h"

#include "base/rand.h"

#include <stdlib.h>

#define PEERS       12
#define SELF        6
#define CONNECTIONS 64
#define WAITERS     24
#define STEPS       4000
#define RUNS        60

#define DIALLED_MAX  3
#define ACCEPTED_MAX 4

static uint64_t only_seed;
static bool has_only_seed;

struct connection {
    struct cv_pooled pooled;
    bool is_used;     /* the memory */
    bool is_alive;    /* as its owner sees it */
    bool is_given_up; /* CLOSE was polled, or it was replaced */
    uint8_t peer;
    bool accepted;
    size_t leases;
    covey_time last_use;
    covey_time used_at; /* the same, by leases only */
};

struct want {
    struct cv_pool_waiter waiter;
    bool is_waiting;
    uint8_t peer;
    covey_time deadline;
};

struct model {
    struct side s;
    struct cv_rand rand;
    struct connection connections[CONNECTIONS];
    struct want wants[WAITERS];
    struct cv_pool_slot *dials[PEERS]; /* under way */
    bool is_pinned[PEERS];
    uint64_t requests;
    uint64_t seed;
};

#define must(m, condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("seed %llu: %s", (unsigned long long)(m)->seed, #condition);                  \
    } while (0)

static struct connection *connection_of(struct cv_pooled *pooled)
{
    return (struct connection *)(void *)pooled; /* its first member */
}

static struct connection *some_connection(struct model *m)
{
    struct connection *c = &m->connections[cv_rand_below(&m->rand, CONNECTIONS)];
    return c->is_used ? c : NULL;
}

static struct connection *new_connection(struct model *m, uint8_t peer, bool accepted)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &m->connections[i];
        if (c->is_used)
            continue;
        *c = (struct connection){.is_used = true,
                                 .is_alive = true,
                                 .peer = peer,
                                 .accepted = accepted,
                                 .last_use = m->s.now,
                                 .used_at = m->s.now};
        return c;
    }
    return NULL;
}

static void took_lease(struct model *m, struct cv_pooled *pooled, uint8_t peer)
{
    struct connection *c = connection_of(pooled);
    must(m, c->is_used && c->is_alive && !c->is_given_up); /* PL4 */
    must(m, c->peer == peer);
    c->leases++;
    c->last_use = m->s.now;
    c->used_at = m->s.now;
}

/* ---- what happens ---- */

static void acquire(struct model *m)
{
    struct want *w = &m->wants[cv_rand_below(&m->rand, WAITERS)];
    uint8_t peer = (uint8_t)cv_rand_below(&m->rand, PEERS);
    struct cv_pool_wish wish = wish_for(peer);
    struct cv_pooled *out;
    if (w->is_waiting || peer == SELF)
        return;
    wish.is_pinned = m->is_pinned[peer];
    wish.is_coming = cv_rand_below(&m->rand, 4) == 0;
    wish.is_modest = !wish.is_pinned && cv_rand_below(&m->rand, 8) == 0;
    *w = (struct want){.peer = peer, .deadline = m->s.now + cv_rand_below(&m->rand, 4 * WAIT)};
    int error =
        cv_connection_pool_acquire(&m->s.pool, &wish, m->s.now, w->deadline, &w->waiter, &out);
    m->requests += error == 0;
    must(m, error == 0 || (wish.is_modest && error == COVEY_ERR_POOL_EXHAUSTED));
    if (error != 0)
        return;
    if (out != NULL)
        took_lease(m, out, peer);
    else
        w->is_waiting = true;
}

static void cancel(struct model *m)
{
    struct want *w = &m->wants[cv_rand_below(&m->rand, WAITERS)];
    if (w->is_waiting)
        cv_connection_pool_cancel(&m->s.pool, &w->waiter, m->s.now);
    w->is_waiting = false;
}

static void release(struct model *m)
{
    struct connection *c = some_connection(m);
    if (c == NULL || c->leases == 0)
        return;
    c->leases--;
    c->last_use = m->s.now;
    c->used_at = m->s.now;
    cv_connection_pool_release(&m->s.pool, &c->pooled, m->s.now);
    c->is_used = c->is_alive || c->leases > 0;
}

static void close_connection(struct model *m)
{
    struct connection *c = some_connection(m);
    if (c == NULL || !c->is_alive)
        return;
    bool spoke = cv_connection_pool_closed(&m->s.pool, &c->pooled);
    must(m, spoke == !c->is_given_up); /* PL7: its owner hears of each end once */
    c->is_alive = false;
    c->is_used = c->leases > 0;
}

static void connect(struct model *m, struct cv_pool_slot *slot, uint8_t peer, bool accepted)
{
    struct connection *c = new_connection(m, peer, accepted);
    if (c == NULL)
        return;
    struct cv_pool_offer o = {.slot = slot,
                              .peer = id_of(peer),
                              .address = address_of(peer),
                              .connection = &c->pooled,
                              .accepted = accepted};
    if (slot != NULL)
        m->dials[peer] = NULL;
    if (cv_connection_pool_connected(&m->s.pool, &o, m->s.now) != 0) {
        must(m, accepted);
        c->is_used = false;
        return;
    }
    if (o.verdict == CV_POOL_KEPT)
        c->is_given_up = true;
    if (o.loser != NULL)
        connection_of(o.loser)->is_given_up = true;
}

static void end_dial(struct model *m)
{
    uint8_t peer = (uint8_t)cv_rand_below(&m->rand, PEERS);
    struct cv_pool_slot *slot = m->dials[peer];
    if (slot == NULL)
        return;
    if (cv_rand_below(&m->rand, 2) == 0)
        cv_connection_pool_heard(slot);
    if (cv_rand_below(&m->rand, 3) > 0) {
        connect(m, slot, peer, false);
        return;
    }
    m->dials[peer] = NULL;
    cv_connection_pool_failed(&m->s.pool, slot, COVEY_ERR_UNREACHABLE);
}

static void accept_one(struct model *m)
{
    uint8_t peer = (uint8_t)cv_rand_below(&m->rand, PEERS);
    if (peer != SELF)
        connect(m, NULL, peer, true);
}

/* One that was pinned counts again: only when there is room for it, as who pins sees to. */
static void pin(struct model *m)
{
    uint8_t peer = (uint8_t)cv_rand_below(&m->rand, PEERS);
    const covey_node_id id = id_of(peer);
    if (m->is_pinned[peer] && m->s.pool.stats.dialled >= DIALLED_MAX)
        return;
    m->is_pinned[peer] = !m->is_pinned[peer] && cv_rand_below(&m->rand, 3) == 0;
    cv_connection_pool_pin(&m->s.pool, &id, m->is_pinned[peer]);
    if (speaker(&m->s, peer) != NULL) /* only now its time to be closed may come */
        connection_of(speaker(&m->s, peer))->last_use = m->s.now;
}

static void pass_time(struct model *m)
{
    static const covey_time steps[] = {1,
                                       COVEY_MILLISECOND,
                                       100 * COVEY_MILLISECOND,
                                       COVEY_SECOND,
                                       10 * COVEY_SECOND,
                                       70 * COVEY_SECOND};
    covey_time end = m->s.now + steps[cv_rand_below(&m->rand, sizeof steps / sizeof *steps)];
    covey_time due = cv_connection_pool_deadline(&m->s.pool);
    m->s.now = due < end && due > m->s.now ? due : end;
    cv_connection_pool_expire(&m->s.pool, m->s.now);
}

/* ---- what comes out ---- */

static void take_answer(struct model *m, struct cv_pool_waiter *waiter)
{
    struct want *w = (struct want *)(void *)waiter;
    must(m, w->is_waiting);
    w->is_waiting = false;
    if (waiter->connection != NULL)
        took_lease(m, waiter->connection, w->peer);
    else
        must(m, waiter->error != 0);
    if (waiter->error == COVEY_ERR_POOL_EXHAUSTED || waiter->error == COVEY_ERR_TIMEOUT)
        must(m, m->s.now >= w->deadline);
}

static void take(struct model *m, const struct cv_pool_output *out)
{
    struct connection *c = out->connection == NULL ? NULL : connection_of(out->connection);
    switch (out->type) {
    case CV_POOL_DIAL:
        must(m, out->has_id && m->dials[out->id.bytes[0]] == NULL); /* PL2 */
        m->dials[out->id.bytes[0]] = out->slot;
        break;
    case CV_POOL_ABANDON:
        for (size_t i = 0; i < PEERS; i++)
            if (m->dials[i] == out->slot)
                m->dials[i] = NULL;
        break;
    case CV_POOL_ANSWER:
        take_answer(m, out->waiter);
        break;
    case CV_POOL_CLOSE:
        must(m, c->is_alive && c->leases == 0 && !c->accepted); /* PL1 */
        must(m, m->s.now - c->used_at >= CV_POOL_USE_MIN);      /* PL8 */
        c->is_given_up = true;
        break;
    case CV_POOL_CHECK:
        must(m, c->is_alive && !c->is_given_up);
        break;
    }
}

/* ---- what must hold ---- */

static size_t count_speakers(struct model *m, bool accepted)
{
    size_t count = 0;
    for (uint8_t peer = 0; peer < PEERS; peer++) {
        struct cv_pooled *pooled = speaker(&m->s, peer);
        if (pooled == NULL)
            continue;
        const struct connection *c = connection_of(pooled);
        must(m, c->is_alive && !c->is_given_up && c->peer == peer);
        must(m, pooled->leases == c->leases);
        count += c->accepted == accepted && (accepted || !m->is_pinned[peer]);
    }
    return count;
}

static void check(struct model *m)
{
    const struct cv_pool_stats *stats = &m->s.pool.stats;
    const covey_time idle_max = m->s.pool.config.idle_max + m->s.pool.config.check_interval;
    size_t dials = 0, waiting = 0;
    for (uint8_t i = 0; i < PEERS; i++)
        dials += m->dials[i] != NULL && !m->is_pinned[i] &&
                 (speaker(&m->s, i) == NULL || speaker(&m->s, i)->accepted);
    must(m, count_speakers(m, false) + dials <= DIALLED_MAX); /* PL1 */
    must(m, stats->dialled <= DIALLED_MAX);
    must(m, count_speakers(m, true) == stats->accepted && stats->accepted <= ACCEPTED_MAX);
    must(m, stats->created == stats->open + stats->closed); /* PL6 */
    must(m, stats->hits + stats->misses == m->requests);
    for (size_t i = 0; i < WAITERS; i++) {
        waiting += m->wants[i].is_waiting;
        must(m, !m->wants[i].is_waiting || m->wants[i].deadline > m->s.now ||
                    cv_connection_pool_deadline(&m->s.pool) <= m->s.now); /* PL5 */
    }
    must(m, waiting == stats->waiting);
    for (size_t i = 0; i < CONNECTIONS; i++) { /* PL3 */
        const struct connection *c = &m->connections[i];
        must(m, !c->is_used || c->pooled.leases == c->leases);
        bool is_idle = c->is_used && c->is_alive && !c->is_given_up && !c->accepted &&
                       c->leases == 0 && !m->is_pinned[c->peer];
        must(m, !is_idle || m->s.now - c->last_use <= idle_max ||
                    cv_connection_pool_deadline(&m->s.pool) <= m->s.now);
        bool may_go = is_idle && m->s.now - c->used_at >= CV_POOL_USE_MIN;
        must(m, !may_go || TAILQ_EMPTY(&m->s.pool.queued) ||
                    cv_connection_pool_deadline(&m->s.pool) <= m->s.now); /* PL9 */
    }
}

static struct cv_pool_stats seen; /* in all runs */

static void run(uint64_t seed)
{
    static void (*const happenings[])(struct model *) = {
        acquire,  acquire,  acquire,    cancel, release,   release,   close_connection,
        end_dial, end_dial, accept_one, pin,    pass_time, pass_time,
    };
    static struct model m;
    struct cv_pool_output out;
    m = (struct model){.seed = seed};
    side_init(&m.s, SELF);
    m.s.pool.config.dialled_max = DIALLED_MAX;
    m.s.pool.config.accepted_max = ACCEPTED_MAX;
    cv_rand_seed(&m.rand, seed);
    for (unsigned step = 0; step < STEPS; step++) {
        happenings[cv_rand_below(&m.rand, sizeof happenings / sizeof *happenings)](&m);
        /* now and then what is to be done is done late */
        if (cv_rand_below(&m.rand, 4) == 0)
            continue;
        while (cv_connection_pool_poll(&m.s.pool, m.s.now, &out))
            take(&m, &out);
        check(&m);
    }
    seen.evicted += m.s.pool.stats.evicted;
    seen.idle += m.s.pool.stats.idle;
    seen.exhausted += m.s.pool.stats.exhausted;
    seen.timeouts += m.s.pool.stats.timeouts;
    seen.saved += m.s.pool.stats.saved;
    seen.replaced += m.s.pool.stats.replaced;
    seen.unwanted += m.s.pool.stats.unwanted;
    side_fini(&m.s);
}

static void random_histories_hold(void **state)
{
    (void)state;
    if (has_only_seed) {
        run(only_seed);
        return;
    }
    for (uint64_t seed = 1; seed <= RUNS; seed++)
        run(seed);
    /* and everything came up */
    assert_true(seen.evicted > 0 && seen.idle > 0 && seen.exhausted > 0 && seen.timeouts > 0 &&
                seen.saved > 0 && seen.replaced > 0 && seen.unwanted > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_histories_hold)};
    has_only_seed = argc > 1;
    only_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
