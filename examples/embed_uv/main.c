/*
 * A cluster member in a program that has a libuv loop already: no thread of covey's runs user code.
 * Everything, calls and membership and the program's own timer and signals, happens inside the one
 * uv_run() below.
 *
 *     embed_uv TLS_DIR HOST:PORT [SEED...]
 */
#include <covey/covey.h>
#include <covey/uv.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct node {
    uv_loop_t loop;
    uv_signal_t interrupted;
    uv_signal_t terminated;
    uv_timer_t timer;
    uv_poll_t events_ready;
    unsigned ticks;
    covey_identity *identity;
    covey_runtime *runtime;
    covey_server *server;
    covey_event_receiver *events;
};

static void must(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "embed_uv: %s: %s\n", what, covey_strerror(error));
    exit(EXIT_FAILURE);
}

static void must_uv(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "embed_uv: %s: %s\n", what, uv_strerror(error));
    exit(EXIT_FAILURE);
}

/* Runs on the loop's thread, so what the timer counts needs no lock. */
static void ticks(covey_call *call, const void *request, size_t size, void *user)
{
    const struct node *node = user;
    char text[32];
    int length = snprintf(text, sizeof text, "%u", node->ticks);
    (void)request, (void)size;
    covey_call_reply(call, text, (size_t)length);
}

static void on_tick(uv_timer_t *timer)
{
    struct node *node = timer->data;
    node->ticks++;
}

/* The receiver's descriptor is readable while an event waits: one more handle of the loop. */
static void on_events(uv_poll_t *poll, int status, int events)
{
    struct node *node = poll->data;
    struct covey_event event = {.size = sizeof event};
    (void)status, (void)events;
    while (covey_event_receive(node->events, 0, &event) == 0)
        if (event.node != NULL)
            printf("%s: %s at %s\n", covey_event_name(event.type), event.node->name,
                   event.node->address);
    fflush(stdout);
}

/* [end] */
/* Everything of covey's is freed on the loop's thread, outside of covey's own callbacks. Its handles
 * close with the program's, in the rounds that uv_run() still makes. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct node *node = handle->data;
    (void)number;
    uv_close((uv_handle_t *)&node->interrupted, NULL);
    uv_close((uv_handle_t *)&node->terminated, NULL);
    uv_close((uv_handle_t *)&node->timer, NULL);
    uv_close((uv_handle_t *)&node->events_ready, NULL);
    covey_event_receiver_free(node->events);
    covey_server_free(node->server); /* says goodbye to the others */
    must(covey_runtime_free(node->runtime), "free");
}
/* [end] */

static void start_covey(struct node *node, const char *tls_dir, const char *listen,
                        const char *const *seeds, size_t seed_count)
{
    const struct covey_method method = {.name = "ticks", .handler = ticks, .user = node};
    struct covey_server_config config;
    struct covey_cluster_config cluster;

    must(covey_identity_load(tls_dir, &node->identity, NULL), tls_dir);
    must(covey_uv_runtime_new(NULL, &node->loop, &node->runtime), "runtime");
    covey_server_config_init(&config);
    config.runtime = node->runtime;
    config.identity = node->identity;
    config.listen = listen;
    must(covey_server_new(&config, &node->server), listen);
    must(covey_server_add_method(node->server, &method), "ticks");
    must(covey_server_start(node->server), "start");
    covey_cluster_config_init(&cluster);
    must(covey_server_enable_cluster(node->server, &cluster, seeds, seed_count), "cluster");
    must(covey_server_cluster_events(node->server, &node->events), "events");
    printf("listening on %s\n", covey_server_address(node->server));
    fflush(stdout);
}

static void start_own(struct node *node)
{
    must_uv(uv_timer_init(&node->loop, &node->timer), "timer");
    must_uv(uv_timer_start(&node->timer, on_tick, 10, 10), "timer");
    must_uv(uv_signal_init(&node->loop, &node->interrupted), "signal");
    must_uv(uv_signal_start(&node->interrupted, on_signal, SIGINT), "signal");
    must_uv(uv_signal_init(&node->loop, &node->terminated), "signal");
    must_uv(uv_signal_start(&node->terminated, on_signal, SIGTERM), "signal");
    must_uv(uv_poll_init(&node->loop, &node->events_ready, covey_event_receiver_fd(node->events)),
            "events");
    must_uv(uv_poll_start(&node->events_ready, UV_READABLE, on_events), "events");
    node->timer.data = node;
    node->interrupted.data = node;
    node->terminated.data = node;
    node->events_ready.data = node;
}

int main(int argc, char **argv)
{
    static struct node node;
    if (argc < 3) {
        fprintf(stderr, "usage: embed_uv TLS_DIR HOST:PORT [SEED...]\n");
        return EXIT_FAILURE;
    }
    must_uv(uv_loop_init(&node.loop), "loop");
    start_covey(&node, argv[1], argv[2], (const char *const *)argv + 3, (size_t)argc - 3);
    start_own(&node);
    uv_run(&node.loop, UV_RUN_DEFAULT); /* until the last handle is closed, covey's among them */
    must_uv(uv_loop_close(&node.loop), "close");
    covey_identity_free(node.identity);
    return EXIT_SUCCESS;
}
