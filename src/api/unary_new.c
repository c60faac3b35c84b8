/* Unary calls as they are made, on any thread. */
#include "api/unary_internal.h"

#include <assert.h>
#include <string.h>

/* On the loop it will end there too, and its memory is not shared with other threads. */
static inline struct cv_unary *take_memory(covey_client *client, size_t bytes)
{
    size_t size = sizeof(struct cv_unary) + bytes;
    bool is_here = cv_loop_in_turn(client->loop);
    struct cv_unary *u = is_here ? cv_pool_share_take(&client->shared->share, size)
                                 : cv_pool_take(&client->runtime->pool, size);
    if (u == NULL)
        return NULL;
    u->client = client;
    u->size = size;
    u->is_here = is_here;
    return u;
}

void cv_unary_drop(struct cv_unary *u)
{
    if (u->is_here)
        cv_pool_share_give(&u->client->shared->share, u, u->size);
    else
        cv_pool_give(&u->client->runtime->pool, u, u->size);
}

/* All but the header and the request, and what attempts set. */
static void init(struct cv_unary *u, const struct covey_call_options *options)
{
    u->hedge_after = options->hedge_after;
    if (u->hedge_after > 0)
        u->timer = (struct cv_client_timer){.expired = cv_unary_on_hedge};
    u->is_idempotent = options->idempotent;
    u->is_decided = false;
    u->is_unbegun = true;
    u->has_last = false;
    u->attempts = 0;
    u->failures = 0;
    LIST_INIT(&u->open);
    u->wish.message = &u->request;
    u->wish.wait_for_ready = options->wait_for_ready;
}

static void set_request(struct cv_unary *u, uint8_t *room, struct cv_slice request)
{
    if (request.size > 0)
        memcpy(room, request.data, request.size);
    u->request = cv_slice_of(room, request.size);
}

static int check_options(const struct covey_call_options *options)
{
    return options->hedge_after > 0 && !options->idempotent ? COVEY_ERR_INVALID_ARGUMENT : 0;
}

static int make(const struct covey_call_draft *draft, struct cv_slice request,
                struct cv_unary **out)
{
    int error = check_options(&draft->options);
    if (error != 0)
        return error;
    size_t size = cv_draft_size(draft);
    struct cv_unary *u = take_memory(draft->client, size + request.size);
    if (u == NULL)
        return COVEY_ERR_NO_MEMORY;
    init(u, &draft->options);
    u->begun = draft->begun;
    u->wish.deadline = draft->deadline;
    cv_draft_copy(draft, u->bytes, &u->wish.header);
    set_request(u, u->bytes + size, request);
    *out = u;
    return 0;
}

/* Whatever may be wished for. */
static int make_any(covey_client *client, const char *method, struct cv_slice request,
                    const struct covey_call_options *options, struct cv_unary **out)
{
    struct covey_call_draft draft;
    int error = cv_draft_init(&draft, client, method, options);
    if (error != 0)
        return error;
    error = make(&draft, request, out);
    cv_draft_fini(&draft);
    return error;
}

/* Nothing is wished for and nobody wants to see it, as with nearly all calls: there is nothing to
 * draft. */
static int make_plain(covey_client *client, const char *method, struct cv_slice request,
                      struct cv_unary **out)
{
    const struct cv_slice name = cv_rpc_method_name(method);
    if (name.size == 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    covey_time deadline = cv_deadline_after(cv_draft_defaults.timeout);
    struct cv_unary *u = take_memory(client, name.size + request.size);
    if (u == NULL)
        return COVEY_ERR_NO_MEMORY;
    init(u, &cv_draft_defaults);
    u->begun = 0;
    u->wish.deadline = deadline;
    memcpy(u->bytes, name.data, name.size);
    u->wish.header = (struct cv_call_header){.method = cv_slice_of(u->bytes, name.size)};
    set_request(u, u->bytes + name.size, request);
    *out = u;
    return 0;
}

int cv_unary_new(covey_client *client, const char *method, struct cv_slice request,
                 const struct covey_call_options *options, const struct cv_unary_outcome *outcome,
                 struct cv_unary **out)
{
    if (client == NULL || (request.data == NULL && request.size > 0))
        return COVEY_ERR_INVALID_ARGUMENT;
    if (request.size > client->message_send_max)
        return COVEY_ERR_TOO_LARGE;
    bool is_plain = options == NULL && method != NULL && client->interceptor_count == 0;
    int error = is_plain ? make_plain(client, method, request, out)
                         : make_any(client, method, request, options, out);
    if (error == 0)
        (*out)->outcome = outcome;
    return error;
}
