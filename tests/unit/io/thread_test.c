#define _GNU_SOURCE
#include "io/thread.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void *copy_mask(void *mask)
{
    pthread_sigmask(SIG_SETMASK, NULL, mask);
    return mask;
}

static void signals_stay_with_the_program(void **state)
{
    (void)state;
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    static const int others[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD, SIGPIPE, SIGALRM};
    sigset_t before;
    sigset_t after;
    sigset_t inside;
    pthread_t thread;
    void *result;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(cv_thread_start("name", copy_mask, &inside, &thread), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &inside);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        assert_false(sigismember(&inside, faults[i]));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_true(sigismember(&inside, others[i]));

    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int i = 1; i < 32; i++)
        assert_int_equal(sigismember(&after, i), sigismember(&before, i));
}

static void *wait_at(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

static void assert_named(const char *name, const char *expected)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    char found[32] = "";
    pthread_mutex_lock(&gate);
    assert_int_equal(cv_thread_start(name, wait_at, &gate, &thread), 0);
    assert_int_equal(pthread_getname_np(thread, found, sizeof found), 0);
    pthread_mutex_unlock(&gate);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(found, expected);
}

static void a_thread_has_its_name(void **state)
{
    (void)state;
    assert_named("a", "a");
    assert_named("123456789012345", "123456789012345");
    assert_named("1234567890123456", "123456789012345");
}

/* Affinity is a thread's own, so it may be narrowed here. */
static void only_usable_cores_count(void **state)
{
    (void)state;
    cpu_set_t before;
    cpu_set_t one;
    size_t first = 0;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_int_equal(cv_core_count(), CPU_COUNT(&before));
    while (!CPU_ISSET(first, &before))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(cv_core_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_stay_with_the_program),
        cmocka_unit_test(a_thread_has_its_name),
        cmocka_unit_test(only_usable_cores_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
