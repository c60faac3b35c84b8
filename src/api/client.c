#include "api/client.h"

#include "api/identity.h"
#include "base/address.h"

#include <assert.h>
#include <string.h>

static const struct covey_client_config defaults = {
    .size = sizeof(struct covey_client_config),
};

void covey_client_config_init_sized(struct covey_client_config *config, size_t size)
{
    cv_config_give(config, size, &defaults, sizeof defaults);
}

/* ---- the link ---- */

/* Later calls get a new one. */
static void give_up(covey_client *client, int error)
{
    struct cv_link *link = client->link;
    client->link = NULL;
    cv_link_close(link, error);
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

static void on_resolved(const struct cv_resolver_answer *answer)
{
    covey_client *client = answer->user;
    struct cv_address remotes[CV_LINK_REMOTES_MAX];
    /* A link that waits for its address closes by give_up() only. */
    assert(client->link != NULL);
    size_t count = pick_addresses(client, answer, remotes);
    int error = answer->error;
    if (error == 0 && count == 0)
        error = COVEY_ERR_RESOLVE;
    if (error == 0)
        error = cv_link_dial(client->link, remotes, count,
                             client->has_expected ? &client->expected : NULL,
                             cv_loop_now(client->runtime->loop));
    if (error != 0)
        give_up(client, error);
}

static int link_open(covey_client *client)
{
    int error = cv_link_new(client->host.node, NULL, &client->link);
    if (error != 0)
        return error;
    error = cv_resolver_ask(client->host.resolver, client->address, on_resolved, client);
    if (error != 0)
        give_up(client, error);
    return error;
}

int cv_client_start(covey_client *client, const struct cv_rpc_start *start, struct cv_link **link,
                    struct cv_rpc_call **rpc)
{
    covey_time now = cv_loop_now(client->runtime->loop);
    int error =
        client->link == NULL ? COVEY_ERR_CLOSED : cv_link_start(client->link, start, now, rpc);
    if (error == COVEY_ERR_CLOSED) {
        error = link_open(client);
        if (error == 0)
            error = cv_link_start(client->link, start, now, rpc);
    }
    if (error == 0)
        *link = client->link;
    return error;
}

static void on_ready(void *user, struct cv_link *link)
{
    cv_link_set_user(link, user);
}

static void on_closed(void *user, struct cv_link *link, int error)
{
    covey_client *client = user;
    (void)error; /* the calls have said it */
    if (client->link == link)
        client->link = NULL;
}

/* Later calls get a new one, and the old one closes when its calls are done. */
static void on_retiring(void *user, struct cv_link *link)
{
    covey_client *client = user;
    if (client->link == link)
        client->link = NULL;
}

/* A client serves nothing. */
static void refuse(covey_client *client, struct cv_link *link, struct cv_rpc_call *rpc)
{
    covey_time now = cv_loop_now(client->runtime->loop);
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

static void on_call(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    struct cv_client_call *call = cv_rpc_call_user(event->call);
    if (call != NULL)
        cv_client_call_event(call, event);
    else if (event->type == CV_RPC_EVENT_CALL)
        refuse(user, link, event->call);
}

/* ---- making one ---- */

int cv_client_post(covey_client *client, struct cv_mail *mail)
{
    pthread_mutex_lock(&client->lock);
    int error = client->is_closing ? COVEY_ERR_CLOSED : cv_loop_post(client->runtime->loop, mail);
    pthread_mutex_unlock(&client->lock);
    return error;
}

struct opening {
    covey_client *client;
    struct cv_host_config host;
    int error;
};

static void open_on_loop(void *user)
{
    struct opening *opening = user;
    opening->error = cv_host_open(&opening->client->host, &opening->host);
}

static int client_open(covey_client *client, const covey_identity *identity)
{
    struct opening opening = {
        .client = client,
        .host =
            {
                .runtime = client->runtime,
                .identity = identity,
                .bind = {.family = client->family},
                .events = {.link = {.call = on_call,
                                    .ready = on_ready,
                                    .closed = on_closed,
                                    .retiring = on_retiring}},
                .events_user = client,
            },
    };
    int error = cv_loop_call(client->runtime->loop, open_on_loop, &opening);
    return error != 0 ? error : opening.error;
}

/* IPv6 for an address in its numbers; names are looked up for IPv4. */
static int check_address(const char *text, uint8_t *family)
{
    struct cv_address address;
    char host[256];
    uint16_t port;
    *family = 4;
    if (cv_address_parse(&address, text) == 0) {
        *family = address.family;
        return cv_address_is_usable(&address) ? 0 : COVEY_ERR_ADDRESS;
    }
    int error = cv_address_split(text, host, sizeof host, &port);
    return error == 0 && port == 0 ? COVEY_ERR_ADDRESS : error;
}

static int check_config(const struct covey_client_config *config, uint8_t *family)
{
    if (config->runtime == NULL || config->identity == NULL || config->address == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    return check_address(config->address, family);
}

static void client_release(covey_client *client)
{
    pthread_mutex_destroy(&client->lock);
    cv_release(&client->runtime->alloc, client);
}

/* Everything but the host. */
static covey_client *client_make(const struct covey_client_config *config, uint8_t family)
{
    size_t size = strlen(config->address) + 1;
    covey_client *client = cv_allocate_zeroed(&config->runtime->alloc, 1, sizeof *client + size);
    if (client == NULL)
        return NULL;
    client->runtime = config->runtime;
    client->family = family;
    client->has_expected = config->expected != NULL;
    if (client->has_expected)
        client->expected = *config->expected;
    memcpy(client->address, config->address, size);
    TAILQ_INIT(&client->calls);
    pthread_mutex_init(&client->lock, NULL);
    return client;
}

int covey_client_new(const struct covey_client_config *callers, covey_client **out)
{
    struct covey_client_config config = defaults;
    uint8_t family;
    int error = cv_config_take(&config, sizeof config, callers);
    if (error == 0)
        error = check_config(&config, &family);
    if (error != 0)
        return error;
    covey_client *client = client_make(&config, family);
    if (client == NULL)
        return COVEY_ERR_NO_MEMORY;
    error = client_open(client, config.identity);
    if (error != 0) {
        client_release(client);
        return error;
    }
    cv_runtime_retain(client->runtime);
    *out = client;
    return 0;
}

/* ---- the end ---- */

static void close_on_loop(void *user)
{
    covey_client *client = user;
    struct cv_client_call *call;
    while ((call = TAILQ_FIRST(&client->calls)) != NULL)
        cv_client_call_end(call, COVEY_STATUS_CANCELLED, "the client was freed");
    cv_host_close(&client->host);
}

int covey_client_free(covey_client *client)
{
    if (client == NULL)
        return 0;
    covey_runtime *runtime = client->runtime;
    if (cv_loop_is_current(runtime->loop))
        return COVEY_ERR_WRONG_THREAD;
    pthread_mutex_lock(&client->lock);
    client->is_closing = true;
    pthread_mutex_unlock(&client->lock);
    /* The mailbox may be full for a moment; the loop empties it. */
    while (cv_loop_call(runtime->loop, close_on_loop, client) == COVEY_ERR_BUSY)
        ;
    client_release(client);
    cv_runtime_release(runtime);
    return 0;
}
