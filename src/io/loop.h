#ifndef CV_IO_LOOP_H
#define CV_IO_LOOP_H

#include "base/alloc.h"
#include "base/log.h"
#include "io/mailbox.h"

#include <covey/export.h>
#include <covey/types.h>
#include <stdbool.h>

/*
 * An event loop (libuv) with a thread of its own, a mailbox and one timer.
 *
 *   one turn:   wait for a socket, the timer or a mail
 *               -> readable(fd) for each, mails
 *               -> turn(now) of every task, once: act on what came, run timers, write
 *               -> the timer is set to the tasks' earliest deadline (one timerfd, set anew only
 *                  when the deadline moved earlier; firing too early costs one empty turn)
 */
struct cv_loop;

/* Something that lives on a loop. Memory of the owner's. */
struct cv_loop_task {
    void (*turn)(void *user, covey_time now);
    covey_time (*deadline)(void *user); /* COVEY_NEVER: none; asked after each turn */
    void *user;
    struct cv_loop_task *next; /* the loop's */
};

struct cv_loop_watch; /* a file descriptor that is watched for reading */

struct cv_loop_config {
    const struct cv_alloc *alloc;
    const struct cv_log *log;
    const char *thread_name; /* up to 15 characters */
    uint32_t mails_max;      /* 65,536 */
};

/* Starts the thread, which takes no signals. 0, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM. */
COVEY_MUST_USE int cv_loop_new(const struct cv_loop_config *config, struct cv_loop **out);
/* Ends the thread after the current turn and joins it; waiting mails run as cancelled. Every task
 * and watch must be removed. Not on the loop's own thread. */
void cv_loop_free(struct cv_loop *loop);

/* Any thread. Errors as cv_mailbox_post(). */
COVEY_MUST_USE int cv_loop_post(struct cv_loop *loop, struct cv_mail *mail);
/* Any thread; as cv_mailbox_post_sure(). */
void cv_loop_post_sure(struct cv_loop *loop, struct cv_mail *mail);
/*
 * Any other thread: runs `function(user)` on the loop's thread and waits until it returned; on the
 * loop's own thread it is simply called. 0; COVEY_ERR_CLOSED or COVEY_ERR_BUSY: it did not run.
 */
COVEY_MUST_USE int cv_loop_call(struct cv_loop *loop, void (*function)(void *user), void *user);
bool cv_loop_is_current(const struct cv_loop *loop);

/* The loop's thread only, from here on. */
void cv_loop_add(struct cv_loop *loop, struct cv_loop_task *task);
void cv_loop_remove(struct cv_loop *loop, struct cv_loop_task *task);
/* `fd` becomes non-blocking and must stay open until it is unwatched. A socket's pending error
 * makes it readable too. 0, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM (not a descriptor to be watched).
 */
COVEY_MUST_USE int cv_loop_watch(struct cv_loop *loop, int fd, void (*readable)(void *user),
                                 void *user, struct cv_loop_watch **out);
/* readable() is not called any more, not even for what is known already; also inside readable(). */
void cv_loop_unwatch(struct cv_loop_watch *watch);
/* Another turn at once, without waiting. */
void cv_loop_again(struct cv_loop *loop);
/* The time at which this turn began; what runs in a turn shares it. */
covey_time cv_loop_now(const struct cv_loop *loop);

#endif
