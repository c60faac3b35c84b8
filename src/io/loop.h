#ifndef CV_IO_LOOP_H
#define CV_IO_LOOP_H

#include "base/alloc.h"
#include "base/log.h"
#include "io/mailbox.h"

#include <covey/export.h>
#include <covey/types.h>
#include <semaphore.h>
#include <stdbool.h>

/*
 * An event loop (libuv) with a mailbox and one timer. One thread at a time makes its turns:
 *
 *   CV_LOOP_THREAD  a thread of its own, or a thread that waits for an answer
 *   CV_LOOP_STEP    whoever calls cv_loop_step(): a foreign event loop with a descriptor to poll
 *   CV_LOOP_UV      a user's uv_loop_t, in which it is a few handles more
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

struct uv_loop_s;

enum cv_loop_mode { CV_LOOP_THREAD, CV_LOOP_STEP, CV_LOOP_UV };

struct cv_loop_config {
    const struct cv_alloc *alloc; /* copied; its functions and user outlive the loop's memory */
    const struct cv_log *log;
    enum cv_loop_mode mode;
    const char *thread_name;   /* CV_LOOP_THREAD: up to 15 characters */
    struct uv_loop_s *uv_loop; /* CV_LOOP_UV: outlives the loop's memory */
    uint32_t mails_max;        /* 65,536 */
    covey_time busy_poll;      /* CV_LOOP_THREAD: cv_busy_poll's max; 0: sleeps at once */
    covey_time park_time;      /* how long a loop waits for its next caller; 0: a millisecond */
    /* A turn that takes so long is followed by another at once, which tells. 0: not. */
    covey_time turn_long;
};

/*
 * CV_LOOP_THREAD: starts the thread, which takes no signals. Else the loop is the calling thread's,
 * which is the user's loop's. 0, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM; with CV_LOOP_UV some memory
 * of a loop that could not be made stays until the user's loop has turned once more.
 */
COVEY_MUST_USE int cv_loop_new(const struct cv_loop_config *config, struct cv_loop **out);
/*
 * Waiting mails run as cancelled. Every task and watch must be removed; outside of a turn.
 *   CV_LOOP_THREAD  any other thread: ends the thread after the current turn and joins it
 *   CV_LOOP_STEP    the loop's thread
 *   CV_LOOP_UV      the loop's thread. libuv closes handles in its loop's next round: until then the
 *                   memory stays, and uv_loop_close() would say UV_EBUSY.
 */
void cv_loop_free(struct cv_loop *loop);

/* Any thread. Errors as cv_mailbox_post(). */
COVEY_MUST_USE int cv_loop_post(struct cv_loop *loop, struct cv_mail *mail);
/* Any thread; as cv_mailbox_post_sure(). */
void cv_loop_post_sure(struct cv_loop *loop, struct cv_mail *mail);
/*
 * Any other thread: runs `function(user)` on the loop's thread and waits until it returned. On the
 * loop's own thread it is called at once, outside of a turn after the mails that wait. 0;
 * COVEY_ERR_CLOSED or COVEY_ERR_BUSY: it did not run.
 */
COVEY_MUST_USE int cv_loop_call(struct cv_loop *loop, void (*function)(void *user), void *user);

/* As cv_loop_call() with nothing to run: when it returns, what was posted before has run. */
void cv_loop_settle(struct cv_loop *loop);

/*
 * Two questions, each asked by any thread about itself.
 *
 * is_current: this thread makes the loop's turns, so it must not wait for the loop. Without a thread
 * of the loop's own it is the one that made the loop or, later, that made the last step.
 *
 * in_turn: besides, it is inside a turn (in a callback, a handler, a mail, a called function), so it
 * may touch what lives on the loop, and may not free the ground it stands on. Always so on a loop's
 * own thread. Outside of a turn use cv_loop_call() or a mail.
 */
bool cv_loop_is_current(const struct cv_loop *loop);
bool cv_loop_in_turn(const struct cv_loop *loop);

/*
 * Waiting for an answer that a turn brings. In CV_LOOP_THREAD the waiting thread makes the turns
 * itself where it can, which saves waking the loop's thread and being woken by it:
 *
 *     struct cv_loop_waiter w;
 *     cv_loop_wait_begin(&w, loop);
 *     post the request, whose turn will call cv_loop_wait_end(&w)
 *     if it was posted cv_loop_wait(&w), else cv_loop_wait_cancel(&w)
 *
 * The loop's own thread lets callers lead where they come in quick succession and no other work is
 * open, and goes on by itself when they stay away for `park_time`, or at once when there is other
 * work or a post. Callbacks and handlers of everything on the loop run on the leading thread,
 * for which cv_loop_is_current() is true then. The caller must hold no lock that they take; but
 * neither may who waits without leading.
 */
struct cv_loop_waiter {
    struct cv_loop *loop;
    bool leads;
    bool is_answered;
    sem_t answered; /* for one that does not lead */
    struct cv_loop_waiter *next;
};
/* Any thread but the loop's. Never waits, and must be followed by one of the next two. */
void cv_loop_wait_begin(struct cv_loop_waiter *w, struct cv_loop *loop);
/* The request could not be made. */
void cv_loop_wait_cancel(struct cv_loop_waiter *w);
/* Until cv_loop_wait_end(). What the turn wrote before that may be read after this. */
void cv_loop_wait(struct cv_loop_waiter *w);
/* In a turn, once. The waiter goes on after the turn. */
void cv_loop_wait_end(struct cv_loop_waiter *w);
/* In a turn: the caller who makes it has his answer and no other work is open, so that whoever comes
 * next does so after this turn. */
bool cv_loop_is_answered(const struct cv_loop *loop);

/*
 * In a turn: work is open, and closed. Every call of a client counts from its start to its end, a
 * server as long as it is there. While any is, the loop is never without somebody who makes its
 * turns. What is not counted is not lost, but may be served `park_time` late.
 */
void cv_loop_open_work(struct cv_loop *loop);
void cv_loop_close_work(struct cv_loop *loop);

/*
 * CV_LOOP_STEP, the loop's thread, outside of a turn. A step is one turn without waiting, due when
 * the descriptor is readable or the timeout is over; also when neither is, it does no harm.
 */
void cv_loop_step(struct cv_loop *loop);
/* The loop's as long as it lives; to be polled for reading (level-triggered) and nothing else. */
int cv_loop_fd(const struct cv_loop *loop);
/* How long until a step is due without anything to read; 0: now; COVEY_NEVER. */
covey_time cv_loop_timeout(const struct cv_loop *loop);
/*
 * CV_LOOP_UV, the loop's thread, outside of a turn, be it in a callback of the user's: one turn without waiting
 * and without libuv. Watches that have a look() do it; mails and tasks are served as in any turn. For who must
 * wait for something while the user's uv_run() cannot go on.
 */
void cv_loop_turn_by_hand(struct cv_loop *loop);

/* In a turn only, from here on. */
void cv_loop_add(struct cv_loop *loop, struct cv_loop_task *task);
void cv_loop_remove(struct cv_loop *loop, struct cv_loop_task *task);
/* `fd` becomes non-blocking and must stay open until it is unwatched. A socket's pending error
 * makes it readable too. 0, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM (not a descriptor to be watched).
 */
COVEY_MUST_USE int cv_loop_watch(struct cv_loop *loop, int fd, void (*readable)(void *user),
                                 void *user, struct cv_loop_watch **out);
/* While the loop polls busily, or turns by hand, it calls look(), which reads what is there without being told
 * that there is something, and says whether there was. */
void cv_loop_watch_look(struct cv_loop_watch *watch, bool (*look)(void *user));
/* readable() is not called any more, not even for what is known already; also inside readable(). */
void cv_loop_unwatch(struct cv_loop_watch *watch);
/* Another turn at once, without waiting. */
void cv_loop_again(struct cv_loop *loop);
/* The time at which this turn began, or was renewed; what runs in a turn shares it. */
covey_time cv_loop_now(const struct cv_loop *loop);
/*
 * Takes the time again when it was taken CV_LOOP_TURN_LONG ago or longer; true when this turn's time is not
 * that of its beginning any more. Then a timer may seem to be due though what it waits for came long ago: who
 * runs timers reads first.
 */
#define CV_LOOP_TURN_LONG (5 * COVEY_MILLISECOND)
bool cv_loop_renew(struct cv_loop *loop);
/* How long no turn could begin before this one: the last one took so long, or the timer's time had come
 * and nobody made the turn. */
covey_time cv_loop_held_up(const struct cv_loop *loop);
/* Any thread: since when there should have been a turn, or the end of one: when that which is under way began, or
 * else when the next is due, which is later than now as long as all is well; COVEY_NEVER: none is. */
covey_time cv_loop_late_from(const struct cv_loop *loop);
/* How long there was nothing to do before this turn. */
covey_time cv_loop_idle_time(const struct cv_loop *loop);

#endif
