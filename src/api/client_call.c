#include "api/client_call.h"

#include "api/client.h"
#include "api/reply.h"
#include "rpc/frame.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define REQUEST_SIZE_MAX ((size_t)4 * 1024 * 1024)

static const struct covey_call_options defaults = {
    .size = sizeof(struct covey_call_options),
    .timeout = 30 * COVEY_SECOND,
};

void covey_call_options_init_sized(struct covey_call_options *options, size_t size)
{
    cv_config_give(options, size, &defaults, sizeof defaults);
}

/* ---- any thread ---- */

static int check(const struct cv_client_call_config *config, struct covey_call_options *options)
{
    *options = defaults;
    if (config->client == NULL || config->method == NULL ||
        (config->request == NULL && config->size > 0) ||
        !cv_rpc_method_name_valid(cv_slice_text(config->method)))
        return COVEY_ERR_INVALID_ARGUMENT;
    if (config->size > REQUEST_SIZE_MAX)
        return COVEY_ERR_TOO_LARGE;
    return cv_config_take(options, sizeof *options, config->options);
}

/* Copies bytes to *next, which moves on. */
static struct cv_slice copy(uint8_t **next, const void *bytes, size_t size)
{
    struct cv_slice slice = cv_slice_of(*next, size);
    if (size > 0)
        memcpy(*next, bytes, size);
    *next += size;
    return slice;
}

static void run_start(struct cv_mail *mail, bool cancelled);

int cv_client_call_new(const struct cv_client_call_config *config,
                       const struct cv_client_call_kind *kind, struct cv_client_call **out)
{
    struct covey_call_options options;
    int error = check(config, &options);
    if (error != 0)
        return error;
    size_t method_size = strlen(config->method);
    uint8_t *memory =
        cv_allocate(&config->client->runtime->alloc, kind->size + method_size + config->size);
    if (memory == NULL)
        return COVEY_ERR_NO_MEMORY;
    memset(memory, 0, kind->size);
    struct cv_client_call *call = (struct cv_client_call *)(void *)memory;
    uint8_t *next = memory + kind->size;
    call->mail.run = run_start;
    call->client = config->client;
    call->kind = kind;
    call->method = copy(&next, config->method, method_size);
    call->request = copy(&next, config->request, config->size);
    call->deadline = cv_deadline_after(options.timeout);
    *out = call;
    return 0;
}

void cv_client_call_drop(struct cv_client_call *call)
{
    cv_release(&call->client->runtime->alloc, call);
}

int cv_client_call_post(struct cv_client_call *call)
{
    int error = cv_client_post(call->client, &call->mail);
    if (error != 0)
        cv_client_call_drop(call);
    return error;
}

/* ---- the end ---- */

static int step(struct cv_client_call *call, struct cv_rpc_input *input)
{
    input->now = cv_loop_now(call->client->runtime->loop);
    input->call = call->rpc;
    return cv_link_step(call->link, input);
}

/* Lets go of the RPC layer's part, which cancels it if it is not over. */
static void release_rpc(struct cv_client_call *call)
{
    struct cv_rpc_input release = {.type = CV_RPC_RELEASE};
    if (call->rpc == NULL)
        return;
    cv_rpc_call_set_user(call->rpc, NULL);
    step(call, &release);
    call->rpc = NULL;
}

static void finish(struct cv_client_call *call, struct covey_reply *reply)
{
    release_rpc(call);
    TAILQ_REMOVE(&call->client->calls, call, entry);
    call->kind->end(call, reply);
    covey_reply_clear(reply);
    cv_client_call_drop(call);
}

void cv_client_call_end(struct cv_client_call *call, enum covey_status_code code, const char *text)
{
    struct covey_reply reply;
    cv_reply_set_constant(&reply, code, text);
    finish(call, &reply);
}

static void end_by_error(struct cv_client_call *call, int error)
{
    bool exhausted = error == COVEY_ERR_NO_MEMORY || error == COVEY_ERR_BUSY;
    cv_client_call_end(call, exhausted ? COVEY_STATUS_RESOURCE_EXHAUSTED : COVEY_STATUS_UNAVAILABLE,
                       covey_strerror(error));
}

/* ---- the beginning ---- */

/* When the connection's memory is full it is tried again at EVENT_WRITABLE. */
static void send_request(struct cv_client_call *call)
{
    struct cv_rpc_input send = {
        .type = CV_RPC_SEND,
        .send = {.message = call->request, .end = true},
    };
    int error = step(call, &send);
    /* STATE: the call is over, its status comes. */
    if (error != 0 && error != COVEY_ERR_BUSY && error != COVEY_ERR_STATE)
        end_by_error(call, error);
}

static void start(struct cv_client_call *call)
{
    if (call->deadline <= cv_loop_now(call->client->runtime->loop)) {
        cv_client_call_end(call, COVEY_STATUS_DEADLINE_EXCEEDED, "the deadline passed");
        return;
    }
    struct cv_rpc_start rpc = {.method = call->method, .deadline = call->deadline, .user = call};
    int error = cv_client_start(call->client, &rpc, &call->link, &call->rpc);
    if (error == 0)
        send_request(call);
    else
        end_by_error(call, error);
}

static void run_start(struct cv_mail *mail, bool cancelled)
{
    struct cv_client_call *call = (struct cv_client_call *)(void *)mail;
    TAILQ_INSERT_TAIL(&call->client->calls, call, entry);
    if (cancelled)
        cv_client_call_end(call, COVEY_STATUS_CANCELLED, "the runtime ends");
    else
        start(call);
}

/* ---- what happens to it ---- */

void cv_client_call_read(struct cv_client_call *call, size_t count, size_t size)
{
    assert(count > 0 || size == 0);
    for (size_t i = 0; i < count; i++) {
        struct cv_rpc_input read = {.type = CV_RPC_READ, .read = {.size = i == 0 ? size : 0}};
        step(call, &read);
    }
}

static void take_message(struct cv_client_call *call, struct cv_slice message)
{
    int error = call->kind->message(call, message);
    if (error == 0)
        cv_client_call_read(call, 1, message.size);
    else if (error == COVEY_ERR_PROTOCOL)
        cv_client_call_end(call, COVEY_STATUS_INTERNAL, "the answer has more than one message");
    else if (error != COVEY_ERR_BUSY)
        end_by_error(call, error);
}

/* Says what could not be reached, which the link does not know by name. */
static void explain_unreached(struct cv_client_call *call, const struct cv_rpc_status *status,
                              struct covey_reply *reply)
{
    char text[512];
    const char *address = call->client->address;
    if (status->code == COVEY_STATUS_DEADLINE_EXCEEDED)
        snprintf(text, sizeof text, "cannot connect to %s in time", address);
    else
        snprintf(text, sizeof text, "cannot connect to %s: %.*s", address,
                 (int)status->message.size, (const char *)status->message.data);
    cv_reply_set_status(reply, call->client->runtime, status->code, cv_slice_text(text));
}

static void take_status(struct cv_client_call *call, const struct cv_rpc_output *event)
{
    struct covey_reply reply;
    const struct cv_rpc_status *status = &event->end.status;
    bool was_ready = cv_link_user(call->link) != NULL;
    cv_reply_init(&reply);
    if (!event->end.by_peer && !was_ready)
        explain_unreached(call, status, &reply);
    else
        cv_reply_set_status(&reply, call->client->runtime, status->code, status->message);
    finish(call, &reply);
}

void cv_client_call_event(struct cv_client_call *call, const struct cv_rpc_output *event)
{
    switch (event->type) {
    case CV_RPC_EVENT_MESSAGE:
        take_message(call, event->message);
        break;
    case CV_RPC_EVENT_WRITABLE:
        send_request(call);
        break;
    case CV_RPC_EVENT_STATUS:
        take_status(call, event);
        break;
    default:
        break;
    }
}
