/* covey's server: one method that echoes, or answers with the pattern. */
#include "engine.h"
#include "payload.h"
#include "peer.h"
#include "process.h"

#include <stdlib.h>

struct engine_server {
    struct peer peer;
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

struct engine_server *engine_server_start(const struct options *o,
                                          const struct credentials *credentials, char *address)
{
    struct engine_server *s = calloc(1, sizeof *s);
    const struct covey_method method = {.name = "echo", .handler = echo, .user = s};
    if (s == NULL)
        die("rpc: no memory");
    s->answer_size = o->reply_size;
    if (o->reply_size != 0) {
        s->answer = malloc(o->reply_size);
        if (s->answer == NULL)
            die("rpc: no memory");
        payload_fill(s->answer, o->reply_size);
    }
    const struct peer_loops loops = {.count = o->loops, .busy_poll_us = o->busy_poll_us};
    peer_start(&s->peer, credentials, &credentials->server, &loops);
    peer_serve(&s->peer, &method, o->connections, address);
    return s;
}

void engine_server_stop(struct engine_server *s)
{
    peer_stop(&s->peer);
    free(s->answer);
    free(s);
}
