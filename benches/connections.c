/*
 * Idle connections: how fast they are made and what they cost. A client's process opens them to a
 * server's process, a few at a time, each with one call that proves it; then both are looked at.
 */
#include "peer.h"
#include "process.h"

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CONNECTIONS_MAX 15000
/* Handshakes under way at once. */
#define WINDOW 16
/* Calls under way while connections are kept from idling away, and how often that is done: covey
 * closes what was idle for 120 s. */
#define KEEP_WINDOW      256
#define KEEP_INTERVAL_NS 50000000000u
/* After the last handshake, before memory is looked at. */
#define SETTLE_NS      1000000000u
#define TIMEOUT_NS     (60 * COVEY_SECOND)
#define CALL_SIZE      1
#define SECONDS_OF(ns) ((double)(ns) / 1e9)

static const char name[] = "connections";
static const struct peer_loops one_loop = {.count = 1};

struct plan {
    unsigned connections;
    bool json;
    struct credentials credentials;
};

struct usage {
    double cpu_s;
    long rss_kib;
};

struct opening {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned open; /* handshakes under way */
    unsigned done;
    unsigned errors;
};

/* One side's memory and CPU, before and after. */
struct side {
    struct usage before;
    struct usage after;
};

static struct usage own_usage(void)
{
    return (struct usage){.cpu_s = cpu_seconds(), .rss_kib = current_rss_kib()};
}

/* ---- the server's process ---- */

static void echo(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size);
}

static int serve(void *user, int from_parent, int to_parent)
{
    const struct plan *plan = user;
    const struct covey_method method = {.name = "echo", .handler = echo};
    struct peer peer;
    char address[PROCESS_ADDRESS_SIZE];
    char byte;
    pin_to_core(0);
    peer_start(&peer, &plan->credentials, &plan->credentials.server, &one_loop);
    peer_serve(&peer, &method, plan->connections + WINDOW, address);
    if (!write_all(to_parent, address, sizeof address))
        return 1;
    while (read(from_parent, &byte, 1) == 1) {
        struct usage usage = own_usage();
        if (!write_all(to_parent, &usage, sizeof usage))
            return 1;
    }
    peer_stop(&peer);
    return 0;
}

static struct usage ask_usage(const struct child *server)
{
    struct usage usage;
    if (!write_all(server->to, "?", 1) || !read_all(server->from, &usage, sizeof usage))
        die("%s: the server is gone", name);
    return usage;
}

/* ---- the client ---- */

static void on_reply(const struct covey_reply *reply, void *user)
{
    struct opening *opening = user;
    pthread_mutex_lock(&opening->lock);
    if (reply->code != COVEY_STATUS_OK && opening->errors++ == 0)
        fprintf(stderr, "%s: %s: %s\n", name, covey_status_name(reply->code), reply->message);
    opening->open--;
    opening->done++;
    pthread_cond_signal(&opening->changed);
    pthread_mutex_unlock(&opening->lock);
}

/* Waits until at most `open` handshakes are under way. */
static void wait_for(struct opening *opening, unsigned open)
{
    pthread_mutex_lock(&opening->lock);
    while (opening->open > open)
        pthread_cond_wait(&opening->changed, &opening->lock);
    pthread_mutex_unlock(&opening->lock);
}

static void call_once(covey_client *client, struct opening *opening)
{
    struct covey_call_options options;
    covey_call_options_init(&options);
    options.timeout = TIMEOUT_NS;
    pthread_mutex_lock(&opening->lock);
    opening->open++;
    pthread_mutex_unlock(&opening->lock);
    peer_check("call", covey_client_call_async(client, "echo", "x", CALL_SIZE, &options, on_reply,
                                               opening));
}

static void keep_all(covey_client **clients, unsigned count, struct opening *opening)
{
    for (unsigned i = 0; i < count; i++) {
        wait_for(opening, KEEP_WINDOW - 1);
        call_once(clients[i], opening);
    }
}

/* Returns the number that could be made: a client may find no socket any more. */
static unsigned open_all(const struct peer *peer, const char *address, covey_client **clients,
                         unsigned count, struct opening *opening)
{
    uint64_t keep_at = now_ns() + KEEP_INTERVAL_NS;
    for (unsigned i = 0; i < count; i++) {
        if (now_ns() >= keep_at) {
            keep_all(clients, i, opening);
            keep_at = now_ns() + KEEP_INTERVAL_NS;
        }
        wait_for(opening, WINDOW - 1);
        int error = peer_client(peer, address, &clients[i]);
        if (error != 0) {
            fprintf(stderr, "%s: client %u: %s\n", name, i, covey_strerror(error));
            return i;
        }
        call_once(clients[i], opening);
    }
    return count;
}

static long bytes_each(const struct side *side, unsigned count)
{
    long kib = side->after.rss_kib - side->before.rss_kib;
    return count == 0 ? 0 : kib * 1024 / (long)count;
}

static double cpu_us_each(const struct side *side, unsigned count)
{
    return count == 0 ? 0 : (side->after.cpu_s - side->before.cpu_s) * 1e6 / count;
}

static void print_result(const struct plan *plan, unsigned count, unsigned errors, double seconds,
                         const struct side *client, const struct side *server)
{
    double rate = seconds > 0 ? count / seconds : 0;
    double client_us = cpu_us_each(client, count), server_us = cpu_us_each(server, count);
    long client_bytes = bytes_each(client, count), server_bytes = bytes_each(server, count);
    if (plan->json)
        printf("{\"bench\":\"%s\",\"connections\":%u,\"errors\":%u,\"seconds\":%.3f,"
               "\"handshakes_per_s\":%.0f,\"client_cpu_us_per_handshake\":%.0f,"
               "\"server_cpu_us_per_handshake\":%.0f,\"client_rss_kib\":%ld,"
               "\"server_rss_kib\":%ld,\"client_bytes_per_connection\":%ld,"
               "\"server_bytes_per_connection\":%ld}\n",
               name, count, errors, seconds, rate, client_us, server_us, client->after.rss_kib,
               server->after.rss_kib, client_bytes, server_bytes);
    else
        printf("%s: %u of %u, %u errors, in %.2f s: %.0f full handshakes/s\n"
               "  CPU us a handshake: client %.0f, server %.0f\n"
               "  client: %ld KiB in all, %ld bytes a connection\n"
               "  server: %ld KiB in all, %ld bytes a connection\n",
               name, count, plan->connections, errors, seconds, rate, client_us, server_us,
               client->after.rss_kib, client_bytes, server->after.rss_kib, server_bytes);
}

static int run_client(const struct plan *plan, const struct child *server_process)
{
    char address[PROCESS_ADDRESS_SIZE];
    struct peer peer;
    struct opening opening = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    struct side client, server;
    covey_client **clients = calloc(plan->connections, sizeof(*clients));
    pin_to_core(1);
    if (clients == NULL)
        die("%s: no memory", name);
    if (!read_all(server_process->from, address, sizeof address))
        die("%s: no address from the server", name);
    peer_start(&peer, &plan->credentials, &plan->credentials.client, &one_loop);
    client.before = own_usage();
    server.before = ask_usage(server_process);
    uint64_t begun = now_ns();
    unsigned made = open_all(&peer, address, clients, plan->connections, &opening);
    wait_for(&opening, 0);
    double seconds = SECONDS_OF(now_ns() - begun);
    client.after.cpu_s = cpu_seconds();
    server.after = ask_usage(server_process);
    sleep_until_ns(now_ns() + SETTLE_NS);
    client.after.rss_kib = current_rss_kib();
    server.after.rss_kib = ask_usage(server_process).rss_kib;
    print_result(plan, made, opening.errors, seconds, &client, &server);
    for (unsigned i = 0; i < made; i++)
        covey_client_free(clients[i]);
    peer_stop(&peer);
    free(clients);
    return opening.errors != 0 || made < plan->connections;
}

static bool parse(int argc, char **argv, struct plan *plan)
{
    static const struct option flags[] = {
        {"connections", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    int flag;
    char *end;
    *plan = (struct plan){.connections = 1000};
    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        unsigned long value = flag == 'c' ? strtoul(optarg, &end, 10) : 1;
        if (flag == '?' || value < 1 || value > CONNECTIONS_MAX || (flag == 'c' && *end != 0))
            return false;
        if (flag == 'c')
            plan->connections = (unsigned)value;
        else
            plan->json = true;
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    static struct plan plan;
    opterr = 0;
    if (!parse(argc, argv, &plan)) {
        fprintf(stderr, "%s: usage: connections [--connections 1..%d] [--json]\n", name,
                CONNECTIONS_MAX);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    credentials_make(&plan.credentials);
    struct child server = child_start(serve, &plan);
    int status = run_client(&plan, &server);
    status |= child_end(&server);
    credentials_free(&plan.credentials);
    return status;
}
