#include "unit/cluster/core_fixture.h"

static void a_bad_configuration_is_refused(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    core.t = t;
    struct cv_membership *m = NULL;
    const char *const seeds[] = {"host"};
    const struct covey_tag tag = {"", "v"};
    char name[COVEY_NODE_NAME_MAX + 2];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct cv_membership_config config = core_config();
    config.name = "";
    assert_int_equal(cv_membership_new(&config, 0, &m), COVEY_ERR_INVALID_ARGUMENT);
    config.name = name;
    assert_int_equal(cv_membership_new(&config, 0, &m), COVEY_ERR_INVALID_ARGUMENT);
    config = core_config();
    config.address.ip[0] = 0;
    config.address.ip[1] = 0;
    assert_int_equal(cv_membership_new(&config, 0, &m), COVEY_ERR_INVALID_ARGUMENT);
    config = core_config();
    config.seeds = seeds;
    config.seed_count = 1;
    assert_int_equal(cv_membership_new(&config, 0, &m), COVEY_ERR_ADDRESS);
    config = core_config();
    config.tags = &tag;
    config.tag_count = 1;
    assert_int_equal(cv_membership_new(&config, 0, &m), COVEY_ERR_INVALID_ARGUMENT);
    config = core_config();
    config.gossip.gossip_interval = 0;
    assert_int_equal(cv_membership_new(&config, 0, &m), COVEY_ERR_INVALID_ARGUMENT);
    config = core_config();
    config.members_max = 0;
    assert_int_equal(cv_membership_new(&config, 0, &m), COVEY_ERR_INVALID_ARGUMENT);
    config.members_max = CV_MEMBERS_MAX + 1;
    assert_int_equal(cv_membership_new(&config, 0, &m), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(CV_MEMBERS_MAX, 1 << 17);
    assert_null(m);
}

static void the_nth_allocation_fails(void **state)
{
    (void)state;
    const char *const seeds[] = {"a:1", "b:2"};
    for (size_t n = 1;; n++) {
        memset(&core, 0, sizeof(core));
        test_alloc_init(&core.t);
        struct cv_membership_config config = core_config();
        struct cv_membership *m = NULL;
        config.seeds = seeds;
        config.seed_count = 2;
        core.t.fail_at = n;
        int error = cv_membership_new(&config, 0, &m);
        if (error == COVEY_OK) {
            cv_membership_free(m);
            test_alloc_assert_empty(&core.t);
            return;
        }
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        assert_null(m);
        test_alloc_assert_empty(&core.t);
        assert_true(n < 100);
    }
}

/* B: without seeds joined at once, with no event about ourselves. */
static void a_cluster_of_one(void **state)
{
    (void)state;
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
    assert_int_equal(core.count, 1);
    assert_int_equal(core.outputs[0].output.state.state, CV_MEMBERSHIP_JOINED);
    assert_int_equal(cv_node_registry_count(cv_membership_registry(core.m)), 1);
    assert_int_equal(core_state(0), COVEY_NODE_ALIVE);
    assert_int_equal(core_member(0)->incarnation, CORE_WALL_MS);
}

static void after_leaving_nothing_happens(void **state)
{
    (void)state;
    struct cv_input time = {.type = CV_INPUT_TIME};
    assert_int_equal(core_command(CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
    assert_int_equal(cv_membership_deadline(core.m), COVEY_NEVER);
    core.now += 100 * SEC;
    assert_int_equal(core_step(&time), COVEY_OK);
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "k", "v"), COVEY_ERR_STATE);
    assert_int_equal(core.count, 0);
}

/* Steps fail here and there for want of memory, and it goes on (C49). */
static void it_lives_through_a_shortage_of_memory(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 4; i++)
        core_add_member(i);
    for (size_t i = 0; i < 500; i++) {
        struct cv_input time = {.type = CV_INPUT_TIME};
        core.t.fail_at = core.t.calls + 1 + i % 7;
        if (cv_membership_deadline(core.m) > core.now)
            core.now = cv_membership_deadline(core.m);
        int error = core_step(&time);
        assert_true(error == COVEY_OK || error == COVEY_ERR_NO_MEMORY);
        error = core_tell(1, (uint32_t)(i % 20) + 2, CORE_WALL_MS + i / 40,
                          (enum covey_node_state)(i % 4), i % 3 ? -1 : (int)i);
        assert_true(error == COVEY_OK || error == COVEY_ERR_NO_MEMORY);
        core.now += i % 3 * MS;
    }
    core.t.fail_at = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_configuration_is_refused),
        cmocka_unit_test(the_nth_allocation_fails),
        CORE_TEST(a_cluster_of_one),
        CORE_TEST(after_leaving_nothing_happens),
        CORE_TEST(it_lives_through_a_shortage_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
