#include "api/admin_call.h"
#include "api/admin_wire.h"
#include "api/client.h"
#include "api/node_list.h"
#include "api/reply.h"
#include "cluster/gossip/update.h"
#include "cluster/tags.h"

#include <covey/admin.h>

/* As many as a registry holds; a member that sends more is not believed. */
#define MEMBERS_MAX 16384

static const struct covey_call_options *set_timeout(struct covey_call_options *options,
                                                    covey_time timeout)
{
    covey_call_options_init(options);
    options->timeout = timeout;
    return options;
}

void cv_admin_init_reply(struct covey_reply *reply)
{
    cv_reply_init(reply);
}

int cv_admin_call(covey_client *client, covey_time timeout, const char *method,
                  struct cv_slice request, struct covey_reply *said)
{
    struct covey_call_options options;
    return covey_client_call(client, method, request.data, request.size,
                             set_timeout(&options, timeout), said);
}

int cv_admin_judge(struct covey_reply *said, struct covey_reply *reply)
{
    bool is_ok = said->code == COVEY_STATUS_OK;
    if (!is_ok && reply != NULL)
        cv_reply_move(reply, said);
    covey_reply_clear(said);
    return is_ok ? 0 : COVEY_ERR_REFUSED;
}

/* ---- members ---- */

static bool is_in_order(const covey_node_list *list, const covey_node_id *id)
{
    size_t count = covey_node_list_count(list);
    return count == 0 || covey_node_id_compare(&covey_node_list_at(list, count - 1)->id, id) < 0;
}

static int add_member(covey_node_list *list, struct cv_slice message)
{
    struct cv_reader r;
    struct cv_cluster_node *body;
    cv_reader_init(&r, message);
    struct cv_update update = cv_update_read(&r);
    if (!cv_reader_done(&r) || !update.has_body || !is_in_order(list, &update.id))
        return COVEY_ERR_MALFORMED;
    if (covey_node_list_count(list) == MEMBERS_MAX)
        return COVEY_ERR_LIMIT;
    int error = cv_update_body(&list->runtime->alloc, &update, &body);
    if (error != 0)
        return error;
    error = cv_node_list_add_body(list, body, update.status.state, update.status.incarnation);
    if (error != 0)
        cv_cluster_node_release(body);
    return error;
}

/* Fills the list until the stream's end. */
static int read_members(covey_stream *stream, covey_node_list *list)
{
    const void *message;
    size_t size;
    int error;
    /* The call's deadline ends the stream. */
    while ((error = covey_stream_receive(stream, COVEY_NEVER, &message, &size)) == 0) {
        error = add_member(list, cv_slice_of(message, size));
        if (error != 0)
            return error;
    }
    return error == COVEY_ERR_CLOSED ? 0 : error;
}

static int judge_stream(const covey_stream *stream, covey_runtime *runtime,
                        struct covey_reply *reply)
{
    const char *text;
    struct covey_reply said;
    struct cv_rpc_status status = {.code = covey_stream_status(stream, &text)};
    status.message = cv_slice_text(text);
    cv_reply_init(&said);
    cv_reply_set_status(&said, runtime, &status);
    return cv_admin_judge(&said, reply);
}

static int list_members(covey_client *client, covey_time timeout, covey_node_list *list,
                        struct covey_reply *reply)
{
    struct covey_call_options options;
    covey_stream *stream;
    int error = covey_client_stream(client, "covey.cluster.members", NULL, 0,
                                    set_timeout(&options, timeout), &stream);
    if (error != 0)
        return error;
    error = read_members(stream, list);
    if (error == 0)
        error = judge_stream(stream, client->runtime, reply);
    covey_stream_free(stream);
    return error;
}

int covey_admin_members(covey_client *client, covey_time timeout, covey_node_list **out,
                        struct covey_reply *reply)
{
    covey_node_list *list;
    if (reply != NULL)
        cv_reply_init(reply);
    if (client == NULL || out == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (cv_runtime_is_loop_thread(client->runtime))
        return COVEY_ERR_WRONG_THREAD;
    int error = cv_node_list_new(client->runtime, &list);
    if (error != 0)
        return error;
    error = list_members(client, timeout, list, reply);
    if (error == 0)
        *out = list;
    else
        covey_node_list_free(list);
    return error;
}

/* ---- orders ---- */

static int order(covey_client *client, covey_time timeout, const char *method,
                 struct cv_slice request, struct covey_reply *reply)
{
    struct covey_reply said;
    int error = cv_admin_call(client, timeout, method, request, &said);
    return error != 0 ? error : cv_admin_judge(&said, reply);
}

static int check_tag(const char *key, const char *value)
{
    if (key == NULL || value == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    return cv_tag_check(cv_slice_text(key), cv_slice_text(value));
}

int covey_admin_tag_set(covey_client *client, covey_time timeout, const char *key,
                        const char *value, struct covey_reply *reply)
{
    uint8_t bytes[CV_ADMIN_REQUEST_SIZE_MAX];
    struct cv_writer w;
    if (reply != NULL)
        cv_reply_init(reply);
    int error = check_tag(key, value);
    if (error != 0)
        return error;
    cv_writer_init(&w, bytes, sizeof bytes);
    cv_admin_tag_set_write(&w, key, value);
    return order(client, timeout, "covey.admin.tag_set", cv_writer_bytes(&w), reply);
}

int covey_admin_tag_remove(covey_client *client, covey_time timeout, const char *key,
                           struct covey_reply *reply)
{
    uint8_t bytes[CV_ADMIN_REQUEST_SIZE_MAX];
    struct cv_writer w;
    if (reply != NULL)
        cv_reply_init(reply);
    int error = check_tag(key, "");
    if (error != 0)
        return error;
    cv_writer_init(&w, bytes, sizeof bytes);
    cv_admin_tag_remove_write(&w, key);
    return order(client, timeout, "covey.admin.tag_remove", cv_writer_bytes(&w), reply);
}

int covey_admin_leave(covey_client *client, covey_time timeout, struct covey_reply *reply)
{
    if (reply != NULL)
        cv_reply_init(reply);
    return order(client, timeout, "covey.admin.leave", (struct cv_slice){NULL, 0}, reply);
}
