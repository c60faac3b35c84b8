/*
 * Echo calls between two processes on loopback, the server on one core and the client on another.
 * The same for covey and for the bound: engine.h says what differs.
 *
 *       this process                      child
 *     client, core 1  <-- datagrams -->  server, core 0        (with --loss a second child,
 *       load, result  <---- pipes ----   its CPU and memory     the proxy, stands between)
 */
#include "engine.h"
#include "process.h"
#include "proxy.h"
#include "result.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WARM_NS 500000000u
/* A call's own timeout is 30 s. */
#define END_SECONDS 35

struct plan {
    struct options options;
    struct credentials credentials;
};

/* What the server's process says of itself. */
struct usage {
    double cpu_s;
    long rss_kib;
};

/* Tells its address, then its usage at each byte that comes, until no more come. */
static int serve(void *user, int from_parent, int to_parent)
{
    const struct plan *plan = user;
    char address[PROCESS_ADDRESS_SIZE] = {0};
    char byte;
    if (plan->options.loops == 1)
        pin_to_core(0);
    struct engine_server *server = engine_server_start(&plan->options, &plan->credentials, address);
    if (!write_all(to_parent, address, sizeof address))
        return 1;
    while (read(from_parent, &byte, 1) == 1) {
        struct usage usage = {.cpu_s = cpu_seconds(), .rss_kib = peak_rss_kib()};
        if (!write_all(to_parent, &usage, sizeof usage))
            return 1;
    }
    engine_server_stop(server);
    return 0;
}

static struct usage ask_usage(const struct child *server)
{
    struct usage usage;
    if (!write_all(server->to, "?", 1) || !read_all(server->from, &usage, sizeof usage))
        die("%s: the server is gone", engine_name);
    return usage;
}

static void read_address(const struct child *child, char *address)
{
    if (!read_all(child->from, address, PROCESS_ADDRESS_SIZE))
        die("%s: no address from the other process", engine_name);
    address[PROCESS_ADDRESS_SIZE - 1] = 0;
}

/* Warms up, counts for the wanted time, stops, and waits for what is under way. */
static void measure(const struct options *o, struct load *load, const struct child *server,
                    struct result *result)
{
    sleep_until_ns(now_ns() + WARM_NS);
    double server_cpu = ask_usage(server).cpu_s;
    double cpu = cpu_seconds();
    uint64_t begun = now_ns();
    load_set_phase(load, LOAD_COUNTING);
    sleep_until_ns(begun + (uint64_t)o->seconds * 1000000000u);
    load_set_phase(load, LOAD_STOPPED);
    result->seconds = (double)(now_ns() - begun) / 1e9;
    result->client_cpu_s = cpu_seconds() - cpu;
    struct usage usage = ask_usage(server);
    result->server_cpu_s = usage.cpu_s - server_cpu;
    result->server_rss_kib = usage.rss_kib;
    if (!load_wait(load, END_SECONDS))
        die("%s: calls have not ended after %d s", engine_name, END_SECONDS);
    const struct issuer *total = load_total(load);
    result->calls = total->calls;
    result->errors = total->errors;
    result->latency = &total->latency;
}

static int run_client(struct plan *plan, const char *address, const struct child *server)
{
    const struct options *o = &plan->options;
    struct result result = {0};
    static struct load load;
    if (o->loops == 1)
        pin_to_core(1);
    struct engine_client *client = engine_client_start(o, &plan->credentials, address);
    engine_client_run(client, &load);
    measure(o, &load, server, &result);
    engine_client_stop(client);
    result_print(stdout, engine_name, o, &result);
    load_fini(&load);
    return result.errors != 0 || result.calls == 0;
}

int main(int argc, char **argv)
{
    static struct plan plan;
    char reason[OPTIONS_REASON_SIZE];
    char address[PROCESS_ADDRESS_SIZE];
    struct child proxy = {0};
    if (!options_parse(argc, argv, &plan.options, reason)) {
        fprintf(stderr, "%s: %s\n", engine_name, reason);
        return 2;
    }
    const char *refusal = engine_refuses(&plan.options);
    if (refusal != NULL) {
        fprintf(stderr, "%s: %s\n", engine_name, refusal);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    credentials_make(&plan.credentials);
    struct child server = child_start(serve, &plan);
    read_address(&server, address);
    if (plan.options.loss_ppm > 0) {
        struct proxy config = {.options = &plan.options, .server = address};
        proxy = child_start(proxy_serve, &config);
        read_address(&proxy, address);
    }
    int status = run_client(&plan, address, &server);
    if (proxy.pid != 0)
        status |= child_end(&proxy);
    status |= child_end(&server);
    credentials_free(&plan.credentials);
    return status;
}
