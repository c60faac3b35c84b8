#include "event_json.h"

#include <stdbool.h>

static json_t *tags_to_json(const struct covey_node *node)
{
    json_t *tags = json_object();

    for (size_t i = 0; i < node->tag_count && tags != NULL; i++) {
        json_t *value = json_string(node->tags[i].value);
        if (json_object_set_new(tags, node->tags[i].key, value) != 0) {
            json_decref(tags);
            tags = NULL;
        }
    }
    return tags;
}

json_t *node_to_json(const struct covey_node *node)
{
    char id[COVEY_NODE_ID_TEXT_SIZE];

    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:o}", "id", covey_node_id_text(&node->id, id),
                     "name", node->name, "addr", node->address, "state",
                     covey_node_state_name(node->state), "incarnation",
                     (json_int_t)node->incarnation, "tags", tags_to_json(node));
}

json_t *listening_to_json(const char *address, const covey_node_id *id)
{
    char text[COVEY_NODE_ID_TEXT_SIZE];

    return json_pack("{s:s, s:s, s:s}", "event", "listening", "addr", address, "id",
                     covey_node_id_text(id, text));
}

json_t *partition_to_json(const struct covey_partition_status *status)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:b, s:b, s:I}", "state",
                     covey_partition_state_name(status->state), "alive", (json_int_t)status->alive,
                     "expected", (json_int_t)status->expected, "quorum", (json_int_t)status->quorum,
                     "minority", status->minority, "read_only", status->read_only, "grace_ms",
                     (json_int_t)(status->grace_remaining / COVEY_MILLISECOND));
}

/* Whether this kind of event is about what a node says of itself. */
static bool tells_tags(enum covey_event_type type)
{
    return type == COVEY_EVENT_NODE_JOINED || type == COVEY_EVENT_NODE_TAGS_UPDATED;
}

static int add_node(json_t *object, const struct covey_event *event)
{
    const struct covey_node *node = event->node;
    char id[COVEY_NODE_ID_TEXT_SIZE];

    covey_node_id_text(&node->id, id);
    if (json_object_set_new(object, "id", json_string(id)) != 0 ||
        json_object_set_new(object, "name", json_string(node->name)) != 0 ||
        json_object_set_new(object, "addr", json_string(node->address)) != 0)
        return -1;
    return 0;
}

json_t *event_to_json(const struct covey_event *event)
{
    json_t *object = json_pack("{s:s}", "event", covey_event_name(event->type));

    if (object == NULL)
        return NULL;
    if (event->node != NULL && add_node(object, event) != 0)
        goto fail;
    if (json_object_set_new(object, "ts_ms", json_integer((json_int_t)event->timestamp_ms)) != 0)
        goto fail;
    if (event->node != NULL && tells_tags(event->type) &&
        json_object_set_new(object, "tags", tags_to_json(event->node)) != 0)
        goto fail;
    if (event->type == COVEY_EVENT_EVENTS_DROPPED &&
        json_object_set_new(object, "dropped", json_integer((json_int_t)event->dropped)) != 0)
        goto fail;
    if (event->partition != NULL &&
        json_object_set_new(object, "partition", partition_to_json(event->partition)) != 0)
        goto fail;
    if (event->check != NULL &&
        json_object_set_new(object, "check", json_string(event->check)) != 0)
        goto fail;
    if (event->type == COVEY_EVENT_LOOP_HELD_UP &&
        json_object_set_new(object, "held_up_ms",
                            json_integer((json_int_t)(event->held_up / COVEY_MILLISECOND))) != 0)
        goto fail;
    if (event->type == COVEY_EVENT_LOOP_HELD_UP &&
        json_object_set_new(object, "loop", json_integer((json_int_t)event->loop)) != 0)
        goto fail;
    if (event->goes_on && json_object_set_new(object, "goes_on", json_true()) != 0)
        goto fail;
    return object;
fail:
    json_decref(object);
    return NULL;
}
