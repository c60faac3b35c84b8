#ifndef CV_API_RUNTIME_H
#define CV_API_RUNTIME_H

#include "api/client_loop.h"
#include "api/pool.h"
#include "base/alloc.h"
#include "base/log.h"
#include "io/loop.h"
#include "io/workers.h"

#include <covey/runtime.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* The inside of a runtime, for the other files of this layer. */
struct covey_runtime {
    struct cv_alloc alloc;
    struct cv_log log;
    struct cv_pool pool;
    enum covey_run_mode mode;
    covey_time watchdog;
    struct cv_loop *loop; /* the first of: */
    struct cv_loop **loops;
    unsigned loop_count;   /* 1 unless COVEY_RUN_THREADS, where all but the first serve calls */
    atomic_uint next_loop; /* for a client */
    struct cv_client_loop *client_loops; /* one for each loop, which it belongs to */
    struct cv_workers_config workers_config;
    struct cv_workers *workers;    /* NULL before it is asked for; under the lock */
    struct cv_workers *dispatcher; /* one thread for handlers of events; likewise */
    /* Everything that was handed out and uses `alloc` or the loop: servers, clients, calls,
     * streams, receivers, lists. */
    atomic_size_t users;
    /* For waits that are rare: a call's room, a join. What is waited for changes under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* True on a thread that must not wait, because what it would wait for may happen on it. */
bool cv_runtime_is_loop_thread(const covey_runtime *runtime);
/* False where asking every loop would make one wait for another. */
bool cv_runtime_may_ask_loops(const covey_runtime *runtime);
/* True inside a turn of one of the loops: what lives there may not be freed. */
bool cv_runtime_is_in_turn(const covey_runtime *runtime);
/* True on one of its threads for what may block: workers, and that of handlers of events. */
bool cv_runtime_is_worker(covey_runtime *runtime);
/* Between two looks at what another thread is to bring about, which may need a turn: where no thread of ours
 * makes them, this thread makes one, if they are its own to make, or has run what was posted. Not in a turn. */
void cv_runtime_serve(const covey_runtime *runtime);
/* The loop for one more client: the calling thread's, else one after the other. */
struct cv_client_loop *cv_runtime_next_loop(covey_runtime *runtime);

void cv_runtime_retain(covey_runtime *runtime);
void cv_runtime_release(covey_runtime *runtime);

/* Any thread: the pool for handlers that block, made at the first time; it ends with the runtime.
 * What is submitted must keep a user of the runtime. 0, COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_runtime_workers(covey_runtime *runtime, struct cv_workers **out);

/* A condition variable on the monotonic clock. 0 or COVEY_ERR_SYSTEM. */
COVEY_MUST_USE int cv_condition_init(pthread_cond_t *condition);
/* Waits on `condition` until it is signalled or `deadline` (monotonic; COVEY_NEVER: none) has come.
 * False when the deadline has come. `lock` is held. */
bool cv_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, covey_time deadline);
/* The point in time `timeout` from now, COVEY_NEVER when it does not fit. */
covey_time cv_deadline_after(covey_time timeout);
/* What is left until then; COVEY_NEVER for COVEY_NEVER. */
covey_time cv_time_left(covey_time deadline);

/*
 * Versioned configuration structs: their first member is the size that the caller was compiled
 * with. Copies what both know into `own` (own_size bytes, defaults inside) and keeps own's size.
 * COVEY_ERR_INVALID_ARGUMENT for a size that is smaller than size_t or when the caller set bytes
 * that this library does not know.
 */
COVEY_MUST_USE int cv_config_take(void *own, size_t own_size, const void *callers);
/* Fills a caller's struct of `size` bytes from defaults of `defaults_size` bytes. */
void cv_config_give(void *callers, size_t size, const void *defaults, size_t defaults_size);

#endif
