/*
 * What a pick costs: each policy of covey_balancer, picked and given back, among members that are
 * published anew all the time; beside what a program would do without one.
 */
#include "balancer_follow.h"
#include "discovery_cluster.h"
#include "process.h"

#include <covey/balancer.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PUBLISH_INTERVAL_NS 10000000u
#define OPEN_PER_NODE       3
#define NODES_MAX           DISCOVERY_NODES_MAX

struct plan {
    unsigned nodes;
    unsigned picks;
    bool json;
    bool follow;
};

static double user_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(const char *what, int error)
{
    if (error != 0)
        die("balancer: %s: %s", what, covey_strerror(error));
}

struct row {
    double ns; /* one choice */
    double seconds;
    uint64_t errors; /* choices in vain */
};

static void end_row(struct row *row, double begun, unsigned count)
{
    const double ns = user_ns() - begun;
    row->ns = ns / count;
    row->seconds = ns / 1e9;
}

/* Without a balancer. */
static struct row by_list(covey_cluster *cluster, const struct plan *plan)
{
    const unsigned count = plan->picks / 20 + 1;
    struct row row = {0};
    const double begun = user_ns();
    for (unsigned i = 0; i < count; i++) {
        covey_node_list *list;
        must("list", covey_cluster_nodes_with_tag(cluster, "role", "worker", &list));
        const size_t nodes = covey_node_list_count(list);
        row.errors += nodes == 0 || covey_node_list_at(list, i % nodes)->address[0] == 0;
        covey_node_list_free(list);
    }
    end_row(&row, begun, count);
    return row;
}

static covey_balancer *balancer_of(covey_cluster *cluster, enum covey_balance_policy policy)
{
    static const struct covey_tag worker = {"role", "worker"};
    struct covey_balancer_config config;
    covey_balancer *balancer;
    covey_balancer_config_init(&config);
    config.policy = policy;
    config.nodes_max = NODES_MAX;
    config.selector = (struct covey_selector){.all = &worker, .all_count = 1};
    must("new", covey_balancer_new(cluster, &config, &balancer));
    return balancer;
}

static struct row by_pick(covey_balancer *balancer, const struct plan *plan, bool with_key)
{
    struct covey_pick pick = {.handle = 0};
    struct row row = {0};
    for (unsigned i = 0; i < OPEN_PER_NODE * plan->nodes; i++)
        must("pick", covey_balancer_pick(balancer, NULL, &pick));
    const double begun = user_ns();
    for (unsigned i = 0; i < plan->picks; i++) {
        row.errors += (with_key ? covey_balancer_pick_for(balancer, &i, sizeof i, NULL, &pick)
                                : covey_balancer_pick(balancer, NULL, &pick)) != 0;
        covey_balancer_done(balancer, &pick);
    }
    end_row(&row, begun, plan->picks);
    return row;
}

/* Returns what is wrong. */
static int print(const struct plan *plan, const char *policy, const struct row *row,
                 const struct row *list)
{
    if (plan->json)
        printf("{\"bench\":\"balancer\",\"policy\":\"%s\",\"nodes\":%u,\"seconds\":%.6f,"
               "\"errors\":%" PRIu64 ",\"pick_ns\":%.1f,\"list_ns\":%.1f,\"ratio\":%.4f}\n",
               policy, plan->nodes, row->seconds, row->errors, row->ns, list->ns,
               row->ns / list->ns);
    else
        printf("  %-12s %8.1f ns, %.3f of a query with a list, %" PRIu64 " errors\n", policy,
               row->ns, row->ns / list->ns, row->errors);
    return row->errors != 0;
}

static int measure(struct discovery_cluster *d, const struct plan *plan)
{
    static const struct {
        const char *name;
        enum covey_balance_policy policy;
        bool with_key;
    } rows[] = {{"round_robin", COVEY_BALANCE_ROUND_ROBIN, false},
                {"random", COVEY_BALANCE_RANDOM, false},
                {"least_calls", COVEY_BALANCE_LEAST_CALLS, false},
                {"two_choices", COVEY_BALANCE_TWO_CHOICES, false},
                {"key", COVEY_BALANCE_RANDOM, true}};
    const struct row list = by_list(d->cluster, plan);
    int status = print(plan, "list", &list, &list);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        covey_balancer *balancer = balancer_of(d->cluster, rows[i].policy);
        const struct row row = by_pick(balancer, plan, rows[i].with_key);
        status |= print(plan, rows[i].name, &row, &list);
        covey_balancer_free(balancer);
    }
    return status;
}

static int print_follow(const struct plan *plan)
{
    const struct balancer_follow f = balancer_follow_measure(plan->nodes);
    if (plan->json)
        printf("{\"bench\":\"balancer\",\"nodes\":%u,\"seconds\":%.6f,\"errors\":%" PRIu64
               ",\"first_us\":%.1f,\"same_us\":%.1f,\"one_us\":%.1f,\"half_us\":%.1f}\n",
               plan->nodes, f.seconds, f.errors, f.first_us, f.same_us, f.one_us, f.half_us);
    else
        printf("balancer: following %u members: all come %.1f us, the same %.1f us, one comes or "
               "goes %.1f us, half of them %.1f us, %" PRIu64 " errors\n",
               plan->nodes, f.first_us, f.same_us, f.one_us, f.half_us, f.errors);
    return f.errors != 0;
}

static bool number(unsigned max, unsigned *out)
{
    char *end;
    const unsigned long value = strtoul(optarg, &end, 10);
    *out = (unsigned)value;
    return *optarg >= '0' && *optarg <= '9' && *end == 0 && value >= 1 && value <= max;
}

static bool parse(int argc, char **argv, struct plan *plan)
{
    static const struct option flags[] = {{"nodes", required_argument, NULL, 'n'},
                                          {"picks", required_argument, NULL, 'p'},
                                          {"follow", no_argument, NULL, 'f'},
                                          {"json", no_argument, NULL, 'j'},
                                          {NULL, 0, NULL, 0}};
    int flag;
    bool is_right = true;
    *plan = (struct plan){.nodes = 500, .picks = 300000};
    while (is_right && (flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        if (flag == 'j')
            plan->json = true;
        else if (flag == 'f')
            plan->follow = true;
        else
            is_right = flag == 'n'   ? number(NODES_MAX, &plan->nodes)
                       : flag == 'p' ? number(100000000, &plan->picks)
                                     : false;
    }
    return is_right && optind == argc;
}

int main(int argc, char **argv)
{
    static struct discovery_cluster cluster;
    struct plan plan;
    opterr = 0;
    if (!parse(argc, argv, &plan)) {
        fprintf(stderr,
                "balancer: usage: balancer [--nodes 1..%d] [--picks N] [--follow] [--json]\n",
                NODES_MAX);
        return 2;
    }
    if (plan.follow)
        return print_follow(&plan);
    const struct discovery_shape shape = {
        .nodes = plan.nodes, .tags = 2, .matches = plan.nodes, .changes = 5};
    discovery_cluster_start(&cluster, &shape);
    pin_to_core(1);
    if (!plan.json)
        printf("balancer: picks among %u members, %d open for each\n", plan.nodes, OPEN_PER_NODE);
    discovery_cluster_write(&cluster, PUBLISH_INTERVAL_NS);
    const int status = measure(&cluster, &plan);
    discovery_cluster_rest(&cluster);
    discovery_cluster_stop(&cluster);
    return status;
}
