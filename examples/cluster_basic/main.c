/*
 * A cluster member: it joins, serves one method, prints what happens, and leaves on Ctrl-C.
 *
 *     cluster_basic TLS_DIR HOST:PORT [SEED...]
 */
#include <covey/covey.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

static void must(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "cluster_basic: %s: %s\n", what, covey_strerror(error));
    exit(EXIT_FAILURE);
}

/* Handlers run on a thread of the library's: answer at once, or keep the call and answer later. */
static void hello(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request, (void)size, (void)user;
    covey_call_reply(call, "hello", 5);
}

/* Until Ctrl-C, or until somebody makes this node leave. */
static void print_events(covey_event_receiver *events)
{
    struct covey_event event = {.size = sizeof event};
    int error = 0;

    while (!stopped && error != COVEY_ERR_CLOSED) {
        error = covey_event_receive(events, COVEY_SECOND / 5, &event);
        if (error == 0 && event.node != NULL)
            printf("%s: %s at %s\n", covey_event_name(event.type), event.node->name,
                   event.node->address);
        fflush(stdout);
    }
}

/* [node] */
static void run_node(const char *tls_dir, const char *listen, const char *const *seeds, size_t n)
{
    covey_identity *identity; /* ca.pem, cert.pem and key.pem of a directory */
    covey_runtime *runtime;   /* the threads that everything runs on */
    covey_server *server;     /* one UDP port, for calls and for membership */
    covey_event_receiver *events;
    const struct covey_method method = {.name = "hello", .handler = hello};
    struct covey_server_config config;
    struct covey_cluster_config cluster_config;

    must(covey_identity_load(tls_dir, &identity, NULL), tls_dir);
    must(covey_runtime_new(NULL, &runtime), "runtime");
    covey_server_config_init(&config);
    config.runtime = runtime;
    config.identity = identity;
    config.listen = listen;
    must(covey_server_new(&config, &server), listen);
    must(covey_server_add_method(server, &method), "hello");
    must(covey_server_start(server), "start");
    printf("listening on %s\n", covey_server_address(server));

    covey_cluster_config_init(&cluster_config);
    must(covey_server_enable_cluster(server, &cluster_config, seeds, n), "cluster");
    must(covey_server_cluster_events(server, &events), "events");
    print_events(events);

    covey_event_receiver_free(events);
    covey_server_free(server); /* says goodbye to the others */
    covey_runtime_free(runtime);
    covey_identity_free(identity);
}
/* [node] */

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: cluster_basic TLS_DIR HOST:PORT [SEED...]\n");
        return EXIT_FAILURE;
    }
    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    run_node(argv[1], argv[2], (const char *const *)argv + 3, (size_t)argc - 3);
    return EXIT_SUCCESS;
}
