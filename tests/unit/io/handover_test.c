#define _GNU_SOURCE
#include "io/handover.h"

#include "support/test_alloc.h"
#include "unit/io/fixture.h"

#include <covey/error.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Datagrams from one loop to another. */

#define ENDS 3

/* Memory that several threads share. */
struct shared_alloc {
    struct cv_alloc alloc;
    struct test_alloc counted;
    pthread_mutex_t lock;
};

static void *allocate(void *user, size_t size)
{
    struct shared_alloc *a = user;
    pthread_mutex_lock(&a->lock);
    void *memory = a->counted.alloc.allocate(&a->counted, size);
    pthread_mutex_unlock(&a->lock);
    return memory;
}

static void release(void *user, void *memory)
{
    struct shared_alloc *a = user;
    pthread_mutex_lock(&a->lock);
    a->counted.alloc.release(&a->counted, memory);
    pthread_mutex_unlock(&a->lock);
}

static void shared_alloc_init(struct shared_alloc *a)
{
    *a = (struct shared_alloc){.alloc = {.allocate = allocate, .release = release, .user = a}};
    pthread_mutex_init(&a->lock, NULL);
    test_alloc_init(&a->counted);
}

static void shared_alloc_fini(struct shared_alloc *a)
{
    test_alloc_assert_empty(&a->counted);
    pthread_mutex_destroy(&a->lock);
}

struct end {
    struct fixture *fixture;
    unsigned index;
    struct cv_loop *loop;
    /* written by the loop's thread */
    unsigned count;
    unsigned in_order; /* of those that carry the next number */
    unsigned next;
    bool wrong_thread;
    bool closes;         /* at the first datagram */
    unsigned forward_to; /* once, when not its own index */
    struct cv_datagram last;
    uint8_t bytes[CV_DATAGRAM_SIZE_MAX];
    sem_t wanted; /* posted when `count` is `wanted_count` */
    unsigned wanted_count;
};

struct fixture {
    struct end ends[ENDS];
    struct cv_handover *handover;
};

static void deliver(void *user, const struct cv_datagram *d)
{
    struct end *end = user;
    end->wrong_thread = end->wrong_thread || !cv_loop_is_current(end->loop);
    end->last = *d;
    memcpy(end->bytes, d->bytes.data, d->bytes.size);
    end->last.bytes.data = end->bytes;
    end->in_order += d->remote.port == end->next;
    end->next = d->remote.port + 1U;
    if (end->closes)
        cv_handover_close(end->fixture->handover, end->index);
    if (end->forward_to != end->index)
        cv_handover_send(end->fixture->handover, end->forward_to, d);
    if (++end->count == end->wanted_count)
        sem_post(&end->wanted);
}

static void init(struct fixture *f, const struct cv_alloc *alloc, uint32_t packets_max)
{
    struct cv_handover_end ends[ENDS];
    *f = (struct fixture){.handover = NULL};
    for (unsigned i = 0; i < ENDS; i++) {
        struct cv_loop_config config = {
            .alloc = cv_alloc_default(), .thread_name = "loop", .mails_max = 100};
        f->ends[i].fixture = f;
        f->ends[i].index = i;
        f->ends[i].forward_to = i;
        assert_int_equal(sem_init(&f->ends[i].wanted, 0, 0), 0);
        assert_int_equal(cv_loop_new(&config, &f->ends[i].loop), 0);
        ends[i] = (struct cv_handover_end){f->ends[i].loop, deliver, &f->ends[i]};
    }
    struct cv_handover_config config;
    cv_handover_config_init(&config);
    assert_int_equal(config.packets_max, 1024);
    config.alloc = alloc;
    config.ends = ends;
    config.count = ENDS;
    config.packets_max = packets_max;
    assert_int_equal(cv_handover_new(&config, &f->handover), 0);
}

static void close_end(void *user)
{
    struct end *end = user;
    cv_handover_close(end->fixture->handover, end->index);
}

static void close_ends(struct fixture *f)
{
    for (unsigned i = 0; i < ENDS; i++)
        assert_int_equal(cv_loop_call(f->ends[i].loop, close_end, &f->ends[i]), 0);
}

static void free_loops(struct fixture *f)
{
    for (unsigned i = 0; i < ENDS; i++) {
        cv_loop_free(f->ends[i].loop);
        sem_destroy(&f->ends[i].wanted);
        assert_false(f->ends[i].wrong_thread);
    }
}

static void fini(struct fixture *f)
{
    close_ends(f);
    cv_handover_free(f->handover);
    free_loops(f);
}

static struct cv_handover_stats stats_of(const struct fixture *f, unsigned end)
{
    struct cv_handover_stats stats;
    cv_handover_stats(f->handover, end, &stats);
    return stats;
}

static struct cv_datagram datagram_of(const uint8_t *bytes, size_t size)
{
    struct cv_datagram d = {.ecn = 2, .bytes = cv_slice_of(bytes, size)};
    assert_int_equal(cv_address_parse(&d.local, "127.0.0.1:4433"), 0);
    assert_int_equal(cv_address_parse(&d.remote, "[fe80::1]:77"), 0);
    d.remote.scope = 3;
    return d;
}

static void a_datagram_arrives_whole(void **state)
{
    (void)state;
    struct fixture f;
    struct shared_alloc memory;
    static const size_t sizes[] = {1, 40, CV_DATAGRAM_SIZE_MAX};
    uint8_t bytes[CV_DATAGRAM_SIZE_MAX];
    shared_alloc_init(&memory);
    init(&f, &memory.alloc, 8);
    struct end *end = &f.ends[2];
    for (size_t i = 0; i < 3; i++) {
        memset(bytes, (int)i + 1, sizeof bytes);
        struct cv_datagram d = datagram_of(bytes, sizes[i]);
        end->wanted_count = (unsigned)i + 1;
        cv_handover_send(f.handover, 2, &d);
        memset(bytes, 0, sizeof bytes); /* it was copied */
        assert_true(wait_for(&end->wanted));
        assert_true(cv_address_equal(&end->last.local, &d.local));
        assert_true(cv_address_equal(&end->last.remote, &d.remote));
        assert_int_equal(end->last.remote.scope, 3);
        assert_int_equal(end->last.ecn, 2);
        assert_true(end->last.handed_over);
        assert_int_equal(end->last.bytes.size, sizes[i]);
        assert_int_equal(end->bytes[sizes[i] - 1], i + 1);
    }
    assert_int_equal(stats_of(&f, 2).delivered, 3);
    assert_int_equal(stats_of(&f, 2).shed, 0);
    assert_int_equal(stats_of(&f, 0).delivered, 0);
    fini(&f);
    shared_alloc_fini(&memory);
}

/* What a loop does while it is held up. */
struct holdup {
    sem_t entered;
    sem_t leave;
    struct cv_mail mail;
};

static void hold_up(struct cv_mail *mail, bool cancelled)
{
    struct holdup *h = (struct holdup *)((char *)mail - offsetof(struct holdup, mail));
    (void)cancelled;
    sem_post(&h->entered);
    (void)wait_for(&h->leave);
}

static void holdup_begin(struct holdup *h, struct cv_loop *loop)
{
    *h = (struct holdup){.mail = {.run = hold_up}};
    sem_init(&h->entered, 0, 0);
    sem_init(&h->leave, 0, 0);
    cv_loop_post_sure(loop, &h->mail);
    assert_true(wait_for(&h->entered));
}

static void holdup_end(struct holdup *h, struct cv_loop *loop, void (*then)(void *), void *user)
{
    sem_post(&h->leave);
    assert_int_equal(cv_loop_call(loop, then, user), 0);
    sem_destroy(&h->entered);
    sem_destroy(&h->leave);
}

static void do_nothing(void *user)
{
    (void)user;
}

static void beyond_the_bound_is_shed(void **state)
{
    (void)state;
    struct fixture f;
    struct holdup h;
    init(&f, cv_alloc_default(), 5);
    struct end *end = &f.ends[1];
    holdup_begin(&h, end->loop);
    struct cv_datagram d = datagram_of((const uint8_t *)"x", 1);
    for (uint16_t i = 0; i < 8; i++) {
        d.remote.port = i;
        cv_handover_send(f.handover, 1, &d);
    }
    assert_int_equal(stats_of(&f, 1).shed, 3);
    /* another loop's queue is its own */
    f.ends[0].wanted_count = 1;
    cv_handover_send(f.handover, 0, &d);
    assert_true(wait_for(&f.ends[0].wanted));
    holdup_end(&h, end->loop, do_nothing, NULL);
    assert_int_equal(end->count, 5);
    assert_int_equal(end->in_order, 5);
    assert_int_equal(stats_of(&f, 1).delivered, 5);
    /* there is room again */
    end->wanted_count = 6;
    cv_handover_send(f.handover, 1, &d);
    assert_true(wait_for(&end->wanted));
    fini(&f);
}

static void without_memory_it_is_shed(void **state)
{
    (void)state;
    struct fixture f;
    struct shared_alloc memory;
    shared_alloc_init(&memory);
    init(&f, &memory.alloc, 8);
    struct cv_datagram d = datagram_of((const uint8_t *)"x", 1);
    memory.counted.calls = 0;
    memory.counted.fail_at = 1;
    cv_handover_send(f.handover, 1, &d);
    assert_int_equal(stats_of(&f, 1).shed, 1);
    fini(&f);
    shared_alloc_fini(&memory);
}

static void new_without_memory_leaves_nothing(void **state)
{
    (void)state;
    struct test_alloc memory;
    struct cv_handover_end ends[ENDS] = {{0}};
    struct cv_handover *h = NULL;
    test_alloc_init(&memory);
    for (size_t nth = 1; nth <= 1 + ENDS; nth++) {
        struct cv_handover_config config = {&memory.alloc, ends, ENDS, 4};
        memory.calls = 0;
        memory.fail_at = nth;
        assert_int_equal(cv_handover_new(&config, &h), COVEY_ERR_NO_MEMORY);
        assert_int_equal(memory.outstanding, 0);
    }
    cv_handover_free(NULL);
}

/* What waits when the end is closed, here by the first datagram, and what comes later. */
static void a_closed_end_gets_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct holdup h;
    struct shared_alloc memory;
    shared_alloc_init(&memory);
    init(&f, &memory.alloc, 8);
    struct end *end = &f.ends[1];
    struct cv_datagram d = datagram_of((const uint8_t *)"x", 1);
    end->closes = true;
    end->wanted_count = 1;
    holdup_begin(&h, end->loop);
    for (int i = 0; i < 4; i++)
        cv_handover_send(f.handover, 1, &d);
    holdup_end(&h, end->loop, close_end, end);
    assert_int_equal(end->count, 1);
    assert_int_equal(stats_of(&f, 1).shed, 3);
    cv_handover_send(f.handover, 1, &d);
    assert_int_equal(stats_of(&f, 1).shed, 4);
    fini(&f);
    assert_int_equal(end->count, 1);
    shared_alloc_fini(&memory);
}

/* The owner frees while a wake-up is still in the loop's mailbox. */
static void send_close_free(void *user)
{
    struct fixture *f = user;
    struct cv_datagram d = datagram_of((const uint8_t *)"x", 1);
    cv_handover_send(f->handover, 1, &d); /* its wake-up waits behind us */
    cv_handover_close(f->handover, 1);
    cv_handover_free(f->handover);
}

static void freeing_before_the_wake_up_has_run(void **state)
{
    (void)state;
    struct fixture f;
    struct shared_alloc memory;
    shared_alloc_init(&memory);
    init(&f, &memory.alloc, 8);
    for (unsigned i = 0; i < ENDS; i += 2)
        assert_int_equal(cv_loop_call(f.ends[i].loop, close_end, &f.ends[i]), 0);
    assert_int_equal(cv_loop_call(f.ends[1].loop, send_close_free, &f), 0);
    free_loops(&f);
    assert_int_equal(f.ends[1].count, 0);
    shared_alloc_fini(&memory);
}

static void deliver_may_send_on(void **state)
{
    (void)state;
    struct fixture f;
    init(&f, cv_alloc_default(), 8);
    struct cv_datagram d = datagram_of((const uint8_t *)"x", 1);
    f.ends[0].forward_to = 1;
    f.ends[1].forward_to = 2;
    f.ends[2].wanted_count = 1;
    cv_handover_send(f.handover, 0, &d);
    assert_true(wait_for(&f.ends[2].wanted));
    fini(&f);
}

#define SENDERS 4
#define EACH    2000

static void *send_many(void *user)
{
    struct fixture *f = user;
    struct cv_datagram d = datagram_of((const uint8_t *)"many", 4);
    for (unsigned i = 0; i < EACH; i++)
        cv_handover_send(f->handover, i % ENDS, &d);
    return NULL;
}

static void many_senders_lose_nothing_unseen(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t threads[SENDERS];
    uint64_t delivered = 0;
    uint64_t shed = 0;
    init(&f, cv_alloc_default(), 64);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &f), 0);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < ENDS; i++)
        assert_int_equal(cv_loop_call(f.ends[i].loop, do_nothing, NULL), 0);
    for (unsigned i = 0; i < ENDS; i++) {
        assert_int_equal(stats_of(&f, i).delivered, f.ends[i].count);
        delivered += stats_of(&f, i).delivered;
        shed += stats_of(&f, i).shed;
    }
    assert_int_equal(delivered + shed, SENDERS * EACH);
    assert_true(delivered > 0);
    fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datagram_arrives_whole),
        cmocka_unit_test(beyond_the_bound_is_shed),
        cmocka_unit_test(without_memory_it_is_shed),
        cmocka_unit_test(new_without_memory_leaves_nothing),
        cmocka_unit_test(a_closed_end_gets_nothing),
        cmocka_unit_test(freeing_before_the_wake_up_has_run),
        cmocka_unit_test(deliver_may_send_on),
        cmocka_unit_test(many_senders_lose_nothing_unseen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
