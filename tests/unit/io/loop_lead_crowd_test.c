#define _GNU_SOURCE
#include "io/loop.h"

#include "unit/io/loop_lead_fixture.h"

#include <stdatomic.h>
#include <stdlib.h>

#define CALLERS     4
#define CALLS       2000
#define OTHER_MAILS 2000

struct crowd {
    struct cv_loop *loop;
    unsigned in_turn; /* the leader's: nobody else may be there */
    atomic_uint leads;
    atomic_uint mails;
};

struct counted {
    struct request request; /* first: the mail names it */
    struct crowd *crowd;
};

static void run_counted(struct cv_mail *mail, bool cancelled)
{
    struct counted *c = (struct counted *)(void *)mail;
    c->crowd->in_turn++;
    assert_int_equal(c->crowd->in_turn, 1);
    run_request(mail, cancelled);
    c->crowd->in_turn--;
}

static void *call_often(void *user)
{
    struct crowd *crowd = user;
    for (int i = 0; i < CALLS; i++) {
        struct counted c = {.crowd = crowd};
        begin(&c.request, crowd->loop);
        c.request.mail.run = run_counted;
        c.request.answer_at_once = true;
        atomic_fetch_add(&crowd->leads, c.request.waiter.leads);
        assert_int_equal(cv_loop_post(crowd->loop, &c.request.mail), 0);
        cv_loop_wait(&c.request.waiter);
    }
    return NULL;
}

struct plain {
    struct cv_mail mail;
    struct crowd *crowd;
};

static void count_mail(struct cv_mail *mail, bool cancelled)
{
    struct plain *p = (struct plain *)(void *)mail;
    (void)cancelled;
    p->crowd->in_turn++;
    assert_int_equal(p->crowd->in_turn, 1);
    p->crowd->in_turn--;
    atomic_fetch_add(&p->crowd->mails, 1);
    free(p);
}

static void *post_often(void *user)
{
    struct crowd *crowd = user;
    for (int i = 0; i < OTHER_MAILS; i++) {
        struct plain *p = malloc(sizeof *p);
        *p = (struct plain){.mail = {.run = count_mail}, .crowd = crowd};
        cv_loop_post_sure(crowd->loop, &p->mail);
        if (i % 16 == 0)
            sched_yield();
    }
    return NULL;
}

/* Nothing is lost and no two threads are in a turn; the thread sanitizer looks on. */
static void run_crowd(struct cv_loop *loop)
{
    struct crowd crowd = {0};
    pthread_t threads[CALLERS + 1];
    crowd.loop = loop;
    assert_int_equal(pthread_create(&threads[CALLERS], NULL, post_often, &crowd), 0);
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &crowd), 0);
    for (int i = 0; i <= CALLERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    cv_loop_free(loop);
    assert_int_equal(atomic_load(&crowd.mails), OTHER_MAILS);
}

static void a_crowd_of_callers_and_posters(void **state)
{
    (void)state;
    struct loop_fixture f;
    init(&f, 65536);
    run_crowd(f.loop);
    test_alloc_assert_empty(&f.memory);
}

static void a_crowd_and_a_patient_loop(void **state)
{
    (void)state;
    struct loop_fixture f;
    init_patient(&f);
    run_crowd(f.loop);
    test_alloc_assert_empty(&f.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_of_callers_and_posters),
        cmocka_unit_test(a_crowd_and_a_patient_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
