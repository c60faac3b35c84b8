/* What the owner shows to others of membership is told to him when it changes, not at each change. */
#include "node/internal.h"

static bool is_new(const struct cv_node *node, uint64_t version,
                   const struct cv_partition_status *partition)
{
    const struct cv_publication *last = &node->published;
    return version != last->version || partition->state != last->partition.state ||
           partition->expected != last->partition.expected ||
           partition->grace_ends != last->partition.grace_ends;
}

void cv_node_cluster_publish(struct cv_node *node)
{
    if (node->membership == NULL)
        return;
    uint64_t version = cv_node_registry_version(cv_membership_registry(node->membership));
    struct cv_partition_status partition = cv_membership_partition(node->membership);
    if (!is_new(node, version, &partition))
        return;
    node->published = (struct cv_publication){.version = version, .partition = partition};
    node->events.cluster_changed(node->events_user);
}

void cv_node_publish_again(struct cv_node *node)
{
    node->published.version = UINT64_MAX;
}
