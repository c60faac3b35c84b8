#include "unit/api/fixture.h"

/* A cluster of one node, and an admin and a client of it. */
struct fixture {
    struct world world;
    covey_server *server;
    covey_client *admin;
    covey_client *client;
};

static void enable_cluster(const struct fixture *f)
{
    const struct covey_tag tags[] = {{"role", "db"}};
    struct covey_cluster_config config;
    covey_cluster_config_init(&config);
    config.profile = COVEY_PROFILE_LOCAL;
    config.tags = tags;
    config.tag_count = 1;
    assert_int_equal(covey_server_enable_cluster(f->server, &config, NULL, 0), 0);
    assert_int_equal(covey_cluster_wait_joined(covey_server_cluster(f->server), TEST_DEADLINE), 0);
}

static int setup_alone(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    world_init(&f->world);
    f->server = world_server(&f->world, "owl");
    assert_int_equal(covey_server_start(f->server), 0);
    const char *address = covey_server_address(f->server);
    f->admin = world_client(&f->world, address, COVEY_ROLE_ADMIN);
    f->client = world_client(&f->world, address, COVEY_ROLE_CLIENT);
    *state = f;
    return 0;
}

static int setup(void **state)
{
    setup_alone(state);
    enable_cluster(*state);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(covey_client_free(f->admin), 0);
    assert_int_equal(covey_client_free(f->client), 0);
    assert_int_equal(covey_server_free(f->server), 0);
    world_fini(&f->world);
    free(f);
    return 0;
}

/* The one member's value of a tag, as `client` is told; "-" when there is none. */
static void assert_tag(covey_client *client, const char *key, const char *value)
{
    covey_node_list *list;
    struct covey_reply reply;
    assert_int_equal(covey_admin_members(client, TEST_DEADLINE, &list, &reply), 0);
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    assert_int_equal(covey_node_list_count(list), 1);
    const char *found = covey_node_tag(covey_node_list_at(list, 0), key);
    assert_string_equal(found == NULL ? "-" : found, value);
    covey_node_list_free(list);
}

static void assert_said_no(int error, struct covey_reply *reply, enum covey_status_code code)
{
    assert_int_equal(error, COVEY_ERR_REFUSED);
    assert_int_equal(reply->code, code);
    assert_true(strlen(reply->message) > 0);
    covey_reply_clear(reply);
}

static void members_are_told(void **state)
{
    struct fixture *f = *state;
    covey_node_list *list;
    covey_node_id self = covey_cluster_self(covey_server_cluster(f->server));
    assert_int_equal(covey_admin_members(f->client, TEST_DEADLINE, &list, NULL), 0);
    assert_int_equal(covey_node_list_count(list), 1);
    const struct covey_node *node = covey_node_list_at(list, 0);
    assert_int_equal(covey_node_id_compare(&node->id, &self), 0);
    assert_string_equal(node->name, "owl");
    assert_string_equal(node->address, covey_server_address(f->server));
    assert_int_equal(node->state, COVEY_NODE_ALIVE);
    assert_string_equal(covey_node_tag(node, "role"), "db");
    covey_node_list_free(list);
}

static void an_admin_changes_tags(void **state)
{
    struct fixture *f = *state;
    struct covey_reply reply;
    assert_int_equal(covey_admin_tag_set(f->admin, TEST_DEADLINE, "zone", "a", NULL), 0);
    assert_tag(f->client, "zone", "a");
    assert_int_equal(covey_admin_tag_set(f->admin, TEST_DEADLINE, "zone", "", &reply), 0);
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    assert_tag(f->client, "zone", "");
    assert_int_equal(covey_admin_tag_remove(f->admin, TEST_DEADLINE, "zone", NULL), 0);
    assert_tag(f->client, "zone", "-");
    assert_tag(f->client, "role", "db");
    assert_said_no(covey_admin_tag_remove(f->admin, TEST_DEADLINE, "zone", &reply), &reply,
                   COVEY_STATUS_NOT_FOUND);
}

static void a_client_may_only_ask(void **state)
{
    struct fixture *f = *state;
    struct covey_reply reply;
    assert_said_no(covey_admin_tag_set(f->client, TEST_DEADLINE, "role", "x", &reply), &reply,
                   COVEY_STATUS_PERMISSION_DENIED);
    assert_said_no(covey_admin_tag_remove(f->client, TEST_DEADLINE, "role", &reply), &reply,
                   COVEY_STATUS_PERMISSION_DENIED);
    assert_said_no(covey_admin_leave(f->client, TEST_DEADLINE, &reply), &reply,
                   COVEY_STATUS_PERMISSION_DENIED);
    assert_int_equal(covey_admin_leave(f->client, TEST_DEADLINE, NULL), COVEY_ERR_REFUSED);
    assert_tag(f->client, "role", "db");
}

static void arguments_are_checked_here(void **state)
{
    struct fixture *f = *state;
    char key[COVEY_TAG_KEY_MAX + 2];
    covey_node_list *list = NULL;
    struct covey_reply reply;
    memset(key, 'a', sizeof key);
    key[sizeof key - 1] = '\0';
    assert_int_equal(covey_admin_tag_set(f->admin, TEST_DEADLINE, key, "v", &reply),
                     COVEY_ERR_TOO_LARGE);
    assert_null(reply.owner);
    assert_int_equal(covey_admin_tag_set(f->admin, TEST_DEADLINE, "", "v", NULL),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_admin_tag_set(f->admin, TEST_DEADLINE, "\xff", "v", NULL),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_admin_tag_set(f->admin, TEST_DEADLINE, "k", NULL, NULL),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_admin_tag_remove(f->admin, TEST_DEADLINE, NULL, NULL),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_admin_members(NULL, TEST_DEADLINE, &list, NULL),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_admin_leave(NULL, TEST_DEADLINE, NULL), COVEY_ERR_INVALID_ARGUMENT);
    assert_null(list);
    assert_tag(f->client, "role", "db");
}

static void the_timeout_is_kept(void **state)
{
    struct fixture *f = *state;
    covey_node_list *list = NULL;
    struct covey_reply reply;
    assert_said_no(covey_admin_members(f->admin, 0, &list, &reply), &reply,
                   COVEY_STATUS_DEADLINE_EXCEEDED);
    assert_said_no(covey_admin_leave(f->admin, 0, &reply), &reply, COVEY_STATUS_DEADLINE_EXCEEDED);
    assert_null(list);
}

static void a_member_is_told_to_leave(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(covey_admin_leave(f->admin, TEST_DEADLINE, NULL), 0);
    assert_int_equal(covey_cluster_leave(covey_server_cluster(f->server)), 0);
}

static void a_server_alone_has_no_members(void **state)
{
    struct fixture *f = *state;
    covey_node_list *list = NULL;
    struct covey_reply reply;
    assert_said_no(covey_admin_members(f->client, TEST_DEADLINE, &list, &reply), &reply,
                   COVEY_STATUS_FAILED_PRECONDITION);
    assert_said_no(covey_admin_tag_set(f->admin, TEST_DEADLINE, "k", "v", &reply), &reply,
                   COVEY_STATUS_FAILED_PRECONDITION);
    assert_null(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(members_are_told),
        TEST(an_admin_changes_tags),
        TEST(a_client_may_only_ask),
        TEST(arguments_are_checked_here),
        TEST(the_timeout_is_kept),
        TEST(a_member_is_told_to_leave),
        cmocka_unit_test_setup_teardown(a_server_alone_has_no_members, setup_alone, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
