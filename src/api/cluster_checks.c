/*
 * The user's health checks. The core says which one is to be run; it runs on a worker of the cluster's own, of
 * which there is one for each check that may be there, so that one that hangs holds up no other; and what
 * it says comes back to the core as a mail.
 *
 *     core --run_check--> job on a worker --> user's function --> mail --> core
 */
#include "api/cluster.h"

#include "io/clock.h"

#include <stdio.h>
#include <string.h>

struct cv_check_entry {
    covey_cluster *cluster;
    uintptr_t id; /* what the core knows it by, which is no other's ever after */
    covey_check_function run;
    void *user;
    LIST_ENTRY(cv_check_entry) entry;
    struct cv_job job;   /* under way once at a time, as the core has it, */
    struct cv_mail mail; /* and this one after it */
    uint64_t number;     /* of the run */
    enum covey_check_status status;
    char message[COVEY_CHECK_MESSAGE_MAX + 1];
    /* Under the cluster's lock: */
    bool is_busy;    /* the job */
    bool has_runner; /* the user's function runs */
    pthread_t runner;
    bool is_added; /* the core has it, and nobody is about to remove it */
    bool is_removed;
    bool is_orphan; /* removed in its own function: goes when that returns */
    char name[COVEY_CHECK_NAME_MAX + 1];
};

static const struct covey_health_check defaults = {
    .size = sizeof(struct covey_health_check),
    .interval = 10 * COVEY_SECOND,
    .timeout = 5 * COVEY_SECOND,
};

void covey_health_check_init_sized(struct covey_health_check *check, size_t size)
{
    cv_config_give(check, size, &defaults, sizeof defaults);
}

/* ---- running ---- */

static void run_mail(struct cv_mail *mail, bool cancelled);

/* With the lock held. */
static bool is_wanted(const struct cv_check_entry *e)
{
    return !e->is_removed && !e->cluster->checks.is_stopped;
}

/* With the lock held, so that nothing is posted after checks were stopped, or this one was removed. */
static void post_result(struct cv_check_entry *e)
{
    if (!is_wanted(e))
        return;
    e->mail = (struct cv_mail){.run = run_mail};
    cv_loop_post_sure(cv_cluster_host(e->cluster->server)->loop, &e->mail);
}

/* The loop's thread. */
static void tell_core(struct cv_check_entry *e)
{
    const struct cv_host *host = cv_cluster_host(e->cluster->server);
    struct cv_input input = {
        .type = CV_INPUT_CHECK_RESULT,
        .check_result = {.run = e->number,
                         .status = e->status,
                         .message = cv_slice_text(e->message)},
    };
    /* Of a cluster that was left, or a check that was removed, nobody wants to know. But without its result the
     * core would not run it again. */
    int error = cv_node_input(host->node, &input, cv_loop_now(host->loop), cv_clock_wall_ms());
    cv_cluster_publish_health(e->cluster);
    if (error != COVEY_ERR_NO_MEMORY)
        return;
    pthread_mutex_lock(&e->cluster->lock);
    post_result(e);
    pthread_mutex_unlock(&e->cluster->lock);
}

static void run_mail(struct cv_mail *mail, bool cancelled)
{
    struct cv_check_entry *e =
        (struct cv_check_entry *)(void *)((unsigned char *)mail -
                                          offsetof(struct cv_check_entry, mail));
    if (!cancelled)
        tell_core(e);
}

/* A user's answer may be anything. */
static void run_user(struct cv_check_entry *e)
{
    memset(e->message, 0, sizeof e->message);
    e->status = e->run(e->message, sizeof e->message, e->user);
    e->message[sizeof e->message - 1] = '\0';
}

static void run_job(struct cv_job *job, bool cancelled)
{
    struct cv_check_entry *e =
        (struct cv_check_entry *)(void *)((unsigned char *)job -
                                          offsetof(struct cv_check_entry, job));
    covey_cluster *cluster = e->cluster;
    pthread_mutex_lock(&cluster->lock);
    bool runs = !cancelled && is_wanted(e);
    e->has_runner = runs;
    e->runner = pthread_self();
    pthread_mutex_unlock(&cluster->lock);
    if (runs)
        run_user(e);
    pthread_mutex_lock(&cluster->lock);
    e->is_busy = e->has_runner = false;
    if (runs)
        post_result(e);
    bool is_orphan = e->is_orphan;
    cluster->checks.running--;
    pthread_cond_broadcast(&cluster->changed);
    pthread_mutex_unlock(&cluster->lock);
    if (is_orphan)
        cv_release(&cluster->runtime->alloc, e);
}

/* Its bounds are never reached: a check is not run twice at once. But those that were removed in their own
 * functions and still run have threads too. */
static int submit(struct cv_check_entry *e)
{
    covey_cluster *cluster = e->cluster;
    const struct cv_workers_config config = {.alloc = &cluster->runtime->alloc,
                                             .threads_max = COVEY_CHECKS_MAX,
                                             .queue_max = COVEY_CHECKS_MAX};
    if (cluster->checks.workers == NULL) {
        int error = cv_workers_new(&config, &cluster->checks.workers);
        if (error != 0)
            return error;
    }
    e->job = (struct cv_job){.run = run_job};
    e->is_busy = true;
    int error = cv_workers_submit(cluster->checks.workers, &e->job);
    if (error != 0)
        e->is_busy = false;
    cluster->checks.running += error == 0;
    return error;
}

static struct cv_check_entry *find_entry(const covey_cluster *cluster, uintptr_t id)
{
    struct cv_check_entry *e;
    LIST_FOREACH (e, &cluster->checks.entries, entry) {
        if (e->id == id && !e->is_removed)
            return e;
    }
    return NULL;
}

void cv_cluster_on_run_check(void *user, uint64_t run, void *check)
{
    covey_cluster *cluster = covey_server_cluster(((struct cv_server_loop *)user)->server);
    if (cluster == NULL)
        return;
    int error = 0;
    pthread_mutex_lock(&cluster->lock);
    struct cv_check_entry *e = find_entry(cluster, (uintptr_t)check);
    if (e != NULL && !cluster->checks.is_stopped) {
        e->number = run;
        error = submit(e);
        cluster->checks.refused += error != 0;
    }
    pthread_mutex_unlock(&cluster->lock);
    if (error == 0)
        return;
    e->status = COVEY_CHECK_UNHEALTHY;
    (void)snprintf(e->message, sizeof e->message, "cannot be run: %s", covey_strerror(error));
    tell_core(e);
}

/* ---- adding and removing ---- */

static struct cv_check_entry *entry_new(covey_cluster *cluster,
                                        const struct covey_health_check *check)
{
    struct cv_check_entry *e = cv_allocate_zeroed(&cluster->runtime->alloc, 1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->cluster = cluster;
    e->run = check->run;
    e->user = check->user;
    (void)snprintf(e->name, sizeof e->name, "%s", check->name);
    pthread_mutex_lock(&cluster->lock);
    e->id = ++cluster->checks.added;
    LIST_INSERT_HEAD(&cluster->checks.entries, e, entry);
    pthread_mutex_unlock(&cluster->lock);
    return e;
}

static void entry_free(struct cv_check_entry *e)
{
    covey_cluster *cluster = e->cluster;
    pthread_mutex_lock(&cluster->lock);
    LIST_REMOVE(e, entry);
    pthread_mutex_unlock(&cluster->lock);
    cv_release(&cluster->runtime->alloc, e);
}

static void set_added(struct cv_check_entry *e, bool is_added)
{
    pthread_mutex_lock(&e->cluster->lock);
    e->is_added = is_added;
    pthread_mutex_unlock(&e->cluster->lock);
}

int covey_cluster_add_check(covey_cluster *cluster, const struct covey_health_check *callers)
{
    struct covey_health_check check = defaults;
    int error = callers == NULL ? COVEY_ERR_INVALID_ARGUMENT
                                : cv_config_take(&check, sizeof check, callers);
    if (error != 0)
        return error;
    if (check.name == NULL || check.run == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    struct cv_check_entry *e = entry_new(cluster, &check);
    if (e == NULL)
        return COVEY_ERR_NO_MEMORY;
    const struct cv_health_check_config config = {
        .name = cv_slice_text(check.name),
        .interval = check.interval,
        .timeout = check.timeout,
        .user = (void *)e->id,
    };
    const struct cv_input input = {.command = {.type = CV_COMMAND_CHECK_ADD, .check = &config}};
    error = cv_cluster_command(cluster, &input);
    if (error != 0) /* the core never had it, so it never ran */
        entry_free(e);
    else
        set_added(e, true);
    return error;
}

/* The entry of that name, which nobody else finds to remove from here on. */
static struct cv_check_entry *claim(covey_cluster *cluster, const char *name)
{
    struct cv_check_entry *e;
    pthread_mutex_lock(&cluster->lock);
    LIST_FOREACH (e, &cluster->checks.entries, entry) {
        if (e->is_added && strcmp(e->name, name) == 0)
            break;
    }
    if (e != NULL)
        e->is_added = false;
    pthread_mutex_unlock(&cluster->lock);
    return e;
}

/* True when it has returned; false inside it, which frees it then. */
static bool wait_for(struct cv_check_entry *e)
{
    covey_cluster *cluster = e->cluster;
    pthread_mutex_lock(&cluster->lock);
    e->is_removed = true;
    bool is_inside = e->has_runner && pthread_equal(e->runner, pthread_self());
    if (is_inside) {
        e->is_orphan = true;
        LIST_REMOVE(e, entry);
    }
    while (!is_inside && e->is_busy)
        cv_cluster_wait_for_change(cluster);
    pthread_mutex_unlock(&cluster->lock);
    return !is_inside;
}

/* Whether the core runs it no more: it may have forgotten it itself, when it was left. */
static bool has_forgotten(int error)
{
    return error == 0 || error == COVEY_ERR_NOT_FOUND || error == COVEY_ERR_STATE ||
           error == COVEY_ERR_CLOSED;
}

int covey_cluster_remove_check(covey_cluster *cluster, const char *name)
{
    if (name == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (cv_runtime_is_in_turn(cluster->runtime))
        return COVEY_ERR_WRONG_THREAD;
    struct cv_check_entry *e = claim(cluster, name);
    if (e == NULL)
        return COVEY_ERR_NOT_FOUND;
    const struct cv_input input = {.command = {.type = CV_COMMAND_CHECK_REMOVE, .key = name}};
    int error = cv_cluster_command(cluster, &input);
    if (!has_forgotten(error)) {
        set_added(e, true); /* as before */
        return error;
    }
    if (wait_for(e)) {
        cv_loop_settle(cv_cluster_host(cluster->server)->loop); /* its last word */
        entry_free(e);
    }
    return 0;
}

/* ---- the end ---- */

bool cv_cluster_is_check(covey_cluster *cluster)
{
    pthread_mutex_lock(&cluster->lock);
    bool is = cluster->checks.workers != NULL && cv_workers_is_current(cluster->checks.workers);
    pthread_mutex_unlock(&cluster->lock);
    return is;
}

void cv_cluster_stop_checks(covey_cluster *cluster)
{
    pthread_mutex_lock(&cluster->lock);
    cluster->checks.is_stopped = true;
    pthread_mutex_unlock(&cluster->lock);
}

void cv_cluster_wait_checks(covey_cluster *cluster)
{
    if (cluster == NULL)
        return;
    pthread_mutex_lock(&cluster->lock);
    while (cluster->checks.running > 0)
        cv_cluster_wait_for_change(cluster);
    pthread_mutex_unlock(&cluster->lock);
}

void cv_cluster_free_checks(covey_cluster *cluster)
{
    struct cv_check_entry *e;
    cv_workers_free(cluster->checks.workers);
    while ((e = LIST_FIRST(&cluster->checks.entries)) != NULL) {
        LIST_REMOVE(e, entry);
        cv_release(&cluster->runtime->alloc, e);
    }
}

/* ---- asking ---- */

/* NULL when there is no membership any more. */
static const struct cv_health_checker *checker_of(const covey_cluster *cluster)
{
    const struct cv_membership *m = cv_node_membership(cv_cluster_host(cluster->server)->node);
    return m == NULL ? NULL : cv_membership_health(m);
}

void cv_cluster_publish_health(covey_cluster *cluster)
{
    const struct cv_health_checker *checker = checker_of(cluster);
    bool is_unhealthy =
        checker != NULL && cv_health_checker_status(checker).overall == COVEY_CHECK_UNHEALTHY;
    atomic_store(&cluster->is_unhealthy, is_unhealthy);
}

void cv_checks_give(struct covey_check_health *callers, size_t count,
                    const struct covey_check_health *from, size_t from_count)
{
    const size_t size = count > 0 ? callers->size : 0;
    for (size_t i = 0; i < count && i < from_count; i++)
        cv_config_give((unsigned char *)callers + i * size, size, &from[i], sizeof from[i]);
}

struct asking {
    covey_cluster *cluster;
    struct covey_health_status status;
    struct covey_check_health checks[COVEY_CHECKS_MAX];
};

static void ask_on_loop(void *user)
{
    struct asking *a = user;
    const struct cv_health_checker *checker = checker_of(a->cluster);
    a->status = (struct covey_health_status){.overall = COVEY_CHECK_HEALTHY};
    if (checker == NULL)
        return;
    a->status = cv_health_checker_status(checker);
    for (uint32_t i = 0; i < a->status.check_count; i++)
        a->checks[i] = cv_health_checker_at(checker, i);
}

int covey_cluster_health(covey_cluster *cluster, struct covey_health_status *status,
                         struct covey_check_health *checks, size_t count)
{
    struct asking asking = {.cluster = cluster};
    if (status == NULL || status->size < sizeof status->size || (checks == NULL && count > 0) ||
        (count > 0 && checks->size < sizeof checks->size))
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = cv_loop_call(cv_cluster_host(cluster->server)->loop, ask_on_loop, &asking);
    if (error != 0)
        return error;
    cv_config_give(status, status->size, &asking.status, sizeof asking.status);
    cv_checks_give(checks, count, asking.checks, asking.status.check_count);
    return 0;
}
