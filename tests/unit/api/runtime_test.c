#define _GNU_SOURCE
#include "api/runtime.h"

#include "unit/api/fixture.h"
#include "unit/io/fixture.h"

#include <covey/uv.h>
#include <pthread.h>
#include <uv.h>

/* ---- an echo server and its client on a runtime of any mode ---- */

struct echo {
    struct world world;
    uv_loop_t loop; /* COVEY_RUN_UV */
    covey_server *server;
    covey_client *client;
    unsigned done; /* answers that came on the runtime's thread */
    unsigned right;
    int freed_client; /* what these said inside a callback */
    int freed_runtime;
    int stepped;
    int called;
};

static void echo(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size);
}

static void config_of(struct world *w, struct covey_runtime_config *config)
{
    covey_runtime_config_init(config);
    config->allocate = world_allocate;
    config->reallocate = world_reallocate;
    config->release = world_release;
    config->memory_user = w;
}

static void echo_init(struct echo *e, enum covey_run_mode mode)
{
    const struct covey_method method = {.name = "echo", .handler = echo};
    struct covey_runtime_config config;
    memset(e, 0, sizeof *e);
    assert_int_equal(covey_pki_make_ca("flock", COVEY_KEY_ED25519, 10, &e->world.ca), 0);
    config_of(&e->world, &config);
    config.mode = mode;
    config.loops = 4; /* only threads have more than one */
    if (mode == COVEY_RUN_UV) {
        assert_int_equal(uv_loop_init(&e->loop), 0);
        assert_int_equal(covey_uv_runtime_new(&config, &e->loop, &e->world.runtime), 0);
    } else {
        assert_int_equal(covey_runtime_new(&config, &e->world.runtime), 0);
    }
    e->server = world_server(&e->world, "robin");
    assert_int_equal(covey_server_add_method(e->server, &method), 0);
    assert_int_equal(covey_server_start(e->server), 0);
    e->client = world_client(&e->world, covey_server_address(e->server), COVEY_ROLE_CLIENT);
}

static void on_reply(const struct covey_reply *reply, void *user)
{
    struct echo *e = user;
    struct covey_reply other;
    e->right +=
        reply->code == COVEY_STATUS_OK && reply->size == 5 && memcmp(reply->data, "hello", 5) == 0;
    e->freed_client = covey_client_free(e->client);
    e->freed_runtime = covey_runtime_free(e->world.runtime);
    e->stepped = covey_runtime_step(e->world.runtime);
    e->called = covey_client_call(e->client, "echo", "x", 1, NULL, &other);
    e->done++;
}

static void call(struct echo *e)
{
    assert_int_equal(covey_client_call_async(e->client, "echo", "hello", 5, NULL, on_reply, e), 0);
}

static void assert_nothing_was_done_inside(const struct echo *e)
{
    assert_int_equal(e->freed_client, COVEY_ERR_WRONG_THREAD);
    assert_int_equal(e->freed_runtime, COVEY_ERR_WRONG_THREAD);
    assert_int_equal(e->stepped, COVEY_ERR_STATE);
    assert_int_equal(e->called, COVEY_ERR_WRONG_THREAD);
}

/* ---- steps ---- */

static int milliseconds(covey_time timeout)
{
    covey_time rounded = (timeout + COVEY_MILLISECOND - 1) / COVEY_MILLISECOND;
    return timeout == COVEY_NEVER || rounded > 1000 ? 1000 : (int)rounded;
}

static void poll_and_step(covey_runtime *runtime)
{
    struct pollfd fd = {.fd = covey_runtime_fd(runtime), .events = POLLIN};
    assert_true(poll(&fd, 1, milliseconds(covey_runtime_timeout(runtime))) >= 0);
    assert_int_equal(covey_runtime_step(runtime), 0);
}

static void step_until(const struct echo *e, unsigned done)
{
    covey_time deadline = cv_deadline_after(TEST_DEADLINE);
    while (e->done < done && cv_deadline_after(0) < deadline)
        poll_and_step(e->world.runtime);
    assert_int_equal(e->done, done);
}

static void a_user_may_make_the_steps(void **state)
{
    static struct echo e;
    (void)state;
    echo_init(&e, COVEY_RUN_STEP);
    assert_int_equal(count_threads("covey"), 0);
    struct covey_reply reply;
    assert_int_equal(covey_client_call(e.client, "echo", "x", 1, NULL, &reply),
                     COVEY_ERR_WRONG_THREAD);
    for (unsigned i = 1; i <= 3; i++) {
        call(&e);
        step_until(&e, i);
    }
    assert_int_equal(e.right, 3);
    assert_nothing_was_done_inside(&e);
    /* What is posted comes before the end, though nobody steps any more. */
    call(&e);
    assert_int_equal(covey_client_free(e.client), 0);
    assert_int_equal(e.done, 4);
    assert_int_equal(covey_server_free(e.server), 0);
    world_fini(&e.world);
}

struct caller {
    struct echo *echo;
    int error;
    int freed;
    enum covey_status_code code;
    _Atomic(bool) is_done;
};

static void *call_and_wait(void *user)
{
    struct caller *c = user;
    struct covey_reply reply;
    c->freed = covey_runtime_free(c->echo->world.runtime);
    c->error = covey_client_call(c->echo->client, "echo", "x", 1, NULL, &reply);
    c->code = reply.code;
    covey_reply_clear(&reply);
    atomic_store(&c->is_done, true);
    return NULL;
}

static void another_thread_may_wait_for_the_steps(void **state)
{
    static struct echo e;
    static struct caller c;
    (void)state;
    pthread_t thread;
    echo_init(&e, COVEY_RUN_STEP);
    c = (struct caller){.echo = &e};
    assert_int_equal(pthread_create(&thread, NULL, call_and_wait, &c), 0);
    covey_time deadline = cv_deadline_after(TEST_DEADLINE);
    while (!atomic_load(&c.is_done) && cv_deadline_after(0) < deadline)
        poll_and_step(e.world.runtime);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(c.error, 0);
    assert_int_equal(c.code, COVEY_STATUS_OK);
    assert_int_equal(c.freed, COVEY_ERR_WRONG_THREAD);
    assert_int_equal(covey_client_free(e.client), 0);
    assert_int_equal(covey_server_free(e.server), 0);
    world_fini(&e.world);
}

/* Whoever steps may wait no more; the one who stepped before may. */
static void *step_once(void *user)
{
    struct caller *c = user;
    struct covey_reply reply;
    c->freed = covey_runtime_step(c->echo->world.runtime);
    c->error = covey_client_call(c->echo->client, "echo", "x", 1, NULL, &reply);
    return NULL;
}

static void the_thread_is_the_one_of_the_last_step(void **state)
{
    static struct echo e;
    (void)state;
    struct caller c = {.echo = &e};
    pthread_t thread;
    echo_init(&e, COVEY_RUN_STEP);
    assert_int_equal(pthread_create(&thread, NULL, step_once, &c), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(c.freed, 0);
    assert_int_equal(c.error, COVEY_ERR_WRONG_THREAD);
    assert_int_equal(covey_runtime_step(e.world.runtime), 0);
    assert_int_equal(covey_client_free(e.client), 0);
    assert_int_equal(covey_server_free(e.server), 0);
    world_fini(&e.world);
}

/* ---- a user's libuv loop ---- */

static void on_time(uv_timer_t *timer)
{
    (void)timer;
}

static void uv_run_until(struct echo *e, unsigned done)
{
    uv_timer_t tick; /* ends the wait now and then, so that a failure shows */
    covey_time deadline = cv_deadline_after(TEST_DEADLINE);
    assert_int_equal(uv_timer_init(&e->loop, &tick), 0);
    assert_int_equal(uv_timer_start(&tick, on_time, 100, 100), 0);
    while (e->done < done && cv_deadline_after(0) < deadline)
        (void)uv_run(&e->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&tick, NULL);
    (void)uv_run(&e->loop, UV_RUN_NOWAIT);
    assert_int_equal(e->done, done);
}

static void uv_fini(struct echo *e)
{
    (void)uv_run(&e->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&e->loop), 0);
    assert_int_equal(atomic_load(&e->world.blocks), 0);
    covey_pem_free(&e->world.ca);
}

static void a_users_uv_loop_runs_it(void **state)
{
    static struct echo e;
    (void)state;
    echo_init(&e, COVEY_RUN_UV);
    assert_int_equal(count_threads("covey"), 0);
    assert_int_equal(covey_runtime_fd(e.world.runtime), -1);
    assert_true(covey_runtime_timeout(e.world.runtime) == COVEY_NEVER);
    assert_int_equal(covey_runtime_step(e.world.runtime), COVEY_ERR_STATE);
    for (unsigned i = 1; i <= 3; i++) {
        call(&e);
        uv_run_until(&e, i);
    }
    assert_int_equal(e.right, 3);
    assert_nothing_was_done_inside(&e);
    assert_int_equal(covey_client_free(e.client), 0);
    assert_int_equal(covey_server_free(e.server), 0);
    assert_int_equal(covey_runtime_free(e.world.runtime), 0);
    assert_int_equal(uv_loop_close(&e.loop), UV_EBUSY);
    uv_fini(&e);
}

static void free_all(uv_timer_t *timer)
{
    struct echo *e = timer->data;
    uv_close((uv_handle_t *)timer, NULL);
    call(e);
    e->freed_client = covey_client_free(e->client);
    assert_int_equal(covey_server_free(e->server), 0);
    e->freed_runtime = covey_runtime_free(e->world.runtime);
}

/* uv_run() returns by itself when the last handle is closed. */
static void a_users_own_callback_may_free_it(void **state)
{
    static struct echo e;
    (void)state;
    uv_timer_t timer = {.data = &e};
    echo_init(&e, COVEY_RUN_UV);
    call(&e);
    uv_run_until(&e, 1);
    assert_int_equal(uv_timer_init(&e.loop, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, free_all, 1, 0), 0);
    assert_int_equal(uv_run(&e.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(e.freed_client, 0);
    assert_int_equal(e.freed_runtime, 0);
    assert_int_equal(e.done, 2);
    uv_fini(&e);
}

/* ---- threads ---- */

static void each_loop_has_a_thread(void **state)
{
    static struct world w;
    (void)state;
    struct covey_runtime_config config;
    memset(&w, 0, sizeof w);
    config_of(&w, &config);
    config.loops = 3;
    assert_int_equal(covey_runtime_new(&config, &w.runtime), 0);
    assert_int_equal(count_threads("covey"), 1);
    assert_int_equal(count_threads("covey-1"), 1);
    assert_int_equal(count_threads("covey-2"), 1);
    assert_int_equal(covey_runtime_step(w.runtime), COVEY_ERR_STATE);
    assert_int_equal(covey_runtime_fd(w.runtime), -1);
    assert_int_equal(covey_runtime_free(w.runtime), 0);
    assert_int_equal(atomic_load(&w.blocks), 0);
    assert_true(wait_no_thread("covey-2"));
}

/* ---- workers ---- */

struct try_free {
    struct cv_job job;
    covey_runtime *runtime;
    int error;
    sem_t done;
};

static void run_try_free(struct cv_job *job, bool cancelled)
{
    struct try_free *t = (struct try_free *)(void *)job;
    (void)cancelled;
    t->error = covey_runtime_free(t->runtime);
    sem_post(&t->done);
}

static void workers_come_when_they_are_asked_for(void **state)
{
    static struct world w;
    (void)state;
    struct cv_workers *workers;
    struct cv_workers *again;
    world_init(&w);
    size_t blocks = atomic_load(&w.blocks);
    assert_int_equal(cv_runtime_workers(w.runtime, &workers), 0);
    assert_int_equal(cv_runtime_workers(w.runtime, &again), 0);
    assert_ptr_equal(workers, again);
    assert_int_equal(atomic_load(&w.blocks), blocks + 1);
    assert_int_equal(count_threads("covey-worker"), 0);
    struct try_free t = {.job = {.run = run_try_free}, .runtime = w.runtime};
    sem_init(&t.done, 0, 0);
    assert_int_equal(cv_workers_submit(workers, &t.job), 0);
    assert_true(wait_for(&t.done));
    assert_int_equal(t.error, COVEY_ERR_WRONG_THREAD);
    world_fini(&w);
    assert_true(wait_no_thread("covey-worker"));
}

/* ---- what is refused ---- */

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct covey_runtime_config config;
    covey_runtime *runtime = NULL;
    uv_loop_t *no_loop = NULL;
    covey_runtime_config_init(&config);
    config.mode = COVEY_RUN_UV;
    assert_int_equal(covey_runtime_new(&config, &runtime), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_uv_runtime_new(&config, no_loop, &runtime), COVEY_ERR_INVALID_ARGUMENT);
    config.mode = (enum covey_run_mode)3;
    assert_int_equal(covey_runtime_new(&config, &runtime), COVEY_ERR_INVALID_ARGUMENT);
    covey_runtime_config_init(&config);
    config.loops = COVEY_LOOPS_MAX + 1;
    assert_int_equal(covey_runtime_new(&config, &runtime), COVEY_ERR_INVALID_ARGUMENT);
    covey_runtime_config_init(&config);
    config.workers = COVEY_WORKERS_MAX + 1;
    assert_int_equal(covey_runtime_new(&config, &runtime), COVEY_ERR_INVALID_ARGUMENT);
    covey_runtime_config_init(&config);
    config.worker_queue_max = 0;
    assert_int_equal(covey_runtime_new(&config, &runtime), COVEY_ERR_INVALID_ARGUMENT);
    covey_runtime_config_init(&config);
    config.busy_poll_us = 1000001;
    assert_int_equal(covey_runtime_new(&config, &runtime), COVEY_ERR_INVALID_ARGUMENT);
    covey_runtime_config_init(&config);
    config.release = world_release;
    assert_int_equal(covey_runtime_new(&config, &runtime), COVEY_ERR_INVALID_ARGUMENT);
    assert_null(runtime);
}

struct failing {
    struct world world;
    size_t left;
};

static void *allocate_some(void *user, size_t size)
{
    struct failing *f = user;
    if (f->left == 0)
        return NULL;
    f->left--;
    return world_allocate(&f->world, size);
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    static struct failing f;
    struct covey_runtime_config config;
    size_t fds = 0;
    size_t enough = 0;
    int error = COVEY_ERR_NO_MEMORY;
    for (; error != 0; enough++) {
        f = (struct failing){.left = enough};
        config_of(&f.world, &config);
        config.allocate = allocate_some;
        config.memory_user = &f;
        config.loops = 2;
        error = covey_runtime_new(&config, &f.world.runtime);
        assert_true(error == 0 || error == COVEY_ERR_NO_MEMORY);
        if (error != 0)
            assert_int_equal(atomic_load(&f.world.blocks), 0);
        if (enough == 0)
            fds = count_fds();
        else if (error != 0)
            assert_true(count_fds() <= fds + 2); /* libuv's two of the whole process */
    }
    assert_true(enough > 4);
    assert_int_equal(covey_runtime_free(f.world.runtime), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_may_make_the_steps),
        cmocka_unit_test(another_thread_may_wait_for_the_steps),
        cmocka_unit_test(the_thread_is_the_one_of_the_last_step),
        cmocka_unit_test(a_users_uv_loop_runs_it),
        cmocka_unit_test(a_users_own_callback_may_free_it),
        cmocka_unit_test(each_loop_has_a_thread),
        cmocka_unit_test(workers_come_when_they_are_asked_for),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(without_memory_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
