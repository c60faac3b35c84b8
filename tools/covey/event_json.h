#ifndef COVEY_TOOL_EVENT_JSON_H
#define COVEY_TOOL_EVENT_JSON_H

#include <covey/events.h>
#include <jansson.h>

/* JSON texts of the command line's contract. NULL when memory is out; json_decref() else. */

/* {"event":"node_joined","id":...,"name":...,"addr":...,"ts_ms":...} and, where they apply, "tags",
 * "dropped", "partition" and "check". */
json_t *event_to_json(const struct covey_event *event);

/* {"state","alive","expected","quorum","minority","read_only","grace_ms"} */
json_t *partition_to_json(const struct covey_partition_status *status);

/* {"event":"listening","addr":"HOST:PORT","id":...}: an agent's first line. */
json_t *listening_to_json(const char *address, const covey_node_id *id);

/* {"id","name","addr","state","incarnation","tags"} */
json_t *node_to_json(const struct covey_node *node);

#endif
