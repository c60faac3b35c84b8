#include "api/client.h"

#include "api/identity.h"
#include "base/address.h"
#include "io/entropy.h"

#include <string.h>

/* What a message may have at most, whatever a user asks for: it is in one piece of memory. */
#define MESSAGE_SIZE_LIMIT ((size_t)64 << 20)
#define ATTEMPTS_MAX       5
#define BUDGET_MAX         1000

static const struct covey_client_config defaults = {
    .size = sizeof(struct covey_client_config),
    .message_send_max = (size_t)4 << 20,
    .message_receive_max = (size_t)4 << 20,
    .retry = {.attempts = 3,
              .backoff_first = 50 * COVEY_MILLISECOND,
              .backoff_max = COVEY_SECOND,
              .budget = 10},
    .connect_backoff_first = 100 * COVEY_MILLISECOND,
    .connect_backoff_max = 10 * COVEY_SECOND,
    .connection_age_max = 3600 * COVEY_SECOND,
};

void covey_client_config_init_sized(struct covey_client_config *config, size_t size)
{
    cv_config_give(config, size, &defaults, sizeof defaults);
}

/* ---- making one ---- */

int cv_client_post(covey_client *client, struct cv_mail *mail)
{
    pthread_mutex_lock(&client->lock);
    int error =
        atomic_load(&client->is_closing) ? COVEY_ERR_CLOSED : cv_loop_post(client->loop, mail);
    pthread_mutex_unlock(&client->lock);
    return error;
}

struct opening {
    covey_client *client;
    const covey_identity *identity;
    int error;
};

static void open_on_loop(void *user)
{
    struct opening *o = user;
    covey_client *client = o->client;
    cv_client_loop_join(client->shared);
    /* For the timer that ends a pause. */
    o->error = cv_client_loop_want_timers(client->shared, 1);
    if (o->error == 0) {
        o->error = cv_client_tie_to(client, o->identity);
        if (o->error != 0)
            cv_client_loop_forget_timers(client->shared, 1);
    }
    if (o->error != 0)
        cv_client_loop_leave(client->shared);
}

static int client_open(covey_client *client, const covey_identity *identity)
{
    struct opening opening = {.client = client, .identity = identity};
    int error = cv_loop_call(client->loop, open_on_loop, &opening);
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

static bool is_size(size_t size)
{
    return size > 0 && size <= MESSAGE_SIZE_LIMIT;
}

static bool is_backoff(covey_time first, covey_time max)
{
    return first > 0 && first <= max && max < COVEY_NEVER / 2;
}

static int check_config(const struct covey_client_config *config, uint8_t *family)
{
    const struct covey_retry_policy *retry = &config->retry;
    if (config->runtime == NULL || config->identity == NULL || config->address == NULL ||
        !is_size(config->message_send_max) || !is_size(config->message_receive_max) ||
        retry->attempts == 0 || retry->attempts > ATTEMPTS_MAX || retry->budget > BUDGET_MAX ||
        !is_backoff(retry->backoff_first, retry->backoff_max) ||
        !is_backoff(config->connect_backoff_first, config->connect_backoff_max) ||
        config->connection_age_max < CV_CONNECTION_AGE_MIN ||
        config->interceptor_count > CV_CLIENT_INTERCEPTORS_MAX ||
        (config->interceptors == NULL && config->interceptor_count > 0))
        return COVEY_ERR_INVALID_ARGUMENT;
    return check_address(config->address, family);
}

static void client_release(covey_client *client)
{
    pthread_mutex_destroy(&client->lock);
    cv_release(&client->runtime->alloc, client);
}

static void take_config(covey_client *client, const struct covey_client_config *config,
                        struct cv_client_loop *shared)
{
    client->runtime = config->runtime;
    client->shared = shared;
    client->loop = shared->loop;
    client->connect.expired = cv_client_on_connect_timer;
    client->message_send_max = config->message_send_max;
    client->message_receive_max = config->message_receive_max;
    client->age_max = config->connection_age_max;
    client->retry = config->retry;
    client->retry_backoff =
        (struct cv_backoff){config->retry.backoff_first, config->retry.backoff_max};
    client->connect_backoff =
        (struct cv_backoff){config->connect_backoff_first, config->connect_backoff_max};
    client->interceptor_count = config->interceptor_count;
    if (config->interceptor_count > 0)
        memcpy(client->interceptors, config->interceptors,
               config->interceptor_count * sizeof *config->interceptors);
    client->has_expected = config->expected != NULL;
    if (client->has_expected)
        client->expected = *config->expected;
}

/* Everything but the host. */
static covey_client *client_make(const struct covey_client_config *config, uint8_t family,
                                 struct cv_client_loop *shared)
{
    uint64_t seed;
    size_t size = strlen(config->address) + 1;
    covey_client *client = cv_allocate_zeroed(&config->runtime->alloc, 1, sizeof *client + size);
    if (client == NULL)
        return NULL;
    take_config(client, config, shared);
    memcpy(client->cluster, config->identity->who.cluster, sizeof client->cluster);
    client->family = family;
    memcpy(client->address, config->address, size);
    cv_entropy(NULL, &seed, sizeof seed);
    cv_rand_seed(&client->random, seed);
    cv_retry_budget_init(&client->budget, config->retry.budget);
    TAILQ_INIT(&client->paused);
    TAILQ_INIT(&client->waiting);
    TAILQ_INIT(&client->running);
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
    covey_client *client = client_make(&config, family, cv_runtime_next_loop(config.runtime));
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

int cv_client_new_pooled(const struct covey_client_config *config, struct cv_client_loop *shared,
                         covey_client **out)
{
    uint8_t family;
    int error = check_config(config, &family);
    if (error != 0)
        return error;
    covey_client *client = client_make(config, family, shared);
    if (client == NULL)
        return COVEY_ERR_NO_MEMORY;
    client->late = config->identity;
    cv_runtime_retain(client->runtime);
    *out = client;
    return 0;
}

/* ---- the end ---- */

static void end_on_loop(covey_client *client)
{
    cv_client_end_all(client);
    cv_client_untie_all(client);
    cv_client_loop_set(client->shared, &client->connect, COVEY_NEVER);
}

void cv_client_free_pooled(covey_client *client)
{
    covey_runtime *runtime = client->runtime;
    atomic_store(&client->is_closing, true);
    end_on_loop(client);
    client_release(client);
    cv_runtime_release(runtime);
}

static void close_on_loop(void *user)
{
    covey_client *client = user;
    end_on_loop(client);
    cv_client_loop_forget_timers(client->shared, 1);
    cv_client_loop_leave(client->shared);
}

int covey_client_free(covey_client *client)
{
    if (client == NULL)
        return 0;
    covey_runtime *runtime = client->runtime;
    if (cv_runtime_is_in_turn(runtime))
        return COVEY_ERR_WRONG_THREAD;
    pthread_mutex_lock(&client->lock);
    atomic_store(&client->is_closing, true);
    pthread_mutex_unlock(&client->lock);
    /* The mailbox may be full for a moment; the loop empties it. */
    while (cv_loop_call(client->loop, close_on_loop, client) == COVEY_ERR_BUSY)
        ;
    client_release(client);
    cv_runtime_release(runtime);
    return 0;
}

struct reloading {
    covey_client *client;
    const covey_identity *identity;
    int error;
};

static void reload_on_loop(void *user)
{
    struct reloading *r = user;
    r->error = cv_client_tie_to(r->client, r->identity);
}

int covey_client_reload(covey_client *client, const covey_identity *identity)
{
    struct reloading r = {.client = client, .identity = identity};
    if (client == NULL || identity == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (strcmp(identity->who.cluster, client->cluster) != 0)
        return COVEY_ERR_WRONG_CLUSTER;
    if (cv_runtime_is_loop_thread(client->runtime) && !cv_loop_is_current(client->loop))
        return COVEY_ERR_WRONG_THREAD;
    int error = cv_loop_call(client->loop, reload_on_loop, &r);
    return error != 0 ? error : r.error;
}

void covey_client_stats(const covey_client *client, struct covey_client_stats *stats)
{
    const struct cv_client_counters *c = &client->counters;
    const struct covey_client_stats now = {
        .size = sizeof now,
        .connections_opened = cv_count_read(&c->opened),
        .connections_failed = cv_count_read(&c->failed),
        .calls_started = cv_count_read(&c->calls),
        .calls_repeated = cv_count_read(&c->repeated),
        .calls_hedged = cv_count_read(&c->hedged),
        .repeats_throttled = cv_count_read(&c->throttled),
    };
    cv_config_give(stats, stats->size, &now, sizeof now);
}
