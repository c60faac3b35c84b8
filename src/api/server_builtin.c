/* The methods that every server has; covey/admin.h is their other side. */
#include "api/admin_wire.h"
#include "api/cluster.h"
#include "api/server_status.h"
#include "cluster/gossip/update.h"
#include "rpc/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- covey.cluster.members ---- */

/* A list on its way to somebody who asked; large ones take more than one go. */
struct listing {
    const struct cv_alloc *alloc;
    struct cv_snapshot *snapshot;
    size_t next;
};

static int send_member(covey_call *call, const struct cv_snapshot *snapshot, size_t index)
{
    uint8_t bytes[CV_UPDATE_SIZE_MAX];
    struct cv_record record = cv_snapshot_record(snapshot, index);
    struct cv_writer w;
    cv_writer_init(&w, bytes, sizeof bytes);
    cv_update_write(&w, &record);
    struct cv_slice message = cv_writer_bytes(&w);
    return covey_call_send(call, message.data, message.size);
}

static void listing_go_on(covey_call *call, void *user)
{
    struct listing *l = user;
    int error = 0;
    while (l->next < cv_snapshot_count(l->snapshot) && error == 0) {
        error = send_member(call, l->snapshot, l->next);
        l->next += error == 0;
    }
    if (error == COVEY_ERR_BUSY)
        return;
    cv_snapshot_release(l->snapshot);
    cv_release(l->alloc, l);
    if (error == 0)
        covey_call_finish(call, COVEY_STATUS_OK, NULL);
    else
        covey_call_finish(call, COVEY_STATUS_RESOURCE_EXHAUSTED, covey_strerror(error));
}

static void members(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    covey_cluster *cluster = covey_server_cluster(user);
    struct cv_snapshot *snapshot = cluster == NULL ? NULL : cv_cluster_snapshot(cluster);
    if (snapshot == NULL) {
        covey_call_finish(call, COVEY_STATUS_FAILED_PRECONDITION, "this server is in no cluster");
        return;
    }
    struct listing *l = cv_allocate(&cluster->runtime->alloc, sizeof *l);
    if (l == NULL) {
        cv_snapshot_release(snapshot);
        covey_call_finish(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *l = (struct listing){.alloc = &cluster->runtime->alloc, .snapshot = snapshot};
    covey_call_on_ready(call, listing_go_on, l);
    listing_go_on(call, l);
}

/* ---- covey.admin.* ---- */

/* Orders are an admin's and the node's own; answers the call when it comes from somebody else. */
static covey_cluster *ordered_cluster(covey_call *call, covey_server *server)
{
    covey_cluster *cluster = covey_server_cluster(server);
    if (cluster == NULL) {
        covey_call_finish(call, COVEY_STATUS_FAILED_PRECONDITION, "this server is in no cluster");
        return NULL;
    }
    covey_node_id caller = covey_call_peer_id(call);
    if (covey_call_peer_role(call) == COVEY_ROLE_ADMIN || cv_node_id_equal(&caller, &cluster->self))
        return cluster;
    covey_call_finish(call, COVEY_STATUS_PERMISSION_DENIED,
                      "only an admin or the member itself may do this");
    return NULL;
}

static enum covey_status_code status_of(int error)
{
    switch (error) {
    case 0:
        return COVEY_STATUS_OK;
    case COVEY_ERR_NOT_FOUND:
        return COVEY_STATUS_NOT_FOUND;
    case COVEY_ERR_TOO_LARGE:
    case COVEY_ERR_INVALID_ARGUMENT:
        return COVEY_STATUS_INVALID_ARGUMENT;
    case COVEY_ERR_STATE:
        return COVEY_STATUS_FAILED_PRECONDITION;
    default:
        return COVEY_STATUS_INTERNAL;
    }
}

static void answer(covey_call *call, int error)
{
    if (error == 0)
        covey_call_reply(call, NULL, 0);
    else
        covey_call_finish(call, status_of(error), covey_strerror(error));
}

static void tag_set(covey_call *call, const void *request, size_t size, void *user)
{
    struct cv_admin_tag tag;
    covey_cluster *cluster = ordered_cluster(call, user);
    if (cluster == NULL)
        return;
    int error = cv_admin_tag_set_read(cv_slice_of(request, size), &tag);
    answer(call, error != 0 ? COVEY_ERR_INVALID_ARGUMENT
                            : covey_cluster_update_tag(cluster, tag.key, tag.value));
}

static void tag_remove(covey_call *call, const void *request, size_t size, void *user)
{
    struct cv_admin_tag tag;
    covey_cluster *cluster = ordered_cluster(call, user);
    if (cluster == NULL)
        return;
    int error = cv_admin_tag_remove_read(cv_slice_of(request, size), &tag);
    answer(call,
           error != 0 ? COVEY_ERR_INVALID_ARGUMENT : covey_cluster_remove_tag(cluster, tag.key));
}

static void leave(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    covey_cluster *cluster = ordered_cluster(call, user);
    if (cluster == NULL)
        return;
    covey_call_reply(call, NULL, 0);
    covey_cluster_leave_async(cluster);
}

/* ---- covey.health, covey.methods ---- */

static void health(covey_call *call, const void *request, size_t size, void *user)
{
    covey_cluster *cluster = covey_server_cluster(user);
    (void)request;
    (void)size;
    if (cluster != NULL && atomic_load(&cluster->is_unhealthy))
        covey_call_finish_with(call, COVEY_STATUS_UNAVAILABLE,
                               "a health check of this server says unhealthy", "unhealthy",
                               strlen("unhealthy"));
    else
        covey_call_reply(call, "serving", strlen("serving"));
}

static int by_name(const void *a, const void *b)
{
    const struct cv_server_method *const *left = a;
    const struct cv_server_method *const *right = b;
    return strcmp((*left)->method.name, (*right)->method.name);
}

/* "NAME KIND ROLE,ROLE" and a line end: at most the longest name and 40 bytes. */
#define LINE_SIZE (CV_RPC_METHOD_SIZE_MAX + 40)

static size_t write_line(char *line, const struct covey_method *method)
{
    const unsigned allow = method->allow == 0 ? COVEY_ALLOW_ALL : method->allow;
    int length = snprintf(line, LINE_SIZE, "%s %s", method->name,
                          method->stream_handler == NULL ? "unary" : "stream");
    char separator = ' ';
    for (int role = COVEY_ROLE_MEMBER; role <= COVEY_ROLE_ADMIN; role++) {
        if ((allow & (1u << role)) == 0)
            continue;
        length += snprintf(line + length, LINE_SIZE - (size_t)length, "%c%s", separator,
                           covey_role_name((enum covey_role)role));
        separator = ',';
    }
    line[length++] = '\n';
    return (size_t)length;
}

/* The methods of this moment, sorted; with the lock held. */
static struct cv_server_method **sort_methods(covey_server *server, size_t *count)
{
    struct cv_server_method **sorted =
        cv_allocate_zeroed(&server->runtime->alloc, cv_rpc_dispatch_count(&server->methods),
                           sizeof(struct cv_server_method *));
    struct cv_server_method *kept;
    *count = 0;
    if (sorted == NULL)
        return NULL;
    SLIST_FOREACH (kept, &server->kept_methods, entry)
        sorted[(*count)++] = kept;
    qsort(sorted, *count, sizeof *sorted, by_name);
    return sorted;
}

/* They are never removed, so the lock is not needed for what they say. */
static void list_methods(covey_call *call, const void *request, size_t size, void *user)
{
    covey_server *server = user;
    const struct cv_alloc *alloc = &server->runtime->alloc;
    size_t count, length = 0;
    (void)request;
    (void)size;
    pthread_rwlock_rdlock(&server->methods_lock);
    struct cv_server_method **sorted = sort_methods(server, &count);
    pthread_rwlock_unlock(&server->methods_lock);
    char *text = sorted == NULL ? NULL : cv_allocate(alloc, count * LINE_SIZE);
    for (size_t i = 0; text != NULL && i < count; i++)
        length += write_line(text + length, &sorted[i]->method);
    if (text != NULL)
        covey_call_reply(call, text, length);
    else
        covey_call_finish(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "out of memory");
    cv_release(alloc, text);
    cv_release(alloc, sorted);
}

int cv_server_add_builtin_methods(covey_server *server)
{
    const struct covey_method methods[] = {
        {.name = "covey.health", .handler = health, .user = server, .read_only = true},
        {.name = "covey.methods", .handler = list_methods, .user = server, .read_only = true},
        {.name = "covey.cluster.members", .handler = members, .user = server, .read_only = true},
        {.name = "covey.cluster.partition",
         .handler = cv_server_tell_partition,
         .user = server,
         .read_only = true},
        {.name = "covey.cluster.health",
         .handler = cv_server_tell_health,
         .user = server,
         .read_only = true},
        {.name = "covey.cluster.stats",
         .handler = cv_server_tell_stats,
         .user = server,
         .read_only = true},
        {.name = "covey.server.stats",
         .handler = cv_server_tell_server_stats,
         .user = server,
         .read_only = true,
         .blocking = true},
        {.name = "covey.admin.tag_set", .handler = tag_set, .user = server},
        {.name = "covey.admin.tag_remove", .handler = tag_remove, .user = server},
        {.name = "covey.admin.leave", .handler = leave, .user = server, .read_only = true},
    };
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        int error = cv_server_add_method(server, &methods[i]);
        if (error != 0)
            return error;
    }
    return 0;
}
