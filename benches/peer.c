#include "peer.h"

#include "process.h"

#include <stdio.h>
#include <string.h>

void peer_check(const char *what, int error)
{
    if (error != 0)
        die("%s: %s", what, covey_strerror(error));
}

void peer_start(struct peer *p, const struct credentials *credentials, const struct covey_pem *own,
                const struct peer_loops *loops)
{
    struct covey_runtime_config config;
    covey_runtime_config_init(&config);
    config.loops = loops->count;
    config.busy_poll_us = loops->busy_poll_us;
    *p = (struct peer){.identity = credentials_identity(credentials, own)};
    peer_check("runtime", covey_runtime_new(&config, &p->runtime));
}

static void raise_one(const char *name, unsigned *limit, unsigned wanted)
{
    if (wanted <= *limit)
        return;
    fprintf(stderr, "limit raised: covey_server_config.%s from %u to %u\n", name, *limit, wanted);
    *limit = wanted;
}

/* The limits that are in the way are raised, and said so. */
static void raise_limits(struct covey_server_config *config, unsigned connections)
{
    raise_one("connections_max", &config->connections_max, connections);
    raise_one("identity_connections_max", &config->identity_connections_max, connections);
}

void peer_serve(struct peer *p, const struct covey_method *method, unsigned connections,
                char *address)
{
    struct covey_server_config config;
    covey_server_config_init(&config);
    config.runtime = p->runtime;
    config.identity = p->identity;
    config.listen = "127.0.0.1:0";
    raise_limits(&config, connections);
    peer_check("server", covey_server_new(&config, &p->server));
    peer_check("method", covey_server_add_method(p->server, method));
    peer_check("start", covey_server_start(p->server));
    memset(address, 0, PROCESS_ADDRESS_SIZE);
    snprintf(address, PROCESS_ADDRESS_SIZE, "%s", covey_server_address(p->server));
}

int peer_client(const struct peer *p, const char *address, covey_client **out)
{
    struct covey_client_config config;
    covey_client_config_init(&config);
    config.runtime = p->runtime;
    config.identity = p->identity;
    config.address = address;
    return covey_client_new(&config, out);
}

void peer_stop(struct peer *p)
{
    covey_server_free(p->server);
    covey_runtime_free(p->runtime);
    covey_identity_free(p->identity);
}
