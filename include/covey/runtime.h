#ifndef COVEY_RUNTIME_H
#define COVEY_RUNTIME_H

#include <covey/error.h>
#include <covey/types.h>

COVEY_BEGIN

/*
 * What servers and clients run on: an event loop with a thread of its own, memory and logs. One
 * runtime serves any number of them. Nothing in covey is global: no signal is touched, nothing is
 * printed, the log is silent until a function is set.
 */
typedef struct covey_runtime covey_runtime;

enum covey_log_level {
    COVEY_LOG_ERROR = 0,
    COVEY_LOG_WARNING = 1,
    COVEY_LOG_INFO = 2,
    COVEY_LOG_DEBUG = 3
};

struct covey_runtime_config {
    size_t size;
    /* malloc, realloc, free; called from any thread. All three or none. */
    void *(*allocate)(void *user, size_t size);
    void *(*reallocate)(void *user, void *memory, size_t size);
    void (*release)(void *user, void *memory);
    void *memory_user;
    /* Gets one line without a line end, from any thread. NULL: no log. */
    void (*log)(void *user, enum covey_log_level level, const char *line);
    void *log_user;
    enum covey_log_level log_level; /* COVEY_LOG_INFO; lines above it are not made */
};
#define covey_runtime_config_init(config)                                                          \
    covey_runtime_config_init_sized((config), sizeof *(config))
COVEY_API void covey_runtime_config_init_sized(struct covey_runtime_config *config, size_t size);

/* Starts the thread. `config` may be NULL. 0, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM,
 * COVEY_ERR_INVALID_ARGUMENT. */
COVEY_API COVEY_MUST_USE int covey_runtime_new(const struct covey_runtime_config *config,
                                               covey_runtime **out);

/*
 * Ends the thread. Everything that was made on it must be freed before: servers, clients, streams,
 * replies, receivers and lists; calls must be finished. COVEY_ERR_STATE when something is not,
 * COVEY_ERR_WRONG_THREAD on the runtime's own thread; then nothing happened. NULL is allowed.
 */
COVEY_API int covey_runtime_free(covey_runtime *runtime);

COVEY_END

#endif
