/*
 * What the owner shows to others of membership. A publication costs as much as there are members, so
 * they are apart: one at the end of a turn, 10 ms after the last one or later, unless somebody waits for it
 * who gave a command or wants to know a state.
 */
#include "node/internal.h"

#define PUBLISH_INTERVAL (10 * COVEY_MILLISECOND)
#define RETRY_INTERVAL   (1 * COVEY_MILLISECOND)

static bool has_news(const struct cv_node *node)
{
    const struct cv_publication *last = &node->published;
    const struct cv_partition_status partition = cv_membership_partition(node->membership);
    return last->is_wanted || last->is_urgent ||
           last->version != cv_node_registry_version(cv_membership_registry(node->membership)) ||
           last->partition.state != partition.state ||
           last->partition.expected != partition.expected ||
           last->partition.grace_ends != partition.grace_ends;
}

static void publish(struct cv_node *node)
{
    struct cv_publication *last = &node->published;
    const struct cv_membership *m = node->membership;
    last->is_urgent = false;
    last->due = node->now + RETRY_INTERVAL;
    if (!node->events.cluster_changed(node->events_user)) {
        last->is_wanted = true;
        return;
    }
    *last = (struct cv_publication){
        .version = cv_node_registry_version(cv_membership_registry(m)),
        .partition = cv_membership_partition(m),
        .due = node->now + PUBLISH_INTERVAL,
    };
}

void cv_node_cluster_publish(struct cv_node *node)
{
    if (node->membership == NULL || node->cluster_ends || !has_news(node))
        return;
    if (node->published.is_urgent || node->published.due <= node->now)
        publish(node);
}

covey_time cv_node_publish_deadline(const struct cv_node *node)
{
    if (node->membership == NULL || node->cluster_ends || !has_news(node))
        return COVEY_NEVER;
    return node->published.is_urgent ? 0 : node->published.due;
}

void cv_node_publish(struct cv_node *node, covey_time now)
{
    node->now = now;
    node->published.is_urgent = true;
    cv_node_cluster_publish(node);
}
