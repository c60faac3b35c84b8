/* All links of a node at once. */
#include "node/internal.h"

static void drain(struct cv_link *link)
{
    cv_link_drain(link);
    cv_link_retire(link);
}

void cv_node_drain(struct cv_node *node)
{
    struct cv_link *link;
    node->drains = true;
    TAILQ_FOREACH (link, &node->links, all) {
        if (!link->is_closed && link->head.conn != NULL &&
            cv_quic_conn_is_accepted(link->head.conn))
            drain(link);
    }
}

size_t cv_node_link_count(const struct cv_node *node)
{
    size_t count = 0;
    const struct cv_link *link;
    TAILQ_FOREACH (link, &node->links, all)
        count += !link->is_closed;
    return count;
}

void cv_node_close_links(struct cv_node *node, int error)
{
    struct cv_link *link;
    TAILQ_FOREACH (link, &node->links, all)
        cv_link_close(link, error);
}

void cv_node_close_links_of(struct cv_node *node, const void *user, int error)
{
    struct cv_link *link;
    TAILQ_FOREACH (link, &node->links, all) {
        if (link->user != user)
            continue;
        link->user = NULL;
        cv_link_close(link, error);
    }
}

void cv_node_rpc_stats(const struct cv_node *node, struct cv_rpc_stats *out)
{
    const struct cv_link *link;
    *out = node->rpc_stats;
    TAILQ_FOREACH (link, &node->links, all) {
        struct cv_rpc_stats stats;
        cv_rpc_conn_stats(link->rpc, &stats);
        cv_rpc_stats_add(out, &stats);
    }
}
