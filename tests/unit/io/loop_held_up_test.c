#define _GNU_SOURCE
/* What a loop knows of its own delays. Time is the real one, so only that delays are seen is said, and that
 * a loop that nobody held up saw none of such a size. */
#include "io/loop.h"

#include "io/clock.h"
#include "unit/io/loop_fixture.h"

#define LONG (20 * COVEY_MILLISECOND)

static void init_step_with(struct loop_fixture *f, covey_time turn_long)
{
    test_alloc_init(&f->memory);
    struct cv_loop_config config = loop_config(&f->memory.alloc);
    config.mode = CV_LOOP_STEP;
    config.turn_long = turn_long;
    assert_int_equal(cv_loop_new(&config, &f->loop), 0);
}

static void init_step(struct loop_fixture *f)
{
    init_step_with(f, 0);
}

static void be_busy_until(covey_time end)
{
    while (cv_clock_now() < end)
        ;
}

struct task {
    struct cv_loop_task task;
    covey_time deadline;
    covey_time busy; /* in the next turn */
};

static void task_turn(void *user, covey_time now)
{
    struct task *t = user;
    if (t->deadline <= now)
        t->deadline = COVEY_NEVER;
    be_busy_until(now + t->busy);
    t->busy = 0;
}

static covey_time task_deadline(void *user)
{
    const struct task *t = user;
    return t->deadline;
}

/* A task that looks at its loop as others do. */
struct seeing {
    struct task task; /* first: the turn's user */
    struct cv_loop *loop;
    covey_time now;
    covey_time late_from;
};

static void see_turn(void *user, covey_time now)
{
    struct seeing *s = user;
    s->now = now;
    s->late_from = cv_loop_late_from(s->loop);
}

static struct task task_with(covey_time deadline)
{
    return (struct task){.deadline = deadline};
}

static void add(struct loop_fixture *f, struct task *t)
{
    t->task = (struct cv_loop_task){.turn = task_turn, .deadline = task_deadline, .user = t};
    cv_loop_add(f->loop, &t->task);
}

/* Nobody steps though the timer's time has come. */
static void a_step_that_comes_late_is_seen(void **state)
{
    (void)state;
    struct loop_fixture f;
    init_step(&f);
    covey_time due = cv_clock_now() + COVEY_MILLISECOND;
    struct task t = task_with(due);
    add(&f, &t);
    cv_loop_step(f.loop);
    assert_int_equal(cv_loop_held_up(f.loop), 0); /* the first one */
    if (t.deadline != COVEY_NEVER) {              /* else the step itself took so long */
        be_busy_until(due + LONG);
        cv_loop_step(f.loop);
        assert_true(cv_loop_held_up(f.loop) >= LONG);
        assert_true(cv_loop_held_up(f.loop) <= cv_clock_now() - due);
    }
    cv_loop_remove(f.loop, &t.task);
    fini(&f);
}

/* A turn that takes long holds up the next one, whatever is due. */
static void a_turn_that_takes_long_is_seen(void **state)
{
    (void)state;
    struct loop_fixture f;
    init_step(&f);
    struct task t = task_with(COVEY_NEVER);
    t.busy = LONG;
    add(&f, &t);
    cv_loop_step(f.loop);
    cv_loop_again(f.loop);
    cv_loop_step(f.loop);
    assert_true(cv_loop_held_up(f.loop) >= LONG);
    covey_time before = cv_clock_now();
    cv_loop_again(f.loop);
    cv_loop_step(f.loop);
    cv_loop_again(f.loop);
    cv_loop_step(f.loop);
    assert_true(cv_loop_held_up(f.loop) <= cv_clock_now() - before); /* it is forgotten */
    cv_loop_remove(f.loop, &t.task);
    fini(&f);
}

/* Who is told of a turn that took long is told without anything else that would wake the loop. */
static void a_turn_comes_after_one_that_took_long(void **state)
{
    (void)state;
    struct loop_fixture f;
    init_step_with(&f, LONG);
    struct task t = task_with(COVEY_NEVER);
    t.busy = LONG;
    add(&f, &t);
    cv_loop_step(f.loop); /* the first comes by itself */
    assert_true(t.busy == 0);
    assert_int_equal(cv_loop_timeout(f.loop), 0);
    cv_loop_step(f.loop);
    assert_true(cv_loop_held_up(f.loop) >= LONG);
    for (int i = 0; i < 100 && cv_loop_timeout(f.loop) == 0; i++)
        cv_loop_step(f.loop); /* it may have been held up itself */
    assert_true(cv_loop_timeout(f.loop) == COVEY_NEVER);
    cv_loop_remove(f.loop, &t.task);
    fini(&f);
}

/* A loop that has nothing to do is not held up by not being stepped. */
static void who_has_nothing_to_do_is_not_late(void **state)
{
    (void)state;
    struct loop_fixture f;
    init_step(&f);
    struct task t = task_with(COVEY_NEVER);
    add(&f, &t);
    covey_time took = cv_clock_now();
    cv_loop_step(f.loop);
    took = cv_clock_now() - took;
    be_busy_until(cv_clock_now() + took + LONG);
    cv_loop_again(f.loop);
    cv_loop_step(f.loop);
    assert_true(cv_loop_held_up(f.loop) <= took);
    cv_loop_remove(f.loop, &t.task);
    fini(&f);
}

/* Other threads see since when a turn is under way, and between turns when the next is due. */
static void others_see_since_when_it_is_late(void **state)
{
    (void)state;
    struct loop_fixture f;
    init_step(&f);
    assert_true(cv_loop_late_from(f.loop) == COVEY_NEVER);
    struct seeing seeing = {.loop = f.loop, .task = task_with(COVEY_NEVER)};
    seeing.task.task =
        (struct cv_loop_task){.turn = see_turn, .deadline = task_deadline, .user = &seeing.task};
    cv_loop_add(f.loop, &seeing.task.task);
    cv_loop_step(f.loop);
    assert_true(seeing.late_from == seeing.now);
    assert_true(cv_loop_late_from(f.loop) == COVEY_NEVER);
    seeing.task.deadline = seeing.now + 3600 * COVEY_SECOND;
    cv_loop_again(f.loop);
    cv_loop_step(f.loop);
    assert_true(seeing.late_from == seeing.now);
    assert_true(cv_loop_late_from(f.loop) == seeing.task.deadline);
    cv_loop_remove(f.loop, &seeing.task.task);
    fini(&f);
}

/* Who comes after somebody who took long is told what time it is; how long the turn took is not forgotten. */
struct second {
    struct cv_loop_task task;
    struct cv_loop *loop;
    covey_time first_now; /* what the loop said before it was asked anew */
    covey_time now;
    bool is_renewed;
};

static void second_turn(void *user, covey_time now)
{
    struct second *s = user;
    s->first_now = now;
    s->is_renewed = cv_loop_renew(s->loop);
    s->now = cv_loop_now(s->loop);
}

static void a_long_turn_is_told_the_time_again(void **state)
{
    (void)state;
    struct loop_fixture f;
    init_step(&f);
    struct task t = task_with(COVEY_NEVER);
    struct second s = {.loop = f.loop};
    s.task = (struct cv_loop_task){.turn = second_turn, .deadline = never, .user = &s};
    add(&f, &t);
    cv_loop_add(f.loop, &s.task);
    covey_time begun = cv_clock_now();
    cv_loop_again(f.loop);
    cv_loop_step(f.loop);
    covey_time took = cv_clock_now() - begun;
    assert_true(s.is_renewed == (s.now != s.first_now));
    assert_true(!s.is_renewed || took >= CV_LOOP_TURN_LONG);
    t.busy = LONG;
    cv_loop_again(f.loop);
    cv_loop_step(f.loop);
    assert_true(s.is_renewed);
    assert_true(s.now >= s.first_now + LONG);
    cv_loop_again(f.loop);
    cv_loop_step(f.loop);
    assert_true(cv_loop_held_up(f.loop) >= LONG);
    cv_loop_remove(f.loop, &s.task);
    cv_loop_remove(f.loop, &t.task);
    fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_that_comes_late_is_seen),
        cmocka_unit_test(a_turn_that_takes_long_is_seen),
        cmocka_unit_test(a_turn_comes_after_one_that_took_long),
        cmocka_unit_test(who_has_nothing_to_do_is_not_late),
        cmocka_unit_test(others_see_since_when_it_is_late),
        cmocka_unit_test(a_long_turn_is_told_the_time_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
