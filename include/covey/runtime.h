#ifndef COVEY_RUNTIME_H
#define COVEY_RUNTIME_H

#include <covey/error.h>
#include <covey/types.h>

COVEY_BEGIN

/*
 * What servers and clients run on: event loops, memory and logs. One runtime serves any number of
 * them. Nothing in covey is global: no signal is touched, nothing is printed, the log is silent
 * until a function is set.
 */
typedef struct covey_runtime covey_runtime;

/*
 * Who runs it. Everything that covey does happens in turns: handlers, callbacks, timers, what is
 * read and what is sent.
 *
 *   COVEY_RUN_THREADS  threads of the library's own; but a thread that waits in covey_client_call()
 *                      may make the turns of the client's loop itself, and is "the loop's thread" to
 *                      handlers and callbacks meanwhile
 *   COVEY_RUN_STEP     the user: he polls covey_runtime_fd() beside his own descriptors, for at most
 *                      covey_runtime_timeout(), and calls covey_runtime_step()
 *   COVEY_RUN_UV       the user's uv_loop_t: covey_uv_runtime_new() of covey/uv.h
 *
 * In the last two there is one loop and no thread for it. The runtime's thread is then the one that
 * made the runtime or, later, that made the last step: one at a time, and only it makes and frees
 * the runtime. On it functions that wait return COVEY_ERR_WRONG_THREAD, for nobody else could make
 * the turn that they wait for; use the asynchronous ones. On other threads they work as ever, as
 * long as the runtime's thread goes on making turns. Freeing servers, clients and the runtime is
 * allowed on the runtime's thread, but not inside a handler or callback of covey's. A user that
 * blocks his thread stops everything, membership too: others then take the node for dead. A watchdog
 * tells afterwards that it came near to that.
 */
enum covey_run_mode { COVEY_RUN_THREADS = 0, COVEY_RUN_STEP = 1, COVEY_RUN_UV = 2 };

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
    enum covey_run_mode mode;       /* COVEY_RUN_THREADS */
    /* Loops for calls, each with a thread and a share of the connections. Membership has one more to
     * itself, so that no handler holds it up. 0: one for each core; up to COVEY_LOOPS_MAX.
     * COVEY_RUN_THREADS only: else there is one for all, whatever is set. */
    unsigned loops;
    /* Microseconds that a loop polls for work before it sleeps, a core's worth of latency: sequential
     * calls become several times faster. It adapts: the time doubles up to this one as long as work
     * comes within it, and halves down to nothing when it does not. Worth it with a core to spare
     * for each loop. 0: it sleeps at once. Up to 1,000,000; COVEY_RUN_THREADS only. */
    unsigned busy_poll_us;
    /* Threads for handlers that block, started when they are needed first. 0: two for each core; up
     * to COVEY_WORKERS_MAX. */
    unsigned workers;
    /* Calls that may wait for a worker; more are refused. 4096, at least 1. */
    unsigned worker_queue_max;
    /* When a server's loop was without a turn for so long though one was due, or makes one that
     * takes so long: a warning in the log, at most one a second, a count in covey_server_stats when
     * it is over and, in a cluster, COVEY_EVENT_LOOP_HELD_UP. With COVEY_RUN_THREADS the loop of
     * membership looks at the others about once in this time, so it tells of one that never goes
     * on, too; else it can be told of afterwards only: covey_runtime_held_up() is for a thread of
     * the user's that looks meanwhile. 500 ms, half of what members expect a heartbeat in; 1 ms
     * or more; COVEY_NEVER: never. */
    covey_time watchdog;
};
#define COVEY_LOOPS_MAX   255
#define COVEY_WORKERS_MAX 1024
#define covey_runtime_config_init(config)                                                          \
    covey_runtime_config_init_sized((config), sizeof *(config))
COVEY_API void covey_runtime_config_init_sized(struct covey_runtime_config *config, size_t size);

/* Starts the threads, if it has any. `config` may be NULL. 0, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM,
 * COVEY_ERR_INVALID_ARGUMENT (also for COVEY_RUN_UV, which needs covey_uv_runtime_new()). */
COVEY_API COVEY_MUST_USE int covey_runtime_new(const struct covey_runtime_config *config,
                                               covey_runtime **out);

/*
 * Ends the threads. Everything that was made on it must be freed before: servers, clients, streams,
 * replies, receivers and lists; calls must be finished. Then nothing happened and the result is
 *   COVEY_ERR_STATE         something is not freed
 *   COVEY_ERR_WRONG_THREAD  on a thread of the library's own (a worker too), inside a handler or
 *                           callback, or, in the other modes, not on the runtime's thread
 * NULL is allowed.
 */
COVEY_API int covey_runtime_free(covey_runtime *runtime);

/*
 * COVEY_RUN_STEP. The loop of a program with a loop of its own:
 *
 *     struct pollfd fds[] = {{.fd = covey_runtime_fd(runtime), .events = POLLIN}, ...};
 *     for (;;) {
 *         covey_time timeout = covey_runtime_timeout(runtime);
 *         poll(fds, n, timeout == COVEY_NEVER ? -1 : rounded up to milliseconds);
 *         covey_runtime_step(runtime);
 *         ...
 *     }
 *
 * A step is due when the descriptor is readable (level-triggered; never read it) or the timeout is
 * over, whichever comes first; other threads' calls make the descriptor readable. A step too many
 * does no harm; one too late delays answers and timers.
 */

/* Valid as long as the runtime. -1 when it is not COVEY_RUN_STEP. Any thread. */
COVEY_API int covey_runtime_fd(const covey_runtime *runtime);
/* How long until a step is due; 0: it is; COVEY_NEVER: only the descriptor will tell, as always in
 * the other modes. Ask after each call into covey. The runtime's thread. */
COVEY_API covey_time covey_runtime_timeout(const covey_runtime *runtime);
/* One turn without waiting. The calling thread is the runtime's from now on. 0; COVEY_ERR_STATE: it
 * is not COVEY_RUN_STEP, or a turn is under way (inside a callback). */
COVEY_API int covey_runtime_step(covey_runtime *runtime);

/*
 * How long the loop of all that has been so the longest has made no turn: the one that is under way
 * takes so long, or its timer's time has come and nobody makes the turn. 0 when all goes on. What
 * waits in the descriptor alone does not count. Any thread, never waits: for a watchdog of the
 * user's own, where he makes the turns.
 */
COVEY_API covey_time covey_runtime_held_up(const covey_runtime *runtime);

COVEY_END

#endif
