/*
 * How fast one core takes in gossip: messages of 20 updates are decoded, merged and queued to be told
 * on, in virtual time, by the core itself and nothing around it; and how much memory one member of a
 * large cluster takes in one core.
 *
 *     gossip [--members N] [--updates N] [--json]
 */
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

/* What each update is about. */
enum kind {
    KIND_STATUS, /* a member is alive at a later incarnation: news, without a body */
    KIND_BODY,   /* a member has other tags: news, with a new body */
    KIND_OLD     /* what is known already */
};

static const char *const kind_names[] = {"status", "body", "old"};

struct bench {
    uint32_t member_count;
    uint64_t update_count;
    bool json;
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

static void drain(struct bench *b)
{
    struct cv_output output;
    while (cv_membership_poll(b->m, &output)) {
        if (output.type == CV_OUTPUT_EVENT)
            cv_cluster_node_release(output.event.node);
    }
}

static void step(struct bench *b, struct cv_input *input)
{
    input->now = b->now;
    input->wall_ms = WALL_MS + b->now / COVEY_MILLISECOND;
    if (cv_membership_step(b->m, input) != COVEY_OK)
        die("the core refused an input");
    drain(b);
}

static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* A core that knows everybody and is connected with member 1. */
static size_t start(struct bench *b)
{
    struct cv_membership_config config;
    b->bodies = calloc(b->member_count, sizeof(b->bodies[0]));
    b->known = calloc(b->member_count, sizeof(*b->known));
    if (b->bodies == NULL || b->known == NULL)
        die("no memory");
    for (uint32_t i = 1; i < b->member_count; i++) {
        b->bodies[i] = new_body(i, WALL_MS, 0);
        b->known[i - 1] =
            (struct cv_record){.id = id_of(i), .status.incarnation = WALL_MS, .body = b->bodies[i]};
    }
    cv_membership_config_init(&config, CV_PROFILE_LAN);
    config.id = id_of(0);
    config.name = "n0";
    config.address = (struct cv_address){.ip = {10, 0, 0, 0}, .port = 4433, .family = 4};
    config.seed = 1;
    config.wall_ms = WALL_MS;
    config.known = b->known;
    config.known_count = b->member_count - 1;
    config.gossip.local_health_max = 0;
    config.gossip.protocol_period = 100000 * COVEY_SECOND; /* nobody answers a probe here */
    config.gossip.heartbeat_interval = config.gossip.protocol_period;
    size_t before = heap_bytes();
    if (cv_membership_new(&config, b->now, &b->m) != COVEY_OK)
        die("no core");
    size_t used = heap_bytes() - before;
    drain(b);
    struct cv_input input = {.type = CV_INPUT_CONNECTED};
    input.connected.peer = id_of(1);
    input.connected.name = "n1";
    input.connected.remote = b->bodies[1]->address;
    step(b, &input);
    return used;
}

/* One message with 20 updates about members from `*next` on. */
static struct cv_slice write_message(struct bench *b, enum kind kind, uint32_t *next, void *memory)
{
    struct cv_message_writer mw;
    cv_message_begin(&mw, memory, CV_MAX_MESSAGE_SIZE,
                     &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP});
    for (size_t i = 0; i < CV_MAX_UPDATES_PER_MESSAGE; i++) {
        uint32_t number = 2 + *next % (b->member_count - 2);
        struct cv_record record = {.id = id_of(number), .status.incarnation = b->incarnation};
        if (kind == KIND_BODY)
            record.body = new_body(number, WALL_MS, b->version);
        if (!cv_message_add(&mw, &record))
            die("twenty updates do not fit");
        cv_cluster_node_release(record.body);
        *next += 1;
        if (*next % (b->member_count - 2) == 0) {
            b->incarnation += kind == KIND_STATUS;
            b->version += kind == KIND_BODY;
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

/* Updates a second of CPU time, without the writing of the messages. */
static double run(struct bench *b, enum kind kind)
{
    uint8_t memory[CV_MAX_MESSAGE_SIZE];
    struct cv_membership_stats before, after;
    uint32_t next = 0;
    double used = 0;
    b->incarnation += kind == KIND_STATUS;
    b->version += kind == KIND_BODY;
    cv_membership_stats(b->m, &before);
    for (uint64_t done = 0; done < b->update_count; done += CV_MAX_UPDATES_PER_MESSAGE) {
        struct cv_input input = {.type = CV_INPUT_MESSAGE};
        input.message.from = id_of(1);
        input.message.bytes = write_message(b, kind, &next, memory);
        b->now += MESSAGE_INTERVAL;
        double started = seconds_of_cpu();
        input.now = b->now;
        input.wall_ms = WALL_MS;
        int error = cv_membership_step(b->m, &input);
        used += seconds_of_cpu() - started;
        if (error != COVEY_OK)
            die("the core refused a message");
        drain(b);
    }
    cv_membership_stats(b->m, &after);
    uint64_t applied = after.updates_applied - before.updates_applied;
    uint64_t wanted = kind == KIND_OLD ? 0 : b->update_count;
    if (applied < wanted || after.messages_shed != before.messages_shed)
        die("not every update was taken for what it is");
    return (double)b->update_count / used;
}

static bool parse(int argc, char **argv, struct bench *b)
{
    for (int i = 1; i < argc; i++) {
        unsigned long long value = 0;
        if (strcmp(argv[i], "--json") == 0) {
            b->json = true;
            continue;
        }
        if (i + 1 == argc || sscanf(argv[i + 1], "%llu", &value) != 1 || value < 30)
            return false;
        if (strcmp(argv[i], "--members") == 0 && value <= 16384)
            b->member_count = (uint32_t)value;
        else if (strcmp(argv[i], "--updates") == 0 && value <= 100000000)
            b->update_count = value;
        else
            return false;
        i++;
    }
    b->update_count -= b->update_count % CV_MAX_UPDATES_PER_MESSAGE;
    return true;
}

int main(int argc, char **argv)
{
    struct bench b = {.member_count = 5000,
                      .update_count = 2000000,
                      .now = 1000 * COVEY_SECOND,
                      .incarnation = WALL_MS};
    double rates[3];
    if (!parse(argc, argv, &b)) {
        fprintf(stderr, "usage: gossip [--members 30..16384] [--updates N] [--json]\n");
        return 2;
    }
    size_t used = start(&b);
    double per_member = (double)used / b.member_count;
    for (int kind = 0; kind < 3; kind++)
        rates[kind] = run(&b, (enum kind)kind);
    if (b.json) {
        printf("{\"bench\":\"gossip\",\"members\":%" PRIu32 ",\"updates\":%" PRIu64
               ",\"status_per_s\":%.0f,\"body_per_s\":%.0f,\"old_per_s\":%.0f,"
               "\"bytes_per_member\":%.1f}\n",
               b.member_count, b.update_count, rates[0], rates[1], rates[2], per_member);
    } else {
        for (int kind = 0; kind < 3; kind++)
            printf("%-7s %10.0f updates/s\n", kind_names[kind], rates[kind]);
        printf("memory  %10.1f bytes a member, bodies apart\n", per_member);
    }
    cv_membership_free(b.m);
    for (uint32_t i = 1; i < b.member_count; i++)
        cv_cluster_node_release(b.bodies[i]);
    free(b.bodies);
    free(b.known);
    return 0;
}
