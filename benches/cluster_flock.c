#include "cluster_flock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define END_MARK UINT32_MAX
#define LOOK_NS  10000000u
#define JOINERS  128 /* at most */

static void check(const char *what, int error)
{
    if (error != 0)
        die("cluster: %s: %s", what, covey_strerror(error));
}

/* ---- the thread that reads events ---- */

static void take_watched(struct flock *f, struct flock_node *node, const struct covey_event *event,
                         uint64_t now)
{
    struct flock_watch *w = &f->watch;
    if (event->node == NULL || covey_node_id_compare(&event->node->id, &w->about) != 0)
        return;
    if (event->type == COVEY_EVENT_HEALTH_CHECK_FAILED && w->suspected_ns == 0)
        w->suspected_ns = now;
    if (event->type != w->type || node->has_seen)
        return;
    node->has_seen = true;
    if (w->seen++ == 0)
        w->first_ns = now;
    w->last_ns = now;
}

static void take_event(struct flock *f, struct flock_node *node, const struct covey_event *event)
{
    uint64_t now = now_ns();
    pthread_mutex_lock(&f->lock);
    f->failures += event->type == COVEY_EVENT_NODE_FAILED;
    if (event->type == COVEY_EVENT_EVENTS_DROPPED)
        f->dropped += event->dropped;
    take_watched(f, node, event, now);
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void *read_events(void *user)
{
    struct flock *f = user;
    struct epoll_event ready[64];
    struct covey_event event = {.size = sizeof event};
    for (;;) {
        int count = epoll_wait(f->reader_fd, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.u32 == END_MARK)
                return NULL;
            struct flock_node *node = &f->nodes[ready[i].data.u32];
            int error;
            while ((error = covey_event_receive(node->events, 0, &event)) == 0)
                take_event(f, node, &event);
            if (error == COVEY_ERR_CLOSED)
                epoll_ctl(f->reader_fd, EPOLL_CTL_DEL, covey_event_receiver_fd(node->events), NULL);
        }
    }
}

static void listen_to(struct flock *f, int fd, uint32_t mark)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = mark}};
    if (epoll_ctl(f->reader_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        die("cluster: epoll");
}

/* ---- life ---- */

static void open_runtimes(struct flock *f, unsigned count)
{
    struct covey_runtime_config config;
    covey_runtime_config_init(&config);
    config.loops = 1;
    for (; f->runtime_count < count; f->runtime_count++)
        check("runtime", covey_runtime_new(&config, &f->runtimes[f->runtime_count]));
}

static void echo(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size);
}

static void open_node(struct flock *f, unsigned index, const struct flock_config *config)
{
    const struct covey_method method = {.name = "echo", .handler = echo};
    struct flock_node *node = &f->nodes[index];
    struct covey_server_config server;
    char reason[COVEY_REASON_SIZE];
    check("identity", covey_identity_from_pem(config->ca->cert, config->own[index].cert,
                                              config->own[index].key, &node->identity, reason));
    node->id = covey_identity_id(node->identity);
    covey_server_config_init(&server);
    server.runtime = f->runtimes[index % f->runtime_count];
    server.identity = node->identity;
    check("server", covey_server_new(&server, &node->server));
    check("method", covey_server_add_method(node->server, &method));
    check("start", covey_server_start(node->server));
}

void flock_open(struct flock *f, const struct flock_config *config)
{
    pthread_condattr_t clock;
    *f = (struct flock){.count = config->nodes,
                        .whole_count = config->whole_count,
                        .profile = config->profile,
                        .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&f->changed, &clock);
    f->nodes = calloc(f->count, sizeof *f->nodes);
    f->reader_fd = epoll_create1(EPOLL_CLOEXEC);
    f->reader_end = eventfd(0, EFD_CLOEXEC);
    if (f->nodes == NULL || f->reader_fd < 0 || f->reader_end < 0)
        die("cluster: no memory or descriptors");
    listen_to(f, f->reader_end, END_MARK);
    open_runtimes(f, config->runtimes);
    for (unsigned i = 0; i < f->count; i++)
        open_node(f, i, config);
    if (pthread_create(&f->reader, NULL, read_events, f) != 0)
        die("cluster: no thread");
}

/* Every tenth is a worker. */
static void join_node(struct flock *f, unsigned index, const char *seed)
{
    const struct covey_tag tags[] = {{"available", "true"},
                                     {"role", index % 10 == 0 ? "worker" : "other"}};
    struct flock_node *node = &f->nodes[index];
    struct covey_cluster_config config;
    covey_cluster_config_init(&config);
    config.profile = f->profile;
    config.tags = tags;
    config.tag_count = 2;
    check("cluster", covey_server_enable_cluster(node->server, &config, &seed, seed != NULL));
    node->cluster = covey_server_cluster(node->server);
    check("events", covey_cluster_events(node->cluster, &node->events));
    listen_to(f, covey_event_receiver_fd(node->events), index);
}

struct joining {
    struct flock *f;
    const char *seed;
    atomic_uint next;
};

static void *join_some(void *user)
{
    struct joining *j = user;
    unsigned index;
    while ((index = atomic_fetch_add(&j->next, 1)) < j->f->count)
        join_node(j->f, index, j->seed);
    return NULL;
}

/* Each call waits for a turn of its loop, which takes long when hundreds of others on it shake hands: as
 * if each node had a thread of its own to begin with. */
void flock_join(struct flock *f, const char *seed)
{
    struct joining j = {.f = f, .seed = seed};
    pthread_t threads[JOINERS];
    if (seed == NULL) {
        join_node(f, 0, NULL);
        j.seed = covey_server_address(f->nodes[0].server);
        j.next = 1;
    }
    const unsigned count = f->count < JOINERS ? f->count : JOINERS;
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, join_some, &j) != 0)
            die("cluster: no thread");
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

void flock_close(struct flock *f)
{
    uint64_t one = 1;
    if (!write_all(f->reader_end, &one, sizeof one))
        die("cluster: eventfd");
    pthread_join(f->reader, NULL);
    for (unsigned i = 0; i < f->count; i++) {
        covey_event_receiver_free(f->nodes[i].events);
        covey_server_free(f->nodes[i].server);
        covey_identity_free(f->nodes[i].identity);
    }
    while (f->runtime_count > 0)
        covey_runtime_free(f->runtimes[--f->runtime_count]);
    close(f->reader_fd);
    close(f->reader_end);
    free(f->nodes);
}

/* ---- waiting ---- */

/* False when the time is over. The lock is held. */
static bool wait_changed(struct flock *f, uint64_t until)
{
    struct timespec t = {.tv_sec = (time_t)(until / 1000000000u),
                         .tv_nsec = (long)(until % 1000000000u)};
    return pthread_cond_timedwait(&f->changed, &f->lock, &t) == 0;
}

static uint32_t count_alive(const struct flock_node *node)
{
    struct covey_partition_status status = {.size = sizeof status};
    check("partition", covey_cluster_partition(node->cluster, &status));
    return status.alive;
}

/* Looks at each node that did not know all others yet; how many do. */
static unsigned count_whole(struct flock *f)
{
    unsigned whole = 0;
    for (unsigned i = 0; i < f->count; i++) {
        struct flock_node *node = &f->nodes[i];
        node->is_whole = node->is_whole || count_alive(node) == f->whole_count;
        whole += node->is_whole;
    }
    return whole;
}

/* Names one of those that are to blame. */
static void die_of_parts(const struct flock *f, unsigned whole, covey_time timeout)
{
    unsigned i = 0;
    while (i + 1 < f->count && f->nodes[i].is_whole)
        i++;
    die("cluster: %u of %u nodes know all others after %.0f s; node %u knows %u of %u members",
        whole, f->count, (double)timeout / 1e9, i, count_alive(&f->nodes[i]), f->whole_count);
}

/* By looking: events of what was there before the receiver never come. */
uint64_t flock_wait_whole(struct flock *f, covey_time timeout)
{
    const uint64_t until = now_ns() + timeout;
    for (;;) {
        const unsigned whole = count_whole(f);
        if (whole == f->count)
            return now_ns();
        if (now_ns() >= until)
            die_of_parts(f, whole, timeout);
        sleep_until_ns(now_ns() + LOOK_NS);
    }
}

void flock_watch(struct flock *f, enum covey_event_type type, const covey_node_id *id)
{
    pthread_mutex_lock(&f->lock);
    f->watch = (struct flock_watch){.type = type, .about = *id};
    for (unsigned i = 0; i < f->count; i++)
        f->nodes[i].has_seen = false;
    pthread_mutex_unlock(&f->lock);
}

bool flock_wait_seen(struct flock *f, unsigned wanted, covey_time timeout, struct flock_watch *out)
{
    uint64_t until = now_ns() + timeout;
    bool in_time = true;
    pthread_mutex_lock(&f->lock);
    while (in_time && f->watch.seen < wanted)
        in_time = wait_changed(f, until);
    *out = f->watch;
    pthread_mutex_unlock(&f->lock);
    return out->seen >= wanted;
}

static bool doubts(covey_cluster *cluster, const covey_node_id *id)
{
    covey_node_list *list;
    bool is_doubted = false;
    check("members", covey_cluster_members(cluster, &list));
    for (size_t low = 0, high = covey_node_list_count(list); low < high;) {
        size_t middle = low + (high - low) / 2;
        const struct covey_node *node = covey_node_list_at(list, middle);
        int order = covey_node_id_compare(&node->id, id);
        if (order == 0) {
            is_doubted = node->state != COVEY_NODE_ALIVE;
            break;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    covey_node_list_free(list);
    return is_doubted;
}

unsigned flock_count_doubting(const struct flock *f, const covey_node_id *id)
{
    unsigned count = 0;
    for (unsigned i = 0; i < f->count; i++)
        count += doubts(f->nodes[i].cluster, id);
    return count;
}

uint64_t flock_failures(struct flock *f)
{
    pthread_mutex_lock(&f->lock);
    uint64_t failures = f->failures;
    pthread_mutex_unlock(&f->lock);
    return failures;
}
