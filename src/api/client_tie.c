/* What ties a client to a host that it shares: its links there, and what happens on them. */
#include "api/client.h"

#include <assert.h>

/* ---- what happens on links ---- */

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
    cv_count_up(&client->counters.opened);
    while (client->is_ready && (r = TAILQ_FIRST(&client->waiting)) != NULL)
        cv_client_request_start(r);
}

/* Of no use any more: the client has another one. Not at once, because its host may be at work. */
static void leave_if_idle(struct cv_client_tie *tie)
{
    covey_client *client = tie->client;
    if (tie == client->tie || tie->links > 0)
        return;
    LIST_REMOVE(tie, entry);
    LIST_INSERT_HEAD(&client->shared->left, tie, entry);
    cv_loop_again(client->loop);
}

static void on_link_closed(void *user, struct cv_link *link, int error)
{
    struct cv_client_tie *tie = cv_link_user(link);
    (void)user;
    if (tie == NULL)
        return;
    covey_client *client = tie->client;
    tie->links--;
    leave_if_idle(tie);
    if (client->link != link)
        return;
    /* A server that takes connections and no calls is as good as none. */
    bool was_in_vain = !client->was_useful;
    if (error == 0 && client->is_ready)
        error = COVEY_ERR_DRAINING;
    cv_client_forget_link(client);
    if (was_in_vain)
        cv_client_connect_failed(client, error);
}

/* Later calls get a new one, and this one closes when its calls are done. */
static void on_link_retiring(void *user, struct cv_link *link)
{
    covey_client *client = client_of(link);
    (void)user;
    if (client != NULL && client->link == link)
        cv_client_forget_link(client);
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
        cv_client_leave_link(client);
}

static void on_call(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    covey_client *client = client_of(link);
    struct cv_client_request *r = cv_rpc_call_user(event->call);
    if (event->type == CV_RPC_EVENT_STATUS && client != NULL)
        judge_link(client, link, event->end.by_peer);
    if (r != NULL && !cv_client_request_is_doomed(r))
        r->kind->event(r, event);
    else if (event->type == CV_RPC_EVENT_CALL)
        refuse(user, link, event->call);
}

/* ---- tying ---- */

static int get_host(covey_client *client, const covey_identity *identity,
                    struct cv_client_host **out)
{
    const struct cv_client_host_wish wish = {
        .runtime = client->runtime,
        .shared = client->shared,
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

void cv_client_untie(struct cv_client_tie *tie)
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

void cv_client_untie_all(covey_client *client)
{
    struct cv_client_tie *next;
    client->link = NULL;
    while (!LIST_EMPTY(&client->ties))
        cv_client_untie(LIST_FIRST(&client->ties));
    for (struct cv_client_tie *tie = LIST_FIRST(&client->shared->left); tie != NULL; tie = next) {
        next = LIST_NEXT(tie, entry);
        if (tie->client == client)
            cv_client_untie(tie);
    }
}

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
    struct cv_client_tie *old = client->tie;
    cv_client_leave_link(client);
    LIST_INSERT_HEAD(&client->ties, tie, entry);
    client->tie = tie;
    if (old != NULL)
        leave_if_idle(old);
    if (!TAILQ_EMPTY(&client->waiting))
        cv_client_want_link(client);
    return 0;
}
