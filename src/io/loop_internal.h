#ifndef CV_IO_LOOP_INTERNAL_H
#define CV_IO_LOOP_INTERNAL_H

#include "io/busy_poll.h"
#include "io/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <uv.h>

/* CV_LOOP_THREAD: who may make the turns. `owner` of the loop is the leader; it is NULL only while
 * the loop's thread is parked. */
struct cv_loop_lead {
    atomic_bool is_poked;  /* libuv holds a wake-up that no turn has seen yet */
    atomic_bool is_missed; /* a caller would have liked to lead */
    covey_time park_time;  /* never changes */

    pthread_mutex_t lock; /* of the owner's changes, and of these */
    pthread_cond_t thread_wakes;
    bool is_parked;        /* the loop's thread waits here, not in libuv */
    bool is_thread_wanted; /* it shall lead as soon as nobody else does */
    bool is_asleep;        /* it does not look by itself */
    covey_time changed_at; /* when the owner changed last */
    unsigned takes;

    bool is_answered;    /* the leader's: it is a caller, who needs to lead no more */
    bool is_last_closed; /* the leader's: no work is open any more, since the last look */
    unsigned skip;       /* the loop's thread's: how often not to park */
    unsigned skipped;
    int cancel_state; /* the leading caller's */
};

/*
 * The inside of a loop, for its files:
 *
 *   loop.c            a turn, tasks, the timer's time
 *   loop_mail.c       posts and calls
 *   loop_watch.c      descriptors
 *   loop_run.c        making turns: the loop's thread, a step
 *   loop_lead.c       making turns: a caller that waits, and how the lead goes round
 *   loop_resources.c  libuv's handles and the timerfd
 *
 * How a turn maps onto one round of libuv:
 *
 *   idle     CV_LOOP_UV, only after again(): it lets the poll not wait
 *   poll     watches call readable(); the timerfd and the wake-up only end the wait
 *   check    mails, the tasks' turns, the timer
 *
 * So whatever woke the loop, its tasks run once, after everything that there was to read.
 */
struct cv_loop {
    struct cv_alloc alloc;
    const struct cv_log *log;
    enum cv_loop_mode mode;
    struct cv_mailbox *mailbox;
    _Atomic(const void *) owner; /* cv_loop_thread_mark() of who makes the turns */
    pthread_t thread;            /* CV_LOOP_THREAD */
    struct cv_loop_lead lead;    /* the same */
    atomic_bool ending;

    uv_loop_t *uv; /* &own, or the user's */
    uv_loop_t own;
    uv_async_t wake;
    uv_poll_t timer;
    uv_check_t check;
    uv_idle_t idle;
    size_t open_handles; /* the watches' too; until their close callback */
    bool is_freed;       /* the last handle to close takes the memory along */
    int timer_fd;

    covey_time armed;     /* when the timer fires; COVEY_NEVER: it does not */
    covey_time began;     /* this turn */
    covey_time now;       /* for what runs in it: then, or when it was renewed */
    covey_time ended_at;  /* the last turn */
    covey_time took;      /* the last turn */
    covey_time turn_long; /* one that takes so long is followed by another */
    covey_time due_at;    /* the next turn, if nothing comes before */
    covey_time held_up;
    atomic_uint_fast64_t late_from; /* for other threads */
    bool begun;                     /* there is something for the check to end */
    bool inside;                    /* a callback of ours */
    bool again;
    bool is_direct; /* the last turn was one without libuv */
    unsigned looks; /* since libuv was last asked */
    struct cv_busy_poll busy_poll;
    struct cv_loop_task *tasks;
    struct cv_loop_task *next_task; /* of the walk that is under way */
    LIST_HEAD(, cv_loop_watch) watches;
    struct cv_loop_watch *next_watch; /* of the walk that is under way */
    size_t open_work;
    struct cv_loop_waiter *answered; /* to go on after this turn; the last one first */
};

/* ---- loop.c ---- */
/* Something happened: takes the time, once a turn. */
void cv_loop_turn_begin(struct cv_loop *loop);
/* For how long there was no turn: taken at the beginning of each. */
void cv_loop_note_delay(struct cv_loop *loop);
/* Mails, tasks, the timer. Nothing when no turn was begun. */
void cv_loop_turn_end(struct cv_loop *loop);
/* Refuses mails from now on and cancels the waiting ones. */
void cv_loop_cancel_mails(struct cv_loop *loop);

/* ---- loop_mail.c ---- */
/* Ends the wait of the loop's thread. Any thread, while it holds the mailbox. */
void cv_loop_wake(void *user);

/* ---- loop_watch.c ---- */
/* Has every watch look. True when one found something. In a turn. */
bool cv_loop_look(struct cv_loop *loop);

/* ---- loop_run.c ---- */
/* Something that is this thread's own. */
const void *cv_loop_thread_mark(void);
COVEY_MUST_USE int cv_loop_thread_start(struct cv_loop *loop, const char *name);
void cv_loop_thread_stop(struct cv_loop *loop);

/* A turn, or one look that found nothing: as busy polling says. */
void cv_loop_poll_or_sleep(struct cv_loop *loop);

/* ---- loop_lead.c ---- */
COVEY_MUST_USE int cv_loop_lead_init(struct cv_loop_lead *lead, covey_time park_time);
void cv_loop_lead_fini(struct cv_loop_lead *lead);
/* Any thread but the leader: somebody makes a turn soon. */
void cv_loop_lead_wake(struct cv_loop *loop);
/* The loop's thread: it leads from now on. */
void cv_loop_lead_begin(struct cv_loop *loop);
/* The loop's thread, which leads, after a turn: as below, and parks as long as callers lead, if they
 * are likely to. */
void cv_loop_lead_offer(struct cv_loop *loop);
/* Whoever makes the turns, after one: who got an answer goes on. */
void cv_loop_wake_answered(struct cv_loop *loop);

/* ---- loop_resources.c ---- */
/* 0, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM: then nothing is left open, but for handles of the user's
 * loop, which close in its next round. */
COVEY_MUST_USE int cv_loop_open(struct cv_loop *loop, struct uv_loop_s *users);
/* Closes everything and frees the memory, at once or in the user's loop's next round. */
void cv_loop_close_and_release(struct cv_loop *loop);
/* A handle that was made; closed() must be called in its close callback. */
void cv_loop_handle_opened(struct cv_loop *loop);
void cv_loop_handle_closed(struct cv_loop *loop);
int cv_loop_error_of(int uv_error);

#endif
