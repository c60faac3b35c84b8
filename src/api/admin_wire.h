#ifndef CV_API_ADMIN_WIRE_H
#define CV_API_ADMIN_WIRE_H

#include "base/slice.h"
#include "base/writer.h"

#include <covey/export.h>
#include <covey/node.h>

/*
 * The requests of the built-in methods: what an admin client writes and a member reads. Answers are
 * empty messages but for the members, where each message is one record with body in the form of
 * cluster/gossip/update.h, in order of id.
 *
 *   covey.cluster.members   (empty)                                    stream of members
 *   covey.admin.tag_set     varint size, key, varint size, value
 *   covey.admin.tag_remove  varint size, key
 *   covey.admin.leave       (empty)
 */

/* The largest request: two lengths of two bytes, a key and a value. */
#define CV_ADMIN_REQUEST_SIZE_MAX (2 + COVEY_TAG_KEY_MAX + 2 + COVEY_TAG_VALUE_MAX)

struct cv_admin_tag {
    char key[COVEY_TAG_KEY_MAX + 1];
    char value[COVEY_TAG_VALUE_MAX + 1]; /* "" for tag_remove */
};

/* Key and value are within the limits of covey/node.h. */
void cv_admin_tag_set_write(struct cv_writer *w, const char *key, const char *value);
void cv_admin_tag_remove_write(struct cv_writer *w, const char *key);

/* Take a whole request apart; what they give is within those limits and UTF-8. 0, or
 * COVEY_ERR_MALFORMED with *tag unchanged. */
COVEY_MUST_USE int cv_admin_tag_set_read(struct cv_slice request, struct cv_admin_tag *tag);
COVEY_MUST_USE int cv_admin_tag_remove_read(struct cv_slice request, struct cv_admin_tag *tag);

#endif
