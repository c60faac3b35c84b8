#include "conformance/pair.h"

#include <stdio.h>
#include <stdlib.h>

#define MINUTE (60 * COVEY_SECOND)

/* FNV-1a over bytes, and then over their number: messages that were cut elsewhere differ. */
static uint64_t hash_message(uint64_t hash, struct cv_slice message)
{
    for (size_t i = 0; i < message.size; i++)
        hash = (hash ^ message.data[i]) * UINT64_C(1099511628211);
    return (hash ^ message.size) * UINT64_C(1099511628211);
}

static struct record *record_new(struct pair *p, int side)
{
    if (p->count[side] == p->capacity[side]) {
        p->capacity[side] = 2 * p->capacity[side] + 16;
        p->records[side] = realloc(p->records[side], p->capacity[side] * sizeof *p->records[side]);
        assert_non_null(p->records[side]);
    }
    struct record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->pair = p;
    r->side = side;
    p->records[side][p->count[side]++] = r;
    return r;
}

static void record_free(struct record *r)
{
    for (size_t i = 0; i < r->entry_count; i++) {
        free((void *)(uintptr_t)r->entries[i].key.data);
        free((void *)(uintptr_t)r->entries[i].value.data);
    }
    free(r->entries);
    free(r->details);
    free(r);
}

static void *copy(const void *bytes, size_t size)
{
    void *memory = malloc(size + 1);
    assert_non_null(memory);
    if (size > 0)
        memcpy(memory, bytes, size);
    return memory;
}

/* ---- events ---- */

static void check(const struct record *r, const struct cv_rpc_output *event)
{
    assert_ptr_equal(event->call, r->call);
    assert_int_equal(cv_rpc_call_is_client(event->call), r->is_client);
    assert_false(r->released || r->finished);
    assert_int_equal(r->statuses, 0);
    assert_int_equal(r->cancels, 0);
    switch (event->type) {
    case CV_RPC_EVENT_CALL:
        assert_true(!r->is_client && !r->began);
        return;
    case CV_RPC_EVENT_METADATA:
        assert_true(r->is_client && r->metadatas == 0 && r->messages == 0);
        return;
    case CV_RPC_EVENT_MESSAGE:
        assert_true(r->began && r->ends == 0);
        return;
    case CV_RPC_EVENT_END:
        assert_true(!r->is_client && r->began && r->ends == 0);
        return;
    case CV_RPC_EVENT_STATUS:
        assert_true(r->is_client);
        return;
    case CV_RPC_EVENT_CANCELLED:
        assert_true(!r->is_client && r->began);
        return;
    default:
        assert_int_equal(event->type, CV_RPC_EVENT_WRITABLE);
    }
}

static void take_entries(struct record *r, const struct cv_rpc_metadata *entries, size_t count)
{
    if (count == 0)
        return;
    r->entries = calloc(count, sizeof *r->entries);
    assert_non_null(r->entries);
    r->entry_count = count;
    for (size_t i = 0; i < count; i++) {
        struct cv_slice key = entries[i].key, value = entries[i].value;
        r->entries[i].key = cv_slice_of(copy(key.data, key.size), key.size);
        r->entries[i].value = cv_slice_of(copy(value.data, value.size), value.size);
    }
}

static void take_message(struct record *r, struct cv_slice message)
{
    r->messages++;
    r->bytes += message.size;
    r->hash = hash_message(r->hash, message);
    r->last_size = message.size;
    if (message.size > 0)
        memcpy(r->last, message.data,
               message.size < sizeof r->last ? message.size : sizeof r->last);
    r->unread++;
    r->unread_size = message.size;
    r->pair->messages[r->side]++;
}

static void take_status(struct record *r, const struct cv_rpc_output *event)
{
    struct cv_slice text = event->end.status.message, details = event->end.status.details;
    r->statuses++;
    r->pair->statuses++;
    r->code = event->end.status.code;
    r->by_peer = event->end.by_peer;
    r->not_started = event->end.not_started;
    snprintf(r->text, sizeof r->text, "%.*s", (int)text.size,
             text.size == 0 ? "" : (const char *)text.data);
    r->details_size = details.size;
    r->details = copy(details.data, details.size);
}

static void take(struct record *r, const struct cv_rpc_output *event)
{
    r->began = true;
    if (event->type == CV_RPC_EVENT_CALL)
        take_entries(r, event->begin.metadata, event->begin.metadata_count);
    if (event->type == CV_RPC_EVENT_METADATA)
        take_entries(r, event->metadata.entries, event->metadata.count);
    if (event->type == CV_RPC_EVENT_MESSAGE)
        take_message(r, event->message);
    if (event->type == CV_RPC_EVENT_STATUS)
        take_status(r, event);
    r->metadatas += event->type == CV_RPC_EVENT_METADATA;
    r->ends += event->type == CV_RPC_EVENT_END;
    r->cancels += event->type == CV_RPC_EVENT_CANCELLED;
    r->writables += event->type == CV_RPC_EVENT_WRITABLE;
    r->pair->ends += event->type == CV_RPC_EVENT_END;
    r->pair->cancels += event->type == CV_RPC_EVENT_CANCELLED;
}

/* What is due whatever the test does. */
static void answer(struct record *r, const struct cv_rpc_output *event)
{
    const struct pair *p = r->pair;
    if (r->released)
        return;
    if (event->type == CV_RPC_EVENT_MESSAGE && !p->read_late[r->side])
        record_read(r);
    if (event->type == CV_RPC_EVENT_STATUS && !p->keep_answered)
        record_release(r);
    if (event->type == CV_RPC_EVENT_CANCELLED && !p->keep_cancelled)
        assert_int_equal(record_finish(r, COVEY_STATUS_OK, ""), 0);
}

static struct record *begin(struct pair *p, int side, const struct cv_rpc_output *event)
{
    struct record *r = record_new(p, side);
    const char *method = (const char *)event->begin.method.data;
    const char *slash = memchr(method, '/', event->begin.method.size);
    assert_non_null(slash);
    snprintf(r->name, sizeof r->name, "%.*s", (int)(slash - method), method);
    /* All bytes after the slash are digits: the client wrote them so. */
    for (slash++; slash < method + event->begin.method.size; slash++)
        r->number = r->number * 10 + (size_t)(*slash - '0');
    r->call = event->call;
    r->deadline = event->begin.deadline;
    cv_rpc_call_set_user(event->call, r);
    p->calls++;
    return r;
}

static void on_event(void *user, int side, const struct cv_rpc_output *event)
{
    struct pair *p = user;
    struct record *r =
        event->type == CV_RPC_EVENT_CALL ? begin(p, side, event) : cv_rpc_call_user(event->call);
    assert_non_null(r);
    check(r, event);
    take(r, event);
    p->on_event(r, event);
    answer(r, event);
}

/* ---- life ---- */

void pair_config_init(struct pair_config *config, uint64_t seed)
{
    *config = (struct pair_config){.seed = seed, .streams_max = 1024};
    cv_rpc_limits_init(&config->limits[CLIENT]);
    cv_rpc_limits_init(&config->limits[SERVER]);
}

void pair_init_with(struct pair *p, const struct pair_config *config,
                    void (*handler)(struct record *r, const struct cv_rpc_output *event))
{
    *p = (struct pair){.on_event = handler};
    struct transport_config transport = {
        .limits = {config->limits[CLIENT], config->limits[SERVER]},
        .streams_max = config->streams_max,
        .seed = config->seed,
        .event = on_event,
        .user = p,
    };
    p->transport = transport_new(&transport);
}

void pair_init(struct pair *p, uint64_t seed,
               void (*handler)(struct record *r, const struct cv_rpc_output *event))
{
    struct pair_config config;
    pair_config_init(&config, seed);
    pair_init_with(p, &config, handler);
}

void pair_free(struct pair *p)
{
    transport_free(p->transport);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < p->count[side]; i++)
            record_free(p->records[side][i]);
        free(p->records[side]);
    }
}

static void assert_over(const struct record *r)
{
    assert_true(r->released);
    if (r->is_client)
        assert_int_equal(r->statuses, 1);
    else
        assert_true(r->finished && r->began);
}

void pair_fini(struct pair *p)
{
    pair_run(p, COVEY_SECOND);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < p->count[side]; i++)
            assert_over(p->records[side][i]);
        assert_int_equal(transport_count(p->transport, side), 0);
    }
    pair_free(p);
}

static void make_name(struct record *r, const char *name)
{
    snprintf(r->name, sizeof r->name, "%s", name);
    r->number = r->pair->count[r->side] - 1;
}

struct record *pair_call_with(struct pair *p, int side, const char *name, covey_time timeout,
                              const struct cv_rpc_metadata *entries, size_t count)
{
    struct record *r = record_new(p, side);
    make_name(r, name);
    r->is_client = true;
    r->began = true;
    char method[64];
    snprintf(method, sizeof method, "%s/%zu", r->name, r->number);
    struct cv_rpc_start start = {
        .method = cv_slice_text(method),
        .deadline = timeout == COVEY_NEVER ? COVEY_NEVER : transport_now(p->transport) + timeout,
        .metadata = entries,
        .metadata_count = count,
        .user = r,
    };
    assert_int_equal(transport_start(p->transport, side, &start, &r->call), 0);
    return r;
}

struct record *pair_call(struct pair *p, int side, const char *name, covey_time timeout)
{
    return pair_call_with(p, side, name, timeout, NULL, 0);
}

struct record *pair_other(const struct record *r)
{
    const struct pair *p = r->pair;
    int side = 1 - r->side;
    for (size_t i = 0; i < p->count[side]; i++) {
        struct record *other = p->records[side][i];
        if (other->number == r->number && other->is_client != r->is_client)
            return other;
    }
    return NULL;
}

void pair_run(struct pair *p, covey_time length)
{
    covey_time limit = transport_now(p->transport) + length;
    while (transport_turn(p->transport, limit))
        continue;
}

void pair_wait(struct pair *p, const uint64_t *counter, uint64_t target)
{
    covey_time limit = transport_now(p->transport) + MINUTE;
    while (*counter < target)
        if (!transport_turn(p->transport, limit))
            break;
    assert_true(*counter >= target);
}

/* ---- the user's inputs ---- */

static int step(struct record *r, struct cv_rpc_input in)
{
    assert_false(r->released);
    in.call = r->call;
    return transport_step(r->pair->transport, r->side, &in);
}

int record_send(struct record *r, const void *bytes, size_t size, bool end)
{
    struct cv_slice message = cv_slice_of(bytes, size);
    int error = step(
        r, (struct cv_rpc_input){.type = CV_RPC_SEND, .send = {.message = message, .end = end}});
    if (error == 0) {
        r->sent_messages++;
        r->sent_hash = hash_message(r->sent_hash, message);
    }
    return error;
}

int record_send_metadata(struct record *r, const struct cv_rpc_metadata *entries, size_t count)
{
    return step(
        r, (struct cv_rpc_input){.type = CV_RPC_SEND_METADATA, .send_metadata = {entries, count}});
}

int record_end(struct record *r)
{
    return step(r, (struct cv_rpc_input){.type = CV_RPC_END});
}

int record_finish_details(struct record *r, enum covey_status_code code, const char *text,
                          const void *details, size_t size)
{
    struct cv_rpc_status status = {
        .code = code, .message = cv_slice_text(text), .details = cv_slice_of(details, size)};
    int error = step(r, (struct cv_rpc_input){.type = CV_RPC_FINISH, .finish = status});
    if (error == 0) {
        r->finished = true;
        record_release(r);
    }
    return error;
}

int record_finish(struct record *r, enum covey_status_code code, const char *text)
{
    return record_finish_details(r, code, text, NULL, 0);
}

void record_cancel(struct record *r)
{
    assert_int_equal(step(r, (struct cv_rpc_input){.type = CV_RPC_CANCEL}), 0);
}

void record_read(struct record *r)
{
    for (; r->unread > 0; r->unread--)
        assert_int_equal(
            step(r, (struct cv_rpc_input){.type = CV_RPC_READ, .read = {r->unread_size}}), 0);
}

void record_release(struct record *r)
{
    assert_int_equal(step(r, (struct cv_rpc_input){.type = CV_RPC_RELEASE}), 0);
    r->released = true;
}

void record_assert_received_all(const struct record *r)
{
    const struct record *other = pair_other(r);
    assert_non_null(other);
    assert_int_equal(r->messages, other->sent_messages);
    assert_true(r->hash == other->sent_hash);
}

void pair_echo(struct record *r, const struct cv_rpc_output *event)
{
    if (r->is_client)
        return;
    if (event->type == CV_RPC_EVENT_MESSAGE)
        assert_int_equal(record_send(r, event->message.data, event->message.size, false), 0);
    if (event->type == CV_RPC_EVENT_END)
        assert_int_equal(record_finish(r, COVEY_STATUS_OK, ""), 0);
}
