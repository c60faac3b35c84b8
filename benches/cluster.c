/*
 * A cluster on loopback over real QUIC: how fast it comes together through one seed, how fast news and
 * a death are known to all, and what it costs when nothing happens. All nodes but one are in this
 * process; the last one is in a process of its own, which is killed.
 *
 *     cluster [--nodes N] [--profile lan|local|wan] [--idle SECONDS] [--limit SECONDS] [--short] [--json]
 */
#include "cluster_flock.h"
#include "cluster_inside.h"
#include "cluster_net.h"
#include "histogram.h"
#include "process.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAG_TIMEOUT  (30 * COVEY_SECOND)
#define FAIL_TIMEOUT (120 * COVEY_SECOND)
#define LIMIT_S      900
#define LOOK_NS      2000000u

/* How often what is measured is done. */
struct repetitions {
    unsigned tag_rounds;
    unsigned queries;
    unsigned connects;
    unsigned pool_hits;
    unsigned gossip_updates;
    unsigned settle_s;
};

static const struct repetitions full = {
    .tag_rounds = 100,
    .queries = 200000,
    .connects = 50,
    .pool_hits = 5000000,
    .gossip_updates = 400000,
    .settle_s = 5,
};

/* To see that it runs; sanitizers make all of it slow. */
static const struct repetitions few = {
    .tag_rounds = 5,
    .queries = 1000,
    .connects = 3,
    .pool_hits = 10000,
    .gossip_updates = 4000,
    .settle_s = 1,
};

struct plan {
    unsigned nodes;
    unsigned idle_s;
    unsigned limit_s;
    enum covey_profile profile;
    struct repetitions repetitions;
    bool json;
    bool is_isolated;
    struct covey_pem ca;
    struct covey_pem client;
    struct covey_pem *own; /* one a node; the last one's is killed */
};

struct figures {
    double form_s;
    double phi_trigger_ms;
    double suspect_first_s;
    double failed_first_s;
    double failed_all_s;
    struct histogram tag_all;
    double idle_cpu_pct;
    double idle_bytes;
    double idle_packets;
    long rss_kib;
    uint64_t form_false_failed; /* until it was formed */
    uint64_t false_failed;      /* until one was killed, those among them */
    double form_cpu_s;
    struct inside_connections formed; /* of all nodes here */
    struct inside_connections rested;
    double gossip_updates;
    struct histogram query;
    double pool_hit_ns;
    struct histogram connect;
};

static double seconds_between(uint64_t from, uint64_t to)
{
    return (double)(to - from) / 1e9;
}

/* ---- what it is at, for when it takes too long ---- */

static const char *volatile phase = "certificates";

/* In a handler of a signal, and whatever the other threads hold. */
static void give_up(int number)
{
    static const char text[] = "cluster: over its --limit; it was at: ";
    const char *at = phase;
    (void)number;
    if (write(STDERR_FILENO, text, sizeof text - 1) > 0 && write(STDERR_FILENO, at, strlen(at)) > 0)
        (void)!write(STDERR_FILENO, "\n", 1);
    _exit(1);
}

static void make_credentials(struct plan *plan)
{
    char name[16];
    credentials_make_ca(&plan->ca);
    plan->own = calloc(plan->nodes, sizeof *plan->own);
    if (plan->own == NULL)
        die("cluster: no memory");
    credentials_issue(&plan->ca, "client", COVEY_ROLE_CLIENT, &plan->client);
    for (unsigned i = 0; i < plan->nodes; i++) {
        snprintf(name, sizeof name, "n%u", i);
        credentials_issue(&plan->ca, name, COVEY_ROLE_MEMBER, &plan->own[i]);
    }
}

static void free_credentials(struct plan *plan)
{
    for (unsigned i = 0; i < plan->nodes; i++)
        covey_pem_free(&plan->own[i]);
    free(plan->own);
    covey_pem_free(&plan->client);
    covey_pem_free(&plan->ca);
}

/* ---- the process that is killed ---- */

static int be_victim(void *user, int from_parent, int to_parent)
{
    const struct plan *plan = user;
    char seed[PROCESS_ADDRESS_SIZE];
    static struct flock f;
    const struct flock_config config = {
        .nodes = 1,
        .whole_count = plan->nodes,
        .runtimes = 1,
        .profile = plan->profile,
        .ca = &plan->ca,
        .own = &plan->own[plan->nodes - 1],
    };
    flock_open(&f, &config);
    if (!write_all(to_parent, &f.nodes[0].id, sizeof f.nodes[0].id) ||
        !read_all(from_parent, seed, sizeof seed))
        return 1;
    flock_join(&f, seed);
    uint64_t whole = flock_wait_whole(&f, plan->limit_s * COVEY_SECOND);
    if (!write_all(to_parent, &whole, sizeof whole))
        return 1;
    for (;;)
        pause();
}

/* ---- phases ---- */

static void count_connections(const struct flock *f, struct inside_connections *out)
{
    for (unsigned i = 0; i < f->count; i++)
        inside_count_connections(f->nodes[i].server, out);
}

static void form(const struct plan *plan, struct flock *f, const struct child *victim,
                 struct figures *out)
{
    char seed[PROCESS_ADDRESS_SIZE] = {0};
    uint64_t victim_whole;
    snprintf(seed, sizeof seed, "%s", covey_server_address(f->nodes[0].server));
    double cpu = cpu_seconds();
    uint64_t begun = now_ns();
    flock_join(f, NULL);
    if (!write_all(victim->to, seed, sizeof seed))
        die("cluster: the other process is gone");
    uint64_t whole = flock_wait_whole(f, plan->limit_s * COVEY_SECOND);
    if (!read_all(victim->from, &victim_whole, sizeof victim_whole))
        die("cluster: the other process is gone");
    out->form_s = seconds_between(begun, whole > victim_whole ? whole : victim_whole);
    out->form_cpu_s = cpu_seconds() - cpu;
    out->form_false_failed = flock_failures(f);
    count_connections(f, &out->formed);
}

/* From the call that changes a tag until every node of this process has the event. */
static void spread_tags(const struct plan *plan, struct flock *f, struct figures *out)
{
    char value[16];
    struct flock_watch seen = {0};
    for (unsigned round = 0; round < plan->repetitions.tag_rounds; round++) {
        const struct flock_node *node = &f->nodes[round * 7 % f->count];
        snprintf(value, sizeof value, "%u", round);
        flock_watch(f, COVEY_EVENT_NODE_TAGS_UPDATED, &node->id);
        uint64_t begun = now_ns();
        int error = covey_cluster_update_tag(node->cluster, "round", value);
        /* it tells itself nothing: its tags are its own */
        if (error != 0 || !flock_wait_seen(f, f->count - 1, TAG_TIMEOUT, &seen))
            die("cluster: a tag did not get around: %s, %u of %u", covey_strerror(error), seen.seen,
                f->count - 1);
        histogram_add(&out->tag_all, seen.last_ns - begun);
    }
}

static void ask_tags(const struct plan *plan, const struct flock *f, struct figures *out)
{
    covey_node_list *list;
    for (unsigned i = 0; i < plan->repetitions.queries; i++) {
        uint64_t begun = now_ns();
        if (covey_cluster_nodes_with_tag(f->nodes[0].cluster, "role", "worker", &list) != 0)
            die("cluster: no memory");
        size_t count = covey_node_list_count(list);
        covey_node_list_free(list);
        histogram_add(&out->query, now_ns() - begun);
        if (count == 0)
            die("cluster: no workers");
    }
}

/* A new connection of a client without a session to resume, until the answer to its first call. */
static void connect_often(const struct plan *plan, const struct flock *f, struct figures *out)
{
    for (unsigned i = 0; i < plan->repetitions.connects; i++) {
        struct covey_client_config config;
        struct covey_reply reply;
        covey_client *client;
        covey_identity *identity;
        char reason[COVEY_REASON_SIZE];
        int error = covey_identity_from_pem(plan->ca.cert, plan->client.cert, plan->client.key,
                                            &identity, reason);
        covey_client_config_init(&config);
        config.runtime = f->runtimes[i % f->runtime_count];
        config.identity = identity;
        config.address = covey_server_address(f->nodes[i % f->count].server);
        uint64_t begun = now_ns();
        if (error == 0)
            error = covey_client_new(&config, &client);
        if (error == 0)
            error = covey_client_call(client, "echo", "x", 1, NULL, &reply);
        if (error != 0 || reply.code != COVEY_STATUS_OK)
            die("cluster: call: %s", covey_strerror(error));
        histogram_add(&out->connect, now_ns() - begun);
        covey_reply_clear(&reply);
        covey_client_free(client);
        covey_identity_free(identity);
    }
}

static void settle(const struct repetitions *times)
{
    sleep_until_ns(now_ns() + times->settle_s * UINT64_C(1000000000));
}

static void rest(const struct plan *plan, struct figures *out)
{
    double cpu = cpu_seconds();
    uint64_t begun = now_ns();
    struct net_count before = net_count();
    sleep_until_ns(begun + (uint64_t)plan->idle_s * 1000000000u);
    struct net_count after = net_count();
    double seconds = seconds_between(begun, now_ns());
    double here = plan->nodes - 1; /* the last one's CPU is not this process's */
    out->idle_cpu_pct = (cpu_seconds() - cpu) / seconds / here * 100;
    out->idle_bytes = (double)(after.bytes - before.bytes) / seconds / plan->nodes;
    out->idle_packets = (double)(after.packets - before.packets) / seconds / plan->nodes;
}

static void kill_one(struct flock *f, struct child *victim, const covey_node_id *id,
                     struct figures *out)
{
    struct flock_watch seen = {.seen = 0};
    uint64_t suspected = 0;
    flock_watch(f, COVEY_EVENT_NODE_FAILED, id);
    uint64_t killed = now_ns();
    kill(victim->pid, SIGKILL);
    while (suspected == 0 && now_ns() - killed < FAIL_TIMEOUT) {
        sleep_until_ns(now_ns() + LOOK_NS);
        if (flock_count_doubting(f, id) > 0)
            suspected = now_ns();
    }
    if (!flock_wait_seen(f, f->count, FAIL_TIMEOUT, &seen))
        die("cluster: the dead node is failed on %u of %u", seen.seen, f->count);
    out->suspect_first_s = seconds_between(killed, suspected);
    out->phi_trigger_ms =
        seen.suspected_ns == 0 ? -1 : seconds_between(killed, seen.suspected_ns) * 1e3;
    out->failed_first_s = seconds_between(killed, seen.first_ns);
    out->failed_all_s = seconds_between(killed, seen.last_ns);
}

/* ---- */

static double percentile(const struct histogram *h, double fraction, double unit)
{
    return (double)histogram_percentile(h, fraction) / unit;
}

static const char *profile_name(const struct plan *plan)
{
    static const char *const names[] = {"lan", "local", "wan"};
    return names[plan->profile];
}

static void print_json(const struct plan *plan, const struct figures *r)
{
    const double here = plan->nodes - 1;
    char phi[32] = "null"; /* when a probe was first */
    if (r->phi_trigger_ms >= 0)
        snprintf(phi, sizeof phi, "%.0f", r->phi_trigger_ms);
    printf("{\"bench\":\"cluster\",\"nodes\":%u,\"profile\":\"%s\",\"form_s\":%.3f,"
           "\"form_cpu_s\":%.3f,\"form_dials_per_node\":%.1f,\"form_failed_handshakes\":%" PRIu64
           ",\"form_false_failed\":%" PRIu64
           ",\"phi_trigger_ms\":%s,\"suspect_first_s\":%.3f,\"failed_first_s\":%.3f,"
           "\"failed_all_s\":%.3f,",
           plan->nodes, profile_name(plan), r->form_s, r->form_cpu_s,
           (double)r->formed.dialled / here, r->formed.failed, r->form_false_failed, phi,
           r->suspect_first_s, r->failed_first_s, r->failed_all_s);
    printf("\"tag_all_ms\":{\"p50\":%.2f,\"p99\":%.2f},\"idle_s\":%u,"
           "\"idle_cpu_pct_per_node\":%.3f,\"idle_bytes_per_node_s\":%.0f,"
           "\"idle_packets_per_node_s\":%.2f,\"bytes_are_own\":%s,"
           "\"idle_connections_per_node\":%.1f,\"false_failed\":%" PRIu64
           ",\"rss_kib_per_node\":%ld,",
           percentile(&r->tag_all, 0.5, 1e6), percentile(&r->tag_all, 0.99, 1e6), plan->idle_s,
           r->idle_cpu_pct, r->idle_bytes, r->idle_packets, plan->is_isolated ? "true" : "false",
           (double)r->rested.open / here, r->false_failed, r->rss_kib);
    printf("\"gossip_updates_per_s\":%.0f,\"tag_query_ns\":{\"p50\":%.0f,\"p95\":%.0f,"
           "\"p99\":%.0f},\"pool_hit_ns\":%.1f,\"connect_us\":%.0f}\n",
           r->gossip_updates, percentile(&r->query, 0.5, 1), percentile(&r->query, 0.95, 1),
           percentile(&r->query, 0.99, 1), r->pool_hit_ns, percentile(&r->connect, 0.5, 1e3));
}

static void print_text(const struct plan *plan, const struct figures *r)
{
    const double here = plan->nodes - 1;
    printf("%u nodes, profile %s\n", plan->nodes, profile_name(plan));
    printf("  formed in          %8.2f s, %.2f s of CPU, %.1f dials a node, %" PRIu64
           " handshakes failed, %" PRIu64 " nodes by mistake\n",
           r->form_s, r->form_cpu_s, (double)r->formed.dialled / here, r->formed.failed,
           r->form_false_failed);
    printf("  tag known to all   %8.2f ms P50, %.2f P99\n", percentile(&r->tag_all, 0.5, 1e6),
           percentile(&r->tag_all, 0.99, 1e6));
    if (r->phi_trigger_ms >= 0)
        printf("  killed: phi says   %8.2f s\n", r->phi_trigger_ms / 1e3);
    printf("  killed: suspect    %8.2f s, failed first %.2f, failed everywhere %.2f\n",
           r->suspect_first_s, r->failed_first_s, r->failed_all_s);
    printf(
        "  idle for %u s: a node takes %.3f %% of a core, %.0f bytes/s in %.1f packets, %ld KiB, "
        "%.1f connections; %" PRIu64 " failed by mistake\n",
        plan->idle_s, r->idle_cpu_pct, r->idle_bytes, r->idle_packets, r->rss_kib,
        (double)r->rested.open / here, r->false_failed);
    printf("  one core takes in  %8.0f updates/s\n", r->gossip_updates);
    printf("  tag query          %8.0f ns P50, %.0f P95, %.0f P99\n", percentile(&r->query, 0.5, 1),
           percentile(&r->query, 0.95, 1), percentile(&r->query, 0.99, 1));
    printf("  pool hit           %8.1f ns\n", r->pool_hit_ns);
    printf("  connect and call   %8.0f us P50\n", percentile(&r->connect, 0.5, 1e3));
}

static void measure(const struct plan *plan, struct child *victim, struct figures *out)
{
    static struct flock f;
    covey_node_id dead;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const struct flock_config config = {
        .nodes = plan->nodes - 1,
        .whole_count = plan->nodes,
        .runtimes = cores < 1                    ? 1
                    : cores > FLOCK_RUNTIMES_MAX ? FLOCK_RUNTIMES_MAX
                                                 : (unsigned)cores,
        .profile = plan->profile,
        .ca = &plan->ca,
        .own = plan->own,
    };
    const struct repetitions *times = &plan->repetitions;
    long before = current_rss_kib();
    phase = "starting servers";
    flock_open(&f, &config);
    if (!read_all(victim->from, &dead, sizeof dead))
        die("cluster: the other process is gone");
    phase = "forming: all nodes are to know all others";
    form(plan, &f, victim, out);
    settle(times);
    phase = "tags: all nodes are to have an event of each";
    spread_tags(plan, &f, out);
    settle(times);
    phase = "rest";
    rest(plan, out);
    out->rss_kib = (current_rss_kib() - before) / (long)f.count;
    count_connections(&f, &out->rested);
    phase = "queries by tag";
    ask_tags(plan, &f, out);
    phase = "new connections, a call on each";
    connect_often(plan, &f, out);
    out->false_failed = flock_failures(&f);
    phase = "a node was killed: all others are to have an event of its failure";
    kill_one(&f, victim, &dead, out);
    phase = "ending servers";
    flock_close(&f);
    phase = "the pool and the core alone";
    out->pool_hit_ns = inside_pool_hit_ns(plan->nodes, times->pool_hits);
    out->gossip_updates = inside_gossip_rate(plan->nodes, times->gossip_updates);
}

/* ---- the command line ---- */

static bool take_profile(struct plan *plan, const char *name)
{
    for (enum covey_profile p = COVEY_PROFILE_LAN; p <= COVEY_PROFILE_WAN; p++) {
        plan->profile = p;
        if (strcmp(name, profile_name(plan)) == 0)
            return true;
    }
    return false;
}

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
        {"nodes", required_argument, NULL, 'n'},
        {"profile", required_argument, NULL, 'p'},
        {"idle", required_argument, NULL, 'i'},
        {"limit", required_argument, NULL, 'l'},
        {"short", no_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    int flag;
    bool is_right = true;
    *plan = (struct plan){.nodes = 100, .idle_s = 10, .limit_s = LIMIT_S, .repetitions = full};
    while (is_right && (flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        if (flag == 'n')
            is_right = take_number(optarg, 3, FLOCK_NODES_MAX, &plan->nodes);
        else if (flag == 'p')
            is_right = take_profile(plan, optarg);
        else if (flag == 'i')
            is_right = take_number(optarg, 1, 3600, &plan->idle_s);
        else if (flag == 'l')
            is_right = take_number(optarg, 1, 86400, &plan->limit_s);
        else if (flag == 's')
            plan->repetitions = few;
        else if (flag == 'j')
            plan->json = true;
        else
            is_right = false;
    }
    return is_right && optind == argc;
}

int main(int argc, char **argv)
{
    static struct plan plan;
    static struct figures figures;
    opterr = 0;
    if (!parse(argc, argv, &plan)) {
        fprintf(stderr,
                "cluster: usage: cluster [--nodes 3..%d] [--profile lan|local|wan] "
                "[--idle SECONDS] [--limit SECONDS] [--short] [--json]\n",
                FLOCK_NODES_MAX);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, give_up);
    alarm(plan.limit_s); /* which the other process has not: it ends with this one */
    raise_file_limit();
    plan.is_isolated = net_isolate();
    if (!plan.is_isolated)
        fprintf(stderr, "cluster: no network namespace: others' traffic is counted too\n");
    make_credentials(&plan);
    struct child victim = child_start(be_victim, &plan);
    measure(&plan, &victim, &figures);
    child_end(&victim);
    free_credentials(&plan);
    if (plan.json)
        print_json(&plan, &figures);
    else
        print_text(&plan, &figures);
    return 0;
}
