#include "gossip_core.h"

#include "cluster/membership.h"

#include <covey/error.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WALL_MS UINT64_C(1700000000000)
/* So much virtual time between two messages: a peer may say 200 a second. */
#define MESSAGE_INTERVAL (6 * COVEY_MILLISECOND)
/* So many messages between two looks at the clock of the processor, which is a call of the system's. */
#define BATCH 16

struct gossip_core {
    uint32_t member_count;
    struct cv_cluster_node **bodies;
    struct cv_record *known;
    struct cv_membership *m;
    covey_time now;
    uint64_t incarnation;
    uint32_t version;
};

static void die(const char *what)
{
    fprintf(stderr, "gossip: %s\n", what);
    exit(1);
}

static covey_node_id id_of(uint32_t number)
{
    covey_node_id id = {.bytes = {0}};
    uint64_t mixed = (number + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < 8; i++)
        id.bytes[i] = (uint8_t)(mixed >> (8 * i));
    for (size_t i = 0; i < 4; i++)
        id.bytes[12 + i] = (uint8_t)(number >> (8 * i));
    return id;
}

static struct cv_cluster_node *new_body(uint32_t number, uint64_t incarnation, uint32_t version)
{
    char text[16];
    snprintf(text, sizeof(text), "n%" PRIu32, number);
    const struct covey_tag tags[] = {{"available", version % 2 == 0 ? "true" : "false"},
                                     {"role", "worker"}};
    struct cv_cluster_node *body;
    struct cv_cluster_node_config config = {
        .id = id_of(number),
        .incarnation = incarnation,
        .version = version,
        .address = {.ip = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number},
                    .port = 4433,
                    .family = 4},
        .name = cv_slice_text(text),
        .tags = tags,
        .tag_count = 2,
    };
    if (cv_cluster_node_new(cv_alloc_default(), &config, &body) != COVEY_OK)
        die("no memory");
    return body;
}

static void drain(struct gossip_core *c)
{
    struct cv_output output;
    while (cv_membership_poll(c->m, &output)) {
        if (output.type == CV_OUTPUT_EVENT)
            cv_cluster_node_release(output.event.node);
    }
}

static void step(struct gossip_core *c, struct cv_input *input)
{
    input->now = c->now;
    input->wall_ms = WALL_MS + c->now / COVEY_MILLISECOND;
    if (cv_membership_step(c->m, input) != COVEY_OK)
        die("the core refused an input");
    drain(c);
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

struct gossip_core *gossip_core_new(uint32_t member_count, size_t *used)
{
    struct cv_membership_config config;
    struct gossip_core *c = malloc(sizeof *c);
    if (c == NULL)
        die("no memory");
    *c = (struct gossip_core){
        .member_count = member_count, .now = 1000 * COVEY_SECOND, .incarnation = WALL_MS};
    c->bodies = calloc(c->member_count, sizeof(c->bodies[0]));
    c->known = calloc(c->member_count, sizeof(*c->known));
    if (c->bodies == NULL || c->known == NULL)
        die("no memory");
    for (uint32_t i = 1; i < c->member_count; i++) {
        c->bodies[i] = new_body(i, WALL_MS, 0);
        c->known[i - 1] =
            (struct cv_record){.id = id_of(i), .status.incarnation = WALL_MS, .body = c->bodies[i]};
    }
    cv_membership_config_init(&config, CV_PROFILE_LAN);
    config.id = id_of(0);
    config.name = "n0";
    config.address = (struct cv_address){.ip = {10, 0, 0, 0}, .port = 4433, .family = 4};
    config.seed = 1;
    config.wall_ms = WALL_MS;
    config.known = c->known;
    config.known_count = c->member_count - 1;
    config.gossip.local_health_max = 0;
    config.gossip.protocol_period = 100000 * COVEY_SECOND; /* nobody answers a probe here */
    config.gossip.heartbeat_interval = config.gossip.protocol_period;
    size_t before = heap_bytes();
    if (cv_membership_new(&config, c->now, &c->m) != COVEY_OK)
        die("no core");
    *used = heap_bytes() - before;
    drain(c);
    struct cv_input input = {.type = CV_INPUT_CONNECTED};
    input.connected.peer = id_of(1);
    input.connected.name = "n1";
    input.connected.remote = c->bodies[1]->address;
    step(c, &input);
    return c;
}

/* One message with 20 updates about members from `*next` on. */
static struct cv_slice write_message(struct gossip_core *c, enum gossip_kind kind, uint32_t *next,
                                     void *memory)
{
    struct cv_message_writer mw;
    cv_message_begin(&mw, memory, CV_MAX_MESSAGE_SIZE,
                     &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP});
    for (size_t i = 0; i < CV_MAX_UPDATES_PER_MESSAGE; i++) {
        uint32_t number = 2 + *next % (c->member_count - 2);
        struct cv_record record = {.id = id_of(number), .status.incarnation = c->incarnation};
        if (kind == GOSSIP_BODY)
            record.body = new_body(number, WALL_MS, c->version);
        if (!cv_message_add(&mw, &record))
            die("twenty updates do not fit");
        cv_cluster_node_release(record.body);
        *next += 1;
        if (*next % (c->member_count - 2) == 0) {
            c->incarnation += kind == GOSSIP_STATUS;
            c->version += kind == GOSSIP_BODY;
        }
    }
    return cv_message_bytes(&mw);
}

static double seconds_of_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A core takes in some messages, and what it has to say to each is taken from it; the seconds that it
 * had. */
static double take_in(struct gossip_core *c, const struct cv_slice *messages, size_t count)
{
    const double started = seconds_of_cpu();
    for (size_t i = 0; i < count; i++) {
        struct cv_input input = {.type = CV_INPUT_MESSAGE, .wall_ms = WALL_MS};
        input.message.from = id_of(1);
        input.message.bytes = messages[i];
        c->now += MESSAGE_INTERVAL;
        input.now = c->now;
        if (cv_membership_step(c->m, &input) != COVEY_OK)
            die("the core refused a message");
        drain(c);
    }
    return seconds_of_cpu() - started;
}

double gossip_core_rate(struct gossip_core *c, enum gossip_kind kind, uint64_t updates)
{
    static uint8_t memory[BATCH][CV_MAX_MESSAGE_SIZE];
    struct cv_slice messages[BATCH];
    struct cv_membership_stats before, after;
    const uint64_t message_count = updates / CV_MAX_UPDATES_PER_MESSAGE;
    uint32_t next = 0;
    double used = 0;
    c->incarnation += kind == GOSSIP_STATUS;
    c->version += kind == GOSSIP_BODY;
    cv_membership_stats(c->m, &before);
    for (uint64_t done = 0; done < message_count;) {
        size_t count = 0;
        while (count < BATCH && done + count < message_count) {
            messages[count] = write_message(c, kind, &next, memory[count]);
            count++;
        }
        used += take_in(c, messages, count);
        done += count;
    }
    cv_membership_stats(c->m, &after);
    uint64_t applied = after.updates_applied - before.updates_applied;
    uint64_t wanted = kind == GOSSIP_OLD ? 0 : updates;
    if (applied < wanted || after.messages_shed != before.messages_shed)
        die("not every update was taken for what it is");
    return (double)updates / used;
}

void gossip_core_free(struct gossip_core *c)
{
    cv_membership_free(c->m);
    for (uint32_t i = 1; i < c->member_count; i++)
        cv_cluster_node_release(c->bodies[i]);
    free(c->bodies);
    free(c->known);
    free(c);
}
