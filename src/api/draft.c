#include "api/draft.h"

#include "io/clock.h"

#include <string.h>

const struct covey_call_options cv_draft_defaults = {
    .size = sizeof(struct covey_call_options),
    .timeout = 30 * COVEY_SECOND,
};

void covey_call_options_init_sized(struct covey_call_options *options, size_t size)
{
    cv_config_give(options, size, &cv_draft_defaults, sizeof cv_draft_defaults);
}

struct cv_draft_piece {
    struct cv_draft_piece *next;
    size_t size;
    uint8_t bytes[];
};

/* ---- metadata ---- */

static int check_header(const struct covey_call_draft *draft)
{
    if (draft->metadata_count == 0) /* a name of any allowed size fits */
        return cv_rpc_method_name_valid(draft->name) ? 0 : COVEY_ERR_INVALID_ARGUMENT;
    const struct cv_rpc_header header = {
        .method = draft->name,
        .metadata = draft->metadata,
        .metadata_count = draft->metadata_count,
    };
    int error = cv_rpc_metadata_check(draft->metadata, draft->metadata_count, CV_METADATA_SIZE_MAX);
    return error != 0 ? error : cv_rpc_header_check(&header, SIZE_MAX);
}

/* One more pair, borrowed; as it was when that is too much. */
static int add(struct covey_call_draft *draft, struct cv_rpc_metadata pair)
{
    if (draft->metadata_count == CV_RPC_METADATA_COUNT_MAX)
        return COVEY_ERR_TOO_LARGE;
    draft->metadata[draft->metadata_count++] = pair;
    int error = check_header(draft);
    if (error != 0)
        draft->metadata_count--;
    return error;
}

static bool has_key(const struct covey_call_draft *draft, const char *key)
{
    for (size_t i = 0; i < draft->metadata_count; i++) {
        if (cv_slice_equal(draft->metadata[i].key, cv_slice_text(key)))
            return true;
    }
    return false;
}

/* The trace goes on in calls that are made for a call. */
static int inherit_trace(struct covey_call_draft *draft)
{
    size_t count;
    const struct covey_metadata *set = covey_call_metadata(draft->options.parent, &count);
    const struct covey_metadata *trace = covey_metadata_find(set, count, "traceparent");
    if (trace == NULL || has_key(draft, "traceparent"))
        return 0;
    return add(draft, (struct cv_rpc_metadata){.key = cv_slice_text("traceparent"),
                                               .value = cv_slice_of(trace->value, trace->size)});
}

const char *covey_call_draft_method(const covey_call_draft *draft)
{
    return draft->method;
}

int covey_call_draft_add_metadata(covey_call_draft *draft, const char *key, const void *value,
                                  size_t size)
{
    if (key == NULL || (value == NULL && size > 0))
        return COVEY_ERR_INVALID_ARGUMENT;
    size_t key_size = strlen(key);
    if (key_size > CV_RPC_METADATA_KEY_SIZE_MAX)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (size > CV_METADATA_SIZE_MAX)
        return COVEY_ERR_TOO_LARGE;
    struct cv_draft_piece *piece =
        cv_pool_take(&draft->client->runtime->pool, sizeof *piece + key_size + size);
    if (piece == NULL)
        return COVEY_ERR_NO_MEMORY;
    *piece = (struct cv_draft_piece){.next = draft->pieces, .size = key_size + size};
    draft->pieces = piece;
    memcpy(piece->bytes, key, key_size);
    if (size > 0)
        memcpy(piece->bytes + key_size, value, size);
    return add(draft,
               (struct cv_rpc_metadata){.key = cv_slice_of(piece->bytes, key_size),
                                        .value = cv_slice_of(piece->bytes + key_size, size)});
}

/* ---- interceptors ---- */

static int intercept(struct covey_call_draft *draft)
{
    const covey_client *client = draft->client;
    if (client->interceptor_count == 0)
        return 0;
    draft->begun = cv_clock_now();
    int error = 0;
    for (size_t i = 0; i < client->interceptor_count && error == 0; i++) {
        const struct covey_client_interceptor *interceptor = &client->interceptors[i];
        if (interceptor->begin != NULL)
            error = interceptor->begin(draft, interceptor->user);
    }
    return error;
}

void cv_draft_tell_end(covey_client *client, const struct cv_draft_end *end)
{
    char name[CV_RPC_METHOD_SIZE_MAX + 1];
    if (client->interceptor_count == 0)
        return;
    memcpy(name, end->method.data, end->method.size);
    name[end->method.size] = 0;
    const struct covey_call_summary summary = {
        .size = sizeof summary,
        .method = name,
        .code = end->code,
        .duration = cv_clock_now() - end->begun,
        .messages_sent = end->messages_sent,
        .messages_received = end->messages_received,
    };
    for (size_t i = client->interceptor_count; i-- > 0;) {
        const struct covey_client_interceptor *interceptor = &client->interceptors[i];
        if (interceptor->end != NULL)
            interceptor->end(&summary, interceptor->user);
    }
}

/* ---- the draft ---- */

static covey_time earlier(covey_time a, covey_time b)
{
    return a < b ? a : b;
}

static int prepare(struct covey_call_draft *draft, const struct covey_call_options *options)
{
    int error = cv_config_take(&draft->options, sizeof draft->options, options);
    if (error == 0)
        error = cv_metadata_borrow(draft->options.metadata, draft->options.metadata_count,
                                   draft->metadata);
    if (error != 0)
        return error;
    draft->metadata_count = draft->options.metadata_count;
    draft->deadline = cv_deadline_after(draft->options.timeout);
    if (draft->options.parent != NULL) {
        draft->deadline = earlier(draft->deadline,
                                  cv_deadline_after(covey_call_time_left(draft->options.parent)));
        error = inherit_trace(draft);
    }
    if (error == 0)
        error = intercept(draft);
    return error != 0 ? error : check_header(draft);
}

int cv_draft_init(struct covey_call_draft *draft, covey_client *client, const char *method,
                  const struct covey_call_options *options)
{
    if (client == NULL || method == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    /* Not a whole-struct initialisation: it would clear the pairs for each call. */
    draft->client = client;
    draft->method = method;
    draft->name = cv_slice_text(method);
    draft->options = cv_draft_defaults;
    draft->begun = 0;
    draft->metadata_count = 0;
    draft->pieces = NULL;
    int error = prepare(draft, options);
    if (error != 0)
        cv_draft_fini(draft);
    return error;
}

void cv_draft_fini(struct covey_call_draft *draft)
{
    while (draft->pieces != NULL) {
        struct cv_draft_piece *piece = draft->pieces;
        draft->pieces = piece->next;
        cv_pool_give(&draft->client->runtime->pool, piece, sizeof *piece + piece->size);
    }
}

size_t cv_draft_size(const struct covey_call_draft *draft)
{
    size_t size = draft->name.size + draft->metadata_count * sizeof *draft->metadata;
    for (size_t i = 0; i < draft->metadata_count; i++)
        size += draft->metadata[i].key.size + draft->metadata[i].value.size;
    return size;
}

static struct cv_slice copy(uint8_t **next, struct cv_slice bytes)
{
    struct cv_slice at = cv_slice_of(*next, bytes.size);
    if (bytes.size > 0)
        memcpy(*next, bytes.data, bytes.size);
    *next += bytes.size;
    return at;
}

void cv_draft_copy(const struct covey_call_draft *draft, void *memory, struct cv_call_header *out)
{
    struct cv_rpc_metadata *pairs = memory;
    uint8_t *next = (uint8_t *)(pairs + draft->metadata_count);
    for (size_t i = 0; i < draft->metadata_count; i++) {
        pairs[i].key = copy(&next, draft->metadata[i].key);
        pairs[i].value = copy(&next, draft->metadata[i].value);
    }
    *out = (struct cv_call_header){
        .method = copy(&next, draft->name),
        .metadata = pairs,
        .metadata_count = draft->metadata_count,
    };
}
