#ifndef TEST_UNIT_API_UV_WORLD_H
#define TEST_UNIT_API_UV_WORLD_H

#include "unit/api/fixture.h"

#include <covey/uv.h>

#include <uv.h>

/* A world whose runtime is on the test's own libuv loop. */
static inline void world_init_uv(struct world *w, uv_loop_t *loop)
{
    struct covey_runtime_config config;
    memset(w, 0, sizeof *w);
    assert_int_equal(covey_pki_make_ca("flock", COVEY_KEY_ED25519, 10, &w->ca), 0);
    covey_runtime_config_init(&config);
    config.allocate = world_allocate;
    config.reallocate = world_reallocate;
    config.release = world_release;
    config.memory_user = w;
    assert_int_equal(uv_loop_init(loop), 0);
    assert_int_equal(covey_uv_runtime_new(&config, loop, &w->runtime), 0);
}

/* libuv closes its handles in its next round. */
static inline void world_fini_uv(struct world *w, uv_loop_t *loop)
{
    assert_int_equal(covey_runtime_free(w->runtime), 0);
    assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(loop), 0);
    assert_int_equal(atomic_load(&w->blocks), 0);
    covey_pem_free(&w->ca);
}

#endif
