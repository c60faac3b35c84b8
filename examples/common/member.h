#ifndef EXAMPLE_MEMBER_H
#define EXAMPLE_MEMBER_H

#include "arguments.h"

#include <covey/identity.h>
#include <covey/runtime.h>
#include <covey/server.h>

/* What directors and workers share: a server that is, or is not, a member of a cluster. */
struct member {
    covey_identity *identity;
    covey_runtime *runtime;
    covey_server *server; /* NULL before member_serve() */
    covey_event_receiver *events;
};

/*
 * The first step: blocks SIGTERM and SIGINT in this thread and those that it will start, loads the
 * identity of the directory `tls`, whose name is the program's from now on, and makes the runtime.
 * False after saying what is wrong; nothing is held then.
 */
bool member_identify(struct member *member, const char *tls);

/*
 * The second: binds the port, serves the methods and says where it listens. False after saying what
 * is wrong; member_close() in either case.
 */
bool member_serve(struct member *member, const char *listen, const struct covey_method *methods,
                  size_t count);

/* One more server of this identity, with methods and not started. An error of covey/server.h; *out
 * is to be freed in either case. */
int member_new_server(const struct member *member, const char *listen,
                      const struct covey_method *methods, size_t count, covey_server **out);

/* The third: begins to join through any of the seeds. False after saying what is wrong. */
bool member_join(struct member *member, const struct text_list *seeds, enum covey_profile profile,
                 const struct covey_tag *tags, size_t tag_count);

/* Says what happens in the cluster until SIGTERM or SIGINT comes, or until it has left; then leaves. */
void member_run(struct member *member);

/* For who has no cluster: whether SIGTERM or SIGINT came within `timeout`. */
bool member_is_to_end(covey_time timeout);

/* Frees the server, and leaves before if need be: no call comes any more. Those that are not finished
 * must be finished before. */
void member_stop(struct member *member);
/* And all the rest. */
void member_close(struct member *member);

#endif
