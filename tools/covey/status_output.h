#ifndef COVEY_TOOL_STATUS_OUTPUT_H
#define COVEY_TOOL_STATUS_OUTPUT_H

#include <covey/admin.h>
#include <stdbool.h>

/* What a member says of itself. */
struct member_status {
    struct covey_partition_status partition;
    struct covey_health_status health;
    struct covey_check_health checks[COVEY_CHECKS_MAX];
    struct covey_cluster_stats stats;
    bool has_server; /* else `why_no_server` says why not */
    struct covey_server_stats server;
    char why_no_server[256];
};

/* For people: counters that are 0 are left out. */
void print_status_text(const struct member_status *status);

/* {"partition":{...},"health":{"overall","checks":[...]},"stats":{...},"server":{...}} as one line; server is null
 * when it is not known, and "server_error" says why. False when memory is out. */
bool print_status_json(const struct member_status *status);

#endif
