#include "api/cluster.h"
#include "api/node_list.h"

covey_node_id covey_cluster_self(const covey_cluster *cluster)
{
    return cluster->self;
}

struct cv_snapshot *cv_cluster_snapshot(covey_cluster *cluster)
{
    return cv_view_take(&cluster->view);
}

int covey_cluster_members(covey_cluster *cluster, covey_node_list **out)
{
    struct cv_snapshot *snapshot = cv_cluster_snapshot(cluster);
    const size_t count = snapshot == NULL ? 0 : cv_snapshot_count(snapshot);
    const int error = cv_node_list_select(cluster->runtime, snapshot, count, out);
    if (error != 0) {
        cv_snapshot_release(snapshot);
        return error;
    }
    for (size_t i = 0; i < count; i++)
        cv_node_list_add(*out, cv_snapshot_at(snapshot, i));
    return 0;
}

/* The tags are valid. */
static int list_alive(covey_cluster *cluster, const struct covey_tag *tags, size_t tag_count,
                      covey_node_list **out)
{
    struct cv_tag_query query;
    const struct covey_node *node;
    struct cv_snapshot *snapshot = cv_cluster_snapshot(cluster);
    if (snapshot == NULL)
        return cv_node_list_select(cluster->runtime, NULL, 0, out);
    cv_snapshot_with_all_tags(snapshot, tags, tag_count, &query);
    const size_t count_max = cv_tag_query_count_max(&query);
    const int error = cv_node_list_select(cluster->runtime, snapshot, count_max, out);
    if (error != 0) {
        cv_snapshot_release(snapshot);
        return error;
    }
    while ((node = cv_tag_query_next(&query)) != NULL)
        cv_node_list_add(*out, node);
    return 0;
}

int covey_cluster_nodes_with_tag(covey_cluster *cluster, const char *key, const char *value,
                                 covey_node_list **out)
{
    const struct covey_tag tag = {.key = key, .value = value};
    return key == NULL ? COVEY_ERR_INVALID_ARGUMENT : list_alive(cluster, &tag, 1, out);
}

int covey_cluster_nodes_with_all_tags(covey_cluster *cluster, const struct covey_tag *tags,
                                      size_t tag_count, covey_node_list **out)
{
    if (tags == NULL && tag_count > 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    for (size_t i = 0; i < tag_count; i++) {
        if (tags[i].key == NULL)
            return COVEY_ERR_INVALID_ARGUMENT;
    }
    return list_alive(cluster, tags, tag_count, out);
}
