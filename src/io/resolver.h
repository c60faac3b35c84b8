#ifndef CV_IO_RESOLVER_H
#define CV_IO_RESOLVER_H

#include "base/address.h"
#include "base/alloc.h"
#include "io/loop.h"

#include <covey/export.h>

/*
 * Host names to addresses without stopping a loop: getaddrinfo on a thread of the resolver's own, which
 * the first name starts, answers through the loop's mailbox. Names are looked up one after the other. At most 64 questions
 * wait.
 */
struct cv_resolver;

#define CV_RESOLVER_ADDRESSES_MAX 16

struct cv_resolver_answer {
    void *user;
    int error; /* 0, COVEY_ERR_RESOLVE, COVEY_ERR_ADDRESS (not HOST:PORT) */
    size_t count;
    struct cv_address addresses[CV_RESOLVER_ADDRESSES_MAX];
};

/* 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_resolver_new(const struct cv_alloc *alloc, struct cv_loop *loop,
                                   struct cv_resolver **out);
/*
 * The loop's thread, also inside an answer; before cv_loop_free(). No answer comes after it. An idle
 * thread has ended when it returns. getaddrinfo cannot be cancelled: a thread that is inside one
 * finishes by itself and frees what is left, which is not from `alloc`.
 */
void cv_resolver_free(struct cv_resolver *r);

/*
 * Asks for "HOST:PORT"; an address in numbers is answered too, without the thread but never from
 * inside this call. The loop's thread, which `answer` runs on too. 0, COVEY_ERR_BUSY,
 * COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM (no thread).
 */
COVEY_MUST_USE int cv_resolver_ask(struct cv_resolver *r, const char *name,
                                   void (*answer)(const struct cv_resolver_answer *answer),
                                   void *user);
/* The loop's thread: answers for this user do not come any more. */
void cv_resolver_forget(struct cv_resolver *r, const void *user);

#endif
