#define _GNU_SOURCE
#include "io/loop.h"

#include "unit/io/loop_fixture.h"

#include <covey/error.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

struct inside {
    char name[32];
    sigset_t blocked;
};

static void look_inside(void *user)
{
    struct inside *i = user;
    (void)pthread_getname_np(pthread_self(), i->name, sizeof i->name);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &i->blocked);
}

static void the_thread_has_a_name_and_takes_no_signals(void **state)
{
    (void)state;
    struct loop_fixture f;
    struct inside i = {.name = ""};
    init(&f, 16);
    call(&f, look_inside, &i);
    assert_string_equal(i.name, "loop");
    assert_true(sigismember(&i.blocked, SIGTERM));
    assert_true(sigismember(&i.blocked, SIGUSR1));
    fini(&f);
}

static void nothing_is_left(void **state)
{
    (void)state;
    struct loop_fixture f;
    init(&f, 16); /* libuv keeps two descriptors for the whole process */
    fini(&f);
    assert_true(wait_no_thread("loop"));
    size_t fds = count_fds();
    for (int i = 0; i < 10; i++) {
        init(&f, 16);
        assert_true(count_fds() > fds);
        assert_int_equal(count_threads("loop"), 1);
        fini(&f);
        assert_int_equal(count_fds(), fds);
        assert_true(wait_no_thread("loop"));
    }
}

static void no_memory(void **state)
{
    (void)state;
    struct test_alloc memory;
    struct cv_loop *loop = NULL;
    int error = COVEY_ERR_NO_MEMORY;
    for (size_t n = 1; error != 0; n++) {
        test_alloc_init(&memory);
        memory.fail_at = n;
        struct cv_loop_config config = loop_config(&memory.alloc);
        error = cv_loop_new(&config, &loop);
        assert_true(error == 0 || (error == COVEY_ERR_NO_MEMORY && loop == NULL));
        if (error != 0)
            test_alloc_assert_empty(&memory);
    }
    assert_true(memory.calls >= 2);
    cv_loop_free(loop);
    test_alloc_assert_empty(&memory);
}

static void no_descriptors(void **state)
{
    (void)state;
    struct test_alloc memory;
    struct cv_loop *loop = NULL;
    struct rlimit before;
    int error = COVEY_ERR_SYSTEM;
    unsigned refusals = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    (void)close(next);
    size_t fds = count_fds();
    for (rlim_t limit = (rlim_t)next; error != 0; limit++) {
        test_alloc_init(&memory);
        struct cv_loop_config config = loop_config(&memory.alloc);
        struct rlimit tight = {.rlim_cur = limit, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        error = cv_loop_new(&config, &loop);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_true(error == 0 || error == COVEY_ERR_SYSTEM);
        if (error == 0)
            break;
        refusals++;
        test_alloc_assert_empty(&memory);
        assert_int_equal(count_fds(), fds);
    }
    assert_true(refusals >= 3);
    cv_loop_free(loop);
    test_alloc_assert_empty(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_thread_has_a_name_and_takes_no_signals),
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(no_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
