#ifndef UNIT_API_FIXTURE_H
#define UNIT_API_FIXTURE_H

#include <covey/covey.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * A runtime that counts its memory, and identities of one cluster, for tests of the public API over
 * loopback. Everything waits for a condition with a deadline. A world is static: when a test fails
 * its threads go on.
 */
#define TEST_DEADLINE (20 * COVEY_SECOND)

/* A loopback address of this process alone, so that no other process's socket gets a port of it
 * that was just freed. */
static inline const char *own_address(char *address, size_t size, unsigned port)
{
    const unsigned pid = (unsigned)getpid();
    snprintf(address, size, "127.%u.%u.%u:%u", 64 + (pid >> 16 & 63), pid >> 8 & 255, pid & 255,
             port);
    return address;
}

/* For a server that takes any port there. */
static inline const char *own_listen(void)
{
    static _Thread_local char address[64];
    return own_address(address, sizeof address, 0);
}

/* Where nobody listens before a test says so: the ports that servers get are others. */
static inline const char *absent_address(char *address, size_t size)
{
    return own_address(address, size, 14433);
}

struct world {
    covey_runtime *runtime;
    atomic_size_t blocks; /* allocations that are out */
    atomic_bool is_poor;  /* there is no memory */
    atomic_size_t scarce; /* there is none for so much or more at a time; 0: there is */
    struct covey_pem ca;
};

static inline bool world_has(struct world *w, size_t size)
{
    const size_t scarce = atomic_load(&w->scarce);
    return !atomic_load(&w->is_poor) && (scarce == 0 || size < scarce);
}

static inline void *world_allocate(void *user, size_t size)
{
    struct world *w = user;
    void *memory = world_has(w, size) ? malloc(size) : NULL;
    if (memory != NULL)
        atomic_fetch_add(&w->blocks, 1);
    return memory;
}

static inline void *world_reallocate(void *user, void *memory, size_t size)
{
    struct world *w = user;
    void *moved = world_has(w, size) ? realloc(memory, size) : NULL;
    if (memory == NULL && moved != NULL)
        atomic_fetch_add(&w->blocks, 1);
    return moved;
}

static inline void world_release(void *user, void *memory)
{
    struct world *w = user;
    if (memory != NULL)
        atomic_fetch_sub(&w->blocks, 1);
    free(memory);
}

static inline void world_init_mode(struct world *w, enum covey_run_mode mode)
{
    struct covey_runtime_config config;
    memset(w, 0, sizeof *w);
    assert_int_equal(covey_pki_make_ca("flock", COVEY_KEY_ED25519, 10, &w->ca), 0);
    covey_runtime_config_init(&config);
    config.allocate = world_allocate;
    config.reallocate = world_reallocate;
    config.release = world_release;
    config.memory_user = w;
    config.mode = mode;
    assert_int_equal(covey_runtime_new(&config, &w->runtime), 0);
}

static inline void world_init(struct world *w)
{
    world_init_mode(w, COVEY_RUN_THREADS);
}

/* Everything must have been freed before: nothing is left. */
static inline void world_fini(struct world *w)
{
    assert_int_equal(covey_runtime_free(w->runtime), 0);
    assert_int_equal(atomic_load(&w->blocks), 0);
    covey_pem_free(&w->ca);
}

static inline covey_identity *world_identity(struct world *w, const char *name,
                                             enum covey_role role)
{
    struct covey_issue_config config;
    struct covey_pem pem;
    covey_identity *identity;
    covey_issue_config_init(&config);
    config.name = name;
    config.role = role;
    config.days = 5;
    assert_int_equal(covey_pki_issue(w->ca.cert, w->ca.key, &config, &pem), 0);
    assert_int_equal(covey_identity_from_pem(w->ca.cert, pem.cert, pem.key, &identity, NULL), 0);
    covey_pem_free(&pem);
    return identity;
}

/* A server that is not started; its identity is freed already. */
static inline covey_server *world_server(struct world *w, const char *name)
{
    struct covey_server_config config;
    covey_server *server;
    covey_identity *identity = world_identity(w, name, COVEY_ROLE_MEMBER);
    covey_server_config_init(&config);
    config.runtime = w->runtime;
    config.listen = own_listen();
    config.identity = identity;
    assert_int_equal(covey_server_new(&config, &server), 0);
    covey_identity_free(identity);
    return server;
}

static inline covey_client *world_client(struct world *w, const char *address, enum covey_role role)
{
    struct covey_client_config config;
    covey_client *client;
    covey_identity *identity = world_identity(w, "caller", role);
    covey_client_config_init(&config);
    config.runtime = w->runtime;
    config.identity = identity;
    config.address = address;
    assert_int_equal(covey_client_new(&config, &client), 0);
    covey_identity_free(identity);
    return client;
}

#endif
