/* The one connection of a client, and the requests that want it. */
#include "api/client.h"

#include <assert.h>
#include <stdio.h>

/* ---- lists and timers ---- */

int cv_client_want_timers(covey_client *client, size_t count)
{
    int error = cv_heap_reserve(&client->timers, client->timers_wanted + count);
    if (error == 0)
        client->timers_wanted += count;
    return error;
}

void cv_client_forget_timers(covey_client *client, size_t count)
{
    assert(client->timers_wanted >= count);
    client->timers_wanted -= count;
}

static void leave_list(struct cv_client_request *r)
{
    cv_heap_clear(&r->client->timers, &r->timer.timer);
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
    enter_list(r, &r->client->doomed);
    cv_loop_again(r->client->loop);
}

static void on_waited_too_long(struct cv_client_timer *timer)
{
    cv_client_request_doom((struct cv_client_request *)(void *)timer, COVEY_ERR_TIMEOUT);
}

/* ---- ties ---- */

static void on_link_ready(void *user, struct cv_link *link);
static void on_link_closed(void *user, struct cv_link *link, int error);
static void on_link_retiring(void *user, struct cv_link *link);
static void on_call(void *user, struct cv_link *link, const struct cv_rpc_output *event);

static int get_host(covey_client *client, const covey_identity *identity,
                    struct cv_client_host **out)
{
    const struct cv_client_host_wish wish = {
        .runtime = client->runtime,
        .loop = client->loop,
        .identity = identity,
        .family = client->family,
        .message_send_max = client->message_send_max,
        .message_receive_max = client->message_receive_max,
        .age_max = client->age_max,
        .events = {.call = on_call,
                   .ready = on_link_ready,
                   .closed = on_link_closed,
                   .retiring = on_link_retiring},
    };
    return cv_client_host_get(&wish, out);
}

static void untie(struct cv_client_tie *tie)
{
    covey_client *client = tie->client;
    struct cv_client_host *host = tie->host;
    struct cv_resolver *resolver = host->host.resolver;
    LIST_REMOVE(tie, entry);
    if (resolver != NULL)
        cv_resolver_forget(resolver, tie);
    cv_node_close_links_of(host->host.node, tie, 0);
    cv_loop_again(client->loop); /* the goodbyes leave */
    cv_client_host_put(host);
    cv_release(&client->runtime->alloc, tie);
}

void cv_client_untie(covey_client *client)
{
    client->link = NULL;
    while (!LIST_EMPTY(&client->ties))
        untie(LIST_FIRST(&client->ties));
}

/* Those that are left for another one and have no links any more. */
static void untie_left(covey_client *client)
{
    struct cv_client_tie *next;
    for (struct cv_client_tie *tie = LIST_FIRST(&client->ties); tie != NULL; tie = next) {
        next = LIST_NEXT(tie, entry);
        if (tie != client->tie && tie->links == 0)
            untie(tie);
    }
}

/* ---- the link ---- */

/* The link is not for new calls any more. */
static void forget_link(covey_client *client)
{
    client->link = NULL;
    client->is_ready = client->was_useful = false;
}

/* New calls get another one. One that is ready ends when its calls do; one that is not has none. */
static void leave_link(covey_client *client)
{
    struct cv_link *link = client->link;
    bool was_ready = client->is_ready;
    if (link == NULL)
        return;
    forget_link(client);
    if (was_ready)
        cv_link_retire(link);
    else
        cv_link_close(link, 0);
}

/* Those that wait for a connection as long as it takes stay; the others have heard enough. */
static void disappoint(covey_client *client)
{
    struct cv_client_request *next;
    for (struct cv_client_request *r = TAILQ_FIRST(&client->waiting); r != NULL; r = next) {
        next = TAILQ_NEXT(r, entry);
        if (!r->wait_for_ready)
            cv_client_request_doom(r, client->last_error);
    }
}

static void set_connect_timer(covey_client *client)
{
    bool is_wanted = !TAILQ_EMPTY(&client->waiting) && client->link == NULL;
    cv_heap_set(&client->timers, &client->connect, is_wanted ? client->next_attempt : COVEY_NEVER);
}

static void connect_failed(covey_client *client, int error)
{
    client->failures++;
    client->last_error = error == 0 ? COVEY_ERR_CONNECTION_LOST : error;
    client->next_attempt =
        cv_loop_now(client->loop) +
        cv_backoff_pause(&client->connect_backoff, client->failures, &client->random);
    atomic_fetch_add(&client->counters.failed, 1);
    disappoint(client);
    set_connect_timer(client);
}

/* Before it was ready. */
static void give_up(covey_client *client, int error)
{
    struct cv_link *link = client->link;
    forget_link(client);
    cv_link_close(link, error);
    connect_failed(client, error);
}

/* The socket is of one family: the others' addresses are of no use. */
static size_t pick_addresses(const covey_client *client, const struct cv_resolver_answer *answer,
                             struct cv_address picked[CV_LINK_REMOTES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < answer->count && count < CV_LINK_REMOTES_MAX; i++) {
        if (answer->addresses[i].family == client->family)
            picked[count++] = answer->addresses[i];
    }
    return count;
}

static int dial(covey_client *client, const struct cv_address *remotes, size_t count)
{
    return cv_link_dial(client->link, remotes, count,
                        client->has_expected ? &client->expected : NULL, cv_loop_now(client->loop));
}

static void on_resolved(const struct cv_resolver_answer *answer)
{
    covey_client *client = ((struct cv_client_tie *)answer->user)->client;
    struct cv_address remotes[CV_LINK_REMOTES_MAX];
    /* A link that waits for its address closes by give_up() only. */
    assert(client->link != NULL);
    size_t count = pick_addresses(client, answer, remotes);
    int error = answer->error;
    if (error == 0 && count == 0)
        error = COVEY_ERR_RESOLVE;
    if (error == 0)
        error = dial(client, remotes, count);
    if (error != 0)
        give_up(client, error);
}

/* Numbers need nobody to look them up. */
static int dial_or_resolve(covey_client *client)
{
    struct cv_address address;
    struct cv_resolver *resolver;
    if (cv_address_parse(&address, client->address) == 0)
        return dial(client, &address, 1);
    int error = cv_client_host_resolver(client->tie->host, &resolver);
    return error != 0 ? error
                      : cv_resolver_ask(resolver, client->address, on_resolved, client->tie);
}

static void open_link(covey_client *client)
{
    int error = cv_link_new(client->tie->host->host.node, client->tie, &client->link);
    if (error != 0) {
        connect_failed(client, error);
        return;
    }
    client->tie->links++;
    error = dial_or_resolve(client);
    if (error != 0)
        give_up(client, error);
}

/* Somebody waits: a link is made, at once or when the pause is over. */
static void want_link(covey_client *client)
{
    if (client->link != NULL)
        return;
    if (client->next_attempt <= cv_loop_now(client->loop)) {
        open_link(client);
        return;
    }
    disappoint(client);
    set_connect_timer(client);
}

/* ---- requests ---- */

static int start_rpc(struct cv_client_request *r, struct cv_link *link)
{
    const struct cv_rpc_start start = {
        .method = r->method,
        .deadline = r->deadline,
        .metadata = r->metadata,
        .metadata_count = r->metadata_count,
        .user = r,
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
    r->timer.expired = on_waited_too_long;
    cv_heap_set(&r->client->timers, &r->timer.timer, r->deadline);
    want_link(r->client);
}

static void start(struct cv_client_request *r)
{
    covey_client *client = r->client;
    int error = start_rpc(r, client->link);
    if (error == COVEY_ERR_CLOSED) { /* lost just now: its calls hear of it before we do */
        forget_link(client);
        wait_for_link(r);
        return;
    }
    if (error != 0) {
        cv_client_request_doom(r, error);
        return;
    }
    enter_list(r, &client->running);
    atomic_fetch_add(&client->counters.calls, 1);
    r->kind->started(r);
}

static void begin_now(struct cv_client_request *r)
{
    covey_client *client = r->client;
    if (r->deadline <= cv_loop_now(client->loop))
        cv_client_request_doom(r, COVEY_ERR_TIMEOUT);
    else if (client->is_ready)
        start(r);
    else
        wait_for_link(r);
}

static void on_pause_over(struct cv_client_timer *timer)
{
    begin_now((struct cv_client_request *)(void *)timer);
}

void cv_client_request_begin(struct cv_client_request *r, covey_time pause)
{
    covey_client *client = r->client;
    r->list = NULL;
    r->rpc = NULL;
    r->link = NULL;
    r->has_waited = false;
    if (pause == 0) {
        begin_now(r);
        return;
    }
    enter_list(r, &client->paused);
    r->timer.expired = on_pause_over;
    cv_heap_set(&client->timers, &r->timer.timer, cv_loop_now(client->loop) + pause);
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

/* ---- what happens ---- */

/* NULL: it is gone, and has left its last links to their end. */
static covey_client *client_of(const struct cv_link *link)
{
    const struct cv_client_tie *tie = cv_link_user(link);
    return tie == NULL ? NULL : tie->client;
}

static void on_link_ready(void *user, struct cv_link *link)
{
    covey_client *client = client_of(link);
    struct cv_client_request *r;
    (void)user;
    if (client == NULL || client->link != link)
        return;
    client->is_ready = true;
    client->next_attempt = 0;
    atomic_fetch_add(&client->counters.opened, 1);
    while (client->is_ready && (r = TAILQ_FIRST(&client->waiting)) != NULL)
        start(r);
}

static void on_link_closed(void *user, struct cv_link *link, int error)
{
    struct cv_client_tie *tie = cv_link_user(link);
    (void)user;
    if (tie == NULL)
        return;
    covey_client *client = tie->client;
    tie->links--;
    if (client->link != link)
        return;
    /* A server that takes connections and no calls is as good as none. */
    bool was_in_vain = !client->was_useful;
    forget_link(client);
    if (was_in_vain)
        connect_failed(client, error);
}

/* Later calls get a new one, and this one closes when its calls are done. */
static void on_link_retiring(void *user, struct cv_link *link)
{
    covey_client *client = client_of(link);
    (void)user;
    if (client != NULL && client->link == link)
        forget_link(client);
}

/* A client serves nothing. */
static void refuse(const struct cv_client_host *host, struct cv_link *link, struct cv_rpc_call *rpc)
{
    covey_time now = cv_loop_now(host->host.loop);
    struct cv_rpc_input finish = {
        .type = CV_RPC_FINISH,
        .now = now,
        .call = rpc,
        .finish = {.code = COVEY_STATUS_UNIMPLEMENTED,
                   .message = cv_slice_text("a client serves no methods")},
    };
    struct cv_rpc_input release = {.type = CV_RPC_RELEASE, .now = now, .call = rpc};
    cv_link_step(link, &finish); /* what is released without it is aborted */
    cv_link_step(link, &release);
}

/* A call on it ended: it brings answers, or the server takes no more calls on it. */
static void judge_link(covey_client *client, struct cv_link *link, bool is_answer)
{
    if (client->link != link)
        return;
    if (is_answer) {
        client->was_useful = true;
        client->failures = 0;
    }
    if (cv_link_peer_drains(link))
        leave_link(client);
}

static void on_call(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    covey_client *client = client_of(link);
    struct cv_client_request *r = cv_rpc_call_user(event->call);
    if (event->type == CV_RPC_EVENT_STATUS && client != NULL)
        judge_link(client, link, event->end.by_peer);
    if (r != NULL && r->list != &r->client->doomed)
        r->kind->event(r, event);
    else if (event->type == CV_RPC_EVENT_CALL)
        refuse(user, link, event->call);
}

/* ---- another identity ---- */

int cv_client_tie_to(covey_client *client, const covey_identity *identity)
{
    struct cv_client_tie *tie = cv_allocate(&client->runtime->alloc, sizeof *tie);
    if (tie == NULL)
        return COVEY_ERR_NO_MEMORY;
    *tie = (struct cv_client_tie){.client = client};
    int error = get_host(client, identity, &tie->host);
    if (error != 0) {
        cv_release(&client->runtime->alloc, tie);
        return error;
    }
    LIST_INSERT_HEAD(&client->ties, tie, entry);
    client->tie = tie;
    leave_link(client);
    return 0;
}

/* ---- turns ---- */

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

static void tell_doomed(struct cv_client_request *r)
{
    char text[512];
    struct cv_rpc_status status = {.code = code_of(r->error)};
    explain(r, text, sizeof text);
    status.message = cv_slice_text(text);
    cv_client_request_end(r);
    r->kind->failed(r, &status);
}

static void run_timers(covey_client *client, covey_time now)
{
    struct cv_timer *timer;
    while ((timer = cv_heap_expire(&client->timers, now)) != NULL) {
        if (timer == &client->connect) {
            want_link(client);
            continue;
        }
        struct cv_client_timer *owner = (struct cv_client_timer *)(void *)timer;
        owner->expired(owner);
    }
}

void cv_client_turn(void *user, covey_time now)
{
    covey_client *client = user;
    struct cv_client_request *r;
    run_timers(client, now);
    while ((r = TAILQ_FIRST(&client->doomed)) != NULL)
        tell_doomed(r);
    untie_left(client);
}

covey_time cv_client_deadline(void *user)
{
    const covey_client *client = user;
    return TAILQ_EMPTY(&client->doomed) ? cv_heap_deadline(&client->timers) : 0;
}

static void doom_all(struct cv_client_requests *list)
{
    struct cv_client_request *r;
    while ((r = TAILQ_FIRST(list)) != NULL)
        cv_client_request_doom(r, COVEY_ERR_CANCELLED);
}

void cv_client_end_all(covey_client *client)
{
    struct cv_client_request *r;
    doom_all(&client->paused);
    doom_all(&client->waiting);
    doom_all(&client->running);
    while ((r = TAILQ_FIRST(&client->doomed)) != NULL) {
        r->error = COVEY_ERR_CANCELLED;
        tell_doomed(r);
    }
}
