#ifndef UNIT_TRANSPORT_POOL_FIXTURE_H
#define UNIT_TRANSPORT_POOL_FIXTURE_H

#include "transport/connection_pool.h"

#include "support/test_alloc.h"

#include <covey/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A pool of one node, whose time is an integer; peers are numbers. */
#define WAIT (5 * COVEY_SECOND)

struct side {
    struct test_alloc memory;
    struct cv_connection_pool pool;
    covey_time now;
};

static inline covey_node_id id_of(uint8_t number)
{
    return (covey_node_id){.bytes = {number}};
}

static inline struct cv_address address_of(uint8_t number)
{
    return (struct cv_address){.ip = {10, 0, 0, number}, .port = 1, .family = 4};
}

static inline void side_init(struct side *s, uint8_t self)
{
    static const uint64_t secret[2] = {1, 2};
    struct cv_pool_config config;
    const covey_node_id id = id_of(self);
    cv_pool_config_init(&config);
    test_alloc_init(&s->memory);
    s->now = 1000 * COVEY_SECOND;
    cv_connection_pool_init(&s->pool, &s->memory.alloc, &id, secret, &config);
}

static inline void side_fini(struct side *s)
{
    cv_connection_pool_fini(&s->pool);
    test_alloc_assert_empty(&s->memory);
}

static inline struct cv_pool_wish wish_for(uint8_t number)
{
    return (struct cv_pool_wish){
        .has_id = true, .id = id_of(number), .address = address_of(number)};
}

/* The lease, or NULL when he waits. */
static inline struct cv_pooled *want(struct side *s, uint8_t number, struct cv_pool_waiter *waiter)
{
    const struct cv_pool_wish wish = wish_for(number);
    struct cv_pooled *out;
    assert_int_equal(
        cv_connection_pool_acquire(&s->pool, &wish, s->now, s->now + WAIT, waiter, &out), 0);
    return out;
}

static inline struct cv_pooled *want_address(struct side *s, uint8_t number,
                                             struct cv_pool_waiter *waiter)
{
    const struct cv_pool_wish wish = {.address = address_of(number)};
    struct cv_pooled *out;
    assert_int_equal(
        cv_connection_pool_acquire(&s->pool, &wish, s->now, s->now + WAIT, waiter, &out), 0);
    return out;
}

static inline struct cv_pool_output next(struct side *s, enum cv_pool_output_type type)
{
    struct cv_pool_output out;
    assert_true(cv_connection_pool_poll(&s->pool, s->now, &out));
    assert_int_equal(out.type, type);
    return out;
}

static inline void assert_nothing(struct side *s)
{
    struct cv_pool_output out;
    assert_false(cv_connection_pool_poll(&s->pool, s->now, &out));
}

static inline struct cv_pool_offer offer(struct side *s, struct cv_pool_slot *slot, uint8_t peer,
                                         struct cv_pooled *connection, bool accepted)
{
    struct cv_pool_offer o = {
        .slot = slot,
        .peer = id_of(peer),
        .address = address_of(peer),
        .connection = connection,
        .accepted = accepted,
    };
    assert_int_equal(cv_connection_pool_connected(&s->pool, &o, s->now), 0);
    return o;
}

static inline struct cv_pool_offer accept(struct side *s, uint8_t peer,
                                          struct cv_pooled *connection)
{
    return offer(s, NULL, peer, connection, true);
}

/* The outcome of a dial. */
static inline void dialled(struct side *s, struct cv_pool_slot *slot, uint8_t peer,
                           struct cv_pooled *connection)
{
    offer(s, slot, peer, connection, false);
}

/* A dialled connection that nobody leases any more. */
static inline void dial(struct side *s, uint8_t peer, struct cv_pooled *connection)
{
    struct cv_pool_waiter waiter;
    assert_null(want(s, peer, &waiter));
    dialled(s, next(s, CV_POOL_DIAL).slot, peer, connection);
    assert_ptr_equal(next(s, CV_POOL_ANSWER).waiter->connection, connection);
    cv_connection_pool_release(&s->pool, connection, s->now);
}

static inline struct cv_pooled *speaker(const struct side *s, uint8_t peer)
{
    const covey_node_id id = id_of(peer);
    return cv_connection_pool_get(&s->pool, &id);
}

#endif
