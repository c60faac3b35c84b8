#include "cluster/membership_internal.h"

#include "cluster/incarnation.h"
#include "cluster/tags.h"

#include <covey/error.h>

/* Our tags are part of our body: a change is a new body with the next version. */
static int change_tags(struct cv_membership *m, const struct cv_tags *tags)
{
    struct cv_gossip_protocol *g = &m->gossip;
    const struct cv_cluster_node *before = g->self->body;
    uint64_t incarnation = before->incarnation;
    uint32_t version = before->version + 1;
    if (version == 0)
        incarnation = cv_incarnation_refute(g->self->incarnation, incarnation);
    struct cv_cluster_node *body;
    int error =
        cv_gossip_protocol_new_self(g, incarnation, version, tags->items, tags->count, &body);
    if (error != COVEY_OK)
        return error;
    bool differ = !cv_tags_equal(before, body);
    if (differ) {
        if (version == 0) {
            struct cv_node_status status = {.incarnation = incarnation};
            cv_node_registry_set_status(&g->registry, g->self, &status, g->now);
        }
        cv_node_registry_set_body(&g->registry, g->self, body, true);
        cv_gossip_protocol_announce(g);
    }
    cv_cluster_node_release(body);
    return COVEY_OK;
}

static int set_tag(struct cv_membership *m, const struct cv_input *input)
{
    struct cv_tags tags;
    if (cv_membership_partition(m).read_only)
        return COVEY_ERR_PARTITIONED;
    int error = cv_tags_set(m->gossip.self->body, input->command.key, input->command.value, &tags);
    return error != COVEY_OK ? error : change_tags(m, &tags);
}

static int remove_tag(struct cv_membership *m, const struct cv_input *input)
{
    struct cv_tags tags;
    if (cv_membership_partition(m).read_only)
        return COVEY_ERR_PARTITIONED;
    int error = cv_tags_remove(m->gossip.self->body, input->command.key, &tags);
    return error != COVEY_OK ? error : change_tags(m, &tags);
}

int cv_membership_command(struct cv_membership *m, const struct cv_input *input)
{
    if (m->state == CV_MEMBERSHIP_LEAVING && input->command.type != CV_COMMAND_SHUTDOWN)
        return COVEY_ERR_STATE;
    switch (input->command.type) {
    case CV_COMMAND_TAG_SET:
        return set_tag(m, input);
    case CV_COMMAND_TAG_REMOVE:
        return remove_tag(m, input);
    case CV_COMMAND_LEAVE:
        cv_leave_start(m);
        return COVEY_OK;
    case CV_COMMAND_SHUTDOWN:
        cv_leave_shut_down(m);
        return COVEY_OK;
    case CV_COMMAND_JOIN:
        if (m->state != CV_MEMBERSHIP_JOIN_FAILED)
            return COVEY_ERR_STATE;
        cv_join_start(m);
        return COVEY_OK;
    case CV_COMMAND_EXPECT:
        cv_partition_expect(m, input->command.size);
        return COVEY_OK;
    case CV_COMMAND_CHECK_ADD:
        return cv_checks_add(m, input->command.check);
    case CV_COMMAND_CHECK_REMOVE:
        return cv_checks_remove(m, input->command.key);
    }
    return COVEY_ERR_INVALID_ARGUMENT;
}
