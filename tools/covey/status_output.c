#include "status_output.h"

#include "event_json.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- for people ---- */

/* What a member's program wrote: control characters are shown as \xNN. */
static void print_visible(const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;
        printf(byte < 0x20 || byte == 0x7f ? "\\x%02x" : "%c", byte);
    }
}

static void print_partition(const struct covey_partition_status *p)
{
    printf("partition  %s: %" PRIu32 " of %" PRIu32 " members alive, the quorum is %" PRIu32 "%s%s",
           covey_partition_state_name(p->state), p->alive, p->expected, p->quorum,
           p->minority ? ", a minority" : "", p->read_only ? ", read-only" : "");
    if (p->grace_remaining > 0)
        printf(", partitioned in %.1f s", (double)p->grace_remaining / (double)COVEY_SECOND);
    printf("\n");
}

static void print_check(const struct covey_check_health *check)
{
    printf("  ");
    print_visible(check->name);
    printf(": %s%s, took %.1f ms", covey_check_status_name(check->status),
           check->hangs ? " (hangs)" : "",
           (double)check->last_duration / (double)COVEY_MILLISECOND);
    if (check->consecutive_failures > 0)
        printf(", %" PRIu32 " failures", check->consecutive_failures);
    if (check->message[0] != '\0')
        printf(": ");
    print_visible(check->message);
    printf("\n");
}

static void print_counter(const char *name, const char *text, uint64_t value)
{
    if (value > 0)
        printf("  %-22s %12" PRIu64 "  %s\n", name, value, text);
}

void print_status_text(const struct member_status *status)
{
    print_partition(&status->partition);
    printf("health     %s\n", covey_check_status_name(status->health.overall));
    for (uint32_t i = 0; i < status->health.check_count; i++)
        print_check(&status->checks[i]);
    printf("counters   of membership, those that are not 0\n");
#define X(number, name, text) print_counter(#name, text, status->stats.name);
    COVEY_CLUSTER_COUNTERS(X)
#undef X
    printf("counters   of the server, those that are not 0\n");
    if (!status->has_server) {
        printf("  not known: ");
        print_visible(status->why_no_server);
        printf("\n");
        return;
    }
#define X(number, name, text) print_counter(#name, text, status->server.name);
    COVEY_SERVER_COUNTERS(X)
#undef X
}

/* ---- for programs ---- */

static json_t *check_to_json(const struct covey_check_health *check)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:I, s:f}", "name", check->name, "status",
                     covey_check_status_name(check->status), "message", check->message, "hangs",
                     check->hangs, "failures", (json_int_t)check->consecutive_failures,
                     "duration_ms", (double)check->last_duration / (double)COVEY_MILLISECOND);
}

static json_t *health_to_json(const struct member_status *status)
{
    json_t *checks = json_array();

    for (uint32_t i = 0; i < status->health.check_count && checks != NULL; i++) {
        if (json_array_append_new(checks, check_to_json(&status->checks[i])) != 0) {
            json_decref(checks);
            checks = NULL;
        }
    }
    return json_pack("{s:s, s:o}", "overall", covey_check_status_name(status->health.overall),
                     "checks", checks);
}

static json_t *stats_to_json(const struct covey_cluster_stats *stats)
{
    json_t *object = json_object();
    int failed = 0;

#define X(number, name, text)                                                                      \
    failed |= json_object_set_new(object, #name, json_integer((json_int_t)stats->name));
    COVEY_CLUSTER_COUNTERS(X)
#undef X
    if (failed != 0) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

static json_t *server_to_json(const struct covey_server_stats *stats)
{
    json_t *object = json_object();
    int failed = 0;

#define X(number, name, text)                                                                      \
    failed |= json_object_set_new(object, #name, json_integer((json_int_t)stats->name));
    COVEY_SERVER_COUNTERS(X)
#undef X
    if (failed != 0) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

/* False when memory is out. */
static bool add_server(json_t *object, const struct member_status *status)
{
    json_t *server = status->has_server ? server_to_json(&status->server) : json_null();

    if (json_object_set_new(object, "server", server) != 0)
        return false;
    return status->has_server ||
           json_object_set_new(object, "server_error", json_string(status->why_no_server)) == 0;
}

bool print_status_json(const struct member_status *status)
{
    json_t *object =
        json_pack("{s:o, s:o, s:o}", "partition", partition_to_json(&status->partition), "health",
                  health_to_json(status), "stats", stats_to_json(&status->stats));

    if (object == NULL || !add_server(object, status)) {
        json_decref(object);
        return false;
    }
    const int failed = json_dumpf(object, stdout, JSON_COMPACT);
    json_decref(object);
    putchar('\n');
    return failed == 0 || ferror(stdout);
}
