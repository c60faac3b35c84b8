#include "api/client_host.h"

#include "api/identity.h"
#include "io/clock.h"

#include <assert.h>
#include <string.h>

/* A client asked for what comes: its large answers get their memory at once, not bit by bit. */
#define RECEIVE_AHEAD_MAX ((uint64_t)8 << 20)

/* And may be sent without asking again: large answers would wait for window otherwise. */
#define STREAM_WINDOW     ((uint64_t)512 << 10)
#define CONNECTION_WINDOW ((uint64_t)4 << 20)

static bool fits(const struct cv_client_host *h, const struct cv_client_host_wish *wish)
{
    const covey_identity *identity = wish->identity;
    return h->family == wish->family && h->message_send_max == wish->message_send_max &&
           h->message_receive_max == wish->message_receive_max && h->age_max == wish->age_max &&
           strcmp(h->cert_pem, identity->cert_pem) == 0 &&
           strcmp(h->ca_pem, identity->ca_pem) == 0 && strcmp(h->key_pem, identity->key_pem) == 0;
}

static int copy_identity(struct cv_client_host *h, const covey_identity *identity,
                         const struct cv_alloc *alloc)
{
    h->ca_pem = cv_copy_text(alloc, identity->ca_pem, strlen(identity->ca_pem));
    h->cert_pem = cv_copy_text(alloc, identity->cert_pem, strlen(identity->cert_pem));
    h->key_pem = cv_copy_text(alloc, identity->key_pem, strlen(identity->key_pem));
    return h->ca_pem == NULL || h->cert_pem == NULL || h->key_pem == NULL ? COVEY_ERR_NO_MEMORY : 0;
}

static void host_free(struct cv_client_host *h, const struct cv_alloc *alloc)
{
    if (h->key_pem != NULL)
        explicit_bzero(h->key_pem, strlen(h->key_pem));
    cv_release(alloc, h->ca_pem);
    cv_release(alloc, h->cert_pem);
    cv_release(alloc, h->key_pem);
    cv_release(alloc, h);
}

static int host_open(struct cv_client_host *h, const struct cv_client_host_wish *wish)
{
    struct cv_host_config config = {
        .runtime = wish->runtime,
        .loop = wish->shared->loop,
        .identity = wish->identity,
        .bind = {.family = wish->family},
        .events = {.link = wish->events},
        .events_user = h,
    };
    cv_quic_limits_init(&config.quic_limits);
    cv_rpc_limits_init(&config.rpc_limits);
    config.rpc_limits.receive_ahead_max = RECEIVE_AHEAD_MAX;
    config.quic_limits.stream_window = STREAM_WINDOW;
    config.quic_limits.connection_window = CONNECTION_WINDOW;
    config.quic_limits.age_max = wish->age_max;
    cv_host_set_message_sizes(&config, wish->message_send_max, wish->message_receive_max);
    return cv_host_open(&h->host, &config);
}

static int host_new(const struct cv_client_host_wish *wish, struct cv_client_host **out)
{
    const struct cv_alloc *alloc = &wish->runtime->alloc;
    struct cv_client_host *h = cv_allocate(alloc, sizeof *h);
    if (h == NULL)
        return COVEY_ERR_NO_MEMORY;
    *h = (struct cv_client_host){
        .family = wish->family,
        .message_send_max = wish->message_send_max,
        .message_receive_max = wish->message_receive_max,
        .age_max = wish->age_max,
    };
    int error = copy_identity(h, wish->identity, alloc);
    if (error == 0)
        error = host_open(h, wish);
    if (error != 0) {
        host_free(h, alloc);
        return error;
    }
    LIST_INSERT_HEAD(&wish->shared->hosts, h, entry);
    *out = h;
    return 0;
}

int cv_client_host_get(const struct cv_client_host_wish *wish, struct cv_client_host **out)
{
    struct cv_client_host *h;
    int error = 0;
    if (wish->identity->who.not_after_ms <= cv_clock_wall_ms())
        return COVEY_ERR_CERTIFICATE_EXPIRED; /* a host may have been opened in time */
    LIST_FOREACH (h, &wish->shared->hosts, entry) {
        if (fits(h, wish))
            break;
    }
    if (h == NULL)
        error = host_new(wish, &h);
    if (error != 0)
        return error;
    h->users++;
    *out = h;
    return 0;
}

void cv_client_host_put(struct cv_client_host *h)
{
    const struct cv_alloc *alloc = &h->host.runtime->alloc;
    assert(h->users > 0);
    if (--h->users > 0)
        return;
    LIST_REMOVE(h, entry);
    cv_host_close(&h->host);
    host_free(h, alloc);
}

int cv_client_host_resolver(struct cv_client_host *h, struct cv_resolver **out)
{
    struct cv_host *host = &h->host;
    int error = 0;
    if (host->resolver == NULL)
        error = cv_resolver_new(&host->runtime->alloc, host->loop, &host->resolver);
    *out = host->resolver;
    return error;
}
