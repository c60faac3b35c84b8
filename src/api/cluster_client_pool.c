/* The peers of a cluster client. */
#include "api/cluster_client.h"

#include "api/identity.h"
#include "io/clock.h"
#include "io/entropy.h"

#include <assert.h>
#include <string.h>

static void on_idle_timer(struct cv_client_timer *timer);
static void run_work(struct cv_mail *mail, bool cancelled);

/* ---- life ---- */

static int copy_identity(struct cv_callee_pool *p, const covey_identity *identity)
{
    const struct cv_alloc *alloc = &p->runtime->alloc;
    p->identity.who = identity->who;
    p->identity.ca_pem = cv_copy_text(alloc, identity->ca_pem, strlen(identity->ca_pem));
    p->identity.cert_pem = cv_copy_text(alloc, identity->cert_pem, strlen(identity->cert_pem));
    p->identity.key_pem = cv_copy_text(alloc, identity->key_pem, strlen(identity->key_pem));
    return p->identity.ca_pem == NULL || p->identity.cert_pem == NULL || p->identity.key_pem == NULL
               ? COVEY_ERR_NO_MEMORY
               : 0;
}

static void pool_free(struct cv_callee_pool *p)
{
    covey_runtime *runtime = p->runtime;
    const struct cv_alloc *alloc = &runtime->alloc;
    if (p->identity.key_pem != NULL)
        explicit_bzero(p->identity.key_pem, strlen(p->identity.key_pem));
    cv_release(alloc, p->identity.ca_pem);
    cv_release(alloc, p->identity.cert_pem);
    cv_release(alloc, p->identity.key_pem);
    cv_map_fini(&p->map);
    cv_denied_release(p->denied);
    pthread_mutex_destroy(&p->lock);
    cv_release(alloc, p);
    cv_runtime_release(runtime);
}

int cv_callee_pool_new(covey_runtime *runtime, struct cv_client_loop *shared,
                       const struct covey_cluster_client_config *config,
                       struct cv_callee_pool **out)
{
    uint64_t secret[2];
    struct cv_callee_pool *p = cv_allocate_zeroed(&runtime->alloc, 1, sizeof *p);
    if (p == NULL)
        return COVEY_ERR_NO_MEMORY;
    if (pthread_mutex_init(&p->lock, NULL) != 0) {
        cv_release(&runtime->alloc, p);
        return COVEY_ERR_SYSTEM;
    }
    p->runtime = runtime;
    p->shared = shared;
    p->references = 1;
    p->peers_max = config->connections_max;
    p->idle_max = config->idle_max;
    p->idle.expired = on_idle_timer;
    p->work.run = run_work;
    TAILQ_INIT(&p->listed);
    TAILQ_INIT(&p->leaving);
    cv_entropy(NULL, secret, sizeof secret);
    cv_map_init(&p->map, &runtime->alloc, secret, p->peers_max);
    covey_client_config_init(&p->config);
    p->config.runtime = runtime;
    p->config.identity = &p->identity;
    p->config.message_send_max = config->message_send_max;
    p->config.message_receive_max = config->message_receive_max;
    p->config.retry.attempts = 1; /* on this member: others are asked instead */
    cv_runtime_retain(runtime);
    const int error = copy_identity(p, config->identity);
    if (error != 0) {
        pool_free(p);
        return error;
    }
    *out = p;
    return 0;
}

static void unlock_and_release(struct cv_callee_pool *p)
{
    const size_t left = --p->references;
    pthread_mutex_unlock(&p->lock);
    if (left == 0)
        pool_free(p);
}

void cv_callee_pool_release(struct cv_callee_pool *p)
{
    pthread_mutex_lock(&p->lock);
    unlock_and_release(p);
}

/* ---- any thread, under the lock ---- */

static struct cv_slice key_of(const covey_node_id *id)
{
    return cv_slice_of(id->bytes, sizeof id->bytes);
}

/* The loop looks at those that leave, and at the time. The mail has a reference: the client may be freed
 * before it runs. */
static void want_work(struct cv_callee_pool *p)
{
    if (p->is_posted || p->is_closed)
        return;
    p->is_posted = true;
    p->references++;
    cv_loop_post_sure(p->shared->loop, &p->work);
}

static void unlist(struct cv_callee_pool *p, struct cv_callee *peer)
{
    assert(peer->is_listed);
    (void)cv_map_remove(&p->map, key_of(&peer->id));
    TAILQ_REMOVE(&p->listed, peer, entry);
    TAILQ_INSERT_TAIL(&p->leaving, peer, entry);
    p->leaving_count++;
    peer->is_listed = false;
    want_work(p);
}

static void unlist_for_good(struct cv_callee_pool *p, struct cv_callee *peer)
{
    TAILQ_REMOVE(&p->leaving, peer, entry);
    p->leaving_count--;
}

static int make_room(struct cv_callee_pool *p)
{
    struct cv_callee *peer;
    const bool is_full = p->map.count >= p->peers_max;
    TAILQ_FOREACH (peer, &p->listed, entry) {
        if (!is_full || peer->holds == 0)
            break;
    }
    if (p->leaving_count >= p->peers_max || (is_full && peer == NULL)) {
        p->counters.exhausted++;
        return COVEY_ERR_POOL_EXHAUSTED;
    }
    if (!is_full)
        return 0;
    p->counters.evicted++;
    unlist(p, peer);
    return 0;
}

static int add(struct cv_callee_pool *p, const struct covey_pick *pick, struct cv_callee **out)
{
    const struct cv_alloc *alloc = &p->runtime->alloc;
    int error = make_room(p);
    if (error == 0)
        error = cv_map_reserve(&p->map, 1);
    if (error != 0)
        return error;
    struct cv_callee *peer = cv_allocate_zeroed(alloc, 1, sizeof *peer);
    if (peer == NULL)
        return COVEY_ERR_NO_MEMORY;
    peer->id = pick->id;
    memcpy(peer->address, pick->address, strlen(pick->address) + 1);
    struct covey_client_config config = p->config;
    config.address = peer->address;
    config.expected = &peer->id;
    error = cv_client_new_pooled(&config, p->shared, &peer->client);
    if (error != 0) {
        cv_release(alloc, peer);
        return error;
    }
    error = cv_map_put(&p->map, key_of(&peer->id), peer);
    assert(error == 0);
    peer->is_listed = true;
    TAILQ_INSERT_TAIL(&p->listed, peer, entry);
    want_work(p); /* the idle timer */
    *out = peer;
    return 0;
}

int cv_callee_get(struct cv_callee_pool *p, const struct covey_pick *pick, bool may_be_old,
                  struct cv_callee **out)
{
    int error = 0;
    pthread_mutex_lock(&p->lock);
    struct cv_callee *peer = cv_map_get(&p->map, key_of(&pick->id));
    if (peer != NULL && !may_be_old && strcmp(peer->address, pick->address) != 0) {
        p->counters.dropped++;
        unlist(p, peer);
        peer = NULL;
    }
    if (p->is_closed)
        error = COVEY_ERR_CLOSED;
    else if (cv_denied_has(p->denied, &pick->id))
        error = COVEY_ERR_DENIED;
    else if (peer == NULL)
        error = add(p, pick, &peer);
    if (error == 0) {
        TAILQ_REMOVE(&p->listed, peer, entry);
        TAILQ_INSERT_TAIL(&p->listed, peer, entry);
        peer->holds++;
        p->references++;
        *out = peer;
    }
    pthread_mutex_unlock(&p->lock);
    return error;
}

void cv_callee_put(struct cv_callee_pool *p, struct cv_callee *peer)
{
    pthread_mutex_lock(&p->lock);
    assert(peer->holds > 0);
    peer->holds--;
    peer->last_used = cv_clock_now();
    if (peer->holds == 0 && peer->client == NULL)
        cv_release(&p->runtime->alloc, peer);
    else if (peer->holds == 0 && !peer->is_listed)
        want_work(p);
    unlock_and_release(p);
}

/* ---- following the cluster, on the loop of membership ---- */

static const struct covey_node *find(const struct cv_snapshot *snapshot, const covey_node_id *id)
{
    size_t low = 0;
    size_t high = cv_snapshot_count(snapshot);
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct covey_node *node = cv_snapshot_at(snapshot, middle);
        const int order = covey_node_id_compare(&node->id, id);
        if (order == 0)
            return node;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool is_lost(const struct cv_callee_pool *p, const struct cv_callee *peer,
                    const struct cv_snapshot *snapshot)
{
    if (cv_denied_has(p->denied, &peer->id))
        return true;
    if (snapshot == NULL)
        return false;
    const struct covey_node *node = find(snapshot, &peer->id);
    return node == NULL || node->state == COVEY_NODE_FAILED || node->state == COVEY_NODE_LEFT ||
           strcmp(node->address, peer->address) != 0;
}

static void follow_denied(struct cv_callee_pool *p, struct cv_denied *denied)
{
    if (p->denied == denied)
        return;
    cv_denied_release(p->denied);
    p->denied = cv_denied_retain(denied);
}

void cv_callee_pool_follow(struct cv_callee_pool *p, const struct cv_snapshot *snapshot,
                           struct cv_denied *denied)
{
    struct cv_callee *peer;
    struct cv_callee *next;
    pthread_mutex_lock(&p->lock);
    follow_denied(p, denied);
    /* Before the others join them: one that moved may have been found out by a pick, and is held still. */
    TAILQ_FOREACH (peer, &p->leaving, entry) {
        if (!is_lost(p, peer, snapshot))
            continue;
        peer->has_failed = true;
        want_work(p);
    }
    for (peer = TAILQ_FIRST(&p->listed); peer != NULL; peer = next) {
        next = TAILQ_NEXT(peer, entry);
        if (!is_lost(p, peer, snapshot))
            continue;
        peer->has_failed = true;
        p->counters.dropped++;
        unlist(p, peer);
    }
    pthread_mutex_unlock(&p->lock);
}

/* ---- the loop's thread ---- */

/* One that leaves and has something to be done about it. Under the lock. */
static struct cv_callee *next_leaving(struct cv_callee_pool *p)
{
    struct cv_callee *peer;
    TAILQ_FOREACH (peer, &p->leaving, entry) {
        if (peer->holds == 0 || peer->has_failed)
            return peer;
    }
    return NULL;
}

/* Without the lock what its calls' ends bring about may take it. */
static void serve_leaving(struct cv_callee_pool *p)
{
    struct cv_callee *peer;
    pthread_mutex_lock(&p->lock);
    while ((peer = next_leaving(p)) != NULL) {
        const bool is_over = peer->holds == 0;
        peer->has_failed = false;
        if (is_over)
            unlist_for_good(p, peer);
        pthread_mutex_unlock(&p->lock);
        if (is_over) {
            cv_client_free_pooled(peer->client);
            cv_release(&p->runtime->alloc, peer);
        } else {
            cv_client_give_up(peer->client);
        }
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

static void set_idle_timer(struct cv_callee_pool *p)
{
    pthread_mutex_lock(&p->lock);
    const bool is_wanted = p->map.count > 0 && p->idle_max != COVEY_NEVER;
    pthread_mutex_unlock(&p->lock);
    cv_client_loop_set(p->shared, &p->idle,
                       is_wanted ? cv_loop_now(p->shared->loop) + p->idle_max / 2 + 1
                                 : COVEY_NEVER);
}

static void on_idle_timer(struct cv_client_timer *timer)
{
    struct cv_callee_pool *p =
        (struct cv_callee_pool *)(void *)((unsigned char *)timer -
                                          offsetof(struct cv_callee_pool, idle));
    const covey_time now = cv_clock_now();
    struct cv_callee *next;
    pthread_mutex_lock(&p->lock);
    for (struct cv_callee *peer = TAILQ_FIRST(&p->listed); peer != NULL; peer = next) {
        next = TAILQ_NEXT(peer, entry);
        if (peer->holds > 0 || now < peer->last_used || now - peer->last_used < p->idle_max)
            continue;
        p->counters.idle++;
        unlist(p, peer);
    }
    pthread_mutex_unlock(&p->lock);
    set_idle_timer(p);
}

static void run_work(struct cv_mail *mail, bool cancelled)
{
    struct cv_callee_pool *p =
        (struct cv_callee_pool *)(void *)((unsigned char *)mail -
                                          offsetof(struct cv_callee_pool, work));
    (void)cancelled; /* the runtime ends after its clients */
    pthread_mutex_lock(&p->lock);
    p->is_posted = false;
    const bool is_closed =
        p->is_closed; /* then nobody is left, and the timers are the loop's no more */
    pthread_mutex_unlock(&p->lock);
    if (!is_closed) {
        serve_leaving(p);
        if (!cv_timer_is_set(&p->idle.timer))
            set_idle_timer(p);
    }
    cv_callee_pool_release(p);
}

/* Takes one out of the pool. Under the lock. */
static struct cv_callee *take_any(struct cv_callee_pool *p)
{
    struct cv_callee *peer = TAILQ_FIRST(&p->listed);
    if (peer != NULL)
        unlist(p, peer);
    peer = TAILQ_FIRST(&p->leaving);
    if (peer != NULL)
        unlist_for_good(p, peer);
    return peer;
}

void cv_callee_pool_close(struct cv_callee_pool *p)
{
    struct cv_callee *peer;
    cv_client_loop_set(p->shared, &p->idle, COVEY_NEVER);
    pthread_mutex_lock(&p->lock);
    p->is_closed = true;
    while ((peer = take_any(p)) != NULL) {
        pthread_mutex_unlock(&p->lock);
        cv_client_free_pooled(peer->client);
        pthread_mutex_lock(&p->lock);
        peer->client = NULL;
        if (peer->holds == 0)
            cv_release(&p->runtime->alloc, peer);
    }
    pthread_mutex_unlock(&p->lock);
}
