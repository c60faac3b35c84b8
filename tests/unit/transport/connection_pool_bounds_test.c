#include "unit/transport/pool_fixture.h"

/* How many connections there may be, and who gives way. */

static void the_least_recently_used_gives_way(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled c[3];
    struct cv_pool_waiter waiter;
    side_init(&s, 5);
    s.pool.config.dialled_max = 2;
    dial(&s, 1, &c[0]);
    s.now++;
    dial(&s, 2, &c[1]);
    s.now++;
    cv_connection_pool_touch(&s.pool, &c[0], s.now);
    s.now += CV_POOL_USE_MIN;
    assert_null(want(&s, 3, &waiter));
    assert_ptr_equal(next(&s, CV_POOL_CLOSE).connection, &c[1]);
    assert_null(speaker(&s, 2));
    dialled(&s, next(&s, CV_POOL_DIAL).slot, 3, &c[2]);
    assert_ptr_equal(next(&s, CV_POOL_ANSWER).waiter->connection, &c[2]);
    assert_int_equal(s.pool.stats.dialled, 2);
    assert_int_equal(s.pool.stats.evicted, 1);
    side_fini(&s);
}

static void a_full_pool_keeps_waiters_until_their_time_is_over(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a;
    struct cv_pool_waiter held, waiter;
    struct cv_pool_output out;
    side_init(&s, 5);
    s.pool.config.dialled_max = 1;
    dial(&s, 1, &a);
    assert_ptr_equal(want(&s, 1, &held), &a);
    assert_null(want(&s, 2, &waiter));
    assert_nothing(&s);
    assert_int_equal(cv_connection_pool_deadline(&s.pool), s.now + WAIT);
    s.now += WAIT - 1;
    cv_connection_pool_expire(&s.pool, s.now);
    assert_nothing(&s);
    s.now++;
    cv_connection_pool_expire(&s.pool, s.now);
    out = next(&s, CV_POOL_ANSWER);
    assert_ptr_equal(out.waiter, &waiter);
    assert_int_equal(out.waiter->error, COVEY_ERR_POOL_EXHAUSTED);
    assert_int_equal(s.pool.stats.exhausted, 1);
    /* one who waits gets the room of a lease that comes back */
    assert_null(want(&s, 2, &waiter));
    cv_connection_pool_release(&s.pool, &a, s.now);
    assert_int_equal(cv_connection_pool_deadline(&s.pool), s.now + CV_POOL_USE_MIN);
    s.now += CV_POOL_USE_MIN;
    cv_connection_pool_expire(&s.pool, s.now);
    assert_ptr_equal(next(&s, CV_POOL_CLOSE).connection, &a);
    next(&s, CV_POOL_DIAL);
    side_fini(&s);
}

/* Many wait for room, and the lease of who dialled ends at once: what he dialled must be there to be used. */
static void what_was_just_used_does_not_give_way(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a;
    struct cv_pool_waiter first, second;
    side_init(&s, 5);
    s.pool.config.dialled_max = 1;
    assert_null(want(&s, 1, &first));
    assert_null(want(&s, 2, &second));
    dialled(&s, next(&s, CV_POOL_DIAL).slot, 1, &a);
    assert_ptr_equal(next(&s, CV_POOL_ANSWER).waiter, &first);
    cv_connection_pool_release(&s.pool, &a, s.now);
    assert_nothing(&s);
    assert_ptr_equal(speaker(&s, 1), &a);
    /* each use counts */
    s.now += CV_POOL_USE_MIN - 1;
    cv_connection_pool_touch(&s.pool, &a, s.now);
    s.now++;
    cv_connection_pool_expire(&s.pool, s.now);
    assert_nothing(&s);
    s.now += CV_POOL_USE_MIN - 1;
    assert_int_equal(cv_connection_pool_deadline(&s.pool), s.now);
    cv_connection_pool_expire(&s.pool, s.now);
    assert_ptr_equal(next(&s, CV_POOL_CLOSE).connection, &a);
    assert_true(next(&s, CV_POOL_DIAL).id.bytes[0] == 2);
    assert_int_equal(s.pool.stats.evicted, 1);
    side_fini(&s);
}

/* 0, or why a modest wish for it is refused. */
static int want_modestly(struct side *s, uint8_t number, struct cv_pool_waiter *waiter,
                         struct cv_pooled **out)
{
    struct cv_pool_wish wish = wish_for(number);
    wish.is_modest = true;
    wish.is_coming = true; /* which it does not wait for */
    return cv_connection_pool_acquire(&s->pool, &wish, s->now, s->now + WAIT, waiter, out);
}

static void nobody_gives_way_to_the_modest(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled c[2], *out;
    struct cv_pool_waiter waiters[4];
    side_init(&s, 5);
    s.pool.config.dialled_max = 4;
    dial(&s, 1, &c[0]);
    s.now += 10 * CV_POOL_USE_MIN;
    assert_int_equal(want_modestly(&s, 2, &waiters[0], &out), 0);
    assert_null(out);
    assert_true(next(&s, CV_POOL_DIAL).id.bytes[0] == 2);
    /* half is left to others */
    assert_int_equal(want_modestly(&s, 3, &waiters[1], &out), COVEY_ERR_POOL_EXHAUSTED);
    assert_int_equal(s.pool.stats.exhausted, 1);
    assert_int_equal(s.pool.stats.waiting, 1);
    assert_nothing(&s);
    /* what is there, or on its way, is for all */
    assert_int_equal(want_modestly(&s, 1, &waiters[1], &out), 0);
    assert_ptr_equal(out, &c[0]);
    cv_connection_pool_release(&s.pool, &c[0], s.now);
    assert_int_equal(want_modestly(&s, 2, &waiters[1], &out), 0);
    assert_null(want(&s, 3, &waiters[2]));
    assert_null(want(&s, 4, &waiters[3]));
    next(&s, CV_POOL_DIAL);
    next(&s, CV_POOL_DIAL);
    assert_nothing(&s);
    assert_int_equal(s.pool.stats.dialled, 4);
    side_fini(&s);
}

/* Evicted, and gone before its owner heard that: he hears of its end, and only of that. */
static void the_end_of_an_evicted_one_is_told_once(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a;
    struct cv_pool_waiter waiter;
    for (int is_polled = 0; is_polled < 2; is_polled++) {
        side_init(&s, 5);
        s.pool.config.dialled_max = 1;
        dial(&s, 1, &a);
        s.now += CV_POOL_USE_MIN;
        assert_null(want(&s, 2, &waiter));
        assert_null(speaker(&s, 1));
        if (is_polled)
            assert_ptr_equal(next(&s, CV_POOL_CLOSE).connection, &a);
        assert_true(cv_connection_pool_closed(&s.pool, &a) == !is_polled);
        assert_false(cv_connection_pool_closed(&s.pool, &a));
        next(&s, CV_POOL_DIAL);
        assert_nothing(&s);
        assert_int_equal(s.pool.stats.closed, 1);
        side_fini(&s);
    }
}

static void pinned_and_accepted_ones_do_not_count(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled accepted, pinned, plain;
    struct cv_pool_waiter waiter;
    side_init(&s, 5);
    s.pool.config.dialled_max = 1;
    accept(&s, 1, &accepted);
    dial(&s, 2, &pinned);
    const covey_node_id two = id_of(2);
    cv_connection_pool_pin(&s.pool, &two, true);
    assert_int_equal(s.pool.stats.dialled, 0);
    dial(&s, 3, &plain);
    assert_nothing(&s);
    /* a pinned one is dialled although it is full */
    struct cv_pooled *out;
    struct cv_pool_wish wish = wish_for(4);
    wish.is_pinned = true;
    assert_int_equal(cv_connection_pool_acquire(&s.pool, &wish, s.now, s.now + WAIT, &waiter, &out),
                     0);
    next(&s, CV_POOL_DIAL);
    assert_nothing(&s);
    /* one that is pinned no more may be too many */
    cv_connection_pool_pin(&s.pool, &two, false);
    assert_ptr_equal(next(&s, CV_POOL_CLOSE).connection, &pinned);
    side_fini(&s);
}

static void accepted_ones_are_bounded_apart(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled a, b;
    struct cv_pool_offer offer = {.connection = &b, .peer = id_of(2), .accepted = true};
    side_init(&s, 5);
    s.pool.config.accepted_max = 1;
    accept(&s, 1, &a);
    assert_int_equal(cv_connection_pool_connected(&s.pool, &offer, s.now), COVEY_ERR_LIMIT);
    assert_null(speaker(&s, 2));
    offer.peer = id_of(1); /* in place of one that there is */
    assert_int_equal(cv_connection_pool_connected(&s.pool, &offer, s.now), 0);
    assert_int_equal(offer.verdict, CV_POOL_REPLACED);
    assert_ptr_equal(offer.loser, &a);
    side_fini(&s);
}

static void too_many_may_not_wait(void **state)
{
    (void)state;
    struct side s;
    struct cv_pooled *out;
    struct cv_pool_waiter first, second;
    side_init(&s, 5);
    s.pool.config.waiters_max = 1;
    assert_null(want(&s, 1, &first));
    struct cv_pool_wish wish = wish_for(1);
    assert_int_equal(cv_connection_pool_acquire(&s.pool, &wish, s.now, s.now + WAIT, &second, &out),
                     COVEY_ERR_LIMIT);
    cv_connection_pool_cancel(&s.pool, &first, s.now);
    assert_null(want(&s, 1, &second));
    side_fini(&s);
}

/* Peers from 10 on are wanted, with a waiter each. */
#define CROWD (3 * CV_DIAL_WINDOW_FIRST)

static void want_crowd(struct side *s, struct cv_pool_waiter *waiters)
{
    for (uint8_t i = 0; i < CROWD; i++)
        assert_null(want(s, (uint8_t)(10 + i), &waiters[i]));
}

static void dials_wait_for_their_turn(void **state)
{
    struct side s;
    struct cv_pool_waiter waiters[CROWD];
    struct cv_pooled a, b;
    struct cv_pool_slot *slots[CROWD];
    (void)state;
    side_init(&s, 1);
    want_crowd(&s, waiters);
    for (size_t i = 0; i < CV_DIAL_WINDOW_FIRST; i++)
        slots[i] = next(&s, CV_POOL_DIAL).slot;
    assert_nothing(&s);
    assert_int_equal(s.pool.stats.delayed, 1);
    /* one that is done quickly leaves its place and makes one more */
    dialled(&s, slots[0], 10, &a);
    next(&s, CV_POOL_ANSWER);
    next(&s, CV_POOL_DIAL);
    next(&s, CV_POOL_DIAL);
    assert_nothing(&s);
    assert_int_equal(s.pool.stats.delayed, 2);
    /* a slow one halves them: now too many are under way */
    s.now += CV_DIAL_SLOW;
    dialled(&s, slots[1], 11, &b);
    next(&s, CV_POOL_ANSWER);
    assert_nothing(&s);
    assert_int_equal(s.pool.stats.dials, CV_DIAL_WINDOW_FIRST + 2);
    side_fini(&s);
}

static void the_silent_keep_nobody_waiting_for_long(void **state)
{
    struct side s;
    struct cv_pool_waiter waiters[CROWD];
    struct cv_pool_slot *slots[CV_DIAL_WINDOW_FIRST];
    (void)state;
    side_init(&s, 1);
    const covey_time begun = s.now;
    want_crowd(&s, waiters);
    for (size_t i = 0; i < CV_DIAL_WINDOW_FIRST; i++)
        slots[i] = next(&s, CV_POOL_DIAL).slot;
    cv_connection_pool_heard(slots[0]);
    assert_nothing(&s);
    assert_int_equal(cv_connection_pool_deadline(&s.pool), begun + CV_POOL_UNHEARD);
    s.now = begun + CV_POOL_UNHEARD - 1;
    assert_nothing(&s);
    s.now++;
    cv_connection_pool_expire(&s.pool, s.now);
    for (size_t i = 1; i < CV_DIAL_WINDOW_FIRST; i++)
        next(&s, CV_POOL_DIAL);
    assert_nothing(&s); /* the one that was heard goes on */
    assert_int_equal(cv_connection_pool_deadline(&s.pool), s.now + CV_POOL_UNHEARD);
    s.now = begun + CV_POOL_HEARD - 1;
    for (size_t i = 1; i < CV_DIAL_WINDOW_FIRST; i++)
        next(&s, CV_POOL_DIAL);
    assert_nothing(&s);
    assert_int_equal(cv_connection_pool_deadline(&s.pool), begun + CV_POOL_HEARD);
    s.now++;
    next(&s, CV_POOL_DIAL); /* but not for ever */
    assert_nothing(&s);
    /* a failure without an answer halves the window */
    cv_connection_pool_failed(&s.pool, slots[1], COVEY_ERR_TIMEOUT);
    next(&s, CV_POOL_ANSWER);
    assert_nothing(&s);
    assert_int_equal(s.pool.window.size, CV_DIAL_WINDOW_FIRST / 2);
    side_fini(&s);
}

/* ---- somebody names the dead ---- */

#define DEAD      40
#define NO_ANSWER (5 * COVEY_SECOND) /* until a handshake is given up */
#define LOOK      (100 * COVEY_MILLISECOND)

/* What is wanted as soon as it may be, for ever, and never there. */
struct named {
    struct cv_pool_waiter waiter;
    bool is_waiting;
    struct cv_pool_slot *slot; /* its dial */
    covey_time begun;
};

static void want_named(struct side *s, struct named *dead)
{
    for (uint8_t i = 0; i < DEAD; i++) {
        struct cv_pool_wish wish = wish_for((uint8_t)(10 + i));
        struct cv_pooled *out;
        wish.is_pinned = true; /* no other bound holds them back */
        if (dead[i].is_waiting)
            continue;
        assert_int_equal(cv_connection_pool_acquire(&s->pool, &wish, s->now, s->now + WAIT,
                                                    &dead[i].waiter, &out),
                         0);
        assert_null(out);
        dead[i].is_waiting = true;
    }
}

static void end_named(struct side *s, struct named *dead)
{
    for (size_t i = 0; i < DEAD; i++) {
        if (dead[i].slot == NULL || s->now - dead[i].begun < NO_ANSWER)
            continue;
        cv_connection_pool_failed(&s->pool, dead[i].slot, COVEY_ERR_TIMEOUT);
        dead[i].slot = NULL;
    }
}

/* Dials and answers; nobody who is there is closed. */
static void take_named(struct side *s, struct named *dead)
{
    struct cv_pool_output out;
    while (cv_connection_pool_poll(&s->pool, s->now, &out)) {
        if (out.type == CV_POOL_DIAL) {
            struct named *named = &dead[out.id.bytes[0] - 10];
            assert_null(named->slot);
            named->slot = out.slot;
            named->begun = s->now;
        } else {
            assert_int_equal(out.type, CV_POOL_ANSWER);
            ((struct named *)(void *)out.waiter)->is_waiting = false;
        }
    }
}

/*
 * A member that says of the dead that they live has us dial them: however many it names and however long,
 * CV_DIAL_WINDOW_MIN in each CV_POOL_UNHEARD, as soon as the first are seen to be silent. Who is
 * connected stays so.
 */
static void the_dead_that_are_named_cost_few_dials(void **state)
{
    static struct named dead[DEAD];
    struct side s;
    struct cv_pooled living[2] = {{0}};
    (void)state;
    memset(dead, 0, sizeof dead);
    side_init(&s, 1);
    s.pool.config.idle_max = COVEY_NEVER - s.now;
    s.pool.config.check_interval =
        COVEY_NEVER - s.now; /* whether they are alive is not asked here */
    s.pool.check_at = COVEY_NEVER;
    dial(&s, 2, &living[0]);
    accept(&s, 3, &living[1]);
    const uint64_t before = s.pool.stats.dials;
    const covey_time begun = s.now, length = 120 * COVEY_SECOND;
    for (; s.now < begun + length; s.now += LOOK) {
        cv_connection_pool_expire(&s.pool, s.now);
        end_named(&s, dead);
        want_named(&s, dead);
        take_named(&s, dead);
    }
    const uint64_t first = (CV_DIAL_WINDOW_FIRST + 1) * (NO_ANSWER / CV_POOL_UNHEARD + 1);
    const uint64_t then = CV_DIAL_WINDOW_MIN * (length / CV_POOL_UNHEARD);
    const uint64_t dials = s.pool.stats.dials - before;
    assert_in_range(dials, then / 2, first + then);
    assert_int_equal(s.pool.stats.open, 2);
    assert_ptr_equal(speaker(&s, 2), &living[0]);
    assert_ptr_equal(speaker(&s, 3), &living[1]);
    side_fini(&s);
}

static void what_nobody_wants_any_more_is_not_dialled(void **state)
{
    struct side s;
    struct cv_pool_waiter waiter;
    (void)state;
    side_init(&s, 1);
    assert_null(want(&s, 10, &waiter));
    cv_connection_pool_forgo(&s.pool, next(&s, CV_POOL_DIAL).slot);
    const struct cv_pool_output out = next(&s, CV_POOL_ANSWER);
    assert_ptr_equal(out.waiter, &waiter);
    assert_null(waiter.connection);
    assert_int_equal(waiter.error, COVEY_ERR_POOL_EXHAUSTED);
    assert_nothing(&s);
    assert_int_equal(s.pool.stats.dials, 0);
    assert_int_equal(s.pool.stats.forgone, 1);
    assert_int_equal(s.pool.stats.dialled, 0);
    side_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_recently_used_gives_way),
        cmocka_unit_test(a_full_pool_keeps_waiters_until_their_time_is_over),
        cmocka_unit_test(what_was_just_used_does_not_give_way),
        cmocka_unit_test(nobody_gives_way_to_the_modest),
        cmocka_unit_test(the_end_of_an_evicted_one_is_told_once),
        cmocka_unit_test(pinned_and_accepted_ones_do_not_count),
        cmocka_unit_test(accepted_ones_are_bounded_apart),
        cmocka_unit_test(too_many_may_not_wait),
        cmocka_unit_test(dials_wait_for_their_turn),
        cmocka_unit_test(the_silent_keep_nobody_waiting_for_long),
        cmocka_unit_test(the_dead_that_are_named_cost_few_dials),
        cmocka_unit_test(what_nobody_wants_any_more_is_not_dialled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
