#include "io/mailbox.h"

#include "support/test_alloc.h"

#include <covey/error.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct test_alloc memory;
    struct cv_mailbox *box;
    atomic_int wakes;
};

static void count_wake(void *user)
{
    struct fixture *f = user;
    atomic_fetch_add(&f->wakes, 1);
}

static void init(struct fixture *f, uint32_t count_max)
{
    *f = (struct fixture){.box = NULL};
    test_alloc_init(&f->memory);
    assert_int_equal(cv_mailbox_new(&f->memory.alloc, count_max, count_wake, f, &f->box), 0);
}

static void fini(struct fixture *f)
{
    cv_mailbox_free(f->box);
    test_alloc_assert_empty(&f->memory);
}

/* A mail that writes down when it ran. */
struct note {
    struct cv_mail mail;
    int *clock;
    int ran_at; /* 0: never */
    int runs;
    bool cancelled;
};

static void write_down(struct cv_mail *mail, bool cancelled)
{
    struct note *note = (struct note *)mail;
    note->ran_at = ++*note->clock;
    note->runs++;
    note->cancelled = cancelled;
}

static struct note note_of(int *clock)
{
    return (struct note){.mail = {.run = write_down}, .clock = clock};
}

static void mails_run_once_in_order(void **state)
{
    (void)state;
    struct fixture f;
    int clock = 0;
    struct note notes[3] = {note_of(&clock), note_of(&clock), note_of(&clock)};
    init(&f, 3);
    assert_int_equal(cv_mailbox_run(f.box), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cv_mailbox_post(f.box, &notes[i].mail), 0);
    assert_int_equal(cv_mailbox_run(f.box), 3);
    assert_int_equal(cv_mailbox_run(f.box), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(notes[i].ran_at, i + 1);
        assert_int_equal(notes[i].runs, 1);
        assert_false(notes[i].cancelled);
    }
    fini(&f);
}

static void only_the_first_mail_wakes(void **state)
{
    (void)state;
    struct fixture f;
    int clock = 0;
    struct note notes[3] = {note_of(&clock), note_of(&clock), note_of(&clock)};
    init(&f, 3);
    assert_int_equal(cv_mailbox_post(f.box, &notes[0].mail), 0);
    assert_int_equal(f.wakes, 1);
    assert_int_equal(cv_mailbox_post(f.box, &notes[1].mail), 0);
    assert_int_equal(f.wakes, 1);
    (void)cv_mailbox_run(f.box);
    assert_int_equal(cv_mailbox_post(f.box, &notes[2].mail), 0);
    assert_int_equal(f.wakes, 2);
    (void)cv_mailbox_run(f.box);
    fini(&f);
}

static void a_full_box_refuses_and_counts(void **state)
{
    (void)state;
    struct fixture f;
    int clock = 0;
    struct note notes[3] = {note_of(&clock), note_of(&clock), note_of(&clock)};
    init(&f, 2);
    assert_int_equal(cv_mailbox_post(f.box, &notes[0].mail), 0);
    assert_int_equal(cv_mailbox_post(f.box, &notes[1].mail), 0);
    assert_int_equal(cv_mailbox_refused(f.box), 0);
    assert_int_equal(cv_mailbox_post(f.box, &notes[2].mail), COVEY_ERR_BUSY);
    assert_int_equal(cv_mailbox_refused(f.box), 1);
    assert_int_equal(cv_mailbox_run(f.box), 2);
    assert_int_equal(notes[2].runs, 0);
    assert_int_equal(cv_mailbox_post(f.box, &notes[2].mail), 0);
    assert_int_equal(cv_mailbox_run(f.box), 1);
    assert_int_equal(cv_mailbox_refused(f.box), 1);
    fini(&f);
}

static void what_must_arrive_is_not_refused(void **state)
{
    (void)state;
    struct fixture f;
    int clock = 0;
    struct note notes[3] = {note_of(&clock), note_of(&clock), note_of(&clock)};
    init(&f, 1);
    cv_mailbox_post_sure(f.box, &notes[0].mail);
    cv_mailbox_post_sure(f.box, &notes[1].mail);
    assert_int_equal(f.wakes, 1);
    assert_int_equal(cv_mailbox_post(f.box, &notes[2].mail), COVEY_ERR_BUSY);
    assert_int_equal(cv_mailbox_run(f.box), 2);
    assert_int_equal(notes[0].ran_at, 1);
    assert_int_equal(notes[1].ran_at, 2);
    assert_false(notes[1].cancelled);

    cv_mailbox_close(f.box);
    cv_mailbox_post_sure(f.box, &notes[2].mail);
    assert_int_equal(notes[2].runs, 1);
    assert_true(notes[2].cancelled);
    assert_int_equal(cv_mailbox_refused(f.box), 1);
    fini(&f);
}

struct reply {
    struct cv_mail mail;
    struct cv_mailbox *box;
    struct cv_mail *answer;
    int error;
};

static void post_answer(struct cv_mail *mail, bool cancelled)
{
    struct reply *reply = (struct reply *)mail;
    (void)cancelled;
    reply->error = cv_mailbox_post(reply->box, reply->answer);
}

static void what_a_mail_posts_waits_for_the_next_run(void **state)
{
    (void)state;
    struct fixture f;
    int clock = 0;
    struct note note = note_of(&clock);
    init(&f, 1);
    struct reply reply = {.mail = {.run = post_answer}, .box = f.box, .answer = &note.mail};
    assert_int_equal(cv_mailbox_post(f.box, &reply.mail), 0);
    assert_int_equal(cv_mailbox_run(f.box), 1);
    assert_int_equal(reply.error, 0);
    assert_int_equal(note.runs, 0);
    assert_int_equal(f.wakes, 2);
    assert_int_equal(cv_mailbox_run(f.box), 1);
    assert_int_equal(note.runs, 1);
    fini(&f);
}

static void close_cancels_what_waits_and_takes_no_more(void **state)
{
    (void)state;
    struct fixture f;
    int clock = 0;
    struct note notes[2] = {note_of(&clock), note_of(&clock)};
    init(&f, 8);
    struct reply reply = {.mail = {.run = post_answer}, .box = f.box, .answer = &notes[1].mail};
    assert_int_equal(cv_mailbox_post(f.box, &notes[0].mail), 0);
    assert_int_equal(cv_mailbox_post(f.box, &reply.mail), 0);
    cv_mailbox_close(f.box);
    assert_true(notes[0].cancelled);
    assert_int_equal(notes[0].runs, 1);
    assert_int_equal(reply.error, COVEY_ERR_CLOSED);
    assert_int_equal(cv_mailbox_post(f.box, &notes[1].mail), COVEY_ERR_CLOSED);
    assert_int_equal(notes[1].runs, 0);
    assert_int_equal(cv_mailbox_refused(f.box), 0);
    assert_int_equal(f.wakes, 1);
    fini(&f);
}

static void free_itself(struct cv_mail *mail, bool cancelled)
{
    (void)cancelled;
    free(mail);
}

static void a_mail_may_free_itself(void **state)
{
    (void)state;
    struct fixture f;
    init(&f, 8);
    for (int i = 0; i < 4; i++) {
        struct cv_mail *mail = malloc(sizeof *mail);
        mail->run = free_itself;
        assert_int_equal(cv_mailbox_post(f.box, mail), 0);
    }
    assert_int_equal(cv_mailbox_run(f.box), 4);
    fini(&f);
}

static void no_memory(void **state)
{
    (void)state;
    struct test_alloc memory;
    struct cv_mailbox *box = NULL;
    test_alloc_init(&memory);
    memory.fail_at = 1;
    assert_int_equal(cv_mailbox_new(&memory.alloc, 1, count_wake, NULL, &box), COVEY_ERR_NO_MEMORY);
    assert_null(box);
    test_alloc_assert_empty(&memory);
}

#define WRITERS 4
#define MAILS   5000

/* One writer's mails carry its running number, so that the reader sees a loss or a swap. */
struct numbered {
    struct cv_mail mail;
    struct writer *writer;
    int number;
};

struct writer {
    struct cv_mailbox *box;
    int seen;
    bool in_order;
    struct numbered mails[MAILS];
};

static void check_number(struct cv_mail *mail, bool cancelled)
{
    struct numbered *n = (struct numbered *)mail;
    n->writer->in_order = n->writer->in_order && !cancelled && n->number == n->writer->seen;
    n->writer->seen++;
}

static void *write_all(void *user)
{
    struct writer *w = user;
    for (int i = 0; i < MAILS; i++) {
        w->mails[i] = (struct numbered){.mail = {.run = check_number}, .writer = w, .number = i};
        while (cv_mailbox_post(w->box, &w->mails[i].mail) == COVEY_ERR_BUSY)
            sched_yield();
    }
    return NULL;
}

static void many_writers_lose_nothing(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t threads[WRITERS];
    struct writer *writers = calloc(WRITERS, sizeof *writers);
    init(&f, 64);
    for (int i = 0; i < WRITERS; i++) {
        writers[i].box = f.box;
        writers[i].in_order = true;
        assert_int_equal(pthread_create(&threads[i], NULL, write_all, &writers[i]), 0);
    }
    for (unsigned ran = 0; ran < WRITERS * MAILS;) {
        ran += cv_mailbox_run(f.box);
        sched_yield();
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(writers[i].seen, MAILS);
        assert_true(writers[i].in_order);
    }
    assert_int_equal(cv_mailbox_run(f.box), 0);
    fini(&f);
    free(writers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mails_run_once_in_order),
        cmocka_unit_test(only_the_first_mail_wakes),
        cmocka_unit_test(a_full_box_refuses_and_counts),
        cmocka_unit_test(what_must_arrive_is_not_refused),
        cmocka_unit_test(what_a_mail_posts_waits_for_the_next_run),
        cmocka_unit_test(close_cancels_what_waits_and_takes_no_more),
        cmocka_unit_test(a_mail_may_free_itself),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(many_writers_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
