#ifndef BENCHES_PROCESS_H
#define BENCHES_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A text of "HOST:PORT" as the processes tell it each other. */
#define PROCESS_ADDRESS_SIZE 64

/* Ends the program with status 1; `text` is written as printf does. */
_Noreturn void die(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* The monotonic clock. */
uint64_t now_ns(void);
/* Sleeps until the monotonic clock shows `time`. */
void sleep_until_ns(uint64_t time);

/* Of this process, all threads together. */
double cpu_seconds(void);
long peak_rss_kib(void);
long current_rss_kib(void);

/* Threads made after this run there too. A machine with one core has to share it. */
void pin_to_core(int core);
/* Lets the process open as many files as it may, and says on stderr what the limit became. */
void raise_file_limit(void);

/* All `size` bytes or false. */
bool write_all(int fd, const void *data, size_t size);
bool read_all(int fd, void *data, size_t size);

/* A child with a pipe in each direction. */
struct child {
    pid_t pid;
    int to;   /* what the child reads */
    int from; /* what the child wrote */
};

/*
 * Runs body(user, from_parent, to_parent) in a new process that dies with this one; the body's
 * return value is its status. Make it before any thread.
 */
struct child child_start(int (*body)(void *user, int from_parent, int to_parent), void *user);
/* Closes the pipes, on which a child ends, and waits for it. Returns its status, 1 if killed. */
int child_end(struct child *child);

#endif
