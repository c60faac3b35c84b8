#include "unit/transport/pool_fixture.h"

/* ---- a connection for each peer ---- */

static void one_connection_for_each_peer(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a, b;
    side_init(&s, 5);
    assert_int_equal(accept(&s, 1, &a).verdict, CV_POOL_ADDED);
    assert_int_equal(accept(&s, 2, &b).verdict, CV_POOL_ADDED);
    assert_ptr_equal(speaker(&s, 1), &a);
    assert_ptr_equal(speaker(&s, 2), &b);
    assert_null(speaker(&s, 3));
    assert_true(cv_connection_pool_closed(&s.pool, &a));
    assert_false(cv_connection_pool_closed(&s.pool, &a));
    assert_null(speaker(&s, 1));
    assert_int_equal(s.pool.stats.open, 1);
    side_fini(&s);
}

static void the_same_connection_is_leased_again(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a, *lease;
    struct cv_pool_waiter waiter;
    side_init(&s, 5);
    accept(&s, 1, &a);
    for (unsigned i = 0; i < 3; i++) {
        lease = want(&s, 1, &waiter);
        assert_ptr_equal(lease, &a);
    }
    assert_int_equal(a.leases, 3);
    for (unsigned i = 0; i < 3; i++)
        cv_connection_pool_release(&s.pool, &a, s.now);
    assert_int_equal(s.pool.stats.hits, 3);
    assert_int_equal(s.pool.stats.misses, 0);
    assert_nothing(&s);
    side_fini(&s);
}

/* 32 callers: one handshake, one outcome for all. */
static void many_wait_for_one_dial(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a;
    struct cv_pool_waiter waiters[32];
    struct cv_pool_output out;
    for (int fails = 0; fails < 2; fails++) {
        side_init(&s, 5);
        for (size_t i = 0; i < 32; i++)
            assert_null(want(&s, 1, &waiters[i]));
        out = next(&s, CV_POOL_DIAL);
        assert_nothing(&s);
        if (fails)
            cv_connection_pool_failed(&s.pool, out.slot, COVEY_ERR_UNREACHABLE);
        else
            dialled(&s, out.slot, 1, &a);
        for (size_t i = 0; i < 32; i++) {
            out = next(&s, CV_POOL_ANSWER);
            assert_ptr_equal(out.waiter, &waiters[i]);
            assert_ptr_equal(out.waiter->connection, fails ? NULL : &a);
            assert_int_equal(out.waiter->error, fails ? COVEY_ERR_UNREACHABLE : 0);
        }
        assert_nothing(&s);
        assert_int_equal(s.pool.stats.dials, 1);
        assert_int_equal(s.pool.stats.waiting, 0);
        assert_int_equal(s.pool.stats.dialled, fails ? 0 : 1);
        if (!fails)
            assert_int_equal(a.leases, 32);
        side_fini(&s);
    }
}

/* Not known by id: by address, until it is connected. */
static void an_address_becomes_a_peer(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a;
    struct cv_pool_waiter first, second;
    struct cv_pool_output out;
    side_init(&s, 5);
    assert_null(want_address(&s, 7, &first));
    assert_null(want_address(&s, 7, &second));
    out = next(&s, CV_POOL_DIAL);
    assert_false(out.has_id);
    assert_nothing(&s);
    dialled(&s, out.slot, 1, &a);
    assert_ptr_equal(next(&s, CV_POOL_ANSWER).waiter->connection, &a);
    assert_ptr_equal(next(&s, CV_POOL_ANSWER).waiter->connection, &a);
    assert_ptr_equal(speaker(&s, 1), &a);
    assert_int_equal(s.pool.stats.dialled, 1);
    side_fini(&s);
}

static void a_lost_connection_is_never_handed_out(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a;
    struct cv_pool_waiter waiter, late;
    struct cv_pool_output out;
    side_init(&s, 5);
    assert_null(want(&s, 1, &waiter));
    out = next(&s, CV_POOL_DIAL);
    dialled(&s, out.slot, 1, &a);
    /* it ends before the answer was taken */
    assert_true(cv_connection_pool_closed(&s.pool, &a));
    out = next(&s, CV_POOL_ANSWER);
    assert_null(out.waiter->connection);
    assert_int_equal(out.waiter->error, COVEY_ERR_CONNECTION_LOST);
    assert_int_equal(a.leases, 0);
    assert_null(want(&s, 1, &late));
    next(&s, CV_POOL_DIAL);
    side_fini(&s);
}

static void leases_outlive_a_connection(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a;
    struct cv_pool_waiter waiter;
    side_init(&s, 5);
    accept(&s, 1, &a);
    assert_ptr_equal(want(&s, 1, &waiter), &a);
    cv_connection_pool_closed(&s.pool, &a);
    cv_connection_pool_release(&s.pool, &a, s.now);
    assert_int_equal(a.leases, 0);
    side_fini(&s);
}

/* ---- time ---- */

static void the_idle_are_closed_at_a_check(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled idle, leased, pinned, used, also_idle;
    struct cv_pool_waiter waiter;
    const covey_node_id three = id_of(3);
    side_init(&s, 5);
    dial(&s, 1, &idle);
    dial(&s, 2, &leased);
    assert_ptr_equal(want(&s, 2, &waiter), &leased);
    dial(&s, 3, &pinned);
    cv_connection_pool_pin(&s.pool, &three, true);
    dial(&s, 4, &used);
    dial(&s, 6, &also_idle);
    covey_time begun = s.now;
    /* the first check asks for a look at each but the pinned one, which is no use */
    assert_int_equal(cv_connection_pool_deadline(&s.pool), begun + 30 * COVEY_SECOND);
    s.now = begun + 30 * COVEY_SECOND;
    cv_connection_pool_expire(&s.pool, s.now);
    assert_ptr_equal(next(&s, CV_POOL_CHECK).connection, &idle);
    assert_ptr_equal(next(&s, CV_POOL_CHECK).connection, &leased);
    assert_ptr_equal(next(&s, CV_POOL_CHECK).connection, &used);
    assert_ptr_equal(next(&s, CV_POOL_CHECK).connection, &also_idle);
    assert_nothing(&s);
    cv_connection_pool_touch(&s.pool, &used, s.now);
    s.now = begun + 60 * COVEY_SECOND;
    cv_connection_pool_expire(&s.pool, s.now);
    assert_ptr_equal(next(&s, CV_POOL_CLOSE).connection, &idle);
    assert_ptr_equal(next(&s, CV_POOL_CLOSE).connection, &also_idle);
    assert_int_equal(s.pool.stats.idle, 2);
    next(&s, CV_POOL_CHECK);
    next(&s, CV_POOL_CHECK);
    assert_nothing(&s);
    assert_int_equal(s.pool.stats.open, 3);
    side_fini(&s);
}

static void a_waiter_may_go(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a;
    struct cv_pool_waiter first, second;
    side_init(&s, 5);
    assert_null(want(&s, 1, &first));
    assert_null(want(&s, 1, &second));
    cv_connection_pool_cancel(&s.pool, &second, s.now);
    dialled(&s, next(&s, CV_POOL_DIAL).slot, 1, &a);
    cv_connection_pool_cancel(&s.pool, &first, s.now); /* answered, and not told yet */
    assert_int_equal(a.leases, 0);
    assert_nothing(&s);
    /* a dial that was not begun goes with the last one who wanted it */
    assert_null(want(&s, 2, &first));
    cv_connection_pool_cancel(&s.pool, &first, s.now);
    assert_nothing(&s);
    side_fini(&s);
}

/* ---- crossing dials ---- */

/* Both sides keep the connection that the lower id dialled, in whatever order they see the two. */
static void crossing_connections_end_alike(void **state)
{
    (void)state;
    for (int order = 0; order < 4; order++) {
        struct side low, high;
        struct cv_pooled of_low[2], of_high[2]; /* [0] is the connection that low dialled */
        side_init(&low, 1);
        side_init(&high, 2);
        for (int i = 0; i < 2; i++) {
            int at_low = (order & 1) ^ i, at_high = (order >> 1) ^ i;
            offer(&low, NULL, 2, &of_low[at_low], at_low == 1);
            offer(&high, NULL, 1, &of_high[at_high], at_high == 0);
        }
        assert_ptr_equal(speaker(&low, 2), &of_low[0]);
        assert_ptr_equal(speaker(&high, 1), &of_high[0]);
        side_fini(&low);
        side_fini(&high);
    }
}

static void a_later_connection_replaces_a_broken_one(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled old, new;
    side_init(&s, 1);
    dial(&s, 2, &old);
    s.now += CV_POOL_CROSSING;
    struct cv_pool_offer o = offer(&s, NULL, 2, &new, true);
    assert_int_equal(o.verdict, CV_POOL_REPLACED);
    assert_ptr_equal(o.loser, &old);
    assert_ptr_equal(speaker(&s, 2), &new);
    assert_int_equal(s.pool.stats.created, 2);
    assert_int_equal(s.pool.stats.closed, 1);
    side_fini(&s);
}

static void a_dial_waits_for_the_peers(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a, *out;
    struct cv_pool_waiter waiter;
    struct cv_pool_wish wish = wish_for(1);
    wish.is_coming = true;
    for (int comes = 0; comes < 2; comes++) {
        side_init(&s, 5);
        assert_int_equal(
            cv_connection_pool_acquire(&s.pool, &wish, s.now, s.now + WAIT, &waiter, &out), 0);
        assert_null(out);
        assert_nothing(&s);
        if (comes) {
            accept(&s, 1, &a);
            assert_ptr_equal(next(&s, CV_POOL_ANSWER).waiter->connection, &a);
            assert_int_equal(s.pool.stats.saved, 1);
        }
        s.now += CV_POOL_HOLD;
        cv_connection_pool_expire(&s.pool, s.now);
        if (!comes)
            next(&s, CV_POOL_DIAL);
        assert_nothing(&s);
        side_fini(&s);
    }
}

static void what_is_in_vain_is_turned_away(void **state)
{
    (void)state;
    struct side low, high;
    struct cv_pool_waiter waiter;
    struct cv_pooled a;
    const struct cv_address there = address_of(2), here = address_of(1);
    side_init(&low, 1);
    side_init(&high, 2);
    assert_false(cv_connection_pool_is_in_vain(&low.pool, &there, low.now));
    assert_null(want(&low, 2, &waiter));
    next(&low, CV_POOL_DIAL);
    assert_true(cv_connection_pool_is_in_vain(&low.pool, &there, low.now));
    assert_false(cv_connection_pool_is_in_vain(&low.pool, &here, low.now));
    /* not for long: the address may be forged */
    assert_false(cv_connection_pool_is_in_vain(&low.pool, &there, low.now + CV_POOL_CROSSING));
    /* the higher id's dial counts once it is answered */
    assert_null(want(&high, 1, &waiter));
    struct cv_pool_output out = next(&high, CV_POOL_DIAL);
    assert_false(cv_connection_pool_is_in_vain(&high.pool, &here, high.now));
    cv_connection_pool_heard(out.slot);
    assert_true(cv_connection_pool_is_in_vain(&high.pool, &here, high.now));
    dialled(&high, out.slot, 1, &a);
    assert_true(cv_connection_pool_is_in_vain(&high.pool, &here, high.now));
    assert_false(cv_connection_pool_is_in_vain(&high.pool, &here, high.now + CV_POOL_CROSSING));
    side_fini(&low);
    side_fini(&high);
}

/* One that moves is looked for where it was last; one that takes an address over counts there. */
static void an_address_is_its_last_users(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled two, moved, three;
    struct cv_pool_slot *slot;
    struct cv_pool_waiter waiter;
    const struct cv_address at2 = address_of(2), at9 = address_of(9);
    int owner;
    side_init(&s, 1);
    dial(&s, 2, &two);
    s.now += CV_POOL_CROSSING;
    struct cv_pool_offer o = {
        .peer = id_of(2), .address = at9, .connection = &moved, .accepted = true};
    assert_int_equal(cv_connection_pool_connected(&s.pool, &o, s.now), 0);
    assert_true(cv_connection_pool_is_in_vain(&s.pool, &at9, s.now));
    assert_false(cv_connection_pool_is_in_vain(&s.pool, &at2, s.now));
    o = (struct cv_pool_offer){
        .peer = id_of(3), .address = at9, .connection = &three, .accepted = true};
    assert_int_equal(cv_connection_pool_connected(&s.pool, &o, s.now), 0);
    cv_connection_pool_closed(&s.pool, &moved); /* takes nobody else's place away */
    assert_true(cv_connection_pool_is_in_vain(&s.pool, &at9, s.now));
    cv_connection_pool_closed(&s.pool, &three);
    assert_false(cv_connection_pool_is_in_vain(&s.pool, &at9, s.now));
    /* who dials there is told while he does */
    assert_null(want(&s, 2, &waiter));
    assert_null(cv_connection_pool_dialler(&s.pool, &at2, &slot));
    struct cv_pool_output out = next(&s, CV_POOL_DIAL);
    cv_connection_pool_begun(out.slot, &owner);
    assert_ptr_equal(cv_connection_pool_dialler(&s.pool, &at2, &slot), &owner);
    assert_ptr_equal(slot, out.slot);
    cv_connection_pool_failed(&s.pool, out.slot, COVEY_ERR_TIMEOUT);
    assert_null(cv_connection_pool_dialler(&s.pool, &at2, &slot));
    side_fini(&s);
}

static void our_dial_is_given_up_for_the_peers(void **state)
{
    (void)state;
    /* self is lower or higher than the peer; the peer has answered our dial or not */
    for (int is_lower = 0; is_lower < 2; is_lower++)
        for (int is_heard = 0; is_heard < 2; is_heard++) {
            struct side s;
            struct cv_pool_waiter waiter;
            struct cv_pooled a;
            side_init(&s, is_lower ? 1 : 9);
            assert_null(want(&s, 5, &waiter));
            struct cv_pool_output out = next(&s, CV_POOL_DIAL);
            if (is_heard)
                cv_connection_pool_heard(out.slot);
            accept(&s, 5, &a);
            if (!is_lower || !is_heard)
                assert_ptr_equal(next(&s, CV_POOL_ABANDON).slot, out.slot);
            assert_ptr_equal(next(&s, CV_POOL_ANSWER).waiter->connection, &a);
            assert_nothing(&s);
            side_fini(&s);
        }
}

/* The peer's connection ends before our dial was given up for it: it is dialled again. */
static void a_given_up_dial_is_made_again(void **state)
{
    (void)state;
    struct side s;
    struct cv_pool_waiter waiter, late;
    struct cv_pooled a;
    side_init(&s, 9);
    assert_null(want(&s, 5, &waiter));
    next(&s, CV_POOL_DIAL);
    accept(&s, 5, &a);
    cv_connection_pool_closed(&s.pool, &a);
    assert_null(want(&s, 5, &late));
    next(&s, CV_POOL_ABANDON);
    assert_int_equal(next(&s, CV_POOL_ANSWER).waiter->error, COVEY_ERR_CONNECTION_LOST);
    next(&s, CV_POOL_DIAL);
    side_fini(&s);
}

static void no_memory_changes_nothing(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a, *out;
    struct cv_pool_waiter waiter;
    const struct cv_pool_wish wish = wish_for(1);
    struct cv_pool_offer o = {.connection = &a, .peer = id_of(1), .accepted = true};
    for (size_t n = 0; n < 2; n++) { /* the slot, then the map */
        side_init(&s, 5);
        s.memory.fail_at = s.memory.calls + 1 + n;
        s.memory.fail_all_after = true;
        assert_int_equal(
            cv_connection_pool_acquire(&s.pool, &wish, s.now, s.now + WAIT, &waiter, &out),
            COVEY_ERR_NO_MEMORY);
        assert_int_equal(cv_connection_pool_connected(&s.pool, &o, s.now), COVEY_ERR_NO_MEMORY);
        assert_int_equal(s.pool.stats.waiting + s.pool.stats.open, 0);
        assert_nothing(&s);
        side_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_connection_for_each_peer),
        cmocka_unit_test(the_same_connection_is_leased_again),
        cmocka_unit_test(many_wait_for_one_dial),
        cmocka_unit_test(an_address_becomes_a_peer),
        cmocka_unit_test(a_lost_connection_is_never_handed_out),
        cmocka_unit_test(leases_outlive_a_connection),
        cmocka_unit_test(the_idle_are_closed_at_a_check),
        cmocka_unit_test(a_waiter_may_go),
        cmocka_unit_test(crossing_connections_end_alike),
        cmocka_unit_test(a_later_connection_replaces_a_broken_one),
        cmocka_unit_test(a_dial_waits_for_the_peers),
        cmocka_unit_test(what_is_in_vain_is_turned_away),
        cmocka_unit_test(an_address_is_its_last_users),
        cmocka_unit_test(our_dial_is_given_up_for_the_peers),
        cmocka_unit_test(a_given_up_dial_is_made_again),
        cmocka_unit_test(no_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
