#ifndef CV_API_CLUSTER_H
#define CV_API_CLUSTER_H

#include "api/balancer_hub.h"
#include "api/event_hub.h"
#include "api/server.h"
#include "api/view.h"

#include <covey/cluster.h>

/* The order to leave by a thread that does not wait for it to be taken. Posted once at a time. */
struct cv_leave_mail {
    struct cv_mail mail; /* first: it names this */
    covey_cluster *cluster;
    enum cv_command_type type;
    atomic_bool is_posted;
};

struct cv_check_entry;

/* The user's health checks; under the cluster's lock. */
struct cv_cluster_checks {
    LIST_HEAD(, cv_check_entry) entries;
    struct cv_workers *workers; /* NULL before the first run */
    bool is_stopped;            /* none begins, and none says anything any more */
    uintptr_t added;            /* checks so far */
    unsigned running;           /* jobs under way, those of removed checks included */
    uint64_t refused;           /* runs for which there was no thread */
};

/* A command of another thread's, which waits until it is shown or was refused. */
struct cv_cluster_order {
    struct cv_mail mail; /* first: it names this */
    covey_cluster *cluster;
    struct cv_input input;
    int error;
    bool is_done; /* under the cluster's lock */
    STAILQ_ENTRY(cv_cluster_order) entry;
};

/* A state that is not shown yet. */
struct cv_cluster_state {
    bool is_set;
    enum cv_membership_state state;
    int error;
};

/*
 * Membership as other threads see it: a view, a state and an event hub. The loop's thread is the
 * view's writer.
 */
struct covey_cluster {
    covey_runtime *runtime;
    covey_server *server;
    covey_node_id self;
    struct cv_event_hub *events;
    struct cv_balancer_hub *balancers;
    struct cv_view view;
    struct cv_cluster_state next_state; /* the loop's */
    bool is_asked;                      /* the loop's: publishing may wait */
    atomic_bool is_unhealthy;           /* any thread; the loop writes it: a health check says so */
    STAILQ_HEAD(, cv_cluster_order) orders; /* the loop's: taken and not shown yet */
    pthread_mutex_t lock;                   /* the members below */
    pthread_cond_t changed;
    enum cv_membership_state state;
    int error;                            /* of JOIN_FAILED */
    struct cv_partition_status partition; /* as last published */
    struct cv_cluster_checks checks;
    struct cv_leave_mail leave_mail;
    struct cv_leave_mail shutdown_mail;
};

/* Membership lives on a server's first loop. */
struct cv_host *cv_cluster_host(const covey_server *server);

/* What a server's node tells of membership; `user` is the server's part on its
 * first loop. */
void cv_cluster_on_resolve(void *user, uint32_t resolve, const char *name);
void cv_cluster_on_event(void *user, const struct cv_event *event);
void cv_cluster_on_state(void *user, enum cv_membership_state state, int error);
bool cv_cluster_on_changed(void *user);
void cv_cluster_on_ended(void *user);
void cv_cluster_on_run_check(void *user, uint64_t run, void *check);

/* The loop's thread: sends the goodbye, if the cluster was not left, without waiting for an answer, and takes
 * the other steps of leaving; who waits for them goes on. */
void cv_cluster_end(covey_server *server);
/* A thread that may free the server: leaves if there is a cluster, and waits for that up to 250 ms; where the
 * turns are made by this thread it makes them. It has left in any case. */
void cv_cluster_shut_down(covey_server *server);
/* The loop's thread: balancers and cluster clients leave these out. As cv_balancer_hub_deny(). */
COVEY_MUST_USE int cv_cluster_deny(covey_cluster *cluster, const covey_node_id *ids, size_t count);
/* The loop's thread: the core that asked is gone; their answers are for nobody. */
void cv_cluster_give_up_questions(covey_server *server);
/* The loop's thread, when the resolver will not answer any more. */
void cv_cluster_forget_questions(covey_server *server);
/* NULL is allowed. */
void cv_cluster_free(covey_cluster *cluster);

/* cluster_config.c: the user's over the defaults; NULL is allowed. 0, COVEY_ERR_INVALID_ARGUMENT. */
COVEY_MUST_USE int cv_cluster_config_take(struct covey_cluster_config *own,
                                          const struct covey_cluster_config *callers);
/* All but the seeds and the address. */
void cv_cluster_config_of(struct cv_membership_config *own,
                          const struct covey_cluster_config *callers);

/* cluster_partition.c */
struct covey_partition_status cv_partition_view(const struct cv_partition_status *from);
/* The loop's thread. */
void cv_cluster_publish_partition(covey_cluster *cluster, const struct cv_partition_status *status);

/* cluster_checks.c: fills a caller's array, callers[0].size being the size of each. */
void cv_checks_give(struct covey_check_health *callers, size_t count,
                    const struct covey_check_health *from, size_t from_count);
/* Whether this thread runs one. */
bool cv_cluster_is_check(covey_cluster *cluster);
/* The loop's thread, after what may have changed how the checks are. */
void cv_cluster_publish_health(covey_cluster *cluster);
/* From here on none comes back; those that run go on. */
void cv_cluster_stop_checks(covey_cluster *cluster);
/* After that, a thread that may free the server: waits for those that run, which may use the cluster. What they
 * said may still be on its way to the loop. NULL is allowed. */
void cv_cluster_wait_checks(covey_cluster *cluster);
/* After that, and after the loop has settled. */
void cv_cluster_free_checks(covey_cluster *cluster);

/* cluster_commands.c. What cv_membership_step() says, or COVEY_ERR_BUSY, _CLOSED. */
int cv_cluster_command(covey_cluster *cluster, const struct cv_input *input);

/* cluster_leave.c: waits until what is under the cluster's lock, which is held and let go of meanwhile, may have
 * changed. That may need a turn: where this thread makes them it makes one each millisecond. Not in a turn. */
void cv_cluster_wait_for_change(covey_cluster *cluster);

/* cluster_stats.c: every counter of the core's has a public one. */
void cv_cluster_take_core_stats(struct covey_cluster_stats *to,
                                const struct cv_membership_stats *from);

/* cluster_publish.c, the loop's thread: shows other threads what there is, now. */
void cv_cluster_publish_now(covey_cluster *cluster);
/* What is shown, or never will be: those who wait go on. */
void cv_cluster_tell_waiting(covey_cluster *cluster);

/* One reference to the newest snapshot; NULL before the first. */
struct cv_snapshot *cv_cluster_snapshot(covey_cluster *cluster);

#endif
