#ifndef COVEY_NODE_H
#define COVEY_NODE_H

#include <covey/types.h>

COVEY_BEGIN

/*
 * What this node believes about a member (SWIM, Das et al. 2002, section 4.2).
 *
 *     alive --(no answer)--> suspect --(not refuted in time)--> failed
 *       ^                       |                                 |
 *       +----- refuted ---------+            heard again ---------+
 *     any of them --(it said goodbye)--> left
 */
enum covey_node_state {
    COVEY_NODE_ALIVE = 0,
    COVEY_NODE_SUSPECT = 1,
    COVEY_NODE_FAILED = 2,
    COVEY_NODE_LEFT = 3
};

/* "alive", "suspect", "failed", "left"; "?" for anything else. */
COVEY_API const char *covey_node_state_name(enum covey_node_state state);

/* Limits on what a node can say of itself. */
#define COVEY_TAGS_MAX      16
#define COVEY_TAG_KEY_MAX   64  /* bytes */
#define COVEY_TAG_VALUE_MAX 128 /* bytes */
#define COVEY_TAGS_SIZE_MAX 512 /* keys and values together */
#define COVEY_NODE_NAME_MAX 63

struct covey_tag {
    const char *key;
    const char *value;
};

/*
 * One member as this node knows it. Everything in it is read-only and lives as long as the list,
 * event or other object that it came from. Tags are sorted by key.
 */
struct covey_node {
    covey_node_id id;
    const char *name;    /* from its certificate; "" when only hearsay is known */
    const char *address; /* "192.0.2.1:4433" */
    enum covey_node_state state;
    uint64_t incarnation;
    size_t tag_count;
    const struct covey_tag *tags;
};

/* The value of a tag, NULL when the node has none of that key. */
COVEY_API const char *covey_node_tag(const struct covey_node *node, const char *key);

COVEY_END

#endif
