#ifndef CV_API_SERVER_H
#define CV_API_SERVER_H

#include "api/call.h"
#include "api/count.h"
#include "api/host.h"
#include "io/handover.h"
#include "io/port_group.h"
#include "rpc/dispatch.h"

#include <covey/server.h>

#include <stdatomic.h>
#include <sys/queue.h>

#define CV_SERVER_INTERCEPTORS_MAX 8
#define CV_SERVER_METHODS_MAX      4096

struct cv_server_method {
    struct covey_method method;
    SLIST_ENTRY(cv_server_method) entry;
    char name[];
};

/* Changed on its loop only, read by any thread. */
struct cv_server_counters {
    cv_count calls; /* now */
    cv_count begun;
    cv_count refused;
    cv_count exhausted;
    cv_count held_up;
};

/* A server's part on one loop, which all of it belongs to. Loop 0 has the membership too. */
struct cv_server_loop {
    covey_server *server;
    struct cv_server_counters counters;
    struct cv_host host;
    struct cv_log_limit held_up_logged;
    atomic_uint_fast64_t was_held_up; /* for so long, and the loop of membership is to tell; 0 */
    covey_time told_from;             /* that loop's: told already that it is late from then on */
    struct cv_call_list calls;
    struct cv_pool_share *share;             /* the runtime's loop's: memory for them */
    bool is_closing;                         /* its calls were abandoned: no others are taken */
    struct cv_call_owner owner;              /* of them */
    const struct cv_rpc_method *last_method; /* of the last call: the next is often of it too */
};

/* COVEY_RUN_THREADS: the loop of membership looks at the others. That loop's. */
struct cv_server_watch {
    struct cv_loop_task task;
    covey_time looked_at;
    struct cv_log_limit logged;
    bool is_on;
};

/* The inside of a server. What is not marked otherwise is for any thread and does not change. */
struct covey_server {
    covey_runtime *runtime;
    struct cv_server_loop *loops; /* the runtime's, in its order */
    unsigned loop_count;
    struct cv_server_watch watch;
    struct cv_port_group *group;  /* their sockets */
    struct cv_handover *handover; /* of what came to the wrong one; NULL when there is one loop */
    size_t message_send_max;
    unsigned calls_max;
    atomic_bool
        is_read_only; /* any thread; loop 0 writes it: methods that change something are refused */
    struct cv_address advertise; /* {0}: the listen address */
    char address_text[CV_ADDRESS_TEXT_SIZE];
    _Atomic(covey_cluster *) cluster; /* any thread */
    atomic_bool is_asked;             /* any thread: a worker waits for covey_server_stats() */

    pthread_rwlock_t methods_lock; /* of what follows; methods are never removed */
    struct cv_rpc_dispatch methods;
    SLIST_HEAD(, cv_server_method) kept_methods; /* what `methods` points to */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool is_started;
    bool is_draining;
    uint64_t links_closed; /* since it drains */
    size_t works;          /* handlers that run on workers, or will */
    struct covey_server_interceptor interceptors[CV_SERVER_INTERCEPTORS_MAX];
    size_t interceptor_count; /* does not change after the start */

    TAILQ_HEAD(, cv_question) questions; /* loop 0's: of membership to the resolver */
};

/* As covey_server_add_method(), reserved names included. */
COVEY_MUST_USE int cv_server_add_method(covey_server *server, const struct covey_method *method);
/* The methods that every server has. As add_method. */
COVEY_MUST_USE int cv_server_add_builtin_methods(covey_server *server);

/* Ends the calls, waits for the handlers on workers, and closes the loops' parts. Not on a loop's thread
 * in a turn. */
void cv_server_close_all(covey_server *server);

/* Runs `function(user)` on a loop and waits for it, however full its mailbox is. */
void cv_server_call_loop(struct cv_loop *loop, void (*function)(void *user), void *user);

/* What happens on the links of a loop, whose `user` is a struct cv_server_loop. */
void cv_server_on_call(void *user, struct cv_link *link, const struct cv_rpc_output *event);
void cv_server_on_link_closed(void *user, struct cv_link *link, int error);

/* server_watchdog.c. Before each turn of a server's loop, whose part `user` is. */
void cv_server_on_turn(void *user);
/* The loop of membership: looks at the others from now on, if they are of threads of their own.
 * Twice is once. */
void cv_server_watch_begin(covey_server *server);
void cv_server_watch_end(covey_server *server);
/* Any thread: which loop has made no turn for as long as the watchdog waits; -1: none. */
int cv_server_find_held_up(const covey_server *server);
/* For the owner of a loop's calls. */
void cv_server_exhausted(void *user);
void cv_server_work(void *user, int change);
void cv_server_call_ended(void *user, covey_call *call, enum covey_status_code code);

#endif
