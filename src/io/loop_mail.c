#include "io/loop_internal.h"

#include "io/clock.h"

#include <assert.h>
#include <covey/error.h>
#include <errno.h>
#include <semaphore.h>

/*
 * Who makes the turns himself only has to make another one. But a user that posts between two steps
 * may have asked for the timeout already: he is told through the descriptor.
 */
void cv_loop_wake(void *user)
{
    struct cv_loop *loop = user;
    bool is_own = cv_loop_is_current(loop) && (loop->inside || loop->mode != CV_LOOP_STEP);
    if (is_own)
        cv_loop_again(loop);
    else if (loop->mode == CV_LOOP_THREAD)
        cv_loop_lead_wake(loop);
    else
        (void)uv_async_send(&loop->wake);
}

int cv_loop_post(struct cv_loop *loop, struct cv_mail *mail)
{
    return cv_mailbox_post(loop->mailbox, mail);
}

void cv_loop_post_sure(struct cv_loop *loop, struct cv_mail *mail)
{
    cv_mailbox_post_sure(loop->mailbox, mail);
}

struct call {
    struct cv_mail mail;
    void (*function)(void *user);
    void *user;
    bool cancelled;
    sem_t done;
};

static void run_call(struct cv_mail *mail, bool cancelled)
{
    struct call *call = (struct call *)mail;
    call->cancelled = cancelled;
    if (!cancelled)
        call->function(call->user);
    sem_post(&call->done);
}

/* On the loop's thread between two turns: what was posted before comes before. */
static void call_here(struct cv_loop *loop, void (*function)(void *user), void *user)
{
    loop->inside = true;
    loop->began = loop->now = cv_clock_now();
    (void)cv_mailbox_run(loop->mailbox);
    function(user);
    loop->inside = false;
    cv_loop_wake_answered(loop);
    cv_loop_again(loop); /* for what it has left to do, and its deadlines */
}

int cv_loop_call(struct cv_loop *loop, void (*function)(void *user), void *user)
{
    if (cv_loop_in_turn(loop)) {
        function(user);
        return 0;
    }
    if (cv_loop_is_current(loop)) {
        call_here(loop, function, user);
        return 0;
    }
    struct call call = {.mail = {.run = run_call}, .function = function, .user = user};
    sem_init(&call.done, 0, 0);
    int error = cv_loop_post(loop, &call.mail);
    if (error == 0) {
        while (sem_wait(&call.done) != 0)
            assert(errno == EINTR);
        error = call.cancelled ? COVEY_ERR_CLOSED : 0;
    }
    sem_destroy(&call.done);
    return error;
}

static void do_nothing(void *user)
{
    (void)user;
}

void cv_loop_settle(struct cv_loop *loop)
{
    while (cv_loop_call(loop, do_nothing, NULL) == COVEY_ERR_BUSY)
        ;
}
