#include "io/thread.h"

#include <covey/error.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>

/* The kernel's limit with the NUL. */
#define NAME_SIZE 16

static void all_but_faults(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigfillset(set);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(set, faults[i]);
}

int cv_thread_start(const char *name, void *(*run)(void *argument), void *argument, pthread_t *out)
{
    sigset_t blocked;
    sigset_t before;
    all_but_faults(&blocked);
    /* A thread inherits its creator's mask, so no signal can slip in at its start. */
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int error = pthread_create(out, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        return COVEY_ERR_SYSTEM;
    char cut[NAME_SIZE];
    (void)snprintf(cut, sizeof cut, "%s", name);
    (void)pthread_setname_np(*out, cut);
    return 0;
}

unsigned cv_core_count(void)
{
    cpu_set_t set;
    /* It fails on machines with more cores than the set has bits, for one. */
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : (unsigned)count;
}
