#define _POSIX_C_SOURCE 200809L

/* What is checked and added before a call is on its way. Nothing here needs a server that answers. */
#include "api/draft.h"

#include "unit/api/calling.h"

/* A client that never connects, with these interceptors. */
struct desk {
    struct world world;
    covey_client *client;
};

static void desk_init(struct desk *d, const struct covey_client_interceptor *interceptors,
                      size_t count)
{
    struct covey_client_config config;
    world_init(&d->world);
    covey_identity *identity = world_identity(&d->world, "robin", COVEY_ROLE_CLIENT);
    client_config_of(&d->world, identity, "127.0.0.1:1", &config);
    config.interceptors = interceptors;
    config.interceptor_count = count;
    assert_int_equal(covey_client_new(&config, &d->client), 0);
    covey_identity_free(identity);
}

static void desk_fini(struct desk *d)
{
    assert_int_equal(covey_client_free(d->client), 0);
    world_fini(&d->world);
}

static int draft_of(struct desk *d, const struct covey_call_options *options,
                    struct covey_call_draft *draft)
{
    return cv_draft_init(draft, d->client, "method", options);
}

/* ---- options ---- */

static void defaults_are_thirty_seconds_and_nothing_else(void **state)
{
    (void)state;
    static struct desk d;
    struct covey_call_draft draft;
    desk_init(&d, NULL, 0);
    covey_time before = cv_deadline_after(30 * COVEY_SECOND);
    assert_int_equal(draft_of(&d, NULL, &draft), 0);
    assert_true(draft.deadline >= before);
    assert_true(draft.deadline <= cv_deadline_after(30 * COVEY_SECOND));
    assert_int_equal(draft.metadata_count, 0);
    assert_false(draft.options.idempotent);
    assert_int_equal(draft.begun, 0);
    cv_draft_fini(&draft);
    struct covey_call_options options = options_within(COVEY_NEVER);
    assert_int_equal(draft_of(&d, &options, &draft), 0);
    assert_true(draft.deadline == COVEY_NEVER);
    cv_draft_fini(&draft);
    options = options_within(COVEY_NEVER - 1); /* does not fit: as good as never */
    assert_int_equal(draft_of(&d, &options, &draft), 0);
    assert_true(draft.deadline == COVEY_NEVER);
    cv_draft_fini(&draft);
    desk_fini(&d);
}

static void options_of_other_versions(void **state)
{
    (void)state;
    static struct desk d;
    struct covey_call_draft draft;
    struct {
        struct covey_call_options known;
        uint64_t unknown;
    } newer;
    desk_init(&d, NULL, 0);
    covey_call_options_init_sized(&newer.known, sizeof newer);
    assert_int_equal(newer.known.size, sizeof newer);
    assert_int_equal(newer.unknown, 0);
    assert_int_equal(draft_of(&d, &newer.known, &draft), 0);
    cv_draft_fini(&draft);
    newer.unknown = 1; /* asks for something that is not known here */
    assert_int_equal(draft_of(&d, &newer.known, &draft), COVEY_ERR_INVALID_ARGUMENT);

    struct covey_call_options older;
    covey_call_options_init(&older);
    older.size = offsetof(struct covey_call_options, metadata);
    older.timeout = COVEY_NEVER;
    older.metadata_count = 1000; /* was not there yet */
    assert_int_equal(draft_of(&d, &older, &draft), 0);
    assert_true(draft.deadline == COVEY_NEVER);
    assert_int_equal(draft.metadata_count, 0);
    cv_draft_fini(&draft);
    desk_fini(&d);
}

static void names_are_checked(void **state)
{
    (void)state;
    static struct desk d;
    struct covey_call_draft draft;
    char name[257];
    static const char *const bad[] = {"", "a b", "a\x7f", "a:b", "\xc3\xa9"};
    desk_init(&d, NULL, 0);
    memset(name, 'z', sizeof name);
    name[256] = 0;
    assert_int_equal(cv_draft_init(&draft, d.client, name, NULL), COVEY_ERR_INVALID_ARGUMENT);
    name[255] = 0;
    assert_int_equal(cv_draft_init(&draft, d.client, name, NULL), 0);
    cv_draft_fini(&draft);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(cv_draft_init(&draft, d.client, bad[i], NULL), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(cv_draft_init(&draft, NULL, "m", NULL), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(cv_draft_init(&draft, d.client, NULL, NULL), COVEY_ERR_INVALID_ARGUMENT);
    desk_fini(&d);
}

/* ---- metadata ---- */

static int with_pair(struct desk *d, const char *key, const void *value, size_t size)
{
    struct covey_call_draft draft;
    const struct covey_metadata pair = {key, value, size};
    struct covey_call_options options = options_within(COVEY_NEVER);
    options.metadata = &pair;
    options.metadata_count = 1;
    int error = draft_of(d, &options, &draft);
    if (error == 0) {
        assert_int_equal(draft.metadata_count, 1);
        cv_draft_fini(&draft);
    }
    return error;
}

static void keys_are_checked(void **state)
{
    (void)state;
    static struct desk d;
    char key[66];
    static const char *const bad[] = {"", "A", "a b", "a:b", "a/b", "\xc3\xa9", NULL};
    desk_init(&d, NULL, 0);
    memset(key, 'k', sizeof key);
    key[65] = 0;
    assert_int_equal(with_pair(&d, key, "v", 1), COVEY_ERR_INVALID_ARGUMENT);
    key[64] = 0;
    assert_int_equal(with_pair(&d, key, "v", 1), 0);
    assert_int_equal(with_pair(&d, "a-z_0.9", "v", 1), 0);
    assert_int_equal(with_pair(&d, "k", NULL, 0), 0);
    assert_int_equal(with_pair(&d, "k", NULL, 1), COVEY_ERR_INVALID_ARGUMENT);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(with_pair(&d, bad[i], "v", 1), COVEY_ERR_INVALID_ARGUMENT);
    desk_fini(&d);
}

static void a_set_has_a_bound_in_pairs_and_in_bytes(void **state)
{
    (void)state;
    static struct desk d;
    static const char value[8192];
    struct covey_metadata set[65];
    struct covey_call_draft draft;
    struct covey_call_options options = options_within(COVEY_NEVER);
    desk_init(&d, NULL, 0);
    for (size_t i = 0; i < 65; i++)
        set[i] = (struct covey_metadata){"k", value, 1};
    options.metadata = set;
    options.metadata_count = 64;
    assert_int_equal(draft_of(&d, &options, &draft), 0);
    assert_int_equal(draft.metadata_count, 64);
    cv_draft_fini(&draft);
    options.metadata_count = 65;
    assert_int_equal(draft_of(&d, &options, &draft), COVEY_ERR_TOO_LARGE);
    options.metadata = NULL;
    options.metadata_count = 1;
    assert_int_equal(draft_of(&d, &options, &draft), COVEY_ERR_INVALID_ARGUMENT);
    /* A pair costs its key, its value and a few bytes. */
    assert_int_equal(with_pair(&d, "k", value, 8192 - 16), 0);
    assert_int_equal(with_pair(&d, "k", value, 8192), COVEY_ERR_TOO_LARGE);
    desk_fini(&d);
}

/* ---- interceptors ---- */

struct adder {
    const char *key;
    const void *value;
    size_t size;
    int copies;
    int added; /* what the last add said */
    int says;
    unsigned begins;
    unsigned ends;
    enum covey_status_code code;
};

static int adder_begin(covey_call_draft *draft, void *user)
{
    struct adder *a = user;
    a->begins++;
    assert_string_equal(covey_call_draft_method(draft), "method");
    for (int i = 0; i < a->copies; i++) {
        a->added = covey_call_draft_add_metadata(draft, a->key, a->value, a->size);
        if (a->added != 0)
            break;
    }
    return a->says;
}

static void adder_end(const struct covey_call_summary *summary, void *user)
{
    struct adder *a = user;
    a->ends++;
    a->code = summary->code;
}

#define ADDER(adder) ((struct covey_client_interceptor){adder_begin, adder_end, (adder)})

static void interceptors_add_after_the_caller(void **state)
{
    (void)state;
    static struct desk d;
    struct adder one = {.key = "one", .value = "1\0!", .size = 3, .copies = 1};
    struct adder two = {.key = "two", .copies = 2};
    const struct covey_client_interceptor both[] = {ADDER(&one), ADDER(&two)};
    const struct covey_metadata own = {"own", "x", 1};
    struct covey_call_options options = options_within(COVEY_NEVER);
    struct covey_call_draft draft;
    struct cv_call_header header;
    desk_init(&d, both, 2);
    options.metadata = &own;
    options.metadata_count = 1;
    assert_int_equal(draft_of(&d, &options, &draft), 0);
    assert_true(draft.begun > 0);
    void *memory = malloc(cv_draft_size(&draft));
    cv_draft_copy(&draft, memory, &header);
    cv_draft_fini(&draft);
    assert_int_equal(header.metadata_count, 4);
    assert_true(cv_slice_equal(header.method, cv_slice_text("method")));
    assert_true(cv_slice_equal(header.metadata[0].key, cv_slice_text("own")));
    assert_true(cv_slice_equal(header.metadata[1].key, cv_slice_text("one")));
    assert_true(cv_slice_equal(header.metadata[1].value, cv_slice_of("1\0!", 3)));
    assert_true(cv_slice_equal(header.metadata[2].key, cv_slice_text("two")));
    assert_int_equal(header.metadata[3].value.size, 0);
    free(memory);
    desk_fini(&d);
}

static void what_an_interceptor_adds_is_checked(void **state)
{
    (void)state;
    static struct desk d;
    static const char value[9000];
    char long_key[66];
    struct adder a = {.key = "k", .value = value, .size = 100, .copies = 1000};
    const struct covey_client_interceptor interceptor = ADDER(&a);
    struct covey_call_draft draft;
    desk_init(&d, &interceptor, 1);
    /* Too many: what did not fit is left out, the call goes on if its interceptor lets it. */
    assert_int_equal(draft_of(&d, NULL, &draft), 0);
    assert_int_equal(a.added, COVEY_ERR_TOO_LARGE);
    assert_int_equal(draft.metadata_count, 64);
    cv_draft_fini(&draft);
    a.size = 1000;
    assert_int_equal(draft_of(&d, NULL, &draft), 0);
    assert_int_equal(a.added, COVEY_ERR_TOO_LARGE);
    assert_int_equal(draft.metadata_count, 8);
    cv_draft_fini(&draft);
    a = (struct adder){.key = "A", .value = "", .copies = 1};
    assert_int_equal(draft_of(&d, NULL, &draft), 0);
    assert_int_equal(a.added, COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(draft.metadata_count, 0);
    cv_draft_fini(&draft);
    memset(long_key, 'k', sizeof long_key);
    long_key[65] = 0;
    a.key = long_key;
    assert_int_equal(draft_of(&d, NULL, &draft), 0);
    assert_int_equal(a.added, COVEY_ERR_INVALID_ARGUMENT); /* as for the caller's own */
    cv_draft_fini(&draft);
    a.key = NULL;
    assert_int_equal(draft_of(&d, NULL, &draft), 0);
    assert_int_equal(a.added, COVEY_ERR_INVALID_ARGUMENT);
    cv_draft_fini(&draft);
    a = (struct adder){.key = "k", .value = NULL, .size = 1, .copies = 1};
    assert_int_equal(draft_of(&d, NULL, &draft), 0);
    assert_int_equal(a.added, COVEY_ERR_INVALID_ARGUMENT);
    cv_draft_fini(&draft);
    desk_fini(&d);
}

static void an_interceptor_may_forbid_the_call(void **state)
{
    (void)state;
    static struct desk d;
    struct adder first = {.key = "k", .copies = 1};
    struct adder second = {.key = "k", .copies = 1, .says = COVEY_ERR_LIMIT};
    struct adder third = {.key = "k", .copies = 1};
    const struct covey_client_interceptor all[] = {ADDER(&first), ADDER(&second), ADDER(&third)};
    struct covey_reply reply;
    covey_stream *stream;
    desk_init(&d, all, 3);
    assert_int_equal(covey_client_call(d.client, "method", NULL, 0, NULL, &reply), COVEY_ERR_LIMIT);
    assert_int_equal(covey_client_open(d.client, "method", NULL, &stream), COVEY_ERR_LIMIT);
    assert_int_equal(first.begins, 2);
    assert_int_equal(third.begins, 0);
    assert_int_equal(first.ends + second.ends + third.ends, 0);
    desk_fini(&d);
}

/* The call fails for want of a server; what matters is that each begin has its end. */
static void each_call_that_was_made_ends_once(void **state)
{
    (void)state;
    static struct desk d;
    struct adder a = {.key = "k", .copies = 1};
    const struct covey_client_interceptor interceptor = ADDER(&a);
    struct covey_call_options options = options_within(0);
    struct tally t;
    covey_stream *stream;
    desk_init(&d, &interceptor, 1);
    tally_init(&t);
    expect_reply(call_with(d.client, "method", "", 0, &options), COVEY_STATUS_DEADLINE_EXCEEDED,
                 "");
    assert_int_equal(a.ends, 1);
    assert_int_equal(a.code, COVEY_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(covey_client_open(d.client, "method", &options, &stream), 0);
    expect_over(stream, COVEY_STATUS_DEADLINE_EXCEEDED, "");
    covey_stream_free(stream);
    options = options_within(COVEY_NEVER);
    options.wait_for_ready = true;
    call_async(d.client, "method", &options, &t);
    assert_int_equal(covey_client_free(d.client), 0);
    d.client = NULL;
    assert_int_equal(t.codes[COVEY_STATUS_CANCELLED], 1);
    assert_int_equal(a.begins, 3);
    assert_int_equal(a.ends, 3);
    assert_int_equal(a.code, COVEY_STATUS_CANCELLED);
    tally_fini(&t);
    desk_fini(&d);
}

/* ---- calls made for a call ---- */

static struct rig *rig_of(void **state)
{
    return *state;
}

/* A call at the server, with these options of its caller. */
static covey_call *parent_of(struct rig *r, struct covey_call_options *options, struct tally *t)
{
    call_async(r->client, "keep", options, t);
    return kept_take(&r->kept);
}

static void a_parents_deadline_is_inherited(void **state)
{
    struct rig *r = rig_of(state);
    struct tally t;
    struct covey_call_draft draft;
    struct covey_call_options of_parent = options_within(10 * COVEY_SECOND);
    tally_init(&t);
    covey_call *parent = parent_of(r, &of_parent, &t);
    struct covey_call_options options = options_within(COVEY_NEVER);
    options.parent = parent;
    assert_int_equal(cv_draft_init(&draft, r->client, "m", &options), 0);
    assert_true(draft.deadline <= cv_deadline_after(10 * COVEY_SECOND));
    assert_int_equal(draft.metadata_count, 0);
    cv_draft_fini(&draft);
    /* never a later one, but an earlier one stays */
    options.timeout = COVEY_SECOND;
    assert_int_equal(cv_draft_init(&draft, r->client, "m", &options), 0);
    assert_true(draft.deadline <= cv_deadline_after(COVEY_SECOND));
    cv_draft_fini(&draft);
    covey_call_reply(parent, "", 0);
    tally_wait(&t, 1);

    of_parent.timeout = COVEY_NEVER;
    parent = parent_of(r, &of_parent, &t);
    options = options_within(COVEY_NEVER);
    options.parent = parent;
    assert_int_equal(cv_draft_init(&draft, r->client, "m", &options), 0);
    assert_true(draft.deadline == COVEY_NEVER);
    cv_draft_fini(&draft);
    covey_call_reply(parent, "", 0);
    tally_wait(&t, 2);
    tally_fini(&t);
}

static void a_parents_trace_goes_on(void **state)
{
    struct rig *r = rig_of(state);
    struct tally t;
    struct covey_call_draft draft;
    const struct covey_metadata theirs[] = {{"secret", "s", 1}, {"traceparent", "00-abc", 6}};
    const struct covey_metadata own = {"traceparent", "00-own", 6};
    struct covey_call_options of_parent = options_within(COVEY_NEVER);
    tally_init(&t);
    of_parent.metadata = theirs;
    of_parent.metadata_count = 2;
    covey_call *parent = parent_of(r, &of_parent, &t);
    struct covey_call_options options = options_within(COVEY_NEVER);
    options.parent = parent;
    assert_int_equal(cv_draft_init(&draft, r->client, "m", &options), 0);
    assert_int_equal(draft.metadata_count, 1);
    assert_true(cv_slice_equal(draft.metadata[0].key, cv_slice_text("traceparent")));
    assert_true(cv_slice_equal(draft.metadata[0].value, cv_slice_text("00-abc")));
    cv_draft_fini(&draft);
    options.metadata = &own;
    options.metadata_count = 1;
    assert_int_equal(cv_draft_init(&draft, r->client, "m", &options), 0);
    assert_int_equal(draft.metadata_count, 1);
    assert_true(cv_slice_equal(draft.metadata[0].value, cv_slice_text("00-own")));
    cv_draft_fini(&draft);
    covey_call_reply(parent, "", 0);
    tally_wait(&t, 1);
    tally_fini(&t);
}

/* ---- options that only one kind of call has ---- */

static void streams_are_not_repeated(void **state)
{
    (void)state;
    static struct desk d;
    covey_stream *stream;
    struct covey_reply reply;
    struct covey_call_options options = options_within(COVEY_NEVER);
    desk_init(&d, NULL, 0);
    options.idempotent = true;
    assert_int_equal(covey_client_open(d.client, "m", &options, &stream),
                     COVEY_ERR_INVALID_ARGUMENT);
    options.idempotent = false;
    options.hedge_after = COVEY_SECOND;
    assert_int_equal(covey_client_open(d.client, "m", &options, &stream),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_client_call(d.client, "m", NULL, 0, &options, &reply),
                     COVEY_ERR_INVALID_ARGUMENT);
    desk_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_thirty_seconds_and_nothing_else),
        cmocka_unit_test(options_of_other_versions),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(keys_are_checked),
        cmocka_unit_test(a_set_has_a_bound_in_pairs_and_in_bytes),
        cmocka_unit_test(interceptors_add_after_the_caller),
        cmocka_unit_test(what_an_interceptor_adds_is_checked),
        cmocka_unit_test(an_interceptor_may_forbid_the_call),
        cmocka_unit_test(each_call_that_was_made_ends_once),
        RIG_TEST(a_parents_deadline_is_inherited),
        RIG_TEST(a_parents_trace_goes_on),
        cmocka_unit_test(streams_are_not_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
