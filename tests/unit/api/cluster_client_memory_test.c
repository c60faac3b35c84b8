#define _POSIX_C_SOURCE 200809L
/* What a cluster client does when memory ends at each allocation in turn: an outcome, in time; nothing is
 * left behind, and it works afterwards. */
#include "unit/api/cluster_client.h"
#include "unit/api/scarce.h"

/* The members have a runtime of their own, so that only the caller's memory fails. */
static struct team *team_with(struct scarce *memory)
{
    struct team *f = calloc(1, sizeof *f);
    assert_non_null(f);
    memset(memory, 0, sizeof *memory);
    atomic_store(&memory->fail_count, 1);
    world_init(&f->world);
    f->cluster.runtime = scarce_runtime(memory, 1);
    team_begin(f, 2);
    return f;
}

static void team_free_with(struct team *f, const struct scarce *memory)
{
    team_end(f);
    assert_int_equal(covey_runtime_free(f->cluster.runtime), 0);
    assert_int_equal(atomic_load(&memory->blocks), 0);
    world_fini(&f->world);
    free(f);
}

/* A deadline would mean that something was forgotten. */
static bool judge(enum covey_status_code code)
{
    assert_int_not_equal(code, COVEY_STATUS_DEADLINE_EXCEEDED);
    return code == COVEY_STATUS_OK;
}

static bool judge_error(int error)
{
    assert_true(error == 0 || error == COVEY_ERR_NO_MEMORY);
    return error == 0;
}

/* ---- kinds of calls; true when all went well ---- */

static bool unary(struct team *f)
{
    struct covey_reply reply;
    const struct covey_metadata set[] = {{"key", "value", 5}};
    struct covey_call_options options = options_within(TEST_DEADLINE);
    struct covey_target target = target_of(f);
    options.idempotent = true;
    options.metadata = set;
    options.metadata_count = 1;
    target.key = "a key";
    target.key_size = 5;
    if (!judge_error(
            covey_cluster_client_call(f->client, &target, "name", "x", 1, &options, &reply, NULL)))
        return false;
    const bool well = judge(reply.code);
    covey_reply_clear(&reply);
    return well;
}

static bool stream(struct team *f)
{
    covey_stream *stream;
    const void *message;
    size_t size;
    const struct covey_call_options options = options_within(TEST_DEADLINE);
    const struct covey_target target = target_of(f);
    if (!judge_error(covey_cluster_client_stream(f->client, &target, "name", "x", 1, &options,
                                                 &stream, NULL)))
        return false;
    while (covey_stream_receive(stream, TEST_DEADLINE, &message, &size) == 0)
        ;
    const bool well = judge(covey_stream_status(stream, NULL));
    covey_stream_free(stream);
    return well;
}

static bool all(struct team *f)
{
    struct gathering g = {.team = f};
    const struct covey_call_options options = options_within(TEST_DEADLINE);
    const struct covey_all_handler handler = {.each = gather, .end = gathered, .user = &g};
    bool well = true;
    tally_init(&g.tally);
    const int error = covey_cluster_client_call_all(f->client, f->balancer, "name", "x", 1,
                                                    &options, 2, &handler);
    if (judge_error(error)) {
        AWAIT(atomic_load(&g.ends) == 1);
        assert_int_equal(g.ended, 2);
        assert_int_equal(tally_count(&g.tally), 2); /* each is told of, whatever became of it */
        for (int code = 0; code < 17; code++)
            well &= g.tally.codes[code] == 0 || judge((enum covey_status_code)code);
    }
    tally_fini(&g.tally);
    return well && error == 0;
}

/* ---- each allocation in turn ---- */

/* False when it took fewer than n. */
static bool nth_fails(bool (*kind)(struct team *f), size_t n)
{
    static struct scarce memory;
    struct team *f = team_with(&memory);
    open_client(f, NULL);
    atomic_store(&memory.calls, 0);
    atomic_store(&memory.fail_at, n);
    (void)kind(f);
    const bool failed = atomic_load(&memory.calls) >= n;
    atomic_store(&memory.fail_at, 0);
    AWAIT(kind(f)); /* the first may hear of a connection that was lost for want of memory */
    AWAIT(counters(f).calls_open == 0);
    team_free_with(f, &memory);
    return failed;
}

static void each_fails(bool (*kind)(struct team *f))
{
    size_t n = 1;
    while (nth_fails(kind, n) && n < 1000)
        n++;
    assert_in_range(n, 3, 999);
}

static void a_call_lacks_memory(void **state)
{
    (void)state;
    each_fails(unary);
}

static void a_stream_lacks_memory(void **state)
{
    (void)state;
    each_fails(stream);
}

static void a_call_to_all_lacks_memory(void **state)
{
    (void)state;
    each_fails(all);
}

/* Nothing of one that could not be made is left. */
static void a_client_lacks_memory(void **state)
{
    (void)state;
    static struct scarce memory;
    struct covey_cluster_client_config config;
    struct team *f = team_with(&memory);
    covey_identity *identity = world_identity(&f->world, "caller", COVEY_ROLE_CLIENT);
    int error;
    size_t n = 0;
    covey_cluster_client_config_init(&config);
    config.identity = identity;
    do {
        atomic_store(&memory.calls, 0);
        atomic_store(&memory.fail_at, ++n);
        error = covey_cluster_client_new(&f->cluster, &config, &f->client);
    } while (!judge_error(error));
    assert_in_range(n, 4, 999);
    atomic_store(&memory.fail_at, 0);
    covey_identity_free(identity);
    assert_true(unary(f));
    team_free_with(f, &memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_lacks_memory),
        cmocka_unit_test(a_stream_lacks_memory),
        cmocka_unit_test(a_call_to_all_lacks_memory),
        cmocka_unit_test(a_client_lacks_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
