/*
 * What membership costs calls. Two servers, each in a process of its own: one alone, one a member of a cluster
 * whose other members are in a third. One client makes the same calls to both in turn, so that a pair of
 * windows sees the same minute of the machine, and what counts is the ratio within each pair.
 *
 *     toll [--members N] [--pairs N] [--window MS] [--inflight N] [--json]
 */
#include "peer.h"
#include "process.h"

#include <getopt.h>
#include <inttypes.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMBERS_MAX  64
#define PAIRS_MAX    1000
#define INFLIGHT_MAX 1024
#define BODY_SIZE    64
#define JOIN_TIMEOUT (60 * COVEY_SECOND)
#define LOOK_NS      10000000u
#define WARM_MS      500u

enum side { ALONE, MEMBER, SIDES };

struct plan {
    unsigned members;
    unsigned pairs;
    unsigned window_ms;
    unsigned inflight;
    bool json;
    struct credentials credentials; /* its server is the one that is alone */
    struct covey_pem own[MEMBERS_MAX];
    char seed[PROCESS_ADDRESS_SIZE];
};

/* ---- servers ---- */

static const struct peer_loops one_loop = {.count = 1};

static void echo(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size);
}

static void serve(const struct plan *plan, const struct covey_pem *own, struct peer *p,
                  char *address)
{
    const struct covey_method method = {.name = "echo", .handler = echo};
    peer_start(p, &plan->credentials, own, &one_loop);
    peer_serve(p, &method, 1, address);
}

/* With all that may be looked at when a call comes in. */
static void join(struct peer *p, const char *seed)
{
    struct covey_cluster_config config;
    covey_cluster_config_init(&config);
    config.partition.read_only_on_partition = true;
    peer_check("cluster", covey_server_enable_cluster(p->server, &config, &seed, seed != NULL));
}

static void wait_whole(const struct peer *p, unsigned members)
{
    covey_cluster *cluster = covey_server_cluster(p->server);
    uint64_t begun = now_ns();
    size_t count = 0;
    peer_check("joining", covey_cluster_wait_joined(cluster, JOIN_TIMEOUT));
    while (count < members) {
        covey_node_list *list;
        if (now_ns() - begun > JOIN_TIMEOUT)
            die("toll: %zu of %u members after %.0f s", count, members, (double)JOIN_TIMEOUT / 1e9);
        peer_check("members", covey_cluster_members(cluster, &list));
        count = covey_node_list_count(list);
        covey_node_list_free(list);
        sleep_until_ns(now_ns() + LOOK_NS);
    }
}

/* Tells its CPU time at each byte that comes, until no more come. */
static int tell_usage(int from_parent, int to_parent)
{
    char byte;
    while (read(from_parent, &byte, 1) == 1) {
        double cpu = cpu_seconds();
        if (!write_all(to_parent, &cpu, sizeof cpu))
            return 1;
    }
    return 0;
}

static int be_alone(void *user, int from_parent, int to_parent)
{
    const struct plan *plan = user;
    char address[PROCESS_ADDRESS_SIZE];
    struct peer p;
    pin_to_core(0);
    serve(plan, &plan->credentials.server, &p, address);
    int status =
        !write_all(to_parent, address, sizeof address) || tell_usage(from_parent, to_parent);
    peer_stop(&p);
    return status;
}

static int be_member(void *user, int from_parent, int to_parent)
{
    const struct plan *plan = user;
    char address[PROCESS_ADDRESS_SIZE];
    struct peer p;
    pin_to_core(0);
    serve(plan, &plan->own[0], &p, address);
    join(&p, plan->seed);
    wait_whole(&p, plan->members);
    int status =
        !write_all(to_parent, address, sizeof address) || tell_usage(from_parent, to_parent);
    peer_stop(&p);
    return status;
}

/* All other members, until nobody listens any more. */
static int be_others(void *user, int from_parent, int to_parent)
{
    const struct plan *plan = user;
    static struct peer peers[MEMBERS_MAX];
    char first[PROCESS_ADDRESS_SIZE], address[PROCESS_ADDRESS_SIZE], byte;
    for (unsigned i = 1; i < plan->members; i++) {
        serve(plan, &plan->own[i], &peers[i], i == 1 ? first : address);
        join(&peers[i], i == 1 ? NULL : first);
    }
    int status = !write_all(to_parent, first, sizeof first) || read(from_parent, &byte, 1) != 0;
    for (unsigned i = 1; i < plan->members; i++)
        peer_stop(&peers[i]);
    return status;
}

/* ---- the client: a window of calls ---- */

/* Its calls end on the client's loop, which alone counts; who waits reads when all have. */
struct window {
    covey_client *client;
    atomic_bool is_over;
    atomic_uint under_way;
    uint64_t calls;
    uint64_t errors;
    sem_t ended;
};

static const char body[BODY_SIZE] = "what is sent comes back";

static void on_reply(const struct covey_reply *reply, void *user);

static void call_once(struct window *w)
{
    peer_check("call",
               covey_client_call_async(w->client, "echo", body, sizeof body, NULL, on_reply, w));
}

static void on_reply(const struct covey_reply *reply, void *user)
{
    struct window *w = user;
    bool is_right = reply->code == COVEY_STATUS_OK && reply->size == sizeof body &&
                    memcmp(reply->data, body, sizeof body) == 0;
    w->calls++;
    w->errors += !is_right;
    if (!atomic_load_explicit(&w->is_over, memory_order_relaxed))
        call_once(w);
    else if (atomic_fetch_sub(&w->under_way, 1) == 1)
        sem_post(&w->ended);
}

struct figures {
    double calls_per_s;
    double cpu_us; /* of the server's process, a call */
    uint64_t errors;
};

static double ask_usage(const struct child *child)
{
    double cpu;
    if (!write_all(child->to, "?", 1) || !read_all(child->from, &cpu, sizeof cpu))
        die("toll: a server is gone");
    return cpu;
}

static struct figures measure(covey_client *client, const struct child *server, unsigned inflight,
                              unsigned window_ms)
{
    struct window w = {.client = client};
    atomic_store(&w.under_way, inflight);
    sem_init(&w.ended, 0, 0);
    double cpu = ask_usage(server);
    uint64_t begun = now_ns();
    for (unsigned i = 0; i < inflight; i++)
        call_once(&w);
    sleep_until_ns(begun + window_ms * UINT64_C(1000000));
    atomic_store(&w.is_over, true);
    while (sem_wait(&w.ended) != 0)
        ;
    double seconds = (double)(now_ns() - begun) / 1e9;
    cpu = ask_usage(server) - cpu;
    sem_destroy(&w.ended);
    return (struct figures){.calls_per_s = (double)w.calls / seconds,
                            .cpu_us = cpu * 1e6 / (double)w.calls,
                            .errors = w.errors};
}

/* ---- all of them ---- */

/* Of all pairs, the quotient of the member's figure and the other's. */
struct ratio {
    double low, median, high;
};

struct report {
    double calls_per_s[SIDES];
    double cpu_us[SIDES];
    struct ratio calls;
    struct ratio cpu;
    uint64_t errors;
};

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static struct ratio summarise(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, by_size);
    return (struct ratio){values[0], values[count / 2], values[count - 1]};
}

static double median(double *values, unsigned count)
{
    return summarise(values, count).median;
}

static struct report measure_pairs(const struct plan *plan, covey_client *const *clients,
                                   const struct child *servers)
{
    static double calls[SIDES][PAIRS_MAX], cpu[SIDES][PAIRS_MAX];
    static double calls_ratio[PAIRS_MAX], cpu_ratio[PAIRS_MAX];
    struct report r = {.errors = 0};
    for (int side = 0; side < SIDES; side++)
        (void)measure(clients[side], &servers[side], plan->inflight, WARM_MS);
    for (unsigned i = 0; i < plan->pairs; i++) {
        for (unsigned k = 0; k < SIDES; k++) {
            unsigned side = (i + k) % SIDES; /* each is as often the first */
            struct figures f =
                measure(clients[side], &servers[side], plan->inflight, plan->window_ms);
            calls[side][i] = f.calls_per_s;
            cpu[side][i] = f.cpu_us;
            r.errors += f.errors;
        }
        calls_ratio[i] = calls[MEMBER][i] / calls[ALONE][i];
        cpu_ratio[i] = cpu[MEMBER][i] / cpu[ALONE][i];
    }
    for (int side = 0; side < SIDES; side++) {
        r.calls_per_s[side] = median(calls[side], plan->pairs);
        r.cpu_us[side] = median(cpu[side], plan->pairs);
    }
    r.calls = summarise(calls_ratio, plan->pairs);
    r.cpu = summarise(cpu_ratio, plan->pairs);
    return r;
}

static void print_json(const struct plan *plan, const struct report *r)
{
    printf("{\"bench\":\"toll\",\"members\":%u,\"pairs\":%u,\"window_ms\":%u,\"inflight\":%u,"
           "\"errors\":%" PRIu64 ",\"alone\":{\"calls_per_s\":%.0f,\"cpu_us_per_call\":%.3f},"
           "\"member\":{\"calls_per_s\":%.0f,\"cpu_us_per_call\":%.3f},",
           plan->members, plan->pairs, plan->window_ms, plan->inflight, r->errors,
           r->calls_per_s[ALONE], r->cpu_us[ALONE], r->calls_per_s[MEMBER], r->cpu_us[MEMBER]);
    printf("\"calls_ratio\":{\"low\":%.3f,\"median\":%.3f,\"high\":%.3f},"
           "\"cpu_ratio\":{\"low\":%.3f,\"median\":%.3f,\"high\":%.3f}}\n",
           r->calls.low, r->calls.median, r->calls.high, r->cpu.low, r->cpu.median, r->cpu.high);
}

static void print_text(const struct plan *plan, const struct report *r)
{
    printf("%u calls in flight, %u pairs of %u ms; a cluster of %u; %" PRIu64 " errors\n",
           plan->inflight, plan->pairs, plan->window_ms, plan->members, r->errors);
    printf("                     alone     member     ratio (of all pairs)\n");
    printf("  calls/s       %10.0f %10.0f     %.3f (%.3f to %.3f)\n", r->calls_per_s[ALONE],
           r->calls_per_s[MEMBER], r->calls.median, r->calls.low, r->calls.high);
    printf("  CPU us/call   %10.2f %10.2f     %.3f (%.3f to %.3f)\n", r->cpu_us[ALONE],
           r->cpu_us[MEMBER], r->cpu.median, r->cpu.low, r->cpu.high);
}

/* ---- the command line ---- */

static bool take_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *out = (unsigned)value;
    return end != text && *end == '\0' && value >= min && value <= max;
}

static bool parse(int argc, char **argv, struct plan *plan)
{
    static const struct option flags[] = {
        {"members", required_argument, NULL, 'm'}, {"pairs", required_argument, NULL, 'p'},
        {"window", required_argument, NULL, 'w'},  {"inflight", required_argument, NULL, 'i'},
        {"json", no_argument, NULL, 'j'},          {NULL, 0, NULL, 0},
    };
    int flag;
    bool is_right = true;
    *plan = (struct plan){.members = 5, .pairs = 20, .window_ms = 500, .inflight = 64};
    while (is_right && (flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        if (flag == 'm')
            is_right = take_number(optarg, 2, MEMBERS_MAX, &plan->members);
        else if (flag == 'p')
            is_right = take_number(optarg, 1, PAIRS_MAX, &plan->pairs);
        else if (flag == 'w')
            is_right = take_number(optarg, 10, 60000, &plan->window_ms);
        else if (flag == 'i')
            is_right = take_number(optarg, 1, INFLIGHT_MAX, &plan->inflight);
        else if (flag == 'j')
            plan->json = true;
        else
            is_right = false;
    }
    return is_right && optind == argc;
}

static void read_address(const struct child *child, char *address)
{
    if (!read_all(child->from, address, PROCESS_ADDRESS_SIZE))
        die("toll: no address from another process");
    address[PROCESS_ADDRESS_SIZE - 1] = 0;
}

static void make_credentials(struct plan *plan)
{
    char name[16];
    credentials_make(&plan->credentials);
    for (unsigned i = 0; i < plan->members; i++) {
        snprintf(name, sizeof name, "n%u", i);
        credentials_issue(&plan->credentials.ca, name, COVEY_ROLE_MEMBER, &plan->own[i]);
    }
}

static struct report run(struct plan *plan, const struct child *servers)
{
    char address[PROCESS_ADDRESS_SIZE];
    struct peer own;
    covey_client *clients[SIDES];
    pin_to_core(1);
    peer_start(&own, &plan->credentials, &plan->credentials.client, &one_loop);
    for (int side = 0; side < SIDES; side++) {
        read_address(&servers[side], address);
        peer_check("client", peer_client(&own, address, &clients[side]));
    }
    struct report report = measure_pairs(plan, clients, servers);
    for (int side = 0; side < SIDES; side++)
        covey_client_free(clients[side]);
    peer_stop(&own);
    return report;
}

int main(int argc, char **argv)
{
    static struct plan plan;
    opterr = 0;
    if (!parse(argc, argv, &plan)) {
        fprintf(stderr,
                "toll: usage: toll [--members 2..%d] [--pairs 1..%d] [--window 10..60000] "
                "[--inflight 1..%d] [--json]\n",
                MEMBERS_MAX, PAIRS_MAX, INFLIGHT_MAX);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    make_credentials(&plan);
    struct child others = child_start(be_others, &plan);
    read_address(&others, plan.seed);
    struct child servers[SIDES];
    servers[ALONE] = child_start(be_alone, &plan);
    servers[MEMBER] = child_start(be_member, &plan);
    struct report report = run(&plan, servers);
    int status = child_end(&servers[MEMBER]) | child_end(&servers[ALONE]) | child_end(&others);
    for (unsigned i = 0; i < plan.members; i++)
        covey_pem_free(&plan.own[i]);
    credentials_free(&plan.credentials);
    if (plan.json)
        print_json(&plan, &report);
    else
        print_text(&plan, &report);
    return status != 0 || report.errors != 0;
}
