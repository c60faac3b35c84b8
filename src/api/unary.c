/* Unary calls: one message and a status become one reply. */
#include "api/client.h"
#include "api/reply.h"

/* Where a thread waits for its reply. */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
    struct covey_reply *reply;
};

struct unary {
    struct cv_client_call call;
    struct covey_reply answer; /* OK, once its message came */
    covey_reply_handler done;
    void *user;
    struct waiter *waiter;
};

static int take_message(struct cv_client_call *call, struct cv_slice message)
{
    struct unary *unary = (struct unary *)(void *)call;
    if (unary->answer.owner != NULL)
        return COVEY_ERR_PROTOCOL;
    return cv_reply_set_data(&unary->answer, call->client->runtime, message);
}

/* The message counts only when all went well; then it is the reply. */
static void join(struct unary *unary, struct covey_reply *reply)
{
    if (reply->code != COVEY_STATUS_OK) {
        covey_reply_clear(&unary->answer);
        return;
    }
    covey_reply_clear(reply);
    if (unary->answer.owner == NULL)
        cv_reply_set_constant(reply, COVEY_STATUS_INTERNAL, "the answer has no message");
    else
        cv_reply_move(reply, &unary->answer);
}

static void end_async(struct cv_client_call *call, struct covey_reply *reply)
{
    struct unary *unary = (struct unary *)(void *)call;
    join(unary, reply);
    unary->done(reply, unary->user);
}

static void end_waiting(struct cv_client_call *call, struct covey_reply *reply)
{
    struct unary *unary = (struct unary *)(void *)call;
    struct waiter *waiter = unary->waiter;
    join(unary, reply);
    pthread_mutex_lock(&waiter->lock);
    cv_reply_move(waiter->reply, reply);
    waiter->is_done = true;
    pthread_cond_signal(&waiter->changed);
    pthread_mutex_unlock(&waiter->lock);
}

static const struct cv_client_call_kind async_kind = {
    .size = sizeof(struct unary), .message = take_message, .end = end_async};

static const struct cv_client_call_kind waiting_kind = {
    .size = sizeof(struct unary), .message = take_message, .end = end_waiting};

static int unary_new(const struct cv_client_call_config *config,
                     const struct cv_client_call_kind *kind, struct unary **out)
{
    struct cv_client_call *call;
    int error = cv_client_call_new(config, kind, &call);
    if (error != 0)
        return error;
    *out = (struct unary *)(void *)call;
    cv_reply_init(&(*out)->answer);
    return 0;
}

int covey_client_call_async(covey_client *client, const char *method, const void *request,
                            size_t size, const struct covey_call_options *options,
                            covey_reply_handler done, void *user)
{
    struct cv_client_call_config config = {client, method, request, size, options};
    struct unary *unary;
    if (done == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = unary_new(&config, &async_kind, &unary);
    if (error != 0)
        return error;
    unary->done = done;
    unary->user = user;
    return cv_client_call_post(&unary->call);
}

static int post_and_wait(struct unary *unary, struct waiter *waiter)
{
    unary->waiter = waiter;
    int error = cv_client_call_post(&unary->call);
    if (error != 0)
        return error;
    pthread_mutex_lock(&waiter->lock);
    while (!waiter->is_done)
        cv_condition_wait(&waiter->changed, &waiter->lock, COVEY_NEVER);
    pthread_mutex_unlock(&waiter->lock);
    return 0;
}

static int call_waiting(const struct cv_client_call_config *config, struct covey_reply *reply)
{
    struct waiter waiter = {.reply = reply};
    struct unary *unary;
    if (cv_loop_is_current(config->client->runtime->loop))
        return COVEY_ERR_WRONG_THREAD;
    int error = unary_new(config, &waiting_kind, &unary);
    if (error != 0)
        return error;
    error = cv_condition_init(&waiter.changed);
    if (error != 0) {
        cv_client_call_drop(&unary->call);
        return error;
    }
    pthread_mutex_init(&waiter.lock, NULL);
    error = post_and_wait(unary, &waiter);
    pthread_mutex_destroy(&waiter.lock);
    pthread_cond_destroy(&waiter.changed);
    return error;
}

int covey_client_call(covey_client *client, const char *method, const void *request, size_t size,
                      const struct covey_call_options *options, struct covey_reply *reply)
{
    struct cv_client_call_config config = {client, method, request, size, options};
    if (client == NULL || reply == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    cv_reply_init(reply);
    return call_waiting(&config, reply);
}
