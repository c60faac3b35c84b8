/* covey's server: one method that echoes, or answers with the pattern. */
#include "engine.h"
#include "payload.h"
#include "process.h"

#include <covey/covey.h>

#include <stdio.h>
#include <stdlib.h>

struct engine_server {
    covey_runtime *runtime;
    covey_server *server;
    unsigned char *answer; /* NULL: the request comes back */
    unsigned answer_size;
};

static void echo(covey_call *call, const void *request, size_t size, void *user)
{
    const struct engine_server *s = user;
    if (s->answer == NULL)
        covey_call_reply(call, request, size);
    else
        covey_call_reply(call, s->answer, s->answer_size);
}

static void check(const char *what, int error)
{
    if (error != 0)
        die("rpc: %s: %s", what, covey_strerror(error));
}

struct engine_server *engine_server_start(const struct options *o,
                                          const struct credentials *credentials, char *address)
{
    struct engine_server *s = calloc(1, sizeof *s);
    struct covey_server_config config;
    struct covey_method method = {.name = "echo", .handler = echo, .user = s};
    if (s == NULL)
        die("rpc: no memory");
    s->answer_size = o->reply_size;
    if (o->reply_size != 0) {
        s->answer = malloc(o->reply_size);
        if (s->answer == NULL)
            die("rpc: no memory");
        payload_fill(s->answer, o->reply_size);
    }
    covey_identity *identity = credentials_identity(credentials, &credentials->server);
    check("runtime", covey_runtime_new(NULL, &s->runtime));
    covey_server_config_init(&config);
    config.runtime = s->runtime;
    config.identity = identity;
    config.listen = "127.0.0.1:0";
    check("server", covey_server_new(&config, &s->server));
    check("method", covey_server_add_method(s->server, &method));
    check("start", covey_server_start(s->server));
    snprintf(address, PROCESS_ADDRESS_SIZE, "%s", covey_server_address(s->server));
    covey_identity_free(identity);
    return s;
}

void engine_server_stop(struct engine_server *s)
{
    covey_server_free(s->server);
    covey_runtime_free(s->runtime);
    free(s->answer);
    free(s);
}
