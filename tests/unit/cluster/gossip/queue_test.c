#include "unit/cluster/cluster_fixture.h"

#include "base/rand.h"
#include "cluster/gossip/queue.h"

struct fixture {
    struct test_alloc t;
    struct cv_gossip_queue q;
    uint8_t memory[CV_MAX_MESSAGE_SIZE];
    struct cv_message_writer mw;
    struct cv_message read;
};

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    test_alloc_init(&f.t);
    cv_gossip_queue_init(&f.q, &f.t.alloc, fixture_secret, 64);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cv_gossip_queue_fini(&f.q);
    test_alloc_assert_empty(&f.t);
    return 0;
}

static void push(enum cv_priority priority, uint32_t number, uint64_t incarnation)
{
    struct cv_record record = record_of(number, incarnation, COVEY_NODE_ALIVE, NULL);
    assert_int_equal(cv_gossip_queue_reserve(&f.q, 1), COVEY_OK);
    cv_gossip_queue_push(&f.q, priority, &record);
}

/* Fills a message and reads it; how many updates are in it. */
static size_t fill(size_t size, uint32_t sends_max)
{
    cv_message_begin(&f.mw, f.memory, size, &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP});
    cv_gossip_queue_fill(&f.q, &f.mw, sends_max);
    assert_int_equal(cv_message_read(cv_message_bytes(&f.mw), &f.read), COVEY_OK);
    return f.read.update_count;
}

static uint32_t number_at(size_t index)
{
    return (uint32_t)(f.read.updates[index].id.bytes[0] << 8 | f.read.updates[index].id.bytes[1]);
}

static bool has(uint32_t number)
{
    for (size_t i = 0; i < f.read.update_count; i++) {
        if (number_at(i) == number)
            return true;
    }
    return false;
}

static void an_empty_queue_fills_nothing(void **state)
{
    (void)state;
    assert_int_equal(fill(CV_MAX_MESSAGE_SIZE, 3), 0);
}

/* G3: the newest about a node replaces the older, and counts from the start. */
static void the_newest_replaces_and_starts_again(void **state)
{
    (void)state;
    push(CV_PRIORITY_CRITICAL, 1, 5);
    assert_int_equal(fill(CV_MAX_MESSAGE_SIZE, 3), 1);
    assert_int_equal(fill(CV_MAX_MESSAGE_SIZE, 3), 1);
    push(CV_PRIORITY_LOW, 1, 6);
    assert_int_equal(cv_gossip_queue_count(&f.q), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fill(CV_MAX_MESSAGE_SIZE, 3), 1);
        assert_int_equal(f.read.updates[0].status.incarnation, 6);
    }
    assert_int_equal(fill(CV_MAX_MESSAGE_SIZE, 3), 0);
    assert_int_equal(cv_gossip_queue_count(&f.q), 0);
}

/* G2 for one member alone: once. */
static void sends_grow_with_the_logarithm(void **state)
{
    (void)state;
    const struct {
        size_t members;
        uint32_t sends;
    } cases[] = {{0, 1}, {1, 3}, {2, 6}, {3, 6}, {4, 9}, {5, 9}, {7, 9}, {8, 12}, {500, 27}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(cv_gossip_sends_max(3, cases[i].members), cases[i].sends);
    assert_int_equal(cv_gossip_sends_max(1000, 1000), CV_GOSSIP_SENDS_MAX);
}

/* G4: 18 by priority, two for those that wait longest. */
static void critical_first_but_two_places_are_kept(void **state)
{
    (void)state;
    push(CV_PRIORITY_LOW, 1, 1);
    push(CV_PRIORITY_LOW, 2, 1);
    push(CV_PRIORITY_LOW, 3, 1);
    for (uint32_t i = 10; i < 40; i++)
        push(CV_PRIORITY_CRITICAL, i, 1);
    push(CV_PRIORITY_HIGH, 50, 1);
    assert_int_equal(fill(CV_MAX_MESSAGE_SIZE, 3), 20);
    assert_true(has(1) && has(2));
    assert_false(has(3) || has(50));
    /* Within a priority the newest of those sent least. */
    for (uint32_t i = 22; i < 40; i++)
        assert_true(has(i));
    assert_int_equal(fill(CV_MAX_MESSAGE_SIZE, 3), 20);
    assert_true(has(3) && has(10)); /* the longest waiting of all */
    for (uint32_t i = 11; i < 22; i++)
        assert_true(has(i));
}

/* G4: whatever comes in between, everything is sent at least once in count / 2 messages. */
static void nothing_starves(void **state)
{
    (void)state;
    const uint64_t seed = 9;
    struct cv_rand rand;
    bool sent[40] = {false};
    cv_rand_seed(&rand, seed);
    for (uint32_t i = 0; i < 40; i++)
        push((enum cv_priority)cv_rand_below(&rand, 4), i, 1);
    for (int message = 0; message < 20; message++) {
        for (uint32_t i = 40; i < 64; i++)
            push(CV_PRIORITY_CRITICAL, i, (uint64_t)message);
        fill(CV_MAX_MESSAGE_SIZE, 100);
        for (uint32_t i = 0; i < 40; i++)
            sent[i] = sent[i] || has(i);
    }
    for (uint32_t i = 0; i < 40; i++)
        assert_true(sent[i]);
}

/* G1: 20 updates and the size are hard. */
static void a_message_never_grows_past_its_size(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 60; i++)
        push(CV_PRIORITY_MEDIUM, i, 1);
    for (size_t size = 64; size <= 1200; size += 7) {
        size_t count = fill(size, 100);
        assert_true(cv_message_bytes(&f.mw).size <= size);
        assert_true(count <= CV_MAX_UPDATES_PER_MESSAGE);
        /* It does not waste the place of one more either. */
        assert_true(count == CV_MAX_UPDATES_PER_MESSAGE || count >= (size - 1) / 34);
    }
}

static void the_least_urgent_goes_at_the_bound(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 64; i++)
        push(i == 7 ? CV_PRIORITY_LOW : CV_PRIORITY_MEDIUM, i, 1);
    push(CV_PRIORITY_HIGH, 100, 1);
    assert_int_equal(cv_gossip_queue_count(&f.q), 64);
    assert_int_equal(f.q.shed, 1);
    for (int i = 0; i < 40; i++) {
        fill(CV_MAX_MESSAGE_SIZE, 100);
        assert_false(has(7));
    }
    /* All is more urgent than this one. */
    push(CV_PRIORITY_LOW, 101, 1);
    assert_int_equal(f.q.shed, 2);
    for (int i = 0; i < 10; i++) {
        fill(CV_MAX_MESSAGE_SIZE, 200);
        assert_false(has(101));
    }
}

static void bodies_are_held_while_queued(void **state)
{
    (void)state;
    struct cv_cluster_node *body = body_of(&f.t.alloc, 1, 1, 0);
    struct cv_record record = record_of(1, 1, COVEY_NODE_ALIVE, body);
    assert_int_equal(cv_gossip_queue_reserve(&f.q, 1), COVEY_OK);
    cv_gossip_queue_push(&f.q, CV_PRIORITY_HIGH, &record);
    cv_gossip_queue_push(&f.q, CV_PRIORITY_HIGH, &record);
    cv_cluster_node_release(body);
    assert_int_equal(fill(CV_MAX_MESSAGE_SIZE, 3), 1);
    assert_true(f.read.updates[0].has_body);
    cv_gossip_queue_remove(&f.q, &record.id);
    cv_gossip_queue_remove(&f.q, &record.id);
    assert_int_equal(fill(CV_MAX_MESSAGE_SIZE, 3), 0);
}

static void a_reserve_that_fails_changes_nothing(void **state)
{
    (void)state;
    for (size_t n = 1; n < 40; n++) {
        struct test_alloc t;
        struct cv_gossip_queue q;
        test_alloc_init(&t);
        t.fail_at = n;
        cv_gossip_queue_init(&q, &t.alloc, fixture_secret, 64);
        int error = cv_gossip_queue_reserve(&q, 10);
        assert_true(error == COVEY_OK || error == COVEY_ERR_NO_MEMORY);
        assert_int_equal(cv_gossip_queue_count(&q), 0);
        cv_gossip_queue_fini(&q);
        test_alloc_assert_empty(&t);
    }
}

/* G2, G3 and G5 over a random schedule. */
static void at_the_bound_a_push_needs_no_memory(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 500; i++) {
        struct cv_record record = record_of(i, 1, COVEY_NODE_ALIVE, NULL);
        assert_int_equal(cv_gossip_queue_reserve(&f.q, 1), COVEY_OK);
        size_t calls = f.t.calls;
        cv_gossip_queue_push(&f.q, CV_PRIORITY_LOW, &record);
        assert_int_equal(f.t.calls, calls);
    }
    assert_int_equal(cv_gossip_queue_count(&f.q), 64);
}

static void no_update_is_sent_too_often(void **state)
{
    (void)state;
    const uint64_t seed = 31;
    struct cv_rand rand;
    uint32_t sends[80] = {0};
    cv_rand_seed(&rand, seed);
    for (int i = 0; i < 5000; i++) {
        uint32_t number = (uint32_t)cv_rand_below(&rand, 80);
        if (cv_rand_below(&rand, 3) == 0) {
            push((enum cv_priority)cv_rand_below(&rand, 4), number, (uint64_t)i);
            sends[number] = 0;
        }
        fill(64 + (size_t)cv_rand_below(&rand, 900), 6);
        for (size_t k = 0; k < f.read.update_count; k++) {
            sends[number_at(k)]++;
            if (sends[number_at(k)] > 6)
                fail_msg("seed %d, step %d", (int)seed, i);
            for (size_t l = 0; l < k; l++)
                assert_int_not_equal(number_at(k), number_at(l));
        }
    }
}

static void assert_lists_are_sorted(int step)
{
    for (size_t p = 0; p < CV_PRIORITY_COUNT; p++) {
        for (size_t s = 0; s < CV_GOSSIP_SENDS_MAX; s++) {
            const struct cv_queued_update *u, *before = NULL;
            TAILQ_FOREACH (u, &f.q.queued[p][s], entry) {
                if (before != NULL && before->sequence <= u->sequence)
                    fail_msg("step %d: %zu sent %zu times", step, p, s);
                before = u;
            }
        }
    }
}

/* G5: however many there are and whatever was sent before, each list is from new to old. */
static void the_newest_is_before_the_older(void **state)
{
    (void)state;
    struct cv_rand rand;
    cv_rand_seed(&rand, 8);
    for (int i = 0; i < 3000; i++) {
        const uint64_t hash = 0;
        push((enum cv_priority)cv_rand_below(&rand, 2), (uint32_t)cv_rand_below(&rand, 64),
             (uint64_t)i);
        cv_gossip_queue_prefetch(&f.q, &hash, 1);
        if (cv_rand_below(&rand, 2) == 0)
            fill(100 + (size_t)cv_rand_below(&rand, 300), 8);
        assert_lists_are_sorted(i);
    }
}

#define QUEUE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(an_empty_queue_fills_nothing),
        QUEUE_TEST(the_newest_replaces_and_starts_again),
        QUEUE_TEST(sends_grow_with_the_logarithm),
        QUEUE_TEST(critical_first_but_two_places_are_kept),
        QUEUE_TEST(nothing_starves),
        QUEUE_TEST(a_message_never_grows_past_its_size),
        QUEUE_TEST(the_least_urgent_goes_at_the_bound),
        QUEUE_TEST(bodies_are_held_while_queued),
        QUEUE_TEST(a_reserve_that_fails_changes_nothing),
        QUEUE_TEST(at_the_bound_a_push_needs_no_memory),
        QUEUE_TEST(no_update_is_sent_too_often),
        QUEUE_TEST(the_newest_is_before_the_older),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
