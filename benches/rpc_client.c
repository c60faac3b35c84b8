/*
 * covey's clients, one connection each. Calls that do not block begin on the runtime's thread, each
 * from the callback of the one before; in an open loop a thread begins them by the clock. Calls
 * that block have a thread for each that is under way.
 */
#include "engine.h"
#include "payload.h"
#include "peer.h"
#include "process.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#define STACK_SIZE (256u << 10)

const char engine_name[] = "rpc";

struct engine_client {
    const struct options *options;
    struct peer peer;
    covey_client **clients;
    pthread_t *threads; /* of blocking calls, or the one of the open loop */
    unsigned thread_count;
};

const char *engine_refuses(const struct options *o)
{
    return o->loops > COVEY_LOOPS_MAX ? "too many --loops" : NULL;
}

/* ---- one call ---- */

static bool is_right(const struct lane *lane, const struct covey_reply *reply)
{
    const struct options *o = lane->load->options;
    if (reply->code != COVEY_STATUS_OK)
        return false;
    return reply->size == options_reply_size(o) &&
           payload_is(reply->data, reply->size, 0, o->reply_size == 0 ? &lane->stamp : NULL);
}

static bool judge(const struct lane *lane, const struct covey_reply *reply)
{
    bool right = is_right(lane, reply);
    if (!right)
        fprintf(stderr, "rpc: a call ended with %s: %s\n", covey_status_name(reply->code),
                reply->code == COVEY_STATUS_OK ? "another answer" : reply->message);
    return right;
}

static void on_reply(const struct covey_reply *reply, void *user)
{
    struct lane *lane = user;
    bool right = judge(lane, reply);
    load_end(lane, right, now_ns());
}

static bool call(struct lane *lane, const unsigned char *request, size_t size)
{
    int error = covey_client_call_async(lane->target, "echo", request, size, NULL, on_reply, lane);
    if (error != 0)
        fprintf(stderr, "rpc: a call could not begin: %s\n", covey_strerror(error));
    return error == 0;
}

/* The clock's calls are begun on time, not up to 50 us later. */
static void set_precise_sleep(void)
{
    prctl(PR_SET_TIMERSLACK, 1);
}

static void *call_blocking(void *user)
{
    struct lane *lane = user;
    bool goes_on = true;
    set_precise_sleep();
    while (goes_on && load_next(lane)) {
        struct covey_reply reply;
        int error = covey_client_call(lane->target, "echo", lane->issuer->request,
                                      lane->load->options->size, NULL, &reply);
        if (error != 0)
            fprintf(stderr, "rpc: a call could not begin: %s\n", covey_strerror(error));
        goes_on = load_add(lane, error == 0 && judge(lane, &reply));
        covey_reply_clear(&reply);
    }
    load_retire(lane);
    return NULL;
}

/* ---- all of them ---- */

static void connect_first(struct engine_client *c, covey_client *client)
{
    struct covey_reply reply;
    unsigned char *request = malloc(c->options->size + 1);
    if (request == NULL)
        die("rpc: no memory");
    payload_fill(request, c->options->size);
    peer_check("first call",
               covey_client_call(client, "echo", request, c->options->size, NULL, &reply));
    if (reply.code != COVEY_STATUS_OK)
        die("rpc: first call: %s: %s", covey_status_name(reply.code), reply.message);
    covey_reply_clear(&reply);
    free(request);
}

struct engine_client *engine_client_start(const struct options *o,
                                          const struct credentials *credentials,
                                          const char *address)
{
    struct engine_client *c = calloc(1, sizeof *c);
    if (c == NULL)
        die("rpc: no memory");
    c->options = o;
    c->clients = calloc(o->connections, sizeof(*c->clients));
    if (c->clients == NULL)
        die("rpc: no memory");
    const struct peer_loops loops = {.count = o->loops, .busy_poll_us = o->busy_poll_us};
    peer_start(&c->peer, credentials, &credentials->client, &loops);
    for (unsigned i = 0; i < o->connections; i++) {
        peer_check("client", peer_client(&c->peer, address, &c->clients[i]));
        connect_first(c, c->clients[i]);
    }
    return c;
}

/* A call whose end starts the lanes of its connection, on the thread on which their calls end. */
static void start_lanes(const struct covey_reply *reply, void *user)
{
    struct lane *first = user;
    const struct load *load = first->load;
    if (reply->code != COVEY_STATUS_OK)
        die("rpc: starting call: %s: %s", covey_status_name(reply->code), reply->message);
    for (unsigned i = (unsigned)(first - load->lanes); i < load->lane_count;
         i += load->options->connections)
        load_start(&load->lanes[i], now_ns());
}

static void *run_clock(void *user)
{
    struct load *load = user;
    uint64_t next;
    set_precise_sleep();
    while ((next = load_run(load, now_ns())) != UINT64_MAX)
        sleep_until_ns(next);
    return NULL;
}

static void start_thread(struct engine_client *c, void *(*body)(void *), void *user)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int error = pthread_create(&c->threads[c->thread_count++], &attributes, body, user);
    pthread_attr_destroy(&attributes);
    if (error != 0)
        die("rpc: no more threads");
}

void engine_client_run(struct engine_client *c, struct load *load)
{
    const struct options *o = c->options;
    load_init(load, o, call);
    assert(load->lane_count > 0);
    for (unsigned i = 0; i < load->lane_count; i++)
        load->lanes[i].target = c->clients[i % o->connections];
    c->threads = calloc(load->lane_count, sizeof *c->threads);
    if (c->threads == NULL)
        die("rpc: no memory");
    load_open(load, now_ns());
    if (o->blocking)
        for (unsigned i = 0; i < load->lane_count; i++)
            start_thread(c, call_blocking, &load->lanes[i]);
    else if (o->rate != 0)
        start_thread(c, run_clock, load);
    else
        for (unsigned i = 0; i < o->connections; i++)
            peer_check("starting call",
                       covey_client_call_async(c->clients[i], "echo", load->issuers[i].request,
                                               o->size, NULL, start_lanes, &load->lanes[i]));
}

void engine_client_stop(struct engine_client *c)
{
    for (unsigned i = 0; i < c->thread_count; i++)
        pthread_join(c->threads[i], NULL);
    for (unsigned i = 0; i < c->options->connections; i++)
        covey_client_free(c->clients[i]);
    peer_stop(&c->peer);
    free(c->threads);
    free(c->clients);
    free(c);
}
