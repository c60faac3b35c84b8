/* Unary calls for users: with a function to call back, or with a thread that waits. */
#include "api/unary.h"

/* ---- called back ---- */

static void call_back(struct cv_unary *unary, struct covey_reply *reply)
{
    unary->done(reply, unary->user);
}

static const struct cv_unary_outcome called_back = {.done = call_back};

int covey_client_call_async(covey_client *client, const char *method, const void *request,
                            size_t size, const struct covey_call_options *options,
                            covey_reply_handler done, void *user)
{
    struct cv_unary *unary;
    if (done == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    int error =
        cv_unary_new(client, method, cv_slice_of(request, size), options, &called_back, &unary);
    if (error != 0)
        return error;
    unary->done = done;
    unary->user = user;
    return cv_unary_post(unary);
}

/* ---- waited for ---- */

struct waiter {
    struct cv_loop_waiter wait;
    struct covey_reply *reply;
};

static void wake(struct cv_unary *unary, struct covey_reply *reply)
{
    struct waiter *waiter = unary->user;
    cv_reply_move(waiter->reply, reply);
    cv_loop_wait_end(&waiter->wait);
}

static const struct cv_unary_outcome waited_for = {.done = wake, .moves = true};

static int post_and_wait(struct cv_unary *unary, struct waiter *waiter)
{
    unary->user = waiter;
    cv_loop_wait_begin(&waiter->wait, unary->client->loop);
    int error = cv_unary_post(unary);
    if (error == 0)
        cv_loop_wait(&waiter->wait);
    else
        cv_loop_wait_cancel(&waiter->wait);
    return error;
}

int covey_client_call(covey_client *client, const char *method, const void *request, size_t size,
                      const struct covey_call_options *options, struct covey_reply *reply)
{
    struct waiter waiter = {.reply = reply};
    struct cv_unary *unary;
    if (client == NULL || reply == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    cv_reply_init(reply);
    if (cv_runtime_is_loop_thread(client->runtime))
        return COVEY_ERR_WRONG_THREAD;
    int error =
        cv_unary_new(client, method, cv_slice_of(request, size), options, &waited_for, &unary);
    return error != 0 ? error : post_and_wait(unary, &waiter);
}
