/* Two ways to have a stream's messages without receiving them one by one. */
#include "api/client.h"
#include "api/reply.h"

/* ---- handed to functions ---- */

struct handed {
    covey_runtime *runtime;
    struct covey_stream_handler handler;
};

static int copy_metadata(const covey_stream *stream, covey_runtime *runtime,
                         struct covey_reply *reply)
{
    struct cv_rpc_metadata borrowed[CV_RPC_METADATA_COUNT_MAX];
    size_t count;
    const struct covey_metadata *set = covey_stream_metadata(stream, &count);
    int error = cv_metadata_borrow(set, count, borrowed);
    if (error == 0 && count > 0)
        error = cv_reply_set_metadata(reply, runtime, borrowed, count);
    return error;
}

/* The outcome of a stream that is over; the answer is in `reply` already if there is one. */
static void set_outcome(const covey_stream *stream, covey_runtime *runtime,
                        struct covey_reply *reply)
{
    const char *text;
    struct cv_rpc_status status = {.code = covey_stream_status(stream, &text)};
    size_t size;
    const void *details = covey_stream_details(stream, &size);
    int error = copy_metadata(stream, runtime, reply);
    if (error != 0) {
        covey_reply_clear(reply);
        cv_reply_set_constant(reply, COVEY_STATUS_RESOURCE_EXHAUSTED, covey_strerror(error));
        return;
    }
    status.message = cv_slice_text(text);
    status.details = cv_slice_of(details, size);
    cv_reply_set_status(reply, runtime, &status);
}

static void hand_end(covey_stream *stream, struct handed *handed)
{
    struct covey_reply reply;
    cv_reply_init(&reply);
    set_outcome(stream, handed->runtime, &reply);
    handed->handler.end(&reply, handed->handler.user);
    covey_reply_clear(&reply);
    covey_stream_free(stream);
    cv_release(&handed->runtime->alloc, handed);
}

static void hand_on(covey_stream *stream, void *user)
{
    struct handed *handed = user;
    const void *message;
    size_t size;
    int error;
    while ((error = covey_stream_receive(stream, 0, &message, &size)) == 0)
        handed->handler.message(message, size, handed->handler.user);
    if (error == COVEY_ERR_CLOSED)
        hand_end(stream, handed);
}

int covey_client_stream_async(covey_client *client, const char *method, const void *request,
                              size_t size, const struct covey_call_options *options,
                              const struct covey_stream_handler *handler)
{
    covey_stream *stream;
    if (client == NULL || handler == NULL || handler->message == NULL || handler->end == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    struct handed *handed = cv_allocate(&client->runtime->alloc, sizeof *handed);
    if (handed == NULL)
        return COVEY_ERR_NO_MEMORY;
    *handed = (struct handed){.runtime = client->runtime, .handler = *handler};
    int error = covey_client_stream(client, method, request, size, options, &stream);
    if (error != 0) {
        cv_release(&client->runtime->alloc, handed);
        return error;
    }
    covey_stream_on_ready(stream, hand_on, handed);
    return 0;
}

/* ---- one answer ---- */

/* The one message, which is kept, and the end. */
static int take_answer(covey_stream *stream, covey_runtime *runtime, covey_time deadline,
                       struct cv_stream_answer *answer)
{
    const void *message;
    size_t size;
    int error;
    while ((error = covey_stream_receive(stream, cv_time_left(deadline), &message, &size)) == 0) {
        if (answer->count++ > 0)
            continue; /* it is no answer of this kind any more */
        if (cv_reply_set_data(&answer->reply, runtime, cv_slice_of(message, size)) != 0)
            answer->is_lost = true;
    }
    return error == COVEY_ERR_CLOSED ? 0 : error;
}

static void check_count(struct covey_reply *reply, covey_runtime *runtime, unsigned count)
{
    struct cv_rpc_status status = {.code = COVEY_STATUS_INTERNAL};
    if (reply->code != COVEY_STATUS_OK || count == 1)
        return;
    status.message = cv_slice_text(count == 0 ? "the answer has no message"
                                              : "the answer has more than one message");
    cv_reply_set_status(reply, runtime, &status);
}

int covey_stream_finish(covey_stream *stream, covey_time timeout, struct covey_reply *reply)
{
    covey_runtime *runtime = cv_stream_runtime(stream);
    struct cv_stream_answer *answer = cv_stream_answer(stream);
    cv_reply_init(reply);
    if (timeout > 0 && cv_runtime_is_loop_thread(runtime))
        return COVEY_ERR_WRONG_THREAD;
    covey_stream_end(stream);
    int error = take_answer(stream, runtime, cv_deadline_after(timeout), answer);
    if (error != 0)
        return error;
    if (answer->is_lost)
        return COVEY_ERR_NO_MEMORY;
    cv_reply_move(reply, &answer->reply);
    set_outcome(stream, runtime, reply);
    check_count(reply, runtime, answer->count);
    return 0;
}
