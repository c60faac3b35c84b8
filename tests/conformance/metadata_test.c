/* Metadata in both directions, statuses with texts and details: any bytes, up to the limit. */
#include "conformance/pair.h"

static struct pair p;
static uint8_t every[256];
static uint8_t large[9216];

static const struct cv_rpc_metadata *entries;
static size_t entry_count;

static void assert_entries(const struct record *r, const struct cv_rpc_metadata *wanted,
                           size_t count)
{
    assert_int_equal(r->entry_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(cv_slice_equal(r->entries[i].key, wanted[i].key));
        assert_true(cv_slice_equal(r->entries[i].value, wanted[i].value));
    }
}

/* Answers with `entries`, at the time that the call's name says. */
static void answer(struct record *r, const struct cv_rpc_output *event)
{
    if (r->is_client)
        return;
    if (event->type == CV_RPC_EVENT_CALL && strcmp(r->name, "early") == 0)
        assert_int_equal(record_send_metadata(r, entries, entry_count), 0);
    if (event->type != CV_RPC_EVENT_END)
        return;
    if (strcmp(r->name, "early") != 0)
        assert_int_equal(record_send_metadata(r, entries, entry_count), 0);
    if (strcmp(r->name, "status") != 0)
        assert_int_equal(record_send(r, "hi", 2, false), 0);
    assert_int_equal(record_send_metadata(r, entries, entry_count), COVEY_ERR_STATE);
    assert_int_equal(record_finish(r, COVEY_STATUS_OK, ""), 0);
}

static void both_ways(uint64_t seed, const char *name, const struct cv_rpc_metadata *sent,
                      size_t count)
{
    entries = sent;
    entry_count = count;
    pair_init(&p, seed, answer);
    struct record *r = pair_call_with(&p, CLIENT, name, COVEY_NEVER, sent, count);
    assert_int_equal(record_send(r, "hi", 2, true), 0);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_OK);
    assert_int_equal(r->metadatas, 1);
    assert_int_equal(r->messages, strcmp(name, "status") == 0 ? 0 : 1);
    assert_entries(r, sent, count);
    assert_entries(pair_other(r), sent, count);
    pair_fini(&p);
}

static void any_bytes_in_any_order(void **state)
{
    (void)state;
    static const char *const names[] = {"early", "message", "status"};
    const struct cv_rpc_metadata sent[] = {
        {cv_slice_text("z"), cv_slice_of(every, sizeof every)},
        {cv_slice_text("a.b_c-9"), {0}},
        {cv_slice_text("z"), cv_slice_of("\0", 1)},
        {cv_slice_text("a"), cv_slice_text("text")},
        {cv_slice_text("z"), cv_slice_of(every, sizeof every)},
    };
    for (uint64_t seed = 1; seed <= 3; seed++)
        for (size_t i = 0; i < 3; i++)
            for (size_t count = 0; count <= 5; count++)
                both_ways(seed, names[i], sent, count);
}

static void as_much_as_is_allowed(void **state)
{
    (void)state;
    struct cv_rpc_metadata sent[64];
    char key[64];
    memset(key, 'k', sizeof key);
    for (size_t i = 0; i < 64; i++)
        sent[i] = (struct cv_rpc_metadata){cv_slice_of(key, 1 + i), cv_slice_of(large, i)};
    both_ways(1, "early", sent, 64);
    /* 8 KiB in one value. */
    sent[0].value = cv_slice_of(large, 8192);
    both_ways(1, "status", sent, 1);
}

static void more_is_refused_by_the_sender(void **state)
{
    (void)state;
    struct cv_rpc_metadata sent[65];
    for (size_t i = 0; i < 65; i++)
        sent[i] = (struct cv_rpc_metadata){cv_slice_text("k"), {0}};
    pair_init(&p, 1, pair_echo);
    struct record *r = pair_call(&p, CLIENT, "echo", COVEY_NEVER);
    assert_int_equal(record_send(r, "hi", 2, false), 0);
    pair_wait(&p, &r->messages, 1);
    struct cv_rpc_start start = {.method = cv_slice_text("echo/9"),
                                 .deadline = COVEY_NEVER,
                                 .metadata = sent,
                                 .metadata_count = 65};
    struct cv_rpc_call *call;
    assert_int_equal(transport_start(p.transport, CLIENT, &start, &call), COVEY_ERR_TOO_LARGE);
    sent[0].value = cv_slice_of(large, sizeof large);
    start.metadata_count = 1;
    assert_int_equal(transport_start(p.transport, CLIENT, &start, &call), COVEY_ERR_TOO_LARGE);
    sent[0] = (struct cv_rpc_metadata){cv_slice_text("K"), {0}};
    assert_int_equal(transport_start(p.transport, CLIENT, &start, &call),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(record_end(r), 0);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_OK);
    pair_fini(&p);
}

/* The receiver's limit is smaller: that call alone ends. */
static void more_than_the_receiver_takes(void **state)
{
    (void)state;
    struct pair_config config;
    pair_config_init(&config, 1);
    config.limits[SERVER].header_size_max = 100;
    pair_init_with(&p, &config, pair_echo);
    struct cv_rpc_metadata sent = {cv_slice_text("k"), cv_slice_of(large, 200)};
    struct record *r = pair_call_with(&p, CLIENT, "echo", 10 * COVEY_SECOND, &sent, 1);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(p.calls, 0);
    r = pair_call(&p, CLIENT, "echo", COVEY_NEVER);
    assert_int_equal(record_send(r, "hi", 2, true), 0);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_OK);
    pair_fini(&p);
}

static size_t details_size;

static void fail_with_details(struct record *r, const struct cv_rpc_output *event)
{
    if (r->is_client || event->type != CV_RPC_EVENT_END)
        return;
    assert_int_equal(record_finish_details(r, COVEY_STATUS_FAILED_PRECONDITION, "\xc3\xa9t\xc3\xa9",
                                           large, details_size),
                     0);
}

static void details_are_any_bytes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 256, 8192};
    pair_init(&p, 1, fail_with_details);
    for (size_t i = 0; i < 4; i++) {
        details_size = sizes[i];
        struct record *r = pair_call(&p, CLIENT, "fail", COVEY_NEVER);
        assert_int_equal(record_end(r), 0);
        pair_wait(&p, &r->statuses, 1);
        assert_int_equal(r->code, COVEY_STATUS_FAILED_PRECONDITION);
        assert_string_equal(r->text, "\xc3\xa9t\xc3\xa9");
        assert_int_equal(r->details_size, sizes[i]);
        assert_memory_equal(r->details, large, sizes[i]);
    }
    pair_fini(&p);
}

int main(void)
{
    for (size_t i = 0; i < sizeof every; i++)
        every[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 3);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bytes_in_any_order),
        cmocka_unit_test(as_much_as_is_allowed),
        cmocka_unit_test(more_is_refused_by_the_sender),
        cmocka_unit_test(more_than_the_receiver_takes),
        cmocka_unit_test(details_are_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
