#include "sim_internal.h"

/* The partition detector of each node: P1 to P4, P6. */

static struct cv_partition_status status_of(const struct sim *s, const struct sim_node *n)
{
    struct cv_partition_status status = cv_membership_partition(n->membership);
    if (s->planted->partition != NULL)
        s->planted->partition(n, &status);
    return status;
}

static bool is_edge(enum cv_partition_state from, enum cv_partition_state to)
{
    switch (from) {
    case CV_PARTITION_UNKNOWN:
        return to == CV_PARTITION_HEALTHY || to == CV_PARTITION_SUSPECT;
    case CV_PARTITION_HEALTHY:
        return to == CV_PARTITION_SUSPECT;
    case CV_PARTITION_SUSPECT:
        return to == CV_PARTITION_HEALTHY || to == CV_PARTITION_PARTITIONED;
    case CV_PARTITION_PARTITIONED:
        return to == CV_PARTITION_HEALTHY || to == CV_PARTITION_SUSPECT;
    }
    return false;
}

static const char *name_of(enum cv_partition_state state)
{
    static const char *const names[] = {"unknown", "healthy", "suspect", "partitioned"};
    return names[state];
}

/* P2: along the edges, and to partitioned only after the grace. */
static void change(struct sim *s, struct sim_node *n, enum cv_partition_state to)
{
    enum cv_partition_state from = n->partition;
    covey_time lasted = s->clock.now - n->partition_since;
    sim_require(s, SIM_P2, is_edge(from, to), "%s went from %s to %s", n->name, name_of(from),
                name_of(to));
    sim_require(s, SIM_P2, to != CV_PARTITION_PARTITIONED || lasted >= s->core.partition.grace,
                "%s is partitioned after %" PRIu64 " ms", n->name, lasted / COVEY_MILLISECOND);
    sim_trace_line(s, "%s: the cluster is %s", n->name, name_of(to));
    n->partition = to;
    n->partition_since = s->clock.now;
}

void sim_check_partition_event(struct sim *s, struct sim_node *n, const struct cv_event *event)
{
    sim_require(s, SIM_P6, event->partition.state != n->partition,
                "%s told twice that the cluster is %s", n->name, name_of(n->partition));
    change(s, n, event->partition.state);
}

/* P4: what the counts say, in integers; there is no tie-break in these clusters. */
static void check_quorum(struct sim *s, const struct sim_node *n,
                         const struct cv_partition_status *p)
{
    uint64_t quorum = s->core.partition.quorum_percent;
    bool has_quorum = UINT64_C(100) * p->alive > quorum * p->expected;
    sim_require(s, SIM_P4, p->state != CV_PARTITION_HEALTHY || has_quorum,
                "%s is healthy with %" PRIu32 " of %" PRIu32, n->name, p->alive, p->expected);
    sim_require(s, SIM_P4,
                p->state == CV_PARTITION_UNKNOWN ||
                    p->minority == (UINT64_C(2) * p->alive <= p->expected),
                "%s with %" PRIu32 " of %" PRIu32 " is %s minority", n->name, p->alive, p->expected,
                p->minority ? "a" : "no");
    sim_require(s, SIM_P2, p->grace_remaining <= s->core.partition.grace, "%s has too much grace",
                n->name);
}

void sim_check_partition(struct sim *s, struct sim_node *n)
{
    if (cv_membership_state(n->membership) != CV_MEMBERSHIP_JOINED)
        return;
    const struct cv_partition_status p = status_of(s, n);
    /* That all is well at first is no news. */
    if (n->partition == CV_PARTITION_UNKNOWN && p.state == CV_PARTITION_HEALTHY)
        change(s, n, p.state);
    sim_require(s, SIM_P6, p.state == n->partition, "%s did not tell that the cluster is %s",
                n->name, name_of(p.state));
    check_quorum(s, n, &p);
}

/* P3: the size is that of all who are expected, and who fails still is (check_member.c). */
void sim_scan_expected(struct sim *s, const struct sim_node *n)
{
    const struct cv_node_registry *r = cv_membership_registry(n->membership);
    const struct cv_partition_status p = status_of(s, n);
    size_t expected = 0;
    for (size_t i = 0; i < cv_node_registry_count(r); i++)
        expected += cv_node_registry_at(r, i)->is_expected;
    sim_require(s, SIM_P3, p.expected == expected, "%s expects %" PRIu32 " and marks %zu", n->name,
                p.expected, expected);
}

/* P1, some time after a cut: no two sides with a majority of the same whole. */
void sim_scan_sides(struct sim *s)
{
    const struct cv_gossip_config *g = &s->core.gossip;
    covey_time settled = 3 * g->protocol_period + g->suspicion_min * g->suspicion_max_factor +
                         cv_gossip_sends_max(3, s->config.node_count) * g->protocol_period +
                         s->core.partition.grace;
    if (s->graph.apart_count == 0 || s->clock.now < s->oracle.stirred + settled)
        return;
    for (size_t a = 0; a < s->config.node_count; a++) {
        for (size_t b = 0; b < a; b++) {
            const struct sim_node *n = &s->nodes[a];
            const struct sim_node *o = &s->nodes[b];
            if (n->membership == NULL || o->membership == NULL || n->is_paused || o->is_paused ||
                s->graph.sides[a] == s->graph.sides[b])
                continue;
            const struct cv_partition_status p = cv_membership_partition(n->membership);
            const struct cv_partition_status q = cv_membership_partition(o->membership);
            bool both = (p.state == CV_PARTITION_HEALTHY && q.state == CV_PARTITION_HEALTHY) ||
                        s->planted->claims_quorum;
            sim_require(s, SIM_P1, !both || p.expected != q.expected,
                        "%s and %s are apart and both healthy", n->name, o->name);
        }
    }
}
