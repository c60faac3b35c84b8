#define _GNU_SOURCE
#include "io/loop.h"

#include "io/clock.h"
#include "unit/io/loop_fixture.h"

/* A task whose deadline the test sets; it counts its turns and tells when one came in time. */
struct alarm {
    struct cv_loop_task task;
    struct cv_loop *loop;
    covey_time deadline;
    unsigned turns;
    bool in_place;      /* each turn was on the loop's thread and had the loop's time */
    covey_time rang_at; /* by the clock, in the first turn at or after the deadline */
    sem_t rang;
};

static void alarm_turn(void *user, covey_time now)
{
    struct alarm *a = user;
    a->turns++;
    a->in_place = a->in_place && cv_loop_is_current(a->loop) && now == cv_loop_now(a->loop);
    if (now < a->deadline)
        return;
    a->deadline = COVEY_NEVER;
    a->rang_at = cv_clock_now();
    sem_post(&a->rang);
}

static covey_time alarm_deadline(void *user)
{
    const struct alarm *a = user;
    return a->deadline;
}

static void alarm_init(struct alarm *a, struct cv_loop *loop, covey_time deadline)
{
    *a = (struct alarm){.loop = loop, .deadline = deadline, .in_place = true};
    a->task = (struct cv_loop_task){.turn = alarm_turn, .deadline = alarm_deadline, .user = a};
    sem_init(&a->rang, 0, 0);
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

static void a_deadline_gets_a_turn(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct alarm a;
    init(&f, 16);
    covey_time deadline = cv_clock_now() + 20 * COVEY_MILLISECOND;
    alarm_init(&a, f.loop, deadline);
    call(&f, alarm_add, &a);
    assert_true(wait_for(&a.rang));
    assert_true(a.rang_at >= deadline);
    assert_true(a.in_place);
    call(&f, alarm_remove, &a);
    fini(&f);
}

static void a_deadline_that_is_over_gets_a_turn_at_once(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct alarm a;
    init(&f, 16);
    alarm_init(&a, f.loop, 0);
    call(&f, alarm_add, &a);
    assert_true(wait_for(&a.rang));
    call(&f, alarm_remove, &a);
    fini(&f);
}

struct move {
    struct alarm *alarm;
    covey_time deadline;
};

static void move_deadline(void *user)
{
    const struct move *m = user;
    m->alarm->deadline = m->deadline;
}

static void an_earlier_deadline_sets_the_timer_anew(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct alarm a;
    init(&f, 16);
    alarm_init(&a, f.loop, cv_clock_now() + 3600 * COVEY_SECOND);
    call(&f, alarm_add, &a);
    struct move sooner = {.alarm = &a, .deadline = cv_clock_now() + 5 * COVEY_MILLISECOND};
    call(&f, move_deadline, &sooner);
    assert_true(wait_for(&a.rang));
    assert_true(a.rang_at >= sooner.deadline);
    call(&f, alarm_remove, &a);
    fini(&f);
}

/* The timer fires at the old time for nothing, and then at the new one. */
static void a_later_deadline_is_kept(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct alarm a;
    init(&f, 16);
    covey_time now = cv_clock_now();
    alarm_init(&a, f.loop, now + 200 * COVEY_MILLISECOND);
    call(&f, alarm_add, &a);
    struct move later = {.alarm = &a, .deadline = now + 300 * COVEY_MILLISECOND};
    call(&f, move_deadline, &later);
    assert_true(wait_for(&a.rang));
    assert_true(a.rang_at >= later.deadline);
    call(&f, alarm_remove, &a);
    fini(&f);
}

static void the_earliest_of_several_deadlines_counts(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct alarm late;
    struct alarm early;
    init(&f, 16);
    covey_time now = cv_clock_now();
    alarm_init(&late, f.loop, now + 3600 * COVEY_SECOND);
    alarm_init(&early, f.loop, now + 5 * COVEY_MILLISECOND);
    call(&f, alarm_add, &late);
    call(&f, alarm_add, &early);
    assert_true(wait_for(&early.rang));
    call(&f, alarm_remove, &early);
    call(&f, alarm_remove, &late);
    assert_int_equal(late.rang_at, 0);
    fini(&f);
}

/* A task that takes others out of the list, or itself, in its turn. */
struct remover {
    struct cv_loop_task task;
    struct cv_loop *loop;
    struct remover *victim;
    unsigned turns;
};

static void remover_turn(void *user, covey_time now)
{
    struct remover *r = user;
    (void)now;
    r->turns++;
    if (r->victim != NULL)
        cv_loop_remove(r->loop, &r->victim->task);
    r->victim = NULL;
}

static void add_three(void *user)
{
    struct remover *r = user;
    for (int i = 0; i < 3; i++)
        cv_loop_add(r[i].loop, &r[i].task);
}

static void aim_at_itself(void *user)
{
    struct remover *r = user;
    r->victim = r;
}

static void only_a_turn(void *user)
{
    (void)user;
}

static void a_task_may_remove_itself_and_others(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct remover r[3];
    init(&f, 16);
    for (int i = 0; i < 3; i++)
        r[i] = (struct remover){
            .loop = f.loop,
            .task = {.turn = remover_turn, .deadline = never, .user = &r[i]},
        };
    /* In their first turn 0 removes 1, which is next, and 2 removes itself. */
    r[0].victim = &r[1];
    r[2].victim = &r[2];
    call(&f, add_three, r);
    call(&f, only_a_turn, NULL);
    call(&f, aim_at_itself, &r[0]);
    /* The turn of a call comes after it, so a second one shows what the first did. */
    call(&f, only_a_turn, NULL);
    call(&f, only_a_turn, NULL);
    assert_int_equal(r[1].turns, 0);
    assert_int_equal(r[2].turns, 1);
    assert_in_range(r[0].turns, 2, 3);
    fini(&f);
}

/* Asks for a further turn a number of times. */
struct repeater {
    struct cv_loop_task task;
    struct cv_loop *loop;
    unsigned wanted;
    unsigned turns;
    sem_t done;
};

static void repeater_turn(void *user, covey_time now)
{
    struct repeater *r = user;
    (void)now;
    r->turns++;
    if (r->turns < r->wanted)
        cv_loop_again(r->loop);
    else if (r->turns == r->wanted)
        sem_post(&r->done);
}

static void repeater_add(void *user)
{
    struct repeater *r = user;
    cv_loop_add(r->loop, &r->task);
}

static void repeater_remove(void *user)
{
    struct repeater *r = user;
    cv_loop_remove(r->loop, &r->task);
}

static void again_makes_one_more_turn_each_time(void **state)
{
    (void)state;
    struct loop_fixture f;
    init(&f, 16);
    struct repeater r = {.loop = f.loop, .wanted = 100};
    r.task = (struct cv_loop_task){.turn = repeater_turn, .deadline = never, .user = &r};
    sem_init(&r.done, 0, 0);
    call(&f, repeater_add, &r);
    assert_true(wait_for(&r.done));
    /* And then no more: a loop that kept turning would have made thousands. */
    struct alarm later;
    alarm_init(&later, f.loop, cv_clock_now() + 50 * COVEY_MILLISECOND);
    call(&f, alarm_add, &later);
    assert_true(wait_for(&later.rang));
    call(&f, alarm_remove, &later);
    call(&f, repeater_remove, &r);
    assert_in_range(r.turns, 100, 115);
    fini(&f);
}

static covey_time over_until_done(void *user)
{
    const struct repeater *r = user;
    return r->turns < r->wanted ? 0 : COVEY_NEVER;
}

static void count_turn(void *user, covey_time now)
{
    struct repeater *r = user;
    (void)now;
    if (++r->turns == r->wanted)
        sem_post(&r->done);
}

static void a_deadline_that_stays_over_gets_turn_after_turn(void **state)
{
    (void)state;
    struct loop_fixture f;
    init(&f, 16);
    struct repeater r = {.loop = f.loop, .wanted = 10};
    r.task = (struct cv_loop_task){.turn = count_turn, .deadline = over_until_done, .user = &r};
    sem_init(&r.done, 0, 0);
    call(&f, repeater_add, &r);
    assert_true(wait_for(&r.done));
    call(&f, repeater_remove, &r);
    fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_gets_a_turn),
        cmocka_unit_test(a_deadline_that_is_over_gets_a_turn_at_once),
        cmocka_unit_test(an_earlier_deadline_sets_the_timer_anew),
        cmocka_unit_test(a_later_deadline_is_kept),
        cmocka_unit_test(the_earliest_of_several_deadlines_counts),
        cmocka_unit_test(a_task_may_remove_itself_and_others),
        cmocka_unit_test(a_deadline_that_stays_over_gets_turn_after_turn),
        cmocka_unit_test(again_makes_one_more_turn_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
