#ifndef CV_IO_ENTROPY_H
#define CV_IO_ENTROPY_H

#include <stddef.h>

/*
 * Unpredictable bytes from the operating system. Any thread. Small requests are served from a
 * buffer of the thread's own, so that a connection id does not cost a system call; a forked child
 * starts with an empty one. Never fails: without randomness the process stops, because going on
 * would be unsafe. `user` is not used.
 */
void cv_entropy(void *user, void *memory, size_t size);

#endif
