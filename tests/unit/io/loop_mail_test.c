#define _GNU_SOURCE
#include "io/loop.h"

#include "unit/io/loop_fixture.h"

#include <covey/error.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define WRITERS 4
#define MAILS   2000

struct numbered {
    struct cv_mail mail;
    struct writer *writer;
    int number;
};

struct writer {
    struct cv_loop *loop;
    int seen;
    bool in_order;
    sem_t done;
    struct numbered mails[MAILS];
};

static void check_number(struct cv_mail *mail, bool cancelled)
{
    struct numbered *n = (struct numbered *)mail;
    struct writer *w = n->writer;
    w->in_order = w->in_order && !cancelled && n->number == w->seen;
    if (++w->seen == MAILS)
        sem_post(&w->done);
}

static void *write_all(void *user)
{
    struct writer *w = user;
    for (int i = 0; i < MAILS; i++) {
        w->mails[i] = (struct numbered){.mail = {.run = check_number}, .writer = w, .number = i};
        while (cv_loop_post(w->loop, &w->mails[i].mail) != 0)
            sched_yield();
    }
    return NULL;
}

static void mails_of_four_threads_run_once(void **state)
{
    (void)state;
    struct loop_fixture f;
    pthread_t threads[WRITERS];
    struct writer *writers = calloc(WRITERS, sizeof *writers);
    init(&f, 100);
    for (int i = 0; i < WRITERS; i++) {
        writers[i].loop = f.loop;
        writers[i].in_order = true;
        sem_init(&writers[i].done, 0, 0);
        assert_int_equal(pthread_create(&threads[i], NULL, write_all, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_true(wait_for(&writers[i].done));
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    fini(&f);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(writers[i].seen, MAILS);
        assert_true(writers[i].in_order);
    }
    free(writers);
}

/* A mail that posts itself again until it is cancelled: at any time exactly one is under way. */
struct perpetual {
    struct cv_mail mail;
    struct cv_loop *loop;
    atomic_int runs;
    int cancelled;
    int error_after;
    sem_t started;
};

static void go_on(struct cv_mail *mail, bool cancelled)
{
    struct perpetual *p = (struct perpetual *)mail;
    int error = cv_loop_post(p->loop, mail);
    if (cancelled) {
        p->cancelled++;
        p->error_after = error;
        return;
    }
    if (atomic_fetch_add(&p->runs, 1) == 0)
        sem_post(&p->started);
}

static void the_end_cancels_what_waits(void **state)
{
    (void)state;
    struct loop_fixture f;
    init(&f, 16);
    struct perpetual p = {.mail = {.run = go_on}, .loop = f.loop};
    sem_init(&p.started, 0, 0);
    assert_int_equal(cv_loop_post(f.loop, &p.mail), 0);
    assert_true(wait_for(&p.started));
    fini(&f);
    assert_int_equal(p.cancelled, 1);
    assert_int_equal(p.error_after, COVEY_ERR_CLOSED);
}

/* A mail that keeps the loop busy until the test lets it go. */
struct blocker {
    struct cv_mail mail;
    sem_t entered;
    sem_t leave;
};

static void block(struct cv_mail *mail, bool cancelled)
{
    struct blocker *b = (struct blocker *)mail;
    (void)cancelled;
    sem_post(&b->entered);
    (void)wait_for(&b->leave);
}

static void do_nothing(struct cv_mail *mail, bool cancelled)
{
    (void)mail;
    (void)cancelled;
}

static void set_flag(void *user)
{
    bool *flag = user;
    *flag = true;
}

static void a_full_mailbox_refuses_posts_and_calls(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct blocker b = {.mail = {.run = block}};
    struct cv_mail one = {.run = do_nothing};
    struct cv_mail two = {.run = do_nothing};
    bool ran = false;
    init(&f, 1);
    sem_init(&b.entered, 0, 0);
    sem_init(&b.leave, 0, 0);
    assert_int_equal(cv_loop_post(f.loop, &b.mail), 0);
    assert_true(wait_for(&b.entered));
    assert_int_equal(cv_loop_post(f.loop, &one), 0);
    assert_int_equal(cv_loop_post(f.loop, &two), COVEY_ERR_BUSY);
    assert_int_equal(cv_loop_call(f.loop, set_flag, &ran), COVEY_ERR_BUSY);
    cv_loop_post_sure(f.loop, &two);
    sem_post(&b.leave);
    fini(&f);
    assert_false(ran);
}

struct nested {
    struct cv_loop *loop;
    bool on_loop;
    bool inner_ran;
    int inner_error;
};

static void call_inside(void *user)
{
    struct nested *n = user;
    n->on_loop = cv_loop_is_current(n->loop);
    n->inner_error = cv_loop_call(n->loop, set_flag, &n->inner_ran);
}

static void a_call_waits_and_does_not_lock_itself_out(void **state)
{
    (void)state;
    struct loop_fixture f;
    init(&f, 1);
    struct nested n = {.loop = f.loop};
    assert_false(cv_loop_is_current(f.loop));
    call(&f, call_inside, &n);
    assert_true(n.on_loop);
    assert_int_equal(n.inner_error, 0);
    assert_true(n.inner_ran);
    fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mails_of_four_threads_run_once),
        cmocka_unit_test(the_end_cancels_what_waits),
        cmocka_unit_test(a_full_mailbox_refuses_posts_and_calls),
        cmocka_unit_test(a_call_waits_and_does_not_lock_itself_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
