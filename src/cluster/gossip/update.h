#ifndef CV_CLUSTER_GOSSIP_UPDATE_H
#define CV_CLUSTER_GOSSIP_UPDATE_H

#include "base/reader.h"
#include "base/writer.h"
#include "cluster/record.h"

#include <covey/export.h>

/*
 * One update of a gossip message: a record on the wire. docs/PROTOCOL.md has its fields.
 */
struct cv_update {
    covey_node_id id;
    struct cv_node_status status;
    bool has_body;
    uint64_t body_incarnation;
    uint32_t version;
    struct cv_address address;
    struct cv_slice name; /* borrowed from what was read */
    struct cv_slice tags; /* wire form, checked; borrowed too */
};

/* A record with body takes at most this many bytes, whatever its tags: it always fits a message. */
#define CV_UPDATE_SIZE_MAX 800

/* What cv_update_write() writes for this record. */
size_t cv_update_size(const struct cv_record *record);
void cv_update_write(struct cv_writer *w, const struct cv_record *record);

/* Reads all that is left in `r`, and fails it for anything that is not exactly one record. */
struct cv_update cv_update_read(struct cv_reader *r);

/* The body that the update carries. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_update_body(const struct cv_alloc *alloc, const struct cv_update *update,
                                  struct cv_cluster_node **out);

/* True when the update carries a body, and that says the same as this one, but for its age. */
bool cv_update_says(const struct cv_update *update, const struct cv_cluster_node *body);

#endif
