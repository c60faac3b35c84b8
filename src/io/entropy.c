#include "io/entropy.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Large enough that a system call is shared by about 25 connection ids. */
#define BUFFER_SIZE 512

struct buffer {
    unsigned generation; /* of the process that filled it */
    size_t left;         /* bytes at the end that were not handed out */
    unsigned char bytes[BUFFER_SIZE];
};

static _Thread_local struct buffer buffer;

/*
 * Counts the forks between the first process and this one: a child must not hand out what its
 * parent's buffer holds. getpid() would tell as well, but is a system call that costs as much as
 * the buffer saves.
 */
static atomic_uint generation;
static pthread_once_t watch_forks_once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, count_fork) != 0)
        abort();
}

static void read_system(unsigned char *memory, size_t size)
{
    while (size > 0) {
        ssize_t got = getrandom(memory, size, 0);
        if (got < 0) {
            if (errno != EINTR)
                abort();
            continue;
        }
        memory += got;
        size -= (size_t)got;
    }
}

static void refill(unsigned now)
{
    read_system(buffer.bytes, sizeof buffer.bytes);
    buffer.left = sizeof buffer.bytes;
    buffer.generation = now;
}

void cv_entropy(void *user, void *memory, size_t size)
{
    (void)user;
    if (size > BUFFER_SIZE / 2) {
        read_system(memory, size);
        return;
    }
    pthread_once(&watch_forks_once, watch_forks);
    unsigned now = atomic_load_explicit(&generation, memory_order_relaxed);
    if (buffer.left < size || buffer.generation != now)
        refill(now);
    unsigned char *from = buffer.bytes + sizeof buffer.bytes - buffer.left;
    if (size > 0)
        memcpy(memory, from, size);
    /* What was handed out may be a secret: it stays in one place only. */
    explicit_bzero(from, size);
    buffer.left -= size;
}
