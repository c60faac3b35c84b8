#define _GNU_SOURCE
#include "io/entropy.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Stands before the C library's, so that a test can count, interrupt and refuse. */
static atomic_int calls;
static atomic_int interrupts;
static atomic_int refusal;
static atomic_bool short_reads;

ssize_t getrandom(void *memory, size_t size, unsigned flags)
{
    atomic_fetch_add(&calls, 1);
    if (atomic_load(&interrupts) > 0) {
        atomic_fetch_sub(&interrupts, 1);
        errno = EINTR;
        return -1;
    }
    if (atomic_load(&refusal) != 0) {
        errno = atomic_load(&refusal);
        return -1;
    }
    if (atomic_load(&short_reads) && size > 100)
        size = 100;
    return syscall(SYS_getrandom, memory, size, flags);
}

static int reset(void **state)
{
    (void)state;
    atomic_store(&calls, 0);
    atomic_store(&interrupts, 0);
    atomic_store(&refusal, 0);
    atomic_store(&short_reads, false);
    return 0;
}

static void requests_do_not_repeat(void **state)
{
    (void)state;
    uint8_t seen[200][16];
    for (size_t i = 0; i < 200; i++) {
        cv_entropy(NULL, seen[i], sizeof seen[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(seen[i], seen[j], sizeof seen[i]);
    }
}

static void small_requests_share_a_system_call(void **state)
{
    (void)state;
    uint8_t id[20];
    for (int i = 0; i < 250; i++)
        cv_entropy(NULL, id, sizeof id);
    assert_in_range(atomic_load(&calls), 1, 11);
}

/* Every byte of every size is written: in 64 tries one that stays 0 would be a wonder. */
static void every_size_is_filled_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 255, 256, 257, 511, 512, 513, 5000};
    atomic_store(&short_reads, true);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        uint8_t any[5001] = {0};
        for (int i = 0; i < 64; i++) {
            uint8_t memory[5001] = {0};
            cv_entropy(NULL, memory, sizes[s]);
            for (size_t b = 0; b < sizeof any; b++)
                any[b] |= memory[b];
        }
        assert_null(memchr(any, 0, sizes[s]));
        assert_int_equal(any[sizes[s]], 0);
    }
}

static void nothing_asked_nothing_done(void **state)
{
    (void)state;
    uint8_t byte = 7;
    cv_entropy(NULL, &byte, 0);
    assert_int_equal(byte, 7);
}

static void an_interrupted_call_is_tried_again(void **state)
{
    (void)state;
    uint8_t memory[512] = {0};
    uint8_t zero[512] = {0};
    atomic_store(&interrupts, 3);
    cv_entropy(NULL, memory, sizeof memory);
    assert_memory_not_equal(memory, zero, sizeof memory);
    assert_int_equal(atomic_load(&calls), 4);
}

static void without_randomness_the_process_stops(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        uint8_t memory[512];
        (void)signal(SIGABRT, SIG_DFL);
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        atomic_store(&refusal, ENOSYS);
        cv_entropy(NULL, memory, sizeof memory);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void a_child_does_not_repeat_its_parent(void **state)
{
    (void)state;
    uint8_t ours[32];
    uint8_t childs[32];
    int ends[2];
    cv_entropy(NULL, ours, sizeof ours);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        cv_entropy(NULL, childs, sizeof childs);
        _exit(write(ends[1], childs, sizeof childs) == (ssize_t)sizeof childs ? 0 : 1);
    }
    cv_entropy(NULL, ours, sizeof ours);
    assert_int_equal(read(ends[0], childs, sizeof childs), sizeof childs);
    assert_memory_not_equal(ours, childs, sizeof ours);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void *take(void *memory)
{
    cv_entropy(NULL, memory, 32);
    return NULL;
}

static void threads_do_not_repeat_each_other(void **state)
{
    (void)state;
    uint8_t taken[4][32];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take, taken[i]), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(taken[i], taken[j], sizeof taken[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(requests_do_not_repeat, reset),
        cmocka_unit_test_setup(small_requests_share_a_system_call, reset),
        cmocka_unit_test_setup(every_size_is_filled_whole, reset),
        cmocka_unit_test_setup(nothing_asked_nothing_done, reset),
        cmocka_unit_test_setup(an_interrupted_call_is_tried_again, reset),
        cmocka_unit_test_setup(without_randomness_the_process_stops, reset),
        cmocka_unit_test_setup(a_child_does_not_repeat_its_parent, reset),
        cmocka_unit_test_setup(threads_do_not_repeat_each_other, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
