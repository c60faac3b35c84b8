#include "unit/cluster/cluster_fixture.h"

#include "base/rand.h"
#include "cluster/events.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct fixture {
    struct test_alloc t;
    struct cv_event_channel *channel;
    struct cv_cluster_node *node;
    uint64_t published;
};

static void setup(struct fixture *f)
{
    test_alloc_init(&f->t);
    f->published = 0;
    assert_int_equal(cv_event_channel_new(&f->t.alloc, &f->channel), COVEY_OK);
    f->node = body_of(&f->t.alloc, 1, 1, 0);
}

static void teardown(struct fixture *f)
{
    cv_event_channel_free(f->channel);
    cv_cluster_node_release(f->node);
    test_alloc_assert_empty(&f->t);
}

static void publish(struct fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct cv_event event = {.type = COVEY_EVENT_NODE_JOINED,
                                 .wall_ms = f->published++,
                                 .node = cv_cluster_node_retain(f->node)};
        cv_event_channel_publish(f->channel, &event);
    }
    cv_event_channel_show(f->channel);
}

/* Reads one event and says its number. */
static int next(struct cv_subscriber *s, uint64_t *number, uint64_t *dropped)
{
    struct cv_event event;
    int error = cv_subscriber_next(s, &event, dropped);
    if (error == COVEY_OK) {
        *number = event.wall_ms;
        cv_cluster_node_release(event.node);
    }
    return error;
}

static void a_subscriber_sees_what_comes_after_it(void **state)
{
    (void)state;
    struct fixture f;
    struct cv_subscriber *s;
    uint64_t number, dropped;
    setup(&f);
    publish(&f, 3);
    assert_int_equal(cv_event_channel_subscribe(f.channel, &s), COVEY_OK);
    assert_false(cv_subscriber_is_ready(s));
    assert_int_equal(next(s, &number, &dropped), COVEY_ERR_WOULD_BLOCK);
    publish(&f, 2);
    assert_true(cv_subscriber_is_ready(s));
    assert_int_equal(next(s, &number, &dropped), COVEY_OK);
    assert_int_equal(number, 3);
    assert_int_equal(next(s, &number, &dropped), COVEY_OK);
    assert_int_equal(number, 4);
    assert_int_equal(next(s, &number, &dropped), COVEY_ERR_WOULD_BLOCK);
    cv_subscriber_free(s);
    teardown(&f);
}

/* A full ring loses nothing, one more loses the oldest one. */
static void the_oldest_is_lost_and_told_once(void **state)
{
    (void)state;
    struct fixture f;
    struct cv_subscriber *s;
    uint64_t number, dropped;
    setup(&f);
    assert_int_equal(cv_event_channel_subscribe(f.channel, &s), COVEY_OK);
    publish(&f, CV_EVENT_CAPACITY);
    assert_int_equal(cv_subscriber_dropped(s), 0);
    publish(&f, 1);
    assert_int_equal(cv_subscriber_dropped(s), 1);
    assert_int_equal(next(s, &number, &dropped), COVEY_ERR_LAGGED);
    assert_int_equal(dropped, 1);
    assert_int_equal(next(s, &number, &dropped), COVEY_OK);
    assert_int_equal(number, 1);
    assert_int_equal(dropped, 0);
    assert_int_equal(cv_subscriber_dropped(s), 1);
    cv_subscriber_free(s);
    teardown(&f);
}

/* E1, E3 over a random schedule. */
static void accounts_are_exact(void **state)
{
    (void)state;
    const uint64_t seed = 5;
    struct fixture f;
    struct cv_rand rand;
    struct cv_subscriber *s;
    uint64_t delivered = 0, told = 0, last = 0;
    setup(&f);
    cv_rand_seed(&rand, seed);
    assert_int_equal(cv_event_channel_subscribe(f.channel, &s), COVEY_OK);
    for (int round = 0; round < 200; round++) {
        publish(&f, (size_t)cv_rand_below(&rand, 700));
        for (uint64_t i = cv_rand_below(&rand, 500); i > 0; i--) {
            uint64_t number, dropped;
            int error = next(s, &number, &dropped);
            told += dropped;
            if (error != COVEY_OK)
                continue;
            delivered++;
            assert_true(delivered == 1 || number > last);
            assert_int_equal(number, delivered + told - 1);
            last = number;
        }
        assert_true(cv_subscriber_dropped(s) >= told);
    }
    uint64_t number, dropped;
    int error;
    while ((error = next(s, &number, &dropped)) != COVEY_ERR_WOULD_BLOCK) {
        told += dropped;
        delivered += error == COVEY_OK;
    }
    assert_int_equal(delivered + told, f.published);
    assert_int_equal(cv_subscriber_dropped(s), told);
    cv_subscriber_free(s);
    teardown(&f);
}

static void a_clone_stands_at_the_same_place(void **state)
{
    (void)state;
    struct fixture f;
    struct cv_subscriber *s, *clone;
    uint64_t number, dropped;
    setup(&f);
    assert_int_equal(cv_event_channel_subscribe(f.channel, &s), COVEY_OK);
    publish(&f, CV_EVENT_CAPACITY + 5);
    assert_int_equal(next(s, &number, &dropped), COVEY_ERR_LAGGED);
    assert_int_equal(next(s, &number, &dropped), COVEY_OK);
    assert_int_equal(cv_subscriber_clone(s, &clone), COVEY_OK);
    cv_subscriber_free(s);
    assert_int_equal(cv_subscriber_dropped(clone), 5);
    assert_int_equal(next(clone, &number, &dropped), COVEY_OK);
    assert_int_equal(number, 6);
    cv_subscriber_free(clone);
    teardown(&f);
}

/* The page that a subscriber is allocated in. */
static void *subscriber_page;

static void *allocate_page(void *user, size_t size)
{
    (void)user;
    const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    assert_true(size <= page_size);
    subscriber_page = aligned_alloc(page_size, page_size);
    assert_non_null(subscriber_page);
    return subscriber_page;
}

static void release_page(void *user, void *memory)
{
    (void)user;
    free(memory);
}

/* E4: publishing does not so much as look at who reads, so one that is stuck cannot hold it up, nor cost it
 * anything. Nor does it need memory. */
static void a_stuck_subscriber_is_not_looked_at(void **state)
{
    (void)state;
    struct fixture f;
    struct cv_subscriber *stuck;
    uint64_t number, dropped;
    setup(&f);
    const struct cv_alloc alloc = f.t.alloc;
    f.t.alloc.allocate = allocate_page;
    f.t.alloc.release = release_page;
    assert_int_equal(cv_event_channel_subscribe(f.channel, &stuck), COVEY_OK);
    const struct cv_alloc pages = f.t.alloc;
    f.t.alloc = alloc;
    assert_int_equal(mprotect(subscriber_page, 1, PROT_NONE), 0);
    const size_t calls = f.t.calls;
    publish(&f, 3 * CV_EVENT_CAPACITY);
    assert_int_equal(f.t.calls, calls);
    assert_int_equal(mprotect(subscriber_page, 1, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(next(stuck, &number, &dropped), COVEY_ERR_LAGGED);
    assert_int_equal(dropped, 2 * CV_EVENT_CAPACITY);
    assert_int_equal(next(stuck, &number, &dropped), COVEY_OK);
    assert_int_equal(number, 2 * CV_EVENT_CAPACITY);
    f.t.alloc = pages;
    cv_subscriber_free(stuck);
    f.t.alloc = alloc;
    teardown(&f);
}

/* E5. */
static void closing_comes_last(void **state)
{
    (void)state;
    struct fixture f;
    struct cv_subscriber *s, *late;
    uint64_t number, dropped;
    setup(&f);
    assert_int_equal(cv_event_channel_subscribe(f.channel, &s), COVEY_OK);
    publish(&f, 1);
    cv_event_channel_close(f.channel);
    assert_int_equal(cv_event_channel_subscribe(f.channel, &late), COVEY_ERR_CLOSED);
    assert_int_equal(next(s, &number, &dropped), COVEY_OK);
    assert_true(cv_subscriber_is_ready(s));
    assert_int_equal(next(s, &number, &dropped), COVEY_ERR_CLOSED);
    cv_subscriber_free(s);
    teardown(&f);
}

static void there_is_a_limit_of_subscribers(void **state)
{
    (void)state;
    struct fixture f;
    struct cv_subscriber *s[CV_SUBSCRIBERS_MAX], *more;
    setup(&f);
    for (size_t i = 0; i < CV_SUBSCRIBERS_MAX; i++)
        assert_int_equal(cv_event_channel_subscribe(f.channel, &s[i]), COVEY_OK);
    assert_int_equal(cv_event_channel_subscribe(f.channel, &more), COVEY_ERR_LIMIT);
    assert_int_equal(cv_subscriber_clone(s[0], &more), COVEY_ERR_LIMIT);
    cv_subscriber_free(s[0]);
    f.t.fail_at = f.t.calls + 1;
    assert_int_equal(cv_event_channel_subscribe(f.channel, &s[0]), COVEY_ERR_NO_MEMORY);
    assert_int_equal(cv_event_channel_subscribe(f.channel, &s[0]), COVEY_OK);
    for (size_t i = 0; i < CV_SUBSCRIBERS_MAX; i++)
        cv_subscriber_free(s[i]);
    teardown(&f);
}

static void every_event_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(covey_event_name(COVEY_EVENT_NODE_JOINED), "node_joined");
    assert_string_equal(covey_event_name(COVEY_EVENT_EVENTS_DROPPED), "events_dropped");
    assert_string_equal(covey_event_name((enum covey_event_type)0), "?");
}

/* What is published is held back until it is shown; who subscribes meanwhile sees it too. */
static void nothing_is_read_before_it_is_shown(void **state)
{
    (void)state;
    struct fixture f;
    struct cv_subscriber *early, *late;
    uint64_t number, dropped;
    setup(&f);
    assert_int_equal(cv_event_channel_subscribe(f.channel, &early), COVEY_OK);
    struct cv_event event = {.type = COVEY_EVENT_NODE_JOINED, .wall_ms = f.published++};
    cv_event_channel_publish(f.channel, &event);
    assert_false(cv_subscriber_is_ready(early));
    assert_int_equal(next(early, &number, &dropped), COVEY_ERR_WOULD_BLOCK);
    assert_int_equal(cv_event_channel_subscribe(f.channel, &late), COVEY_OK);
    assert_int_equal(cv_subscriber_stats(late).waiting, 1);
    cv_event_channel_show(f.channel);
    assert_true(cv_subscriber_is_ready(early) && cv_subscriber_is_ready(late));
    assert_int_equal(next(early, &number, &dropped), COVEY_OK);
    assert_int_equal(next(late, &number, &dropped), COVEY_OK);
    assert_int_equal(number, 0);
    /* More than are kept, all held back: the loss is told, what is kept comes later. */
    for (int i = 0; i < CV_EVENT_CAPACITY + 5; i++) {
        event.wall_ms = f.published++;
        cv_event_channel_publish(f.channel, &event);
    }
    assert_int_equal(next(early, &number, &dropped), COVEY_ERR_LAGGED);
    assert_int_equal(dropped, 5);
    assert_int_equal(next(early, &number, &dropped), COVEY_ERR_WOULD_BLOCK);
    assert_false(cv_subscriber_is_ready(early));
    cv_event_channel_close(f.channel); /* shows it */
    assert_int_equal(next(early, &number, &dropped), COVEY_OK);
    assert_int_equal(number, 6);
    cv_subscriber_free(early);
    cv_subscriber_free(late);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_read_before_it_is_shown),
        cmocka_unit_test(a_subscriber_sees_what_comes_after_it),
        cmocka_unit_test(the_oldest_is_lost_and_told_once),
        cmocka_unit_test(accounts_are_exact),
        cmocka_unit_test(a_clone_stands_at_the_same_place),
        cmocka_unit_test(a_stuck_subscriber_is_not_looked_at),
        cmocka_unit_test(closing_comes_last),
        cmocka_unit_test(there_is_a_limit_of_subscribers),
        cmocka_unit_test(every_event_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
