/* The partition status and read-only mode. A size of the cluster that is set by hand and not there makes a
 * minority without a cut; who comes later heals it. */
#include "unit/api/calling.h"
#include "unit/api/members.h"

static struct covey_cluster_config config_of(uint32_t expected, bool read_only)
{
    struct covey_cluster_config config = local_config();
    config.partition.expected_size = expected;
    config.partition.grace = 50 * COVEY_MILLISECOND;
    config.partition.read_only_on_partition = read_only;
    return config;
}

static void hello(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    (void)user;
    covey_call_reply(call, "hello", 5);
}

/* With a method of each kind. */
static void start_server(struct world *w, struct member *m, const char *name)
{
    const struct covey_method reads = {.name = "read", .handler = hello, .read_only = true};
    m->server = world_server(w, name);
    assert_int_equal(covey_server_add_method(m->server, &reads), 0);
    serve(m->server, "write", hello, NULL);
    assert_int_equal(covey_server_start(m->server), 0);
}

static struct covey_partition_status status_of(const struct member *m)
{
    struct covey_partition_status status = {.size = sizeof status};
    assert_int_equal(covey_cluster_partition(m->cluster, &status), 0);
    return status;
}

/* The steps up to this one; what they say of themselves must be in the status too. */
static void wait_state(struct member *m, enum covey_partition_state state)
{
    struct covey_event event = {.size = sizeof event};
    do {
        int error = covey_event_receive(m->events, TEST_DEADLINE, &event);
        if (error != 0)
            fail_msg("never %s: %s", covey_partition_state_name(state), covey_strerror(error));
        assert_true((event.partition != NULL) == (event.type == COVEY_EVENT_PARTITION_DETECTED));
    } while (event.partition == NULL || event.partition->state != state);
    assert_null(event.node);
    assert_int_equal(status_of(m).state, state);
    assert_int_equal(status_of(m).expected, event.partition->expected);
}

static void expect_refused(covey_client *client, const char *method)
{
    struct covey_reply reply = call_with(client, method, "", 0, NULL);
    size_t size;
    const char *details = covey_reply_details(&reply, &size);
    assert_int_equal(reply.code, COVEY_STATUS_UNAVAILABLE);
    assert_int_equal(size, strlen("partitioned"));
    assert_memory_equal(details, "partitioned", size);
    covey_reply_clear(&reply);
}

static void a_minority_is_read_only(void **state)
{
    (void)state;
    static struct world w;
    struct member a, b;
    world_init(&w);
    start_server(&w, &a, "a");
    covey_client *client = world_client(&w, covey_server_address(a.server), COVEY_ROLE_ADMIN);
    expect_call(client, "write", COVEY_STATUS_OK, ""); /* no cluster, no partition */
    const struct covey_cluster_config config = config_of(3, true);
    join(&a, &config, NULL);
    wait_state(&a, COVEY_PARTITION_PARTITIONED);
    struct covey_partition_status status = status_of(&a);
    assert_int_equal(status.alive, 1);
    assert_int_equal(status.quorum, 2);
    assert_int_equal(status.grace_remaining, 0);
    assert_true(status.minority && status.read_only);

    assert_int_equal(covey_cluster_update_tag(a.cluster, "k", "v"), COVEY_ERR_PARTITIONED);
    assert_int_equal(covey_server_update_tag(a.server, "k", "v"), COVEY_ERR_PARTITIONED);
    assert_int_equal(covey_cluster_remove_tag(a.cluster, "k"), COVEY_ERR_PARTITIONED);
    assert_int_equal(count_with_tag(a.cluster, "k", NULL), 0);
    expect_refused(client, "write");
    assert_int_equal(covey_admin_tag_set(client, TEST_DEADLINE, "k", "v", NULL), COVEY_ERR_REFUSED);
    expect_call(client, "read", COVEY_STATUS_OK, "");
    expect_call(client, "covey.health", COVEY_STATUS_OK, "");
    expect_call(client, "none", COVEY_STATUS_UNIMPLEMENTED, "");

    /* two of three */
    start(&w, &b, "b", covey_server_address(a.server));
    wait_state(&a, COVEY_PARTITION_HEALTHY);
    assert_false(status_of(&a).read_only);
    assert_int_equal(covey_cluster_update_tag(a.cluster, "k", "v"), 0);
    expect_call(client, "write", COVEY_STATUS_OK, "");

    /* and one again, until it is told that there are no more */
    stop(&b);
    wait_state(&a, COVEY_PARTITION_PARTITIONED);
    expect_refused(client, "write");
    assert_int_equal(covey_cluster_expect_size(a.cluster, 1), 0);
    wait_state(&a, COVEY_PARTITION_HEALTHY);
    expect_call(client, "write", COVEY_STATUS_OK, "");

    /* leaving is no change that others could miss, and ends the mode */
    assert_int_equal(covey_cluster_expect_size(a.cluster, 9), 0);
    wait_state(&a, COVEY_PARTITION_PARTITIONED);
    assert_int_equal(covey_admin_leave(client, TEST_DEADLINE, NULL), 0);
    assert_int_equal(covey_cluster_leave(a.cluster), 0);
    assert_int_equal(status_of(&a).state, COVEY_PARTITION_UNKNOWN);
    expect_call(client, "write", COVEY_STATUS_OK, "");
    covey_client_free(client);
    stop(&a);
    world_fini(&w);
}

static void without_the_mode_all_goes_on(void **state)
{
    (void)state;
    static struct world w;
    struct member a;
    world_init(&w);
    start_server(&w, &a, "a");
    const struct covey_cluster_config config = config_of(2, false);
    join(&a, &config, NULL);
    wait_state(&a, COVEY_PARTITION_PARTITIONED);
    assert_false(status_of(&a).read_only);
    assert_int_equal(covey_cluster_update_tag(a.cluster, "k", "v"), 0);
    covey_client *client = world_client(&w, covey_server_address(a.server), COVEY_ROLE_CLIENT);
    expect_call(client, "write", COVEY_STATUS_OK, "");
    covey_client_free(client);
    stop(&a);
    world_fini(&w);
}

/* The grace time runs down as time passes, not as events come. */
static void the_grace_runs_down(void **state)
{
    (void)state;
    static struct world w;
    struct member a;
    world_init(&w);
    start_server(&w, &a, "a");
    struct covey_cluster_config config = config_of(2, true);
    config.partition.grace = 3600 * COVEY_SECOND;
    join(&a, &config, NULL);
    covey_time first = status_of(&a).grace_remaining;
    assert_int_equal(status_of(&a).state, COVEY_PARTITION_SUSPECT);
    assert_true(first > 0 && first <= config.partition.grace);
    AWAIT(status_of(&a).grace_remaining < first);
    assert_int_equal(covey_cluster_update_tag(a.cluster, "k", "v"), 0);
    stop(&a);
    world_fini(&w);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static struct world w;
    struct member a;
    world_init(&w);
    start_server(&w, &a, "a");
    struct covey_cluster_config config = local_config();
    config.partition.quorum_percent = 100;
    assert_int_equal(covey_server_enable_cluster(a.server, &config, NULL, 0),
                     COVEY_ERR_INVALID_ARGUMENT);
    config.partition.quorum_percent = 0;
    join(&a, &config, NULL);
    struct covey_partition_status status = {.size = 0};
    assert_int_equal(covey_cluster_partition(a.cluster, &status), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_cluster_partition(a.cluster, NULL), COVEY_ERR_INVALID_ARGUMENT);
    /* an older caller's, shorter than ours, is filled as far as it goes */
    status = (struct covey_partition_status){.size = offsetof(struct covey_partition_status, alive),
                                             .alive = 77};
    assert_int_equal(covey_cluster_partition(a.cluster, &status), 0);
    assert_int_equal(status.state, COVEY_PARTITION_HEALTHY);
    assert_int_equal(status.alive, 77);
    stop(&a);
    world_fini(&w);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(covey_partition_state_name(COVEY_PARTITION_UNKNOWN), "unknown");
    assert_string_equal(covey_partition_state_name(COVEY_PARTITION_HEALTHY), "healthy");
    assert_string_equal(covey_partition_state_name(COVEY_PARTITION_SUSPECT), "suspect");
    assert_string_equal(covey_partition_state_name(COVEY_PARTITION_PARTITIONED), "partitioned");
    assert_string_equal(covey_partition_state_name((enum covey_partition_state)9), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minority_is_read_only), cmocka_unit_test(without_the_mode_all_goes_on),
        cmocka_unit_test(the_grace_runs_down),     cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
