/* engine.h for the raw bound. */
#include "bound.h"
#include "payload.h"
#include "process.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANDSHAKES_SECONDS 30

const char engine_name[] = "rpc-bound";

struct engine_server {
    struct bound bound;
};

struct engine_client {
    struct bound bound;
};

const char *engine_refuses(const struct options *o)
{
    if (o->loops != 1)
        return "the bound has one loop: --loops 1";
    if (o->blocking)
        return "the bound has no calls that block: compare with those that do not";
    if (o->size == 0)
        return "the bound has no framing: --size is at least 1";
    return NULL;
}

static struct bound *bound_init(struct bound *b, const struct options *o, unsigned sockets,
                                const struct credentials *credentials, const struct covey_pem *own)
{
    if (b == NULL)
        die("rpc-bound: no memory");
    b->options = o;
    b->deadline = UINT64_MAX;
    b->sender.burst = o->size > BOUND_BURST_BORDER || o->reply_size > BOUND_BURST_BORDER
                          ? BOUND_BURST_LARGE
                          : BOUND_BURST_SMALL;
    b->socket_count = sockets;
    b->sockets = calloc(sockets, sizeof *b->sockets);
    b->conns = calloc(o->connections, sizeof(*b->conns));
    b->reader = bound_reader_new();
    if (b->sockets == NULL || b->conns == NULL)
        die("rpc-bound: no memory");
    STAILQ_INIT(&b->dirty);
    STAILQ_INIT(&b->free_calls);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    bound_tls_init(b, &credentials->ca, own);
    return b;
}

static void bound_fini(struct bound *b)
{
    for (unsigned i = 0; i < b->conn_count; i++)
        bound_conn_free(b->conns[i]);
    for (unsigned i = 0; i < b->socket_count; i++)
        close(b->sockets[i].fd);
    for (size_t i = 0; i < b->block_count; i++)
        free(b->blocks[i]);
    bound_tls_fini(b);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->changed);
    free(b->blocks);
    free(b->reader);
    free(b->conns);
    free(b->sockets);
    free(b->answer);
}

/* ---- the server ---- */

struct engine_server *engine_server_start(const struct options *o,
                                          const struct credentials *credentials, char *address)
{
    struct engine_server *s = calloc(1, sizeof *s);
    struct bound *b = bound_init(&s->bound, o, 1, credentials, &credentials->server);
    b->is_server = true;
    if (o->reply_size != 0) {
        b->answer = malloc(o->reply_size);
        if (b->answer == NULL)
            die("rpc-bound: no memory");
        payload_fill(b->answer, o->reply_size);
    }
    bound_socket_open(&b->sockets[0], NULL);
    snprintf(address, PROCESS_ADDRESS_SIZE, "127.0.0.1:%u", ntohs(b->sockets[0].local.sin_port));
    bound_loop_start(b);
    return s;
}

void engine_server_stop(struct engine_server *s)
{
    bound_loop_stop(&s->bound);
    bound_fini(&s->bound);
    free(s);
}

/* ---- the client ---- */

static struct sockaddr_in parse_address(const char *address)
{
    const char *port = strrchr(address, ':');
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                .sin_port = htons((uint16_t)(port == NULL ? 0 : atoi(port + 1)))};
}

static void wait_until_up(struct bound *b)
{
    struct timespec until;
    int error = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HANDSHAKES_SECONDS;
    pthread_mutex_lock(&b->lock);
    while (b->up < b->options->connections && error == 0)
        error = pthread_cond_timedwait(&b->changed, &b->lock, &until);
    unsigned up = b->up;
    pthread_mutex_unlock(&b->lock);
    if (up < b->options->connections)
        die("rpc-bound: %u of %u connections after %d s", up, b->options->connections,
            HANDSHAKES_SECONDS);
}

struct engine_client *engine_client_start(const struct options *o,
                                          const struct credentials *credentials,
                                          const char *address)
{
    struct engine_client *c = calloc(1, sizeof *c);
    struct sockaddr_in server = parse_address(address);
    struct bound *b = bound_init(&c->bound, o, o->connections, credentials, &credentials->client);
    for (unsigned i = 0; i < o->connections; i++) {
        bound_socket_open(&b->sockets[i], &server);
        bound_connect(b, &b->sockets[i]);
    }
    bound_loop_start(b);
    wait_until_up(b);
    return c;
}

/* On the loop's thread. */
static bool call(struct lane *lane, const unsigned char *request, size_t size)
{
    struct bound_conn *c = lane->target;
    struct bound_call *call = bound_call_new(c->bound);
    call->lane = lane;
    call->stamp = lane->stamp;
    memcpy(call->body, request, size);
    call->out = call->body;
    call->out_size = size;
    STAILQ_INSERT_TAIL(&c->waiting, call, link);
    bound_conn_mark(c);
    return true;
}

void engine_client_run(struct engine_client *c, struct load *load)
{
    struct bound *b = &c->bound;
    load_init(load, b->options, call);
    for (unsigned i = 0; i < load->lane_count; i++)
        load->lanes[i].target = b->conns[i % b->conn_count];
    load_open(load, now_ns());
    bound_loop_give(b, load);
}

void engine_client_stop(struct engine_client *c)
{
    bound_loop_stop(&c->bound);
    bound_fini(&c->bound);
    free(c);
}
