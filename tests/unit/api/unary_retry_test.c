#define _POSIX_C_SOURCE 200809L

/* Unary calls that are made more than once, or must not be. */
#include "unit/api/calling.h"

/* ---- a method that fails so often ---- */

struct flaky {
    atomic_uint calls;
    atomic_uint failures;        /* the first so many fail */
    enum covey_status_code code; /* with this */
};

static void flaky(covey_call *call, const void *request, size_t size, void *user)
{
    struct flaky *f = user;
    if (atomic_fetch_add(&f->calls, 1) < atomic_load(&f->failures))
        covey_call_finish(call, f->code, "not now");
    else
        covey_call_reply(call, request, size);
}

struct repeating {
    struct rig *rig;
    struct flaky flaky;
    covey_client *client; /* with a policy of the test's */
};

static int setup(void **state)
{
    struct repeating *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->rig = rig_new();
    r->flaky.code = COVEY_STATUS_UNAVAILABLE;
    serve(r->rig->server, "flaky", flaky, &r->flaky);
    rig_start(r->rig);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct repeating *r = *state;
    assert_int_equal(covey_client_free(r->client), 0);
    rig_free(r->rig);
    free(r);
    return 0;
}

static const struct covey_retry_policy quick = {.attempts = 3,
                                                .backoff_first = COVEY_MILLISECOND,
                                                .backoff_max = 2 * COVEY_MILLISECOND,
                                                .budget = 10};

static void use_policy(struct repeating *r, const struct covey_retry_policy *policy)
{
    struct covey_client_config config;
    covey_identity *identity = world_identity(&r->rig->world, "robin", COVEY_ROLE_CLIENT);
    client_config_of(&r->rig->world, identity, r->rig->address, &config);
    config.retry = *policy;
    assert_int_equal(covey_client_new(&config, &r->client), 0);
    covey_identity_free(identity);
    expect_echo(r->client);
}

static struct covey_reply call_flaky(struct repeating *r, unsigned failures, bool idempotent,
                                     covey_time timeout)
{
    struct covey_call_options options = options_within(timeout);
    options.idempotent = idempotent;
    atomic_store(&r->flaky.calls, 0);
    atomic_store(&r->flaky.failures, failures);
    return call_with(r->client, "flaky", "tweet", 5, &options);
}

/* ---- one after the other ---- */

static void what_may_not_run_twice_runs_once(void **state)
{
    struct repeating *r = *state;
    use_policy(r, &quick);
    expect_reply(call_flaky(r, 1, false, TEST_DEADLINE), COVEY_STATUS_UNAVAILABLE, "not now");
    assert_int_equal(atomic_load(&r->flaky.calls), 1);
    assert_int_equal(client_stats_of(r->client).calls_repeated, 0);
}

static void an_idempotent_call_is_repeated(void **state)
{
    struct repeating *r = *state;
    use_policy(r, &quick);
    struct covey_reply reply = call_flaky(r, 2, true, TEST_DEADLINE);
    assert_int_equal(reply.size, 5);
    expect_reply(reply, COVEY_STATUS_OK, "");
    assert_int_equal(atomic_load(&r->flaky.calls), 3);
    assert_int_equal(client_stats_of(r->client).calls_repeated, 2);
    assert_int_equal(client_stats_of(r->client).calls_started, 4);
}

static void the_last_attempt_has_the_last_word(void **state)
{
    struct repeating *r = *state;
    use_policy(r, &quick);
    expect_reply(call_flaky(r, 100, true, TEST_DEADLINE), COVEY_STATUS_UNAVAILABLE, "not now");
    assert_int_equal(atomic_load(&r->flaky.calls), 3);
}

static void one_attempt_is_one(void **state)
{
    struct repeating *r = *state;
    struct covey_retry_policy policy = quick;
    policy.attempts = 1;
    use_policy(r, &policy);
    expect_reply(call_flaky(r, 100, true, TEST_DEADLINE), COVEY_STATUS_UNAVAILABLE, "not now");
    assert_int_equal(atomic_load(&r->flaky.calls), 1);
    assert_int_equal(client_stats_of(r->client).repeats_throttled, 0);
}

static void other_codes_are_not_repeated(void **state)
{
    struct repeating *r = *state;
    use_policy(r, &quick);
    for (int code = 1; code <= 16; code++) {
        if (code == COVEY_STATUS_UNAVAILABLE)
            continue;
        r->flaky.code = (enum covey_status_code)code;
        expect_reply(call_flaky(r, 100, true, TEST_DEADLINE), r->flaky.code, "not now");
        assert_int_equal(atomic_load(&r->flaky.calls), 1);
    }
}

/* 10 tokens, nothing at 5 or less: of calls that fail for ever only five are made again. */
static void the_budget_throttles(void **state)
{
    struct repeating *r = *state;
    use_policy(r, &quick);
    unsigned made = 0;
    for (int i = 0; i < 10; i++) {
        expect_reply(call_flaky(r, 100, true, TEST_DEADLINE), COVEY_STATUS_UNAVAILABLE, "not now");
        made += atomic_load(&r->flaky.calls);
    }
    assert_int_equal(made, 10 + 5);
    assert_int_equal(client_stats_of(r->client).calls_repeated, 5);
    assert_true(client_stats_of(r->client).repeats_throttled >= 8);
    /* Ten successes pay for another one. */
    for (int i = 0; i < 10; i++)
        expect_echo(r->client);
    expect_reply(call_flaky(r, 1, true, TEST_DEADLINE), COVEY_STATUS_OK, "");
    assert_int_equal(atomic_load(&r->flaky.calls), 2);
}

static void no_budget_is_no_bound(void **state)
{
    struct repeating *r = *state;
    struct covey_retry_policy policy = quick;
    policy.budget = 0;
    use_policy(r, &policy);
    for (int i = 0; i < 10; i++) {
        expect_reply(call_flaky(r, 100, true, TEST_DEADLINE), COVEY_STATUS_UNAVAILABLE, "not now");
        assert_int_equal(atomic_load(&r->flaky.calls), 3);
    }
    assert_int_equal(client_stats_of(r->client).repeats_throttled, 0);
}

/* With a pause longer than what is left nobody waits for it. */
static void the_deadline_beats_the_pause(void **state)
{
    struct repeating *r = *state;
    struct covey_retry_policy policy = quick;
    policy.backoff_first = policy.backoff_max = 3600 * COVEY_SECOND;
    use_policy(r, &policy);
    expect_reply(call_flaky(r, 100, true, TEST_DEADLINE), COVEY_STATUS_UNAVAILABLE, "not now");
    assert_int_equal(atomic_load(&r->flaky.calls), 1);
    assert_int_equal(client_stats_of(r->client).calls_repeated, 0);
}

/* A pause is no place where a call is forgotten. */
static void a_paused_call_ends_with_its_client(void **state)
{
    struct repeating *r = *state;
    struct covey_retry_policy policy = quick;
    struct covey_call_options options = options_within(COVEY_NEVER);
    struct tally t;
    tally_init(&t);
    policy.backoff_first = policy.backoff_max = 3600 * COVEY_SECOND;
    use_policy(r, &policy);
    options.idempotent = true;
    atomic_store(&r->flaky.failures, 1);
    call_async(r->client, "flaky", &options, &t);
    AWAIT(client_stats_of(r->client).calls_repeated == 1);
    assert_int_equal(tally_count(&t), 0);
    assert_int_equal(covey_client_free(r->client), 0);
    r->client = NULL;
    assert_int_equal(t.count, 1);
    assert_int_equal(t.codes[COVEY_STATUS_CANCELLED], 1);
    tally_fini(&t);
}

static void policies_are_checked(void **state)
{
    struct repeating *r = *state;
    struct covey_client_config good, bad;
    covey_client *client = NULL;
    covey_identity *identity = world_identity(&r->rig->world, "robin", COVEY_ROLE_CLIENT);
    client_config_of(&r->rig->world, identity, r->rig->address, &good);
    for (int i = 0; i < 8; i++) {
        bad = good;
        switch (i) {
        case 0:
            bad.retry.attempts = 0;
            break;
        case 1:
            bad.retry.attempts = 6;
            break;
        case 2:
            bad.retry.budget = 1001;
            break;
        case 3:
            bad.retry.backoff_first = 0;
            break;
        case 4:
            bad.retry.backoff_max = bad.retry.backoff_first - 1;
            break;
        case 5:
            bad.retry.backoff_max = COVEY_NEVER;
            break;
        case 6:
            bad.connect_backoff_first = 0;
            break;
        default:
            bad.interceptor_count = 1;
            break;
        }
        assert_int_equal(covey_client_new(&bad, &client), COVEY_ERR_INVALID_ARGUMENT);
    }
    covey_identity_free(identity);
}

/* ---- side by side ---- */

static struct covey_call_options hedged(covey_time after)
{
    struct covey_call_options options = options_within(COVEY_NEVER);
    options.idempotent = true;
    options.hedge_after = after;
    return options;
}

static void the_first_answer_of_several_counts(void **state)
{
    struct repeating *r = *state;
    struct covey_call_options options = hedged(COVEY_MILLISECOND);
    struct tally t;
    tally_init(&t);
    use_policy(r, &quick);
    call_async(r->client, "keep", &options, &t);
    covey_call *first = kept_take(&r->rig->kept);
    covey_call *second = kept_take(&r->rig->kept);
    covey_call *third = kept_take(&r->rig->kept);
    covey_call_reply(second, "win", 3);
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 1);
    assert_int_equal(t.size, 3);
    AWAIT(covey_call_is_cancelled(first) && covey_call_is_cancelled(third));
    covey_call_reply(first, "too late", 8);
    covey_call_finish(third, COVEY_STATUS_INTERNAL, "too late");
    expect_echo(r->client);
    assert_int_equal(kept_wait(&r->rig->kept, 3), 3);
    assert_int_equal(client_stats_of(r->client).calls_hedged, 2);
    assert_int_equal(tally_count(&t), 1);
    AWAIT(stats_of(r->rig->server).calls == 0);
    tally_fini(&t);
}

/* Those that go on may still bring an answer. */
static void an_attempt_that_is_unavailable_leaves_it_to_the_others(void **state)
{
    struct repeating *r = *state;
    struct covey_call_options options = hedged(COVEY_MILLISECOND);
    struct tally t;
    tally_init(&t);
    use_policy(r, &quick);
    call_async(r->client, "keep", &options, &t);
    covey_call *calls[3];
    for (int i = 0; i < 3; i++)
        calls[i] = kept_take(&r->rig->kept);
    covey_call_finish(calls[2], COVEY_STATUS_UNAVAILABLE, "not here");
    covey_call_finish(calls[0], COVEY_STATUS_UNAVAILABLE, "nor here");
    expect_echo(r->client);
    assert_int_equal(tally_count(&t), 0);
    covey_call_reply(calls[1], "x", 1);
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 1);
    tally_fini(&t);
}

static void all_attempts_unavailable_is_unavailable(void **state)
{
    struct repeating *r = *state;
    struct covey_call_options options = hedged(COVEY_MILLISECOND);
    struct tally t;
    tally_init(&t);
    use_policy(r, &quick);
    call_async(r->client, "keep", &options, &t);
    for (int i = 0; i < 3; i++)
        covey_call_finish(kept_take(&r->rig->kept), COVEY_STATUS_UNAVAILABLE, "nobody");
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_UNAVAILABLE], 1);
    assert_string_equal(t.text, "nobody");
    tally_fini(&t);
}

/* Another code is an answer: it ends the call and the other attempts. */
static void a_real_error_ends_the_others(void **state)
{
    struct repeating *r = *state;
    struct covey_call_options options = hedged(COVEY_MILLISECOND);
    struct tally t;
    tally_init(&t);
    use_policy(r, &quick);
    call_async(r->client, "keep", &options, &t);
    covey_call *first = kept_take(&r->rig->kept);
    covey_call *second = kept_take(&r->rig->kept);
    covey_call *third = kept_take(&r->rig->kept);
    covey_call_finish(third, COVEY_STATUS_NOT_FOUND, "no such bird");
    tally_wait(&t, 1);
    assert_int_equal(t.codes[COVEY_STATUS_NOT_FOUND], 1);
    AWAIT(covey_call_is_cancelled(first) && covey_call_is_cancelled(second));
    covey_call_reply(first, "", 0);
    covey_call_reply(second, "", 0);
    tally_fini(&t);
}

static void hedges_cost_tokens_too(void **state)
{
    struct repeating *r = *state;
    struct covey_retry_policy policy = quick;
    struct covey_call_options options = hedged(COVEY_MILLISECOND);
    struct tally t;
    tally_init(&t);
    policy.budget = 3; /* one repetition takes it from 3 to 2, the next to 1: below half */
    use_policy(r, &policy);
    for (int i = 0; i < 3; i++)
        call_async(r->client, "keep", &options, &t);
    AWAIT(client_stats_of(r->client).repeats_throttled >= 3);
    assert_int_equal(client_stats_of(r->client).calls_hedged, 2);
    for (int i = 0; i < 5; i++)
        covey_call_reply(kept_take(&r->rig->kept), "", 0);
    tally_wait(&t, 3);
    assert_int_equal(t.codes[COVEY_STATUS_OK], 3);
    tally_fini(&t);
}

static void an_answer_in_time_needs_no_hedge(void **state)
{
    struct repeating *r = *state;
    struct covey_call_options options = hedged(3600 * COVEY_SECOND);
    use_policy(r, &quick);
    for (int i = 0; i < 10; i++)
        expect_reply(call_with(r->client, "echo", "x", 1, &options), COVEY_STATUS_OK, "");
    assert_int_equal(client_stats_of(r->client).calls_hedged, 0);
}

/* ---- on a connection that is lost ---- */

/* A call whose connection died is made again on the next one, if it may be. */
static void a_lost_connection_is_repeated_if_idempotent(void **state)
{
    struct repeating *r = *state;
    struct tally may, may_not;
    struct covey_call_options options = options_within(COVEY_NEVER);
    struct covey_retry_policy policy = quick;
    tally_init(&may);
    tally_init(&may_not);
    use_policy(r, &policy);
    call_async(r->client, "keep", &options, &may_not);
    options.idempotent = true;
    options.wait_for_ready = true;
    call_async(r->client, "keep", &options, &may);
    covey_call *first = kept_take(&r->rig->kept);
    covey_call *second = kept_take(&r->rig->kept);
    assert_int_equal(covey_server_free(r->rig->server), 0);
    covey_call_reply(first, "", 0);
    covey_call_reply(second, "", 0);
    tally_wait(&may_not, 1);
    assert_int_equal(may_not.codes[COVEY_STATUS_UNAVAILABLE], 1);
    r->rig->server = server_at(&r->rig->world, r->rig->address);
    rig_serve(r->rig, r->rig->server);
    assert_int_equal(covey_server_start(r->rig->server), 0);
    covey_call_reply(kept_take(&r->rig->kept), "again", 5);
    tally_wait(&may, 1);
    assert_int_equal(may.codes[COVEY_STATUS_OK], 1);
    assert_int_equal(tally_count(&may_not), 1);
    tally_fini(&may);
    tally_fini(&may_not);
}

/* Calls that waited for a stream when the connection died were surely not begun: they are made
 * again, whatever their options say. */
static void what_was_surely_not_begun_is_made_again(void **state)
{
    struct repeating *r = *state;
    struct tally t;
    struct covey_call_options options = options_within(COVEY_NEVER);
    enum { STREAMS = 1000, CALLS = 1124 }; /* a connection has up to 1024 */
    tally_init(&t);
    use_policy(r, &quick);
    options.wait_for_ready = true;
    for (int i = 0; i < CALLS; i++)
        call_async(r->client, "keep", &options, &t);
    assert_true(kept_wait(&r->rig->kept, STREAMS) >= STREAMS);
    for (int i = 0; i < 20; i++)
        expect_echo(r->rig->client);
    assert_int_equal(covey_server_free(r->rig->server), 0);
    unsigned begun = kept_wait(&r->rig->kept, 0);
    assert_true(begun <= 1024);
    for (unsigned i = 0; i < begun; i++)
        covey_call_reply(kept_take(&r->rig->kept), "", 0);
    tally_wait(&t, begun);
    r->rig->server = server_at(&r->rig->world, r->rig->address);
    rig_serve(r->rig, r->rig->server);
    assert_int_equal(covey_server_start(r->rig->server), 0);
    for (unsigned i = begun; i < CALLS; i++)
        covey_call_reply(kept_take(&r->rig->kept), "", 0);
    tally_wait(&t, CALLS);
    assert_int_equal(t.codes[COVEY_STATUS_UNAVAILABLE], begun);
    assert_int_equal(t.codes[COVEY_STATUS_OK], CALLS - begun);
    tally_fini(&t);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_may_not_run_twice_runs_once),
        TEST(an_idempotent_call_is_repeated),
        TEST(the_last_attempt_has_the_last_word),
        TEST(one_attempt_is_one),
        TEST(other_codes_are_not_repeated),
        TEST(the_budget_throttles),
        TEST(no_budget_is_no_bound),
        TEST(the_deadline_beats_the_pause),
        TEST(a_paused_call_ends_with_its_client),
        TEST(policies_are_checked),
        TEST(the_first_answer_of_several_counts),
        TEST(an_attempt_that_is_unavailable_leaves_it_to_the_others),
        TEST(all_attempts_unavailable_is_unavailable),
        TEST(a_real_error_ends_the_others),
        TEST(hedges_cost_tokens_too),
        TEST(an_answer_in_time_needs_no_hedge),
        TEST(a_lost_connection_is_repeated_if_idempotent),
        TEST(what_was_surely_not_begun_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
