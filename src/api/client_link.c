/* The one connection of a client for new calls: made when it is wanted, again when it was lost. */
#include "api/client.h"

#include <assert.h>

/* The link is not for new calls any more. */
void cv_client_forget_link(covey_client *client)
{
    client->link = NULL;
    client->is_ready = client->was_useful = false;
}

/* New calls get another one. One that is ready ends when its calls do; one that is not has none. */
void cv_client_leave_link(covey_client *client)
{
    struct cv_link *link = client->link;
    bool was_ready = client->is_ready;
    if (link == NULL)
        return;
    cv_client_forget_link(client);
    if (was_ready) {
        cv_link_retire(link);
        return;
    }
    struct cv_resolver *resolver = client->tie->host->host.resolver;
    if (resolver != NULL)
        cv_resolver_forget(resolver, client->tie);
    cv_link_close(link, 0);
}

/* Those that wait for a connection as long as it takes stay; the others have heard enough. */
static void disappoint(covey_client *client)
{
    struct cv_client_request *next;
    for (struct cv_client_request *r = TAILQ_FIRST(&client->waiting); r != NULL; r = next) {
        next = TAILQ_NEXT(r, entry);
        if (!r->wish->wait_for_ready)
            cv_client_request_doom(r, client->last_error);
    }
}

static void set_connect_timer(covey_client *client)
{
    bool is_wanted = !TAILQ_EMPTY(&client->waiting) && client->link == NULL;
    cv_client_loop_set(client->shared, &client->connect,
                       is_wanted ? client->next_attempt : COVEY_NEVER);
}

void cv_client_connect_failed(covey_client *client, int error)
{
    client->failures++;
    client->last_error = error == 0 ? COVEY_ERR_CONNECTION_LOST : error;
    client->next_attempt =
        cv_loop_now(client->loop) +
        cv_backoff_pause(&client->connect_backoff, client->failures, &client->random);
    cv_count_up(&client->counters.failed);
    disappoint(client);
    set_connect_timer(client);
}

/* Before it was ready. */
static void give_up(covey_client *client, int error)
{
    struct cv_link *link = client->link;
    cv_client_forget_link(client);
    cv_link_close(link, error);
    cv_client_connect_failed(client, error);
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

/* True when there is nothing left to do: it failed, or being tied has made the link, or has tried to. */
static bool tie_late(covey_client *client)
{
    int error = cv_client_tie_to(client, client->late);
    if (error != 0)
        cv_client_connect_failed(client, error);
    return error != 0 || client->link != NULL || client->next_attempt > cv_loop_now(client->loop);
}

static void open_link(covey_client *client)
{
    if (client->tie == NULL && tie_late(client))
        return;
    int error = cv_link_new(client->tie->host->host.node, client->tie, &client->link);
    if (error != 0) {
        cv_client_connect_failed(client, error);
        return;
    }
    client->tie->links++;
    error = dial_or_resolve(client);
    if (error != 0)
        give_up(client, error);
}

/* Somebody waits: a link is made, at once or when the pause is over. */
void cv_client_want_link(covey_client *client)
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

void cv_client_on_connect_timer(struct cv_client_timer *timer)
{
    cv_client_want_link(
        (covey_client *)(void *)((unsigned char *)timer - offsetof(struct covey_client, connect)));
}
