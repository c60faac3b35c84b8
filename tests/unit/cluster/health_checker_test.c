#include "unit/cluster/cluster_fixture.h"

#include "base/rand.h"
#include "cluster/health_checker.h"

#include <stdio.h>

#define HEALTHY   COVEY_CHECK_HEALTHY
#define DEGRADED  COVEY_CHECK_DEGRADED
#define UNHEALTHY COVEY_CHECK_UNHEALTHY

static int add_named(struct cv_health_checker *hc, struct cv_slice name, covey_time interval,
                     covey_time timeout, const void *user, covey_time now)
{
    const struct cv_health_check_config config = {
        .name = name, .interval = interval, .timeout = timeout, .user = (void *)(uintptr_t)user};
    return cv_health_checker_add(hc, &config, now);
}

/* Every 10 s, 2 s long at most; the name is its user too. */
static void add(struct cv_health_checker *hc, const char *name, covey_time now)
{
    assert_int_equal(add_named(hc, cv_slice_text(name), 10 * SEC, 2 * SEC, name, now), 0);
}

/* The number of the run that is due, which is this check's. */
static uint64_t due(struct cv_health_checker *hc, const char *name, covey_time now)
{
    struct cv_check_run run;
    assert_true(cv_health_checker_due(hc, now, &run));
    assert_string_equal(run.user, name);
    return run.number;
}

static void assert_none_due(struct cv_health_checker *hc, covey_time now)
{
    struct cv_check_run run;
    assert_false(cv_health_checker_due(hc, now, &run));
}

/* True when it was told that the check became worse. */
static bool answer(struct cv_health_checker *hc, covey_time now, uint64_t run,
                   enum covey_check_status status)
{
    struct covey_check_health worse;
    if (!cv_health_checker_result(hc, now, run, status, cv_slice_text("it says"), &worse))
        return false;
    assert_int_equal(worse.status, status);
    assert_string_equal(worse.message, "it says");
    return true;
}

static enum covey_check_status overall(const struct cv_health_checker *hc)
{
    return cv_health_checker_status(hc).overall;
}

static void a_check_runs_at_its_interval(void **state)
{
    (void)state;
    struct cv_health_checker hc;
    cv_health_checker_init(&hc);
    assert_int_equal(cv_health_checker_deadline(&hc), COVEY_NEVER);
    add(&hc, "disk", 5 * SEC);
    assert_int_equal(cv_health_checker_deadline(&hc), 5 * SEC);
    assert_none_due(&hc, 5 * SEC - 1);
    uint64_t run = due(&hc, "disk", 6 * SEC); /* a second late */
    assert_none_due(&hc, 6 * SEC);
    assert_int_equal(cv_health_checker_deadline(&hc), 8 * SEC);
    assert_false(answer(&hc, 7 * SEC, run, HEALTHY));

    const struct covey_check_health health = cv_health_checker_at(&hc, 0);
    assert_int_equal(health.size, sizeof health);
    assert_string_equal(health.name, "disk");
    assert_int_equal(health.status, HEALTHY);
    assert_int_equal(health.since, 7 * SEC);
    assert_int_equal(health.last_duration, SEC);
    assert_int_equal(health.consecutive_failures, 0);
    assert_false(health.hangs);
    assert_string_equal(health.message, "it says");

    /* being late does not move what follows */
    assert_int_equal(cv_health_checker_deadline(&hc), 15 * SEC);
    run = due(&hc, "disk", 15 * SEC);
    assert_false(answer(&hc, 15 * SEC, run, HEALTHY));
    assert_int_equal(cv_health_checker_deadline(&hc), 25 * SEC);
    assert_int_equal(cv_health_checker_at(&hc, 0).since, 7 * SEC);
}

static void what_takes_longer_than_the_interval_leaves_runs_out(void **state)
{
    (void)state;
    struct cv_health_checker hc;
    cv_health_checker_init(&hc);
    assert_int_equal(add_named(&hc, cv_slice_text("slow"), SEC, 5 * SEC, "slow", 0), 0);
    uint64_t run = due(&hc, "slow", 0);
    assert_none_due(&hc, 2 * SEC);
    assert_false(answer(&hc, 2500 * MS, run, HEALTHY));
    assert_int_equal(cv_health_checker_deadline(&hc), 3 * SEC);
    run = due(&hc, "slow", 3 * SEC);
    assert_false(answer(&hc, 4 * SEC, run, HEALTHY)); /* exactly at the next one: that is over */
    assert_int_equal(cv_health_checker_deadline(&hc), 5 * SEC);
}

/* FD7. */
static void overall_is_the_worst(void **state)
{
    (void)state;
    struct cv_health_checker hc;
    cv_health_checker_init(&hc);
    assert_int_equal(overall(&hc), HEALTHY);
    add(&hc, "a", 0);
    add(&hc, "b", 0);
    assert_int_equal(cv_health_checker_status(&hc).check_count, 2);
    assert_int_equal(overall(&hc), HEALTHY); /* none has answered */
    assert_int_equal(cv_health_checker_at(&hc, 0).status, COVEY_CHECK_UNKNOWN);
    const uint64_t a = due(&hc, "a", 0), b = due(&hc, "b", 0);
    assert_true(answer(&hc, 1, b, DEGRADED));
    assert_int_equal(overall(&hc), DEGRADED);
    assert_true(answer(&hc, 1, a, UNHEALTHY));
    assert_int_equal(overall(&hc), UNHEALTHY);
    assert_int_equal(cv_health_checker_remove(&hc, cv_slice_text("a")), 0);
    assert_int_equal(overall(&hc), DEGRADED);
}

static void each_step_down_is_told_once(void **state)
{
    (void)state;
    static const struct {
        enum covey_check_status status;
        bool told;
        uint32_t failures;
    } runs[] = {
        {HEALTHY, false, 0},  {DEGRADED, true, 1},  {DEGRADED, false, 2}, {UNHEALTHY, true, 3},
        {DEGRADED, false, 4}, {UNHEALTHY, true, 5}, {HEALTHY, false, 0},  {UNHEALTHY, true, 1},
    };
    struct cv_health_checker hc;
    cv_health_checker_init(&hc);
    add(&hc, "a", 0);
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        const covey_time now = i * 10 * SEC;
        assert_int_equal(answer(&hc, now, due(&hc, "a", now), runs[i].status), runs[i].told);
        assert_int_equal(cv_health_checker_at(&hc, 0).consecutive_failures, runs[i].failures);
        assert_int_equal(cv_health_checker_at(&hc, 0).status, runs[i].status);
    }
}

/* FD7: it counts as Unhealthy, is not started again, and holds up no other. */
static void one_that_hangs(void **state)
{
    (void)state;
    struct cv_health_checker hc;
    struct covey_check_health worse;
    cv_health_checker_init(&hc);
    add(&hc, "hangs", 0);
    add(&hc, "works", 1 * SEC);
    const uint64_t hung = due(&hc, "hangs", 0);
    uint64_t run = due(&hc, "works", 1 * SEC);
    assert_false(answer(&hc, 1 * SEC, run, HEALTHY));

    assert_false(cv_health_checker_expire(&hc, 2 * SEC - 1, &worse));
    assert_true(cv_health_checker_expire(&hc, 2 * SEC, &worse));
    assert_string_equal(worse.name, "hangs");
    assert_int_equal(worse.status, UNHEALTHY);
    assert_true(worse.hangs);
    assert_int_equal(worse.last_duration, 2 * SEC);
    assert_int_equal(worse.consecutive_failures, 1);
    assert_string_equal(worse.message, "no answer in time");
    assert_false(cv_health_checker_expire(&hc, 2 * SEC, &worse));
    assert_int_equal(overall(&hc), UNHEALTHY);

    assert_int_equal(cv_health_checker_deadline(&hc), 11 * SEC);
    run = due(&hc, "works", 11 * SEC);
    assert_none_due(&hc, 12 * SEC);
    assert_false(answer(&hc, 12 * SEC, run, HEALTHY));

    /* late: dropped, but it ended; it goes on at its next interval */
    assert_false(answer(&hc, 13 * SEC, hung, HEALTHY));
    assert_false(answer(&hc, 13 * SEC, hung, HEALTHY));
    assert_int_equal(overall(&hc), UNHEALTHY);
    assert_false(cv_health_checker_at(&hc, 0).hangs);
    assert_none_due(&hc, 20 * SEC - 1);
    run = due(&hc, "hangs", 20 * SEC);
    assert_false(answer(&hc, 20 * SEC, run, HEALTHY));
    assert_int_equal(overall(&hc), HEALTHY);
}

/* Two at once are both told, and one that was Unhealthy before is no news. */
static void all_that_expire_are_marked(void **state)
{
    (void)state;
    struct cv_health_checker hc;
    struct covey_check_health worse;
    cv_health_checker_init(&hc);
    add(&hc, "a", 0);
    add(&hc, "b", 0);
    add(&hc, "c", 0);
    assert_true(answer(&hc, 0, due(&hc, "a", 0), UNHEALTHY));
    assert_true(answer(&hc, 0, due(&hc, "b", 0), DEGRADED));
    assert_false(answer(&hc, 0, due(&hc, "c", 0), HEALTHY));
    due(&hc, "a", 10 * SEC);
    due(&hc, "b", 10 * SEC);
    due(&hc, "c", 10 * SEC);
    assert_true(cv_health_checker_expire(&hc, 12 * SEC, &worse));
    assert_string_equal(worse.name, "b");
    assert_true(cv_health_checker_expire(&hc, 12 * SEC, &worse));
    assert_string_equal(worse.name, "c");
    assert_false(cv_health_checker_expire(&hc, 12 * SEC, &worse));
    for (uint32_t i = 0; i < 3; i++)
        assert_true(cv_health_checker_at(&hc, i).hangs);
    assert_int_equal(cv_health_checker_at(&hc, 0).consecutive_failures, 2);
    assert_int_equal(cv_health_checker_deadline(&hc), COVEY_NEVER);
}

/* What came while the owner itself was stopped counts, if it is told first. */
static void an_answer_counts_until_it_expired(void **state)
{
    (void)state;
    struct cv_health_checker hc;
    struct covey_check_health worse;
    cv_health_checker_init(&hc);
    add(&hc, "a", 0);
    const uint64_t run = due(&hc, "a", 0);
    assert_false(answer(&hc, 3600 * SEC, run, HEALTHY));
    assert_false(cv_health_checker_expire(&hc, 3600 * SEC, &worse));
    assert_int_equal(overall(&hc), HEALTHY);
}

static void answers_to_nothing_are_dropped(void **state)
{
    (void)state;
    struct cv_health_checker hc;
    cv_health_checker_init(&hc);
    assert_false(answer(&hc, 0, 0, UNHEALTHY));
    add(&hc, "a", 0);
    add(&hc, "b", 0);
    assert_false(answer(&hc, 0, 0, UNHEALTHY)); /* of a check that has not run yet */
    const uint64_t a = due(&hc, "a", 0), b = due(&hc, "b", 0);
    assert_int_not_equal(a, b);
    assert_int_equal(cv_health_checker_remove(&hc, cv_slice_text("a")), 0);
    add(&hc, "a", 1);
    assert_false(answer(&hc, 1, a, UNHEALTHY));
    assert_false(answer(&hc, 1, b + 1, UNHEALTHY));
    assert_int_equal(overall(&hc), HEALTHY);
    assert_true(answer(&hc, 1, b, UNHEALTHY));
    assert_false(answer(&hc, 2, b, HEALTHY));
    assert_int_equal(overall(&hc), UNHEALTHY);
}

static void what_is_no_answer_is_unhealthy(void **state)
{
    (void)state;
    static const int statuses[] = {COVEY_CHECK_UNKNOWN, 4, -1};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct cv_health_checker hc;
        struct covey_check_health worse;
        cv_health_checker_init(&hc);
        add(&hc, "a", 0);
        assert_true(cv_health_checker_result(&hc, 0, due(&hc, "a", 0),
                                             (enum covey_check_status)statuses[i],
                                             (struct cv_slice){.size = 0}, &worse));
        assert_int_equal(worse.status, UNHEALTHY);
        assert_string_equal(worse.message, "");
    }
}

/* As much as fits, never half a character, and nothing of the one before. */
static void messages_are_cut(void **state)
{
    (void)state;
    struct cv_health_checker hc;
    struct covey_check_health worse;
    char text[COVEY_CHECK_MESSAGE_MAX + 2];
    memset(text, 'x', sizeof text);
    cv_health_checker_init(&hc);
    add(&hc, "a", 0);
    assert_true(cv_health_checker_result(&hc, 0, due(&hc, "a", 0), DEGRADED,
                                         cv_slice_of(text, sizeof text), &worse));
    assert_int_equal(strlen(worse.message), COVEY_CHECK_MESSAGE_MAX);
    memcpy(&text[COVEY_CHECK_MESSAGE_MAX - 1], "\xc3\xa4", 2);
    assert_true(cv_health_checker_result(&hc, 10 * SEC, due(&hc, "a", 10 * SEC), UNHEALTHY,
                                         cv_slice_of(text, sizeof text), &worse));
    assert_int_equal(strlen(worse.message), COVEY_CHECK_MESSAGE_MAX - 1);
    assert_false(cv_health_checker_result(&hc, 20 * SEC, due(&hc, "a", 20 * SEC), HEALTHY,
                                          cv_slice_of("ok\xff", 3), &worse));
    assert_string_equal(cv_health_checker_at(&hc, 0).message, "ok");
}

static void what_cannot_be_added_is_refused(void **state)
{
    (void)state;
    struct cv_health_checker hc, before;
    char name[COVEY_CHECK_NAME_MAX + 2] = {0};
    memset(name, 'n', sizeof name - 1);
    cv_health_checker_init(&hc);
    assert_int_equal(add_named(&hc, cv_slice_of(name, COVEY_CHECK_NAME_MAX), 1, 1, NULL, 0), 0);
    assert_int_equal(strlen(cv_health_checker_at(&hc, 0).name), COVEY_CHECK_NAME_MAX);
    before = hc;
    const struct cv_slice fine = cv_slice_text("fine");
    static const struct {
        const char *name;
        size_t size;
        covey_time interval, timeout;
    } wrong[] = {
        {"", 0, 1, 1},
        {"\xff", 1, 1, 1},
        {"a\0b", 3, 1, 1},
        {"fine", 4, 0, 1},
        {"fine", 4, 1, 0},
        {"fine", 4, COVEY_NEVER, 1},
        {"fine", 4, 1, COVEY_NEVER},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(add_named(&hc, cv_slice_of(wrong[i].name, wrong[i].size),
                                   wrong[i].interval, wrong[i].timeout, NULL, 0),
                         COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(add_named(&hc, cv_slice_of(name, COVEY_CHECK_NAME_MAX + 1), 1, 1, NULL, 0),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(add_named(&hc, cv_slice_of(name, COVEY_CHECK_NAME_MAX), 1, 1, NULL, 0),
                     COVEY_ERR_EXISTS);
    assert_int_equal(cv_health_checker_remove(&hc, fine), COVEY_ERR_NOT_FOUND);
    assert_memory_equal(&hc, &before, sizeof hc);
    for (unsigned i = 1; i < COVEY_CHECKS_MAX; i++) {
        snprintf(name, sizeof name, "%u", i);
        assert_int_equal(add_named(&hc, cv_slice_text(name), 1, 1, NULL, 0), 0);
    }
    assert_int_equal(add_named(&hc, fine, 1, 1, NULL, 0), COVEY_ERR_LIMIT);
    assert_int_equal(cv_health_checker_remove(&hc, cv_slice_text("31")), 0);
    assert_int_equal(add_named(&hc, fine, 1, 1, NULL, 0), 0);
}

/* Times at the end of time do not wrap around. */
static void the_longest_times(void **state)
{
    (void)state;
    struct cv_health_checker hc;
    cv_health_checker_init(&hc);
    assert_int_equal(add_named(&hc, cv_slice_text("a"), COVEY_NEVER - 1, COVEY_NEVER - 1, "a", 10),
                     0);
    const uint64_t run = due(&hc, "a", 10);
    assert_int_equal(cv_health_checker_deadline(&hc), COVEY_NEVER);
    assert_false(answer(&hc, 11, run, HEALTHY));
    assert_int_equal(cv_health_checker_deadline(&hc), COVEY_NEVER);
}

/* ---- at random ---- */

struct outside {
    uint64_t running[COVEY_CHECKS_MAX]; /* the run of each check that has not answered; 0: none */
    unsigned told;
    unsigned steps_down;
};

static void count_step(struct outside *o, enum covey_check_status before,
                       enum covey_check_status after)
{
    o->steps_down += after > before && after > HEALTHY;
}

static void let_run(struct cv_health_checker *hc, covey_time now)
{
    struct cv_check_run run;
    while (cv_health_checker_due(hc, now, &run)) {
        uint64_t *running = run.user;
        assert_int_equal(*running, 0); /* never twice at once */
        *running = run.number;
    }
}

static void let_answer(struct cv_health_checker *hc, struct outside *o, uint32_t i, covey_time now,
                       enum covey_check_status status)
{
    struct covey_check_health worse;
    const struct covey_check_health before = cv_health_checker_at(hc, i);
    o->told += cv_health_checker_result(hc, now, o->running[i], status, cv_slice_text(""), &worse);
    if (o->running[i] != 0 && !before.hangs) {
        assert_int_equal(cv_health_checker_at(hc, i).status, status);
        count_step(o, before.status, status);
    }
    o->running[i] = 0;
}

static void let_expire(struct cv_health_checker *hc, struct outside *o, covey_time now)
{
    const struct cv_health_checker before = *hc;
    struct covey_check_health worse;
    while (cv_health_checker_expire(hc, now, &worse))
        o->told++;
    for (uint32_t i = 0; i < hc->count; i++)
        count_step(o, before.checks[i].health.status, hc->checks[i].health.status);
    if (now < cv_health_checker_deadline(&before)) /* before its deadline nothing happens */
        assert_memory_equal(hc, &before, sizeof before);
}

static void assert_sound(const struct cv_health_checker *hc, const struct outside *o)
{
    enum covey_check_status worst = HEALTHY;
    for (uint32_t i = 0; i < hc->count; i++) {
        const struct covey_check_health health = cv_health_checker_at(hc, i);
        worst = health.status > worst ? health.status : worst;
        assert_true(!health.hangs || (health.status == UNHEALTHY && o->running[i] != 0));
        assert_true((health.consecutive_failures == 0) == (health.status <= HEALTHY));
    }
    assert_int_equal(overall(hc), worst);
    assert_int_equal(o->told, o->steps_down);
}

/* FD7 over a random history: nothing runs twice at once, each step down is told exactly once, the
 * deadline is never late. */
static void a_random_history(void **state)
{
    (void)state;
    struct cv_health_checker hc;
    struct outside o = {.told = 0};
    struct cv_rand rand;
    covey_time now = 0;
    cv_rand_seed(&rand, 11);
    cv_health_checker_init(&hc);
    for (uint32_t i = 0; i < COVEY_CHECKS_MAX; i++) {
        char name[8];
        snprintf(name, sizeof name, "%u", i);
        assert_int_equal(add_named(&hc, cv_slice_text(name), (1 + cv_rand_below(&rand, 9)) * SEC,
                                   (1 + cv_rand_below(&rand, 9)) * SEC, &o.running[i], now),
                         0);
    }
    for (int step = 0; step < 20000; step++) {
        const uint32_t i = (uint32_t)cv_rand_below(&rand, COVEY_CHECKS_MAX);
        const uint64_t dice = cv_rand_below(&rand, 4);
        if (dice < 3)
            let_answer(&hc, &o, i, now, (enum covey_check_status)(HEALTHY + dice));
        now += cv_rand_below(&rand, 200) * MS;
        let_run(&hc, now);
        let_expire(&hc, &o, now);
        assert_true(cv_health_checker_deadline(&hc) > now); /* all that was due is done */
        assert_sound(&hc, &o);
    }
    assert_true(o.told > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_check_runs_at_its_interval),
        cmocka_unit_test(what_takes_longer_than_the_interval_leaves_runs_out),
        cmocka_unit_test(overall_is_the_worst),
        cmocka_unit_test(each_step_down_is_told_once),
        cmocka_unit_test(one_that_hangs),
        cmocka_unit_test(all_that_expire_are_marked),
        cmocka_unit_test(an_answer_counts_until_it_expired),
        cmocka_unit_test(answers_to_nothing_are_dropped),
        cmocka_unit_test(what_is_no_answer_is_unhealthy),
        cmocka_unit_test(messages_are_cut),
        cmocka_unit_test(what_cannot_be_added_is_refused),
        cmocka_unit_test(the_longest_times),
        cmocka_unit_test(a_random_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
