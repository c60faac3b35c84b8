/* The requests of a client: each waits for the client's link, and runs on one. */
#include "api/client.h"

#include <stddef.h>
#include <stdio.h>

/* ---- lists ---- */

static void leave_list(struct cv_client_request *r)
{
    if (r->has_timer)
        cv_client_loop_set(r->client->shared, &r->timer, COVEY_NEVER);
    r->has_timer = false;
    if (r->list != NULL)
        TAILQ_REMOVE(r->list, r, entry);
    r->list = NULL;
}

static void enter_list(struct cv_client_request *r, struct cv_client_requests *list)
{
    leave_list(r);
    TAILQ_INSERT_TAIL(list, r, entry);
    r->list = list;
}

void cv_client_request_doom(struct cv_client_request *r, int error)
{
    r->error = error;
    enter_list(r, &r->client->shared->doomed);
    cv_loop_again(r->client->loop);
}

static void set_timer(struct cv_client_request *r, void (*expired)(struct cv_client_timer *timer),
                      covey_time when)
{
    r->timer = (struct cv_client_timer){.expired = expired};
    r->has_timer = true;
    cv_client_loop_set(r->client->shared, &r->timer, when);
}

bool cv_client_request_is_doomed(const struct cv_client_request *r)
{
    return r->list == &r->client->shared->doomed;
}

static struct cv_client_request *request_of(struct cv_client_timer *timer)
{
    return (struct cv_client_request *)(void *)((unsigned char *)timer -
                                                offsetof(struct cv_client_request, timer));
}

static void on_waited_too_long(struct cv_client_timer *timer)
{
    cv_client_request_doom(request_of(timer), COVEY_ERR_TIMEOUT);
}

/* ---- on a link ---- */

static int start_rpc(struct cv_client_request *r, struct cv_link *link)
{
    const struct cv_client_wish *wish = r->wish;
    const struct cv_rpc_start start = {
        .method = wish->header.method,
        .deadline = wish->deadline,
        .metadata = wish->header.metadata,
        .metadata_count = wish->header.metadata_count,
        .user = r,
        .is_checked = true, /* the draft was */
        .message = wish->message,
    };
    int error = cv_link_start(link, &start, cv_loop_now(r->client->loop), &r->rpc);
    if (error == 0)
        r->link = link;
    return error;
}

static void wait_for_link(struct cv_client_request *r)
{
    r->has_waited = true;
    enter_list(r, &r->client->waiting);
    set_timer(r, on_waited_too_long, r->wish->deadline);
    cv_client_want_link(r->client);
}

void cv_client_request_start(struct cv_client_request *r)
{
    covey_client *client = r->client;
    int error = start_rpc(r, client->link);
    if (error == COVEY_ERR_CLOSED) { /* lost just now: its calls hear of it before we do */
        cv_client_forget_link(client);
        wait_for_link(r);
        return;
    }
    if (error != 0) {
        cv_client_request_doom(r, error);
        return;
    }
    enter_list(r, &client->running);
    r->is_begun = true;
    cv_count_up(&client->counters.calls);
    if (r->kind->started != NULL)
        r->kind->started(r);
}

static void begin_now(struct cv_client_request *r)
{
    covey_client *client = r->client;
    if (r->wish->deadline <= cv_loop_now(client->loop))
        cv_client_request_doom(r, COVEY_ERR_TIMEOUT);
    else if (client->is_ready)
        cv_client_request_start(r);
    else if (client->is_given_up)
        cv_client_request_doom(r, COVEY_ERR_UNREACHABLE);
    else
        wait_for_link(r);
}

static void on_pause_over(struct cv_client_timer *timer)
{
    begin_now(request_of(timer));
}

void cv_client_request_begin(struct cv_client_request *r, covey_time pause)
{
    covey_client *client = r->client;
    r->list = NULL;
    r->has_timer = false;
    r->rpc = NULL;
    r->link = NULL;
    r->has_waited = false;
    r->is_begun = false;
    r->error = 0;
    if (pause == 0) {
        begin_now(r);
        return;
    }
    enter_list(r, &client->paused);
    set_timer(r, on_pause_over, cv_loop_now(client->loop) + pause);
}

int cv_client_request_step(struct cv_client_request *r, struct cv_rpc_input *input)
{
    input->now = cv_loop_now(r->client->loop);
    input->call = r->rpc;
    return cv_link_step(r->link, input);
}

/* Lets go of the RPC layer's part, which cancels it if it is not over. */
static void release_rpc(struct cv_client_request *r)
{
    struct cv_rpc_input release = {.type = CV_RPC_RELEASE};
    if (r->rpc == NULL)
        return;
    cv_rpc_call_set_user(r->rpc, NULL);
    cv_client_request_step(r, &release);
    r->rpc = NULL;
    r->link = NULL;
}

void cv_client_request_end(struct cv_client_request *r)
{
    leave_list(r);
    release_rpc(r);
}

/* ---- the end ---- */

static enum covey_status_code code_of(int error)
{
    switch (error) {
    case COVEY_ERR_TIMEOUT:
        return COVEY_STATUS_DEADLINE_EXCEEDED;
    case COVEY_ERR_NO_MEMORY:
    case COVEY_ERR_BUSY:
    case COVEY_ERR_TOO_LARGE:
        return COVEY_STATUS_RESOURCE_EXHAUSTED;
    case COVEY_ERR_CANCELLED:
        return COVEY_STATUS_CANCELLED;
    case COVEY_ERR_PROTOCOL:
        return COVEY_STATUS_INTERNAL;
    default:
        return COVEY_STATUS_UNAVAILABLE;
    }
}

/* Says what could not be reached, which nobody below knows by name. */
static void explain(const struct cv_client_request *r, char *text, size_t size)
{
    const char *address = r->client->address;
    bool no_link = r->has_waited && r->rpc == NULL;
    if (atomic_load(&r->client->is_closing))
        snprintf(text, size, "the client was freed");
    else if (r->error == COVEY_ERR_TIMEOUT && no_link)
        snprintf(text, size, "cannot connect to %s in time", address);
    else if (r->error == COVEY_ERR_TIMEOUT)
        snprintf(text, size, "the deadline passed");
    else if (r->error == COVEY_ERR_PROTOCOL)
        snprintf(text, size, "the answer has more than one message");
    else if (code_of(r->error) == COVEY_STATUS_UNAVAILABLE && no_link)
        snprintf(text, size, "cannot connect to %s: %s", address, covey_strerror(r->error));
    else
        snprintf(text, size, "%s", covey_strerror(r->error));
}

void cv_client_request_tell_doomed(struct cv_client_request *r)
{
    char text[512];
    struct cv_rpc_status status = {.code = code_of(r->error)};
    explain(r, text, sizeof text);
    status.message = cv_slice_text(text);
    cv_client_request_end(r);
    r->kind->failed(r, &status);
}

static void doom_all(struct cv_client_requests *list, int error)
{
    struct cv_client_request *r;
    while ((r = TAILQ_FIRST(list)) != NULL)
        cv_client_request_doom(r, error);
}

static struct cv_client_request *first_doomed(covey_client *client)
{
    struct cv_client_request *r;
    TAILQ_FOREACH (r, &client->shared->doomed, entry) {
        if (r->client == client)
            return r;
    }
    return NULL;
}

void cv_client_end_all(covey_client *client)
{
    struct cv_client_request *r;
    doom_all(&client->paused, COVEY_ERR_CANCELLED);
    doom_all(&client->waiting, COVEY_ERR_CANCELLED);
    doom_all(&client->running, COVEY_ERR_CANCELLED);
    /* One at a time: what is told may end others. */
    while ((r = first_doomed(client)) != NULL) {
        r->error = COVEY_ERR_CANCELLED;
        cv_client_request_tell_doomed(r);
    }
}

void cv_client_give_up(covey_client *client)
{
    client->is_given_up = true;
    doom_all(&client->waiting, COVEY_ERR_UNREACHABLE);
    doom_all(&client->running, COVEY_ERR_UNREACHABLE);
    cv_client_loop_set(client->shared, &client->connect, COVEY_NEVER); /* nobody waits for that */
    cv_client_leave_link(client);
}
