/*
 * How fast one core takes in gossip: messages of 20 updates are decoded, merged and queued to be told
 * on, in virtual time, by the core itself and nothing around it; and how much memory one member of a
 * large cluster takes in one core.
 *
 *     gossip [--members N] [--updates N] [--json]
 */
#include "gossip_core.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define UPDATES_MAX 100000000
/* In a message. */
#define UPDATES_STEP 20

static const char *const kind_names[] = {"status", "body", "old"};

struct plan {
    uint32_t member_count;
    uint64_t update_count;
    bool json;
};

static bool parse(int argc, char **argv, struct plan *plan)
{
    for (int i = 1; i < argc; i++) {
        unsigned long long value = 0;
        if (strcmp(argv[i], "--json") == 0) {
            plan->json = true;
            continue;
        }
        if (i + 1 == argc || sscanf(argv[i + 1], "%llu", &value) != 1 || value < GOSSIP_MEMBERS_MIN)
            return false;
        if (strcmp(argv[i], "--members") == 0 && value <= GOSSIP_MEMBERS_MAX)
            plan->member_count = (uint32_t)value;
        else if (strcmp(argv[i], "--updates") == 0 && value <= UPDATES_MAX)
            plan->update_count = value;
        else
            return false;
        i++;
    }
    plan->update_count -= plan->update_count % UPDATES_STEP;
    return true;
}

int main(int argc, char **argv)
{
    struct plan plan = {.member_count = 5000, .update_count = 2000000};
    double rates[3];
    size_t used;
    if (!parse(argc, argv, &plan)) {
        fprintf(stderr, "usage: gossip [--members 30..16384] [--updates N] [--json]\n");
        return 2;
    }
    struct gossip_core *core = gossip_core_new(plan.member_count, &used);
    double per_member = (double)used / plan.member_count;
    for (int kind = 0; kind < 3; kind++)
        rates[kind] = gossip_core_rate(core, (enum gossip_kind)kind, plan.update_count);
    gossip_core_free(core);
    if (plan.json) {
        printf("{\"bench\":\"gossip\",\"members\":%" PRIu32 ",\"updates\":%" PRIu64
               ",\"status_per_s\":%.0f,\"body_per_s\":%.0f,\"old_per_s\":%.0f,"
               "\"bytes_per_member\":%.1f}\n",
               plan.member_count, plan.update_count, rates[0], rates[1], rates[2], per_member);
    } else {
        for (int kind = 0; kind < 3; kind++)
            printf("%-7s %10.0f updates/s\n", kind_names[kind], rates[kind]);
        printf("memory  %10.1f bytes a member, bodies apart\n", per_member);
    }
    return 0;
}
