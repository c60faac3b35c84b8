/*
 * How long a query for a tag takes while membership changes: in the core (the snapshot's index) and
 * as users make it (covey_cluster_nodes_with_tag(), which makes a list, and freeing that), while
 * another thread publishes as often as the core may and while it publishes as often as it can.
 */
#include "discovery_cluster.h"
#include "histogram.h"
#include "process.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CORE_INTERVAL_NS 10000000u
#define CLOCK_READS      100000
#define WARM_QUERIES     1000

struct plan {
    struct discovery_shape shape;
    unsigned seconds; /* a row */
    bool json;
};

struct row {
    const char *path;
    const char *writer;
    struct histogram latency;
    uint64_t max_ns;
    uint64_t errors; /* answers with another number of nodes */
    double seconds;
    uint64_t publications;
    double publish_us;
};

static size_t query_core(covey_cluster *cluster)
{
    struct cv_tag_query query;
    size_t count = 0;
    struct cv_snapshot *snapshot = cv_cluster_snapshot(cluster);
    cv_snapshot_with_tag(snapshot, "role", "worker", &query);
    for (const struct covey_node *node; (node = cv_tag_query_next(&query)) != NULL;)
        count += node->state == COVEY_NODE_ALIVE;
    cv_snapshot_release(snapshot);
    return count;
}

static size_t query_api(covey_cluster *cluster)
{
    covey_node_list *list;
    if (covey_cluster_nodes_with_tag(cluster, "role", "worker", &list) != 0)
        die("discovery: no memory");
    const size_t count = covey_node_list_count(list);
    covey_node_list_free(list);
    return count;
}

/* One that is between two readings of the clock when nothing else is. */
static uint64_t clock_ns(void)
{
    static struct histogram readings;
    for (unsigned i = 0; i < CLOCK_READS; i++) {
        const uint64_t begun = now_ns();
        histogram_add(&readings, now_ns() - begun);
    }
    return histogram_percentile(&readings, 0.5);
}

static void ask(const struct plan *plan, covey_cluster *cluster, size_t (*query)(covey_cluster *),
                struct row *row)
{
    const uint64_t begun = now_ns();
    const uint64_t end = begun + (uint64_t)plan->seconds * 1000000000u;
    uint64_t now = begun;
    for (unsigned i = 0; i < WARM_QUERIES; i++)
        query(cluster);
    while (now < end) {
        const uint64_t before = now_ns();
        const size_t count = query(cluster);
        now = now_ns();
        histogram_add(&row->latency, now - before);
        if (now - before > row->max_ns)
            row->max_ns = now - before;
        row->errors += count != plan->shape.matches;
    }
    row->seconds = (double)(now - begun) / 1e9;
}

static void measure(const struct plan *plan, struct discovery_cluster *d,
                    size_t (*query)(covey_cluster *), uint64_t interval_ns, struct row *row)
{
    discovery_cluster_write(d, interval_ns);
    ask(plan, d->cluster, query, row);
    discovery_cluster_rest(d);
    row->publications = d->publications;
    row->publish_us = (double)d->publishing_ns / 1e3 / (double)d->publications;
}

static void print_json(const struct plan *plan, const struct row *row, uint64_t clock)
{
    printf("{\"bench\":\"discovery\",\"path\":\"%s\",\"writer\":\"%s\",\"nodes\":%u,\"tags\":%u,"
           "\"matches\":%u,\"changes\":%u,\"seconds\":%.3f,\"queries\":%" PRIu64
           ",\"errors\":%" PRIu64 ",\"queries_per_s\":%.0f,\"p50_ns\":%" PRIu64
           ",\"p95_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64 ",\"max_ns\":%" PRIu64
           ",\"clock_ns\":%" PRIu64 ",\"publications\":%" PRIu64 ",\"publish_us\":%.1f}\n",
           row->path, row->writer, plan->shape.nodes, plan->shape.tags, plan->shape.matches,
           plan->shape.changes, row->seconds, row->latency.total, row->errors,
           (double)row->latency.total / row->seconds, histogram_percentile(&row->latency, 0.5),
           histogram_percentile(&row->latency, 0.95), histogram_percentile(&row->latency, 0.99),
           row->max_ns, clock, row->publications, row->publish_us);
}

static void print_text(const struct row *row)
{
    printf("  %-4s  %-11s  %6" PRIu64 " %6" PRIu64 " %6" PRIu64 " %9" PRIu64 "  %9.0f  %" PRIu64
           " errors, %" PRIu64 " publications of %.1f us\n",
           row->path, row->writer, histogram_percentile(&row->latency, 0.5),
           histogram_percentile(&row->latency, 0.95), histogram_percentile(&row->latency, 0.99),
           row->max_ns, (double)row->latency.total / row->seconds, row->errors, row->publications,
           row->publish_us);
}

static bool number(unsigned min, unsigned max, unsigned *out)
{
    char *end;
    const unsigned long value = strtoul(optarg, &end, 10);
    if (*optarg < '0' || *optarg > '9' || *end != 0 || value < min || value > max)
        return false;
    *out = (unsigned)value;
    return true;
}

static bool take(int flag, struct plan *plan)
{
    switch (flag) {
    case 'n':
        return number(1, DISCOVERY_NODES_MAX, &plan->shape.nodes);
    case 't':
        return number(1, DISCOVERY_TAGS_MAX, &plan->shape.tags);
    case 'm':
        return number(0, DISCOVERY_NODES_MAX, &plan->shape.matches);
    case 'c':
        return number(0, DISCOVERY_NODES_MAX, &plan->shape.changes);
    case 's':
        return number(1, 600, &plan->seconds);
    case 'j':
        plan->json = true;
        return true;
    default:
        return false;
    }
}

static bool parse(int argc, char **argv, struct plan *plan)
{
    static const struct option flags[] = {
        {"nodes", required_argument, NULL, 'n'},
        {"tags", required_argument, NULL, 't'},
        {"matches", required_argument, NULL, 'm'},
        {"changes", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    int flag;
    *plan = (struct plan){.shape = {.nodes = 500, .tags = 4, .matches = 50, .changes = 5},
                          .seconds = 2};
    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1)
        if (!take(flag, plan))
            return false;
    return optind == argc && plan->shape.matches <= plan->shape.nodes;
}

int main(int argc, char **argv)
{
    static struct discovery_cluster cluster;
    static struct row rows[] = {{.path = "core", .writer = "10 ms"},
                                {.path = "api", .writer = "10 ms"},
                                {.path = "core", .writer = "unthrottled"},
                                {.path = "api", .writer = "unthrottled"}};
    struct plan plan;
    int status = 0;
    opterr = 0;
    if (!parse(argc, argv, &plan)) {
        fprintf(stderr,
                "discovery: usage: discovery [--nodes 1..%d] [--tags 1..%d] [--matches 0..NODES]\n"
                "                 [--changes N] [--seconds S] [--json]\n",
                DISCOVERY_NODES_MAX, DISCOVERY_TAGS_MAX);
        return 2;
    }
    discovery_cluster_start(&cluster, &plan.shape);
    pin_to_core(1);
    const uint64_t clock = clock_ns();
    if (!plan.json)
        printf(
            "discovery: role=worker, of %u of %u nodes with %u tags; %u nodes change before each "
            "publication\n"
            "  reading the clock is %" PRIu64 " ns of each figure\n"
            "  path  publishing      P50    P95    P99       max  queries/s  (ns)\n",
            plan.shape.matches, plan.shape.nodes, plan.shape.tags, plan.shape.changes, clock);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        measure(&plan, &cluster, i % 2 == 0 ? query_core : query_api, i < 2 ? CORE_INTERVAL_NS : 0,
                &rows[i]);
        if (plan.json)
            print_json(&plan, &rows[i], clock);
        else
            print_text(&rows[i]);
        status |= rows[i].errors != 0 || rows[i].latency.total == 0;
    }
    discovery_cluster_stop(&cluster);
    return status;
}
