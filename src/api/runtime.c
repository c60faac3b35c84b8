#include "api/runtime.h"

#include "io/clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define MAILS_MAX 65536

static const struct covey_runtime_config defaults = {
    .size = sizeof(struct covey_runtime_config),
    .log_level = COVEY_LOG_INFO,
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

static int start(struct covey_runtime *runtime, const struct covey_runtime_config *config)
{
    int error = take_log(runtime, config);
    if (error != 0)
        return error;
    if (pthread_mutex_init(&runtime->lock, NULL) != 0)
        return COVEY_ERR_SYSTEM;
    error = cv_condition_init(&runtime->changed);
    if (error == 0) {
        struct cv_loop_config loop = {
            .alloc = &runtime->alloc,
            .log = &runtime->log,
            .thread_name = "covey",
            .mails_max = MAILS_MAX,
        };
        error = cv_loop_new(&loop, &runtime->loop);
        if (error != 0)
            pthread_cond_destroy(&runtime->changed);
    }
    if (error != 0)
        pthread_mutex_destroy(&runtime->lock);
    return error;
}

int covey_runtime_new(const struct covey_runtime_config *callers, covey_runtime **out)
{
    struct covey_runtime_config config = defaults;
    struct cv_alloc alloc;
    int error = cv_config_take(&config, sizeof config, callers);
    if (error == 0)
        error = take_allocator(&alloc, &config);
    if (error != 0)
        return error;
    struct covey_runtime *runtime = cv_allocate_zeroed(&alloc, 1, sizeof *runtime);
    if (runtime == NULL)
        return COVEY_ERR_NO_MEMORY;
    runtime->alloc = alloc;
    cv_pool_init(&runtime->pool, &runtime->alloc);
    error = start(runtime, &config);
    if (error != 0) {
        cv_pool_fini(&runtime->pool);
        cv_release(&alloc, runtime->log.user);
        cv_release(&alloc, runtime);
        return error;
    }
    *out = runtime;
    return 0;
}

static void do_nothing(void *user)
{
    (void)user;
}

int covey_runtime_free(covey_runtime *runtime)
{
    if (runtime == NULL)
        return 0;
    if (cv_loop_is_current(runtime->loop))
        return COVEY_ERR_WRONG_THREAD;
    /* What was freed or finished on this thread may still be on its way to the loop. */
    while (cv_loop_call(runtime->loop, do_nothing, NULL) == COVEY_ERR_BUSY)
        ;
    if (atomic_load(&runtime->users) != 0)
        return COVEY_ERR_STATE;
    struct cv_alloc alloc = runtime->alloc;
    cv_loop_free(runtime->loop);
    cv_pool_fini(&runtime->pool);
    pthread_cond_destroy(&runtime->changed);
    pthread_mutex_destroy(&runtime->lock);
    cv_release(&alloc, runtime->log.user);
    cv_release(&alloc, runtime);
    return 0;
}

bool cv_runtime_is_loop_thread(const covey_runtime *runtime)
{
    return cv_loop_is_current(runtime->loop);
}

struct cv_loop *cv_runtime_next_loop(covey_runtime *runtime)
{
    return runtime->loop;
}

void cv_runtime_retain(covey_runtime *runtime)
{
    atomic_fetch_add(&runtime->users, 1);
}

void cv_runtime_release(covey_runtime *runtime)
{
    atomic_fetch_sub(&runtime->users, 1);
}
