/*
 * The pool of connections under any history of its users, its dials and its time, with memory that may
 * end. Beside it is what its owner knows: who dials, who is connected, who leases. After each step:
 *
 *   PL1  no more dialled connections and dials than may be, and as many as are counted; no leased
 *        connection is closed
 *   PL2  one dial at most is on its way for a peer, or for an address while its peer is not known
 *   PL3  no more dials that may still be answered are on their way than may be, pinned or not, and each is
 *        its beginner's
 *   PL4  who gets a lease gets one of his peer's, alive and not given up
 *   PL5  each wish is answered once, by its deadline, and not for want of room before unless its dial was
 *        forgone
 *   PL6  created = open + closed, hits + misses = wishes
 *
 * At the end all connections close, all waiters are answered by the last deadline, and no memory is left.
 * The input is steps of three bytes: what, which, how.
 */
#include "memory.h"

#include "base/reader.h"
#include "transport/connection_pool.h"

#include <covey/error.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PEERS       8
#define SELF        4 /* one of them */
#define CONNECTIONS 24
#define WAITERS     12
#define DIALS       64

#define LATE 0x80 /* of `what`: nothing is polled after this step */

#define DIALLED_MAX  3
#define ACCEPTED_MAX 4
/* More than the window begins with, fewer than there are peers: pinned ones have to wait too. */
#define UNDER_WAY_MAX 6

struct connection {
    struct cv_pooled pooled; /* first: it is found by it */
    bool is_used;            /* the memory */
    bool is_alive;
    bool is_given_up; /* CLOSE was polled, or it lost */
    bool accepted;
    uint8_t peer;
    size_t leases;
};

struct want {
    struct cv_pool_waiter waiter; /* first */
    bool is_waiting;
    bool has_id;
    bool is_forgone; /* it ends before its deadline */
    uint8_t peer;
    covey_time deadline;
};

struct dial {
    struct cv_pool_slot *slot; /* NULL: free */
    bool has_id;
    uint8_t peer; /* its id, or the address */
    bool is_heard;
    covey_time begun;
};

struct model {
    struct memory memory;
    struct cv_connection_pool pool;
    covey_time now;
    struct connection connections[CONNECTIONS];
    struct want wants[WAITERS];
    struct dial dials[DIALS];
    bool is_pinned[PEERS];
    bool is_unwanted[PEERS]; /* by the time that its dial would begin */
    uint64_t wishes;
};

static covey_node_id id_of(uint8_t peer)
{
    return (covey_node_id){.bytes = {peer}};
}

static struct cv_address address_of(uint8_t peer)
{
    return (struct cv_address){.ip = {10, 0, 0, peer}, .port = 1, .family = 4};
}

static void begin(struct model *m)
{
    static const uint64_t secret[2] = {1, 2};
    struct cv_pool_config config;
    const covey_node_id self = id_of(SELF);
    *m = (struct model){.now = 1000 * COVEY_SECOND};
    memory_init(&m->memory);
    cv_pool_config_init(&config);
    config.dialled_max = DIALLED_MAX;
    config.accepted_max = ACCEPTED_MAX;
    config.under_way_max = UNDER_WAY_MAX;
    config.waiters_max = WAITERS - 2; /* so that the bound is met */
    cv_connection_pool_init(&m->pool, &m->memory.alloc, &self, secret, &config);
}

/* ---- those who use connections ---- */

static void took_lease(struct cv_pooled *pooled, bool has_id, uint8_t peer)
{
    struct connection *c = (struct connection *)(void *)pooled;
    assert(c->is_used && c->is_alive && !c->is_given_up);
    assert(!has_id || c->peer == peer);
    c->leases++;
}

static size_t count_waiting(const struct model *m)
{
    size_t count = 0;
    for (size_t i = 0; i < WAITERS; i++)
        count += m->wants[i].is_waiting;
    return count;
}

/* Nobody wishes for itself by its id: who asks for it by an address finds out. */
static void acquire(struct model *m, uint8_t which, uint8_t how)
{
    struct want *w = &m->wants[which % WAITERS];
    uint8_t peer = (which / WAITERS) % PEERS;
    bool has_id = (how & 1) == 0;
    if (w->is_waiting || (has_id && peer == SELF))
        return;
    struct cv_pool_wish wish = {.has_id = has_id,
                                .address = address_of(peer),
                                .is_pinned = has_id && m->is_pinned[peer],
                                .is_coming = (how & 2) != 0};
    if (has_id)
        wish.id = id_of(peer);
    wish.is_modest = !wish.is_pinned && (how & 4) != 0;
    struct cv_pooled *out = NULL;
    *w = (struct want){
        .peer = peer, .has_id = has_id, .deadline = m->now + (how >> 3) * COVEY_SECOND};
    size_t waiting = count_waiting(m);
    int error = cv_connection_pool_acquire(&m->pool, &wish, m->now, w->deadline, &w->waiter, &out);
    assert(error == 0 || error == COVEY_ERR_NO_MEMORY ||
           (error == COVEY_ERR_LIMIT && waiting >= WAITERS - 2) ||
           (error == COVEY_ERR_POOL_EXHAUSTED && wish.is_modest));
    m->wishes += error == 0;
    if (error != 0)
        return;
    if (out != NULL)
        took_lease(out, has_id, peer);
    else
        w->is_waiting = true;
}

static void cancel(struct model *m, uint8_t which)
{
    struct want *w = &m->wants[which % WAITERS];
    if (w->is_waiting)
        cv_connection_pool_cancel(&m->pool, &w->waiter, m->now);
    w->is_waiting = false;
}

static void release(struct model *m, struct connection *c)
{
    if (c->leases == 0)
        return;
    c->leases--;
    cv_connection_pool_release(&m->pool, &c->pooled, m->now);
    c->is_used = c->is_alive || c->leases > 0;
}

static void touch(struct model *m, struct connection *c)
{
    if (c->is_used && c->is_alive && !c->is_given_up)
        cv_connection_pool_touch(&m->pool, &c->pooled, m->now);
}

/* One that is pinned no more counts again: only when there is room for it, as who pins sees to. */
static void pin(struct model *m, uint8_t which)
{
    uint8_t peer = which % PEERS;
    const covey_node_id id = id_of(peer);
    if (m->is_pinned[peer] && m->pool.stats.dialled >= DIALLED_MAX)
        return;
    m->is_pinned[peer] = !m->is_pinned[peer];
    cv_connection_pool_pin(&m->pool, &id, m->is_pinned[peer]);
}

/* ---- those who make connections ---- */

static void close_connection(struct model *m, struct connection *c)
{
    if (!c->is_used || !c->is_alive)
        return;
    bool is_news = cv_connection_pool_closed(&m->pool, &c->pooled);
    assert(is_news == !c->is_given_up);
    c->is_alive = false;
    c->is_used = c->leases > 0;
}

static struct connection *new_connection(struct model *m, uint8_t peer, bool accepted)
{
    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct connection *c = &m->connections[i];
        if (c->is_used)
            continue;
        *c = (struct connection){
            .is_used = true, .is_alive = true, .peer = peer, .accepted = accepted};
        return c;
    }
    return NULL;
}

static void connect(struct model *m, struct cv_pool_slot *slot, uint8_t peer, bool accepted)
{
    struct connection *c = new_connection(m, peer, accepted);
    if (c == NULL) {
        if (slot != NULL)
            cv_connection_pool_failed(&m->pool, slot, COVEY_ERR_LIMIT);
        return;
    }
    struct cv_pool_offer o = {.slot = slot,
                              .peer = id_of(peer),
                              .address = address_of(peer),
                              .connection = &c->pooled,
                              .accepted = accepted};
    if (cv_connection_pool_connected(&m->pool, &o, m->now) != 0) {
        c->is_used = false;
        return;
    }
    c->is_given_up = o.verdict == CV_POOL_KEPT;
    if (o.loser != NULL)
        ((struct connection *)(void *)o.loser)->is_given_up = true;
}

static void end_dial(struct model *m, uint8_t which, uint8_t how)
{
    struct dial *d = &m->dials[which % DIALS];
    struct cv_pool_slot *slot = d->slot;
    if (slot == NULL)
        return;
    if ((how & 1) != 0) {
        cv_connection_pool_heard(slot);
        d->is_heard = true;
    }
    if ((how & 2) != 0)
        return;
    d->slot = NULL;
    uint8_t peer = d->has_id || (how & 8) == 0 ? d->peer : (how >> 4) % PEERS;
    if ((how & 4) != 0 || peer == SELF)
        cv_connection_pool_failed(&m->pool, slot, COVEY_ERR_UNREACHABLE);
    else
        connect(m, slot, peer, false);
}

/* Somebody dials us; is_in_vain() is his to be asked before. */
static void accept_one(struct model *m, uint8_t which)
{
    uint8_t peer = which % PEERS;
    const struct cv_address from = address_of(peer);
    if (peer == SELF || cv_connection_pool_is_in_vain(&m->pool, &from, m->now))
        return;
    connect(m, NULL, peer, true);
}

/* A connection that retires is replaced by its owner's own dial. */
static void replace(struct model *m, const struct connection *c)
{
    if (c->is_used && c->is_alive && !c->is_given_up && !c->accepted)
        connect(m, NULL, c->peer, false);
}

/* ---- what is to be done ---- */

/* Nobody wants it any more, and those who wait for it hear that there was no room in time. */
static void forgo(struct model *m, struct cv_pool_slot *slot, uint8_t peer)
{
    for (size_t i = 0; i < WAITERS; i++)
        if (m->wants[i].is_waiting && m->wants[i].has_id && m->wants[i].peer == peer)
            m->wants[i].is_forgone = true;
    const uint64_t before = m->pool.stats.forgone;
    cv_connection_pool_forgo(&m->pool, slot);
    assert(m->pool.stats.forgone == before + 1);
}

static bool may_be_answered(const struct model *m, const struct dial *d)
{
    return m->now - d->begun < (d->is_heard ? CV_POOL_HEARD : CV_POOL_UNHEARD);
}

static void take_dial(struct model *m, const struct cv_pool_output *out)
{
    uint8_t peer = out->has_id ? out->id.bytes[0] : out->address.ip[3];
    struct dial *free_one = NULL;
    size_t under_way = 0;
    for (size_t i = 0; i < DIALS; i++) {
        struct dial *d = &m->dials[i];
        if (d->slot == NULL) {
            free_one = free_one == NULL ? d : free_one;
            continue;
        }
        assert(d->slot != out->slot && !(d->has_id == out->has_id && d->peer == peer));
        under_way += may_be_answered(m, d);
    }
    assert(free_one != NULL && under_way < UNDER_WAY_MAX && under_way < m->pool.window.size);
    if (out->is_pinned && out->has_id && m->is_unwanted[peer]) {
        forgo(m, out->slot, peer);
        return;
    }
    *free_one =
        (struct dial){.slot = out->slot, .has_id = out->has_id, .peer = peer, .begun = m->now};
    cv_connection_pool_begun(out->slot, free_one);
}

static void take_answer(struct cv_pool_waiter *waiter, covey_time now)
{
    struct want *w = (struct want *)(void *)waiter;
    assert(w->is_waiting && (waiter->connection != NULL) == (waiter->error == 0));
    w->is_waiting = false;
    if (waiter->connection != NULL)
        took_lease(waiter->connection, w->has_id, w->peer);
    if (waiter->error == COVEY_ERR_TIMEOUT)
        assert(now >= w->deadline);
    if (waiter->error == COVEY_ERR_POOL_EXHAUSTED)
        assert(now >= w->deadline || w->is_forgone);
}

static void take(struct model *m, const struct cv_pool_output *out)
{
    struct connection *c = (struct connection *)(void *)out->connection;
    switch (out->type) {
    case CV_POOL_DIAL:
        take_dial(m, out);
        break;
    case CV_POOL_ABANDON:
        for (size_t i = 0; i < DIALS; i++)
            if (m->dials[i].slot == out->slot)
                m->dials[i].slot = NULL;
        break;
    case CV_POOL_ANSWER:
        take_answer(out->waiter, m->now);
        break;
    case CV_POOL_CLOSE:
        assert(c->is_alive && !c->is_given_up && c->leases == 0 && !c->accepted);
        c->is_given_up = true;
        break;
    case CV_POOL_CHECK:
        assert(c->is_alive && !c->is_given_up);
        break;
    }
}

static void drain(struct model *m)
{
    struct cv_pool_output out;
    while (cv_connection_pool_poll(&m->pool, m->now, &out))
        take(m, &out);
}

static void pass_time(struct model *m, uint8_t how)
{
    static const covey_time steps[] = {1, 100 * COVEY_MILLISECOND, COVEY_SECOND, 70 * COVEY_SECOND};
    covey_time end = m->now + steps[how % 4] * (1 + how / 4);
    covey_time due = cv_connection_pool_deadline(&m->pool);
    m->now = due > m->now && due < end ? due : end;
    cv_connection_pool_expire(&m->pool, m->now);
}

/* ---- what must hold ---- */

static size_t count_speakers(struct model *m, bool accepted)
{
    size_t count = 0;
    for (uint8_t peer = 0; peer < PEERS; peer++) {
        const covey_node_id id = id_of(peer);
        const struct connection *c =
            (const struct connection *)(void *)cv_connection_pool_get(&m->pool, &id);
        if (c == NULL)
            continue;
        assert(c->is_used && c->is_alive && !c->is_given_up && c->peer == peer);
        count += c->accepted == accepted && (accepted || !m->is_pinned[peer]);
    }
    return count;
}

static void check_diallers(struct model *m)
{
    for (uint8_t peer = 0; peer < PEERS; peer++) {
        const struct cv_address address = address_of(peer);
        struct cv_pool_slot *slot;
        const struct dial *d = cv_connection_pool_dialler(&m->pool, &address, &slot);
        assert(d == NULL || (d->slot == slot && d->has_id && d->peer == peer));
    }
}

static void check(struct model *m)
{
    const struct cv_pool_stats *stats = &m->pool.stats;
    check_diallers(m);
    assert(m->pool.window.size >= CV_DIAL_WINDOW_MIN && m->pool.window.size <= UNDER_WAY_MAX);
    assert(stats->dialled <= DIALLED_MAX && count_speakers(m, false) <= stats->dialled);
    assert(count_speakers(m, true) == stats->accepted && stats->accepted <= ACCEPTED_MAX);
    assert(stats->created == stats->open + stats->closed);
    assert(stats->hits + stats->misses == m->wishes);
    assert(stats->waiting == count_waiting(m) && stats->waiting <= WAITERS - 2);
    for (size_t i = 0; i < WAITERS; i++)
        assert(!m->wants[i].is_waiting || m->wants[i].deadline > m->now ||
               cv_connection_pool_deadline(&m->pool) <= m->now);
    for (size_t i = 0; i < CONNECTIONS; i++)
        assert(!m->connections[i].is_used ||
               m->connections[i].pooled.leases == m->connections[i].leases);
}

static void step(struct model *m, uint8_t what, uint8_t which, uint8_t how)
{
    struct connection *c = &m->connections[which % CONNECTIONS];
    switch (what % 13) {
    case 0:
    case 1:
        acquire(m, which, how);
        break;
    case 2:
        cancel(m, which);
        break;
    case 3:
        release(m, c);
        break;
    case 4:
        touch(m, c);
        break;
    case 5:
        pin(m, which);
        break;
    case 6:
        close_connection(m, c);
        break;
    case 7:
        end_dial(m, which, how);
        break;
    case 8:
        accept_one(m, which);
        break;
    case 9:
        replace(m, c);
        break;
    case 10:
        pass_time(m, how);
        break;
    case 11:
        memory_limit(&m->memory, how % 4, (how & 4) != 0);
        break;
    case 12:
        m->is_unwanted[which % PEERS] = !m->is_unwanted[which % PEERS];
        break;
    }
}

/* Everybody goes, and each wish has had its answer by its deadline. */
static void end(struct model *m)
{
    memory_limit(&m->memory, 0, false);
    m->now += 100 * COVEY_SECOND;
    cv_connection_pool_expire(&m->pool, m->now);
    drain(m);
    assert(count_waiting(m) == 0);
    for (size_t i = 0; i < DIALS; i++)
        end_dial(m, (uint8_t)i, 4);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        while (m->connections[i].is_used && m->connections[i].leases > 0)
            release(m, &m->connections[i]);
        close_connection(m, &m->connections[i]);
    }
    drain(m);
    assert(m->pool.stats.open == 0 && m->pool.stats.dialled == 0 && m->pool.stats.accepted == 0);
    cv_connection_pool_fini(&m->pool);
    assert(m->memory.out == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct model m;
    struct cv_reader r;
    begin(&m);
    cv_reader_init(&r, cv_slice_of(data, size));
    while (cv_reader_left(&r) >= 3) {
        uint8_t what = cv_read_u8(&r);
        uint8_t which = cv_read_u8(&r);
        uint8_t how = cv_read_u8(&r);
        step(&m, what & ~LATE & 0xff, which, how);
        if ((what & LATE) != 0) /* now and then what is to be done is done late */
            continue;
        drain(&m);
        check(&m);
    }
    end(&m);
    return 0;
}
