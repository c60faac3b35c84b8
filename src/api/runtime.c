#include "api/runtime.h"

#include "api/dispatcher.h"
#include "io/clock.h"
#include "io/thread.h"

#include <covey/uv.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAILS_MAX        65536
#define BUSY_POLL_US_MAX 1000000
/* Shorter than a turn the loop of membership would do nothing but look at the others. */
#define WATCHDOG_MIN COVEY_MILLISECOND

static const struct covey_runtime_config defaults = {
    .size = sizeof(struct covey_runtime_config),
    .log_level = COVEY_LOG_INFO,
    .mode = COVEY_RUN_THREADS,
    .worker_queue_max = 4096,
    .watchdog = 500 * COVEY_MILLISECOND,
};

void covey_runtime_config_init_sized(struct covey_runtime_config *config, size_t size)
{
    cv_config_give(config, size, &defaults, sizeof defaults);
}

/* ---- versioned structs ---- */

static bool is_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

int cv_config_take(void *own, size_t own_size, const void *callers)
{
    size_t size;
    if (callers == NULL)
        return 0;
    memcpy(&size, callers, sizeof size);
    if (size < sizeof size)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (size > own_size && !is_zero((const unsigned char *)callers + own_size, size - own_size))
        return COVEY_ERR_INVALID_ARGUMENT;
    memcpy(own, callers, size < own_size ? size : own_size);
    memcpy(own, &own_size, sizeof own_size);
    return 0;
}

void cv_config_give(void *callers, size_t size, const void *defaults_of, size_t defaults_size)
{
    memset(callers, 0, size);
    memcpy(callers, defaults_of, size < defaults_size ? size : defaults_size);
    if (size >= sizeof size)
        memcpy(callers, &size, sizeof size);
}

/* ---- waiting ---- */

int cv_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return COVEY_ERR_SYSTEM;
    int failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
                 pthread_cond_init(condition, &attributes) != 0;
    pthread_condattr_destroy(&attributes);
    return failed ? COVEY_ERR_SYSTEM : 0;
}

bool cv_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, covey_time deadline)
{
    if (deadline == COVEY_NEVER) {
        pthread_cond_wait(condition, lock);
        return true;
    }
    struct timespec until = {.tv_sec = (time_t)(deadline / COVEY_SECOND),
                             .tv_nsec = (long)(deadline % COVEY_SECOND)};
    return pthread_cond_timedwait(condition, lock, &until) != ETIMEDOUT;
}

covey_time cv_deadline_after(covey_time timeout)
{
    covey_time now = cv_clock_now();
    return timeout >= COVEY_NEVER - now ? COVEY_NEVER : now + timeout;
}

covey_time cv_time_left(covey_time deadline)
{
    if (deadline == COVEY_NEVER)
        return COVEY_NEVER;
    covey_time now = cv_clock_now();
    return deadline > now ? deadline - now : 0;
}

void cv_runtime_serve(const covey_runtime *runtime)
{
    struct cv_loop *loop = runtime->loop;
    if (runtime->mode == COVEY_RUN_THREADS)
        return;
    if (!cv_loop_is_current(loop))
        cv_loop_settle(loop); /* its turns are made elsewhere */
    else if (runtime->mode == COVEY_RUN_STEP)
        cv_loop_step(loop);
    else
        cv_loop_turn_by_hand(loop);
}

/* ---- the runtime ---- */

/* The user's functions, which may be none. */
static int take_allocator(struct cv_alloc *alloc, const struct covey_runtime_config *config)
{
    int set = (config->allocate != NULL) + (config->reallocate != NULL) + (config->release != NULL);
    *alloc = *cv_alloc_default();
    if (set == 0)
        return 0;
    if (set != 3)
        return COVEY_ERR_INVALID_ARGUMENT;
    *alloc = (struct cv_alloc){
        .allocate = config->allocate,
        .reallocate = config->reallocate,
        .release = config->release,
        .user = config->memory_user,
    };
    return 0;
}

/* The public levels have the numbers of ours; the adapter keeps the enums apart. */
struct log_adapter {
    void (*write)(void *user, enum covey_log_level level, const char *line);
    void *user;
};

static void write_log(void *user, enum cv_log_level level, const char *line)
{
    const struct log_adapter *adapter = user;
    adapter->write(adapter->user, (enum covey_log_level)level, line);
}

static int take_log(struct covey_runtime *runtime, const struct covey_runtime_config *config)
{
    if (config->log == NULL)
        return 0;
    struct log_adapter *adapter = cv_allocate(&runtime->alloc, sizeof *adapter);
    if (adapter == NULL)
        return COVEY_ERR_NO_MEMORY;
    *adapter = (struct log_adapter){.write = config->log, .user = config->log_user};
    runtime->log = (struct cv_log){
        .write = write_log, .user = adapter, .level = (enum cv_log_level)config->log_level};
    return 0;
}

/* What a runtime is made of beside the user's config. */
struct plan {
    struct covey_runtime_config config;
    struct uv_loop_s *uv_loop; /* COVEY_RUN_UV */
};

/* Checks, and puts numbers for what is left to us. */
static int settle(struct plan *plan)
{
    struct covey_runtime_config *config = &plan->config;
    unsigned cores = cv_core_count();
    if (config->mode != COVEY_RUN_THREADS && config->mode != COVEY_RUN_STEP &&
        (config->mode != COVEY_RUN_UV || plan->uv_loop == NULL))
        return COVEY_ERR_INVALID_ARGUMENT;
    if (config->loops == 0)
        config->loops = cores < COVEY_LOOPS_MAX ? cores : COVEY_LOOPS_MAX;
    if (config->workers == 0)
        config->workers = cores < COVEY_WORKERS_MAX / 2 ? cores * 2 : COVEY_WORKERS_MAX;
    if (config->loops > COVEY_LOOPS_MAX || config->workers > COVEY_WORKERS_MAX ||
        config->busy_poll_us > BUSY_POLL_US_MAX || config->worker_queue_max == 0 ||
        config->watchdog < WATCHDOG_MIN)
        return COVEY_ERR_INVALID_ARGUMENT;
    return 0;
}

static void close_loops(struct covey_runtime *runtime)
{
    while (runtime->loop_count > 0) {
        cv_loop_free(runtime->loops[--runtime->loop_count]);
        cv_client_loop_fini(&runtime->client_loops[runtime->loop_count]);
    }
    cv_release(&runtime->alloc, runtime->loops);
    cv_release(&runtime->alloc, runtime->client_loops);
}

static int open_loop(struct covey_runtime *runtime, const struct plan *plan)
{
    static const enum cv_loop_mode modes[] = {
        [COVEY_RUN_THREADS] = CV_LOOP_THREAD,
        [COVEY_RUN_STEP] = CV_LOOP_STEP,
        [COVEY_RUN_UV] = CV_LOOP_UV,
    };
    char name[32] = "covey"; /* and covey-1, covey-2, ... */
    if (runtime->loop_count > 0)
        (void)snprintf(name, sizeof name, "covey-%u", runtime->loop_count);
    const struct cv_loop_config config = {
        .alloc = &runtime->alloc,
        .log = &runtime->log,
        .mode = modes[plan->config.mode],
        .thread_name = name,
        .uv_loop = plan->uv_loop,
        .mails_max = MAILS_MAX,
        .busy_poll = plan->config.busy_poll_us * COVEY_MICROSECOND,
        .turn_long = plan->config.watchdog,
    };
    unsigned index = runtime->loop_count;
    int error = cv_loop_new(&config, &runtime->loops[index]);
    if (error != 0)
        return error;
    cv_client_loop_init(&runtime->client_loops[index], runtime->loops[index], &runtime->alloc,
                        &runtime->pool);
    runtime->loop_count++;
    return 0;
}

static int open_loops(struct covey_runtime *runtime, const struct plan *plan)
{
    bool has_threads = plan->config.mode == COVEY_RUN_THREADS;
    unsigned count = has_threads ? 1 + plan->config.loops : 1;
    runtime->loops = cv_allocate_zeroed(&runtime->alloc, count, sizeof *runtime->loops);
    runtime->client_loops =
        cv_allocate_zeroed(&runtime->alloc, count, sizeof *runtime->client_loops);
    if (runtime->loops == NULL || runtime->client_loops == NULL) {
        close_loops(runtime);
        return COVEY_ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < count; i++) {
        int error = open_loop(runtime, plan);
        if (error != 0) {
            close_loops(runtime);
            return error;
        }
    }
    runtime->loop = runtime->loops[0];
    return 0;
}

static int start(struct covey_runtime *runtime, const struct plan *plan)
{
    int error = take_log(runtime, &plan->config);
    if (error != 0)
        return error;
    runtime->mode = plan->config.mode;
    runtime->watchdog = plan->config.watchdog;
    runtime->workers_config = (struct cv_workers_config){
        .alloc = &runtime->alloc,
        .threads_max = plan->config.workers,
        .queue_max = plan->config.worker_queue_max,
    };
    if (pthread_mutex_init(&runtime->lock, NULL) != 0)
        return COVEY_ERR_SYSTEM;
    error = cv_condition_init(&runtime->changed);
    if (error == 0) {
        error = open_loops(runtime, plan);
        if (error != 0)
            pthread_cond_destroy(&runtime->changed);
    }
    if (error != 0)
        pthread_mutex_destroy(&runtime->lock);
    return error;
}

static int runtime_new(struct plan *plan, covey_runtime **out)
{
    struct cv_alloc alloc;
    int error = settle(plan);
    if (error == 0)
        error = take_allocator(&alloc, &plan->config);
    if (error != 0)
        return error;
    struct covey_runtime *runtime = cv_allocate_zeroed(&alloc, 1, sizeof *runtime);
    if (runtime == NULL)
        return COVEY_ERR_NO_MEMORY;
    runtime->alloc = alloc;
    cv_pool_init(&runtime->pool, &runtime->alloc);
    error = start(runtime, plan);
    if (error != 0) {
        cv_pool_fini(&runtime->pool);
        cv_release(&alloc, runtime->log.user);
        cv_release(&alloc, runtime);
        return error;
    }
    *out = runtime;
    return 0;
}

int covey_runtime_new(const struct covey_runtime_config *callers, covey_runtime **out)
{
    struct plan plan = {.config = defaults};
    int error = cv_config_take(&plan.config, sizeof plan.config, callers);
    return error == 0 ? runtime_new(&plan, out) : error;
}

int covey_uv_runtime_new(const struct covey_runtime_config *callers, struct uv_loop_s *uv_loop,
                         covey_runtime **out)
{
    struct plan plan = {.config = defaults, .uv_loop = uv_loop};
    int error = cv_config_take(&plan.config, sizeof plan.config, callers);
    plan.config.mode = COVEY_RUN_UV;
    return error == 0 ? runtime_new(&plan, out) : error;
}

/* ---- its end ---- */

bool cv_runtime_is_worker(covey_runtime *runtime)
{
    pthread_mutex_lock(&runtime->lock);
    bool is_worker = runtime->workers != NULL && cv_workers_is_current(runtime->workers);
    pthread_mutex_unlock(&runtime->lock);
    return is_worker || cv_dispatcher_is_current(runtime);
}

static bool may_free(struct covey_runtime *runtime)
{
    if (cv_runtime_is_worker(runtime))
        return false;
    if (runtime->mode != COVEY_RUN_THREADS)
        return cv_loop_is_current(runtime->loop) && !cv_loop_in_turn(runtime->loop);
    for (unsigned i = 0; i < runtime->loop_count; i++)
        if (cv_loop_is_current(runtime->loops[i]))
            return false;
    return true;
}

/* What was freed or finished on this thread may still be on its way to a loop. */
static void settle_mails(struct covey_runtime *runtime)
{
    for (unsigned i = 0; i < runtime->loop_count; i++)
        cv_loop_settle(runtime->loops[i]);
}

int covey_runtime_free(covey_runtime *runtime)
{
    if (runtime == NULL)
        return 0;
    if (!may_free(runtime))
        return COVEY_ERR_WRONG_THREAD;
    settle_mails(runtime);
    cv_dispatcher_settle(runtime);
    if (atomic_load(&runtime->users) != 0)
        return COVEY_ERR_STATE;
    struct cv_alloc alloc = runtime->alloc;
    cv_workers_free(runtime->workers);
    cv_workers_free(runtime->dispatcher);
    close_loops(runtime);
    cv_pool_fini(&runtime->pool);
    pthread_cond_destroy(&runtime->changed);
    pthread_mutex_destroy(&runtime->lock);
    cv_release(&alloc, runtime->log.user);
    cv_release(&alloc, runtime);
    return 0;
}

/* ---- a user who makes the turns ---- */

int covey_runtime_fd(const covey_runtime *runtime)
{
    return runtime->mode == COVEY_RUN_STEP ? cv_loop_fd(runtime->loop) : -1;
}

covey_time covey_runtime_timeout(const covey_runtime *runtime)
{
    return runtime->mode == COVEY_RUN_STEP ? cv_loop_timeout(runtime->loop) : COVEY_NEVER;
}

int covey_runtime_step(covey_runtime *runtime)
{
    if (runtime->mode != COVEY_RUN_STEP || cv_loop_in_turn(runtime->loop))
        return COVEY_ERR_STATE;
    cv_loop_step(runtime->loop);
    return 0;
}

bool cv_runtime_is_loop_thread(const covey_runtime *runtime)
{
    for (unsigned i = 0; i < runtime->loop_count; i++) {
        if (cv_loop_is_current(runtime->loops[i]))
            return true;
    }
    return false;
}

covey_time covey_runtime_held_up(const covey_runtime *runtime)
{
    const covey_time now = cv_clock_now();
    covey_time longest = 0;
    for (unsigned i = 0; i < runtime->loop_count; i++) {
        const covey_time from = cv_loop_late_from(runtime->loops[i]);
        if (now > from && now - from > longest)
            longest = now - from;
    }
    return longest;
}

bool cv_runtime_may_ask_loops(const covey_runtime *runtime)
{
    return runtime->loop_count == 1 || !cv_runtime_is_loop_thread(runtime);
}

bool cv_runtime_is_in_turn(const covey_runtime *runtime)
{
    for (unsigned i = 0; i < runtime->loop_count; i++) {
        if (cv_loop_in_turn(runtime->loops[i]))
            return true;
    }
    return false;
}

struct cv_client_loop *cv_runtime_next_loop(covey_runtime *runtime)
{
    unsigned count = runtime->loop_count;
    /* One made in a handler: a loop never waits for another. */
    for (unsigned i = 0; i < count; i++) {
        if (cv_loop_is_current(runtime->loops[i]))
            return &runtime->client_loops[i];
    }
    unsigned index = count == 1 ? 0 : 1 + atomic_fetch_add(&runtime->next_loop, 1) % (count - 1);
    return &runtime->client_loops[index];
}

void cv_runtime_retain(covey_runtime *runtime)
{
    atomic_fetch_add(&runtime->users, 1);
}

void cv_runtime_release(covey_runtime *runtime)
{
    atomic_fetch_sub(&runtime->users, 1);
}

int cv_runtime_workers(covey_runtime *runtime, struct cv_workers **out)
{
    int error = 0;
    pthread_mutex_lock(&runtime->lock);
    if (runtime->workers == NULL)
        error = cv_workers_new(&runtime->workers_config, &runtime->workers);
    *out = runtime->workers;
    pthread_mutex_unlock(&runtime->lock);
    return error;
}
