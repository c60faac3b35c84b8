#ifndef EXAMPLE_MEMBER_H
#define EXAMPLE_MEMBER_H

#include "arguments.h"

#include <covey/identity.h>
#include <covey/runtime.h>
#include <covey/server.h>

/* What the director and the workers share: a cluster member with one method. */
struct member {
    covey_identity *identity;
    covey_runtime *runtime;
    covey_server *server;
    covey_cluster *cluster; /* the server's */
    covey_event_receiver *events;
};

/*
 * The first step: blocks SIGTERM and SIGINT in this thread and those that it will start, and loads
 * the identity, whose name is the program's from now on. False after saying what is wrong;
 * nothing is held then.
 */
bool member_identify(struct member *member, const struct arguments *arguments);

/*
 * The second: binds the port, says where it listens, serves the method and begins to join. False
 * after saying what is wrong; member_close() in either case.
 */
bool member_open(struct member *member, const struct arguments *arguments,
                 const struct covey_method *method, const struct covey_tag *tags, size_t tag_count);

/* Says what happens in the cluster until SIGTERM or SIGINT comes, or until it has left. */
void member_run(struct member *member);

/* Leaves and frees. Calls that are not finished must be finished before. */
void member_close(struct member *member);

#endif
