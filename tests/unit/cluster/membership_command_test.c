#include "unit/cluster/core_fixture.h"

static const char *own_tag(const char *key)
{
    const struct cv_record own = cv_member_record(core_member(0));
    const struct cv_record *record = &own;
    static struct covey_node view;
    view = cv_cluster_node_view(record->body, record->status.state, record->status.incarnation);
    return covey_node_tag(&view, key);
}

/* A change is a new body with the next version, told at once. */
static void tags_are_set_and_removed(void **state)
{
    (void)state;
    core_add_member(1);
    core_run(1 * SEC);
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "role", "worker"), COVEY_OK);
    assert_string_equal(own_tag("role"), "worker");
    assert_int_equal(core_member(0)->body->version, 1);
    const struct cv_update *u = core_update(core_sent(1, CV_MESSAGE_GOSSIP, NULL), 0);
    assert_non_null(u);
    assert_int_equal(u->version, 1);
    assert_int_equal(core_command(CV_COMMAND_TAG_REMOVE, "role", NULL), COVEY_OK);
    assert_null(own_tag("role"));
    assert_int_equal(core_member(0)->body->version, 2);
    assert_int_equal(core_member(0)->incarnation, CORE_WALL_MS);
}

static void what_is_refused_changes_nothing(void **state)
{
    (void)state;
    char key[COVEY_TAG_KEY_MAX + 2];
    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, key, "v"), COVEY_ERR_TOO_LARGE);
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "", "v"), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "k", "\xff"), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(core_command(CV_COMMAND_TAG_REMOVE, "k", NULL), COVEY_ERR_NOT_FOUND);
    assert_int_equal(core_command(CV_COMMAND_JOIN, NULL, NULL), COVEY_ERR_STATE);
    core.t.fail_at = core.t.calls + 1;
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "k", "v"), COVEY_ERR_NO_MEMORY);
    assert_int_equal(core_member(0)->body->version, 0);
    assert_int_equal(core_member(0)->body->tag_count, 0);
}

static void the_same_value_again_is_no_change(void **state)
{
    (void)state;
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "k", "v"), COVEY_OK);
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "k", "v"), COVEY_OK);
    assert_int_equal(core_member(0)->body->version, 1);
}

/* A refutation begins the count of versions anew, at a later incarnation. */
static void versions_count_within_an_incarnation(void **state)
{
    (void)state;
    core_add_member(1);
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "k", "v"), COVEY_OK);
    core_tell(1, 0, CORE_WALL_MS, COVEY_NODE_SUSPECT, -1);
    assert_int_equal(core_member(0)->body->incarnation, CORE_WALL_MS + 1);
    assert_int_equal(core_member(0)->body->version, 0);
    assert_string_equal(own_tag("k"), "v");
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "k", "w"), COVEY_OK);
    assert_int_equal(core_member(0)->body->incarnation, CORE_WALL_MS + 1);
    assert_int_equal(core_member(0)->body->version, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(tags_are_set_and_removed),
        CORE_TEST(what_is_refused_changes_nothing),
        CORE_TEST(the_same_value_again_is_no_change),
        CORE_TEST(versions_count_within_an_incarnation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
