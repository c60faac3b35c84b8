#include "discovery_cluster.h"

#include "process.h"

#include <covey/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TEXT_SIZE 24

static void must(const char *what, int error)
{
    if (error != 0)
        die("discovery: %s: %s", what, covey_strerror(error));
}

/* Keys spread over all bits, as those of real ids are. */
static covey_node_id id_of(uint32_t number)
{
    covey_node_id id = {.bytes = {0}};
    uint64_t mixed = number * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < 8; i++)
        id.bytes[i] = (uint8_t)(mixed >> (56 - 8 * i));
    id.bytes[12] = (uint8_t)(number >> 8);
    id.bytes[13] = (uint8_t)number;
    return id;
}

static bool is_worker(const struct discovery_shape *shape, uint32_t number)
{
    const uint64_t all = shape->nodes, wanted = shape->matches;
    return (number + 1) * wanted / all > number * wanted / all;
}

static struct cv_cluster_node *body_new(const struct discovery_cluster *d, uint32_t number,
                                        uint32_t version)
{
    static char keys[DISCOVERY_TAGS_MAX][TEXT_SIZE], values[DISCOVERY_TAGS_MAX][TEXT_SIZE];
    struct covey_tag tags[DISCOVERY_TAGS_MAX];
    struct cv_cluster_node *body;
    for (unsigned i = 0; i + 1 < d->shape.tags; i++) { /* before "role" in the alphabet */
        snprintf(keys[i], TEXT_SIZE, "load-%02u", i);
        snprintf(values[i], TEXT_SIZE, "%u", (number + version * 31 + i) % 1000);
        tags[i] = (struct covey_tag){.key = keys[i], .value = values[i]};
    }
    tags[d->shape.tags - 1] = (struct covey_tag){
        .key = "role", .value = is_worker(&d->shape, number) ? "worker" : "other"};
    const struct cv_cluster_node_config config = {
        .id = id_of(number),
        .incarnation = 1,
        .version = version,
        .address = {.ip = {10, 0, (uint8_t)(number >> 8), (uint8_t)number},
                    .port = 4433,
                    .family = 4},
        .name = cv_slice_text("node"),
        .tags = tags,
        .tag_count = d->shape.tags,
    };
    must("body", cv_cluster_node_new(&d->runtime->alloc, &config, &body));
    return body;
}

static void insert_all(struct discovery_cluster *d)
{
    must("members", cv_node_registry_reserve(&d->registry, d->shape.nodes));
    for (uint32_t i = 0; i < d->shape.nodes; i++) {
        const struct cv_record record = {
            .id = id_of(i), .status = {.incarnation = 1}, .body = body_new(d, i, 0)};
        if (cv_node_registry_insert(&d->registry, &record, 0) == NULL)
            die("discovery: no room for member %u", i);
        cv_cluster_node_release(record.body);
    }
}

/* Of this thread: what others take from the core is not the publication's. */
static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void publish(struct discovery_cluster *d)
{
    const uint64_t begun = cpu_ns();
    must("publish", cv_view_publish(&d->cluster->view, &d->runtime->alloc, &d->registry, true));
    (void)cv_balancer_hub_show(d->cluster->balancers, d->cluster->view.newest, true);
    d->publishing_ns += cpu_ns() - begun;
    d->publications++;
}

void discovery_cluster_start(struct discovery_cluster *d, const struct discovery_shape *shape)
{
    static const uint64_t secret[2] = {11, 13};
    *d = (struct discovery_cluster){.shape = *shape};
    must("runtime", covey_runtime_new(NULL, &d->runtime));
    d->cluster = calloc(1, sizeof *d->cluster);
    if (d->cluster == NULL)
        die("discovery: no memory");
    d->cluster->runtime = d->runtime;
    must("view", cv_view_init(&d->cluster->view));
    must("balancers", cv_balancer_hub_new(d->runtime, &d->cluster->balancers));
    cv_node_registry_init(&d->registry, &d->runtime->alloc, secret, DISCOVERY_NODES_MAX);
    insert_all(d);
    publish(d);
}

void discovery_cluster_stop(struct discovery_cluster *d)
{
    cv_balancer_hub_release(d->cluster->balancers);
    cv_view_fini(&d->cluster->view);
    cv_node_registry_fini(&d->registry);
    free(d->cluster);
    must("runtime", covey_runtime_free(d->runtime));
}

static void change_some(struct discovery_cluster *d)
{
    for (unsigned i = 0; i < d->shape.changes; i++) {
        const uint32_t number = d->changed % d->shape.nodes;
        const covey_node_id id = id_of(number);
        struct cv_member *m = cv_node_registry_get(&d->registry, &id);
        struct cv_cluster_node *body = body_new(d, number, ++d->changed);
        cv_node_registry_set_body(&d->registry, m, body, true);
        cv_cluster_node_release(body);
    }
}

static void *write_on(void *user)
{
    struct discovery_cluster *d = user;
    uint64_t due = now_ns();
    pin_to_core(0);
    while (!atomic_load(&d->stopping)) {
        change_some(d);
        publish(d);
        due += d->interval_ns;
        if (d->interval_ns > 0)
            sleep_until_ns(due);
    }
    return NULL;
}

void discovery_cluster_write(struct discovery_cluster *d, uint64_t interval_ns)
{
    d->interval_ns = interval_ns;
    d->publications = 0;
    d->publishing_ns = 0;
    atomic_store(&d->stopping, false);
    if (pthread_create(&d->writer, NULL, write_on, d) != 0)
        die("discovery: no thread");
}

void discovery_cluster_rest(struct discovery_cluster *d)
{
    atomic_store(&d->stopping, true);
    pthread_join(d->writer, NULL);
}
