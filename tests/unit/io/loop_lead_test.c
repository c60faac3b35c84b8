#define _GNU_SOURCE
#include "io/loop.h"

#include "io/clock.h"
#include "unit/io/loop_lead_fixture.h"

#include <unistd.h>

/* One whole call; true when this thread led. */
static bool call_once(struct request *r, struct cv_loop *loop)
{
    begin(r, loop);
    r->answer_at_once = true;
    bool leads = r->waiter.leads;
    assert_int_equal(cv_loop_post(loop, &r->mail), 0);
    cv_loop_wait(&r->waiter);
    assert_int_equal(r->ran_here, leads);
    assert_false(r->is_cancelled);
    return leads;
}

/* Calls until this thread led once. Then nobody leads, unless this thread is slow. */
static void come_to_lead(struct request *r, struct cv_loop *loop)
{
    covey_time deadline = cv_clock_now() + WAIT_SECONDS * COVEY_SECOND;
    while (!call_once(r, loop))
        assert_true(cv_clock_now() < deadline);
}

/* Like call_once(), with the lead: tries until it gets it, and leaves the request unposted. */
static void begin_leading(struct request *r, struct cv_loop *loop)
{
    covey_time deadline = cv_clock_now() + WAIT_SECONDS * COVEY_SECOND;
    for (;;) {
        come_to_lead(r, loop);
        begin(r, loop);
        if (r->waiter.leads)
            return;
        cv_loop_wait_cancel(&r->waiter);
        assert_true(cv_clock_now() < deadline);
    }
}

static void the_loops_thread_leads_at_first(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    init(&f, 16);
    assert_false(call_once(&r, f.loop));
    assert_false(cv_loop_is_current(f.loop));
    fini(&f);
}

static void callers_in_quick_succession_come_to_lead(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    init_patient(&f);
    begin_leading(&r, f.loop);
    assert_true(cv_loop_is_current(f.loop));
    assert_false(cv_loop_in_turn(f.loop));
    cv_loop_wait_cancel(&r.waiter);
    assert_false(cv_loop_is_current(f.loop));
    fini(&f);
}

/* ---- what else happens while a caller leads, and after ---- */

struct note {
    struct cv_mail mail;
    struct request *answers; /* or NULL */
    pthread_t thread;
    sem_t done;
};

static void take_note(struct cv_mail *mail, bool cancelled)
{
    struct note *n = (struct note *)(void *)mail;
    (void)cancelled;
    n->thread = pthread_self();
    if (n->answers != NULL)
        answer(n->answers);
    sem_post(&n->done);
}

static void note_init(struct note *n, struct request *answers)
{
    *n = (struct note){.mail = {.run = take_note}, .answers = answers};
    sem_init(&n->done, 0, 0);
}

struct poster {
    struct cv_loop *loop;
    struct note note;
    struct cv_mail *mail; /* posted instead of the note; or NULL */
    sem_t *after;         /* waits for that; NULL: for nothing */
};

static void *post_note(void *user)
{
    struct poster *p = user;
    if (p->after != NULL)
        assert_true(wait_for(p->after));
    assert_int_equal(cv_loop_post(p->loop, p->mail != NULL ? p->mail : &p->note.mail), 0);
    return NULL;
}

/* The answer comes by another thread's mail, which runs here. */
static void who_leads_runs_what_others_post(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    struct poster p;
    pthread_t thread;
    init_patient(&f);
    begin_leading(&r, f.loop);
    assert_int_equal(cv_loop_post(f.loop, &r.mail), 0);
    p = (struct poster){.loop = f.loop};
    note_init(&p.note, &r);
    assert_int_equal(pthread_create(&thread, NULL, post_note, &p), 0);
    cv_loop_wait(&r.waiter);
    assert_true(r.ran_here);
    assert_true(pthread_equal(p.note.thread, pthread_self()));
    assert_int_equal(pthread_join(thread, NULL), 0);
    fini(&f);
}

static void a_post_while_nobody_leads_is_seen(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    struct note n;
    init_patient(&f);
    for (int i = 0; i < 100; i++) {
        come_to_lead(&r, f.loop);
        note_init(&n, NULL);
        assert_int_equal(cv_loop_post(f.loop, &n.mail), 0);
        assert_true(wait_for(&n.done));
        assert_false(pthread_equal(n.thread, pthread_self()));
    }
    fini(&f);
}

static void open_work(void *user)
{
    cv_loop_open_work(user);
}

static void close_work(void *user)
{
    cv_loop_close_work(user);
}

/* While a server is there, say, the loop's thread never lets go. */
static void with_open_work_nobody_else_leads(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    init_patient(&f);
    call(&f, open_work, f.loop);
    for (int i = 0; i < 300; i++)
        assert_false(call_once(&r, f.loop));
    call(&f, close_work, f.loop);
    come_to_lead(&r, f.loop);
    fini(&f);
}

struct watched {
    struct cv_loop *loop;
    struct cv_loop_watch *watch;
    struct note note;
    int fds[2];
};

static void read_byte(void *user)
{
    struct watched *w = user;
    char byte;
    if (read(w->fds[0], &byte, 1) == 1)
        take_note(&w->note.mail, false);
}

static void watch(void *user)
{
    struct watched *w = user;
    cv_loop_open_work(w->loop);
    assert_int_equal(cv_loop_watch(w->loop, w->fds[0], read_byte, w, &w->watch), 0);
}

static void unwatch(void *user)
{
    struct watched *w = user;
    cv_loop_unwatch(w->watch);
    cv_loop_close_work(w->loop);
}

static void watched_init(struct watched *w, struct cv_loop *loop)
{
    assert_int_equal(pipe(w->fds), 0);
    w->loop = loop;
    note_init(&w->note, NULL);
}

/* What is written is seen, by the loop's thread. */
static void watched_check_and_fini(struct watched *w)
{
    assert_int_equal(write(w->fds[1], "x", 1), 1);
    assert_true(wait_for(&w->note.done));
    assert_false(pthread_equal(w->note.thread, pthread_self()));
    assert_int_equal(cv_loop_call(w->loop, unwatch, w), 0);
    (void)close(w->fds[0]);
    (void)close(w->fds[1]);
}

/* Work that began while a caller led goes on when it stops. */
static void the_loops_thread_goes_on_with_open_work(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    struct watched w;
    init_patient(&f);
    watched_init(&w, f.loop);
    begin_leading(&r, f.loop);
    call(&f, watch, &w); /* here, at once */
    r.answer_at_once = true;
    assert_int_equal(cv_loop_post(f.loop, &r.mail), 0);
    cv_loop_wait(&r.waiter);
    watched_check_and_fini(&w);
    fini(&f);
}

static void close_and_open(void *user)
{
    struct watched *w = user;
    cv_loop_close_work(w->loop);
    cv_loop_open_work(w->loop);
}

static void the_loops_thread_stays_with_work_that_follows_at_once(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    struct watched w;
    init_patient(&f);
    watched_init(&w, f.loop);
    call(&f, watch, &w);
    begin(&r, f.loop); /* a caller who would like to lead */
    assert_false(r.waiter.leads);
    cv_loop_wait_cancel(&r.waiter);
    call(&f, close_and_open, &w);
    watched_check_and_fini(&w);
    fini(&f);
}

/* ---- a caller who has his answer ---- */

/* Asks in each turn whether the caller who makes it is answered. */
struct asker {
    struct cv_loop_task task;
    struct cv_loop *loop;
    pthread_t caller;
    const struct request *request; /* his */
    bool has_work;                 /* other work is open */
    unsigned before;               /* turns of the caller's without his answer */
    unsigned with;                 /* and with it */
    unsigned others;               /* turns of the loop's thread */
    unsigned wrong;                /* turns that were told something else */
    sem_t waits;                   /* a turn of the caller's without his answer */
};

static void asker_turn(void *user, covey_time now)
{
    struct asker *a = user;
    (void)now;
    bool here = pthread_equal(a->caller, pthread_self()) != 0;
    bool is_answered = here && a->request->waiter.is_answered;
    a->before += here && !is_answered;
    a->with += is_answered;
    a->others += !here;
    a->wrong += cv_loop_is_answered(a->loop) != (is_answered && !a->has_work);
    if (here && !is_answered)
        sem_post(&a->waits);
}

static void asker_add(void *user)
{
    struct asker *a = user;
    sem_init(&a->waits, 0, 0);
    a->task = (struct cv_loop_task){.turn = asker_turn, .deadline = never, .user = a};
    cv_loop_add(a->loop, &a->task);
}

static void asker_remove(void *user)
{
    struct asker *a = user;
    cv_loop_remove(a->loop, &a->task);
}

static void only_a_turn(void *user)
{
    (void)user;
}

static void who_leads_is_answered_in_his_last_turn(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    init_patient(&f);
    begin_leading(&r, f.loop);
    struct asker a = {.loop = f.loop, .caller = pthread_self(), .request = &r};
    call(&f, asker_add, &a);
    r.answer_at_once = true;
    assert_int_equal(cv_loop_post(f.loop, &r.mail), 0);
    cv_loop_wait(&r.waiter);
    call(&f, only_a_turn, NULL); /* of the loop's thread, which is nobody's answer */
    call(&f, asker_remove, &a);
    assert_int_equal(a.before, 0);
    assert_int_equal(a.with, 1);
    assert_true(a.others > 0);
    assert_int_equal(a.wrong, 0);
    fini(&f);
}

/* While his request is open, and before it was begun. */
static void who_leads_is_not_answered_before(void **state)
{
    (void)state;
    for (int is_open = 0; is_open < 2; is_open++) {
        struct loop_fixture f;
        struct request r;
        pthread_t thread;
        init_patient(&f);
        begin_leading(&r, f.loop);
        struct asker a = {.loop = f.loop, .caller = pthread_self(), .request = &r};
        call(&f, asker_add, &a);
        struct poster p = {.loop = f.loop, .after = &a.waits};
        note_init(&p.note, &r);
        if (is_open != 0) {
            assert_int_equal(cv_loop_post(f.loop, &r.mail), 0);
        } else {
            r.answer_at_once = true;
            p.mail = &r.mail;
        }
        assert_int_equal(pthread_create(&thread, NULL, post_note, &p), 0);
        cv_loop_wait(&r.waiter);
        assert_int_equal(pthread_join(thread, NULL), 0);
        call(&f, asker_remove, &a);
        assert_true(a.before > 0);
        assert_int_equal(a.with, 1);
        assert_int_equal(a.wrong, 0);
        fini(&f);
    }
}

static void who_does_not_lead_is_not_answered_by_a_turn(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    init_patient(&f);
    struct asker a = {.loop = f.loop, .caller = pthread_self(), .request = &r};
    call(&f, asker_add, &a);
    assert_false(call_once(&r, f.loop));
    call(&f, asker_remove, &a);
    assert_true(a.others > 0);
    assert_int_equal(a.before + a.with, 0);
    assert_int_equal(a.wrong, 0);
    fini(&f);
}

static void with_other_work_nobody_is_answered(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    init_patient(&f);
    begin_leading(&r, f.loop);
    struct asker a = {.loop = f.loop, .caller = pthread_self(), .request = &r, .has_work = true};
    call(&f, asker_add, &a);
    call(&f, open_work, f.loop);
    r.answer_at_once = true;
    assert_int_equal(cv_loop_post(f.loop, &r.mail), 0);
    cv_loop_wait(&r.waiter);
    call(&f, close_work, f.loop);
    call(&f, asker_remove, &a);
    assert_int_equal(a.with, 1);
    assert_int_equal(a.wrong, 0);
    fini(&f);
}

/* ---- deadlines ---- */

struct alarm {
    struct cv_loop_task task;
    struct cv_loop *loop;
    covey_time deadline;
    sem_t rang;
};

static void alarm_turn(void *user, covey_time now)
{
    struct alarm *a = user;
    if (now < a->deadline)
        return;
    a->deadline = COVEY_NEVER;
    sem_post(&a->rang);
}

static covey_time alarm_deadline(void *user)
{
    const struct alarm *a = user;
    return a->deadline;
}

static void alarm_add(void *user)
{
    struct alarm *a = user;
    cv_loop_add(a->loop, &a->task);
}

static void alarm_remove(void *user)
{
    struct alarm *a = user;
    cv_loop_remove(a->loop, &a->task);
}

static void a_deadline_is_kept_while_nobody_leads(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    struct alarm a = {.task = {.turn = alarm_turn, .deadline = alarm_deadline, .user = &a}};
    init(&f, 16);
    a.loop = f.loop;
    sem_init(&a.rang, 0, 0);
    begin_leading(&r, f.loop);
    a.deadline = cv_clock_now() + 5 * COVEY_MILLISECOND;
    call(&f, alarm_add, &a);
    cv_loop_wait_cancel(&r.waiter);
    assert_true(wait_for(&a.rang));
    call(&f, alarm_remove, &a);
    fini(&f);
}

/* ---- the end ---- */

static void a_parked_loop_can_be_freed(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct request r;
    for (int i = 0; i < 20; i++) {
        init_patient(&f);
        come_to_lead(&r, f.loop);
        fini(&f);
    }
}

static void a_waiter_of_a_loop_that_ends_goes_on(void **state)
{
    (void)state;
    struct test_alloc memory;
    struct cv_loop *loop;
    struct request r;
    test_alloc_init(&memory);
    struct cv_loop_config config = loop_config(&memory.alloc);
    config.mode = CV_LOOP_STEP; /* nobody makes a step: the request is cancelled by the end */
    assert_int_equal(cv_loop_new(&config, &loop), 0);
    r = (struct request){.mail = {.run = run_request}, .loop = loop};
    r.waiter = (struct cv_loop_waiter){.loop = loop};
    sem_init(&r.waiter.answered, 0, 0);
    assert_int_equal(cv_loop_post(loop, &r.mail), 0);
    cv_loop_free(loop);
    assert_true(r.is_cancelled);
    assert_true(wait_for(&r.waiter.answered));
    test_alloc_assert_empty(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loops_thread_leads_at_first),
        cmocka_unit_test(callers_in_quick_succession_come_to_lead),
        cmocka_unit_test(who_leads_runs_what_others_post),
        cmocka_unit_test(a_post_while_nobody_leads_is_seen),
        cmocka_unit_test(with_open_work_nobody_else_leads),
        cmocka_unit_test(the_loops_thread_goes_on_with_open_work),
        cmocka_unit_test(the_loops_thread_stays_with_work_that_follows_at_once),
        cmocka_unit_test(who_leads_is_answered_in_his_last_turn),
        cmocka_unit_test(who_leads_is_not_answered_before),
        cmocka_unit_test(who_does_not_lead_is_not_answered_by_a_turn),
        cmocka_unit_test(with_other_work_nobody_is_answered),
        cmocka_unit_test(a_deadline_is_kept_while_nobody_leads),
        cmocka_unit_test(a_parked_loop_can_be_freed),
        cmocka_unit_test(a_waiter_of_a_loop_that_ends_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
