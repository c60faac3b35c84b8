#include "unit/cluster/cluster_fixture.h"

#include "cluster/tags.h"

static struct cv_cluster_node *node_with(const struct cv_tags *tags)
{
    return tagged_body(cv_alloc_default(), 1, 1, 0, tags->items, tags->count);
}

static void text_of(char *text, size_t size, char c)
{
    memset(text, c, size);
    text[size] = '\0';
}

static void tags_are_sorted(void **state)
{
    (void)state;
    const struct covey_tag tags[] = {{"b", "2"}, {"a", "1"}, {"ab", "3"}};
    struct cv_tags out;
    assert_int_equal(cv_tags_collect(tags, 3, &out), COVEY_OK);
    assert_int_equal(out.count, 3);
    assert_string_equal(out.items[0].key, "a");
    assert_string_equal(out.items[1].key, "ab");
    assert_string_equal(out.items[2].key, "b");
}

static void bad_tags_are_refused(void **state)
{
    (void)state;
    const struct covey_tag twice[] = {{"a", "1"}, {"a", "2"}};
    const struct covey_tag empty = {"", "1"};
    const struct covey_tag not_text = {"k", "\xff"};
    struct cv_tags out = {.count = 42};
    assert_int_equal(cv_tags_collect(twice, 2, &out), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(cv_tags_collect(&empty, 1, &out), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(cv_tags_collect(&not_text, 1, &out), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(out.count, 42);
}

/* T4, each limit and one past it. */
static void key_and_value_have_limits(void **state)
{
    (void)state;
    char key[COVEY_TAG_KEY_MAX + 2];
    char value[COVEY_TAG_VALUE_MAX + 2];
    text_of(key, COVEY_TAG_KEY_MAX, 'k');
    text_of(value, COVEY_TAG_VALUE_MAX, 'v');
    assert_int_equal(cv_tag_check(cv_slice_text(key), cv_slice_text(value)), COVEY_OK);
    text_of(key, COVEY_TAG_KEY_MAX + 1, 'k');
    assert_int_equal(cv_tag_check(cv_slice_text(key), cv_slice_text("")), COVEY_ERR_TOO_LARGE);
    text_of(value, COVEY_TAG_VALUE_MAX + 1, 'v');
    assert_int_equal(cv_tag_check(cv_slice_text("k"), cv_slice_text(value)), COVEY_ERR_TOO_LARGE);
}

static void count_and_size_have_limits(void **state)
{
    (void)state;
    char keys[COVEY_TAGS_MAX + 1][4];
    struct covey_tag tags[COVEY_TAGS_MAX + 1];
    char value[COVEY_TAG_VALUE_MAX + 1];
    struct cv_tags out;
    for (size_t i = 0; i <= COVEY_TAGS_MAX; i++) {
        keys[i][0] = (char)('a' + i);
        keys[i][1] = '\0';
        tags[i] = (struct covey_tag){keys[i], ""};
    }
    assert_int_equal(cv_tags_collect(tags, COVEY_TAGS_MAX, &out), COVEY_OK);
    assert_int_equal(cv_tags_collect(tags, COVEY_TAGS_MAX + 1, &out), COVEY_ERR_TOO_LARGE);
    /* Four of 128 bytes with their keys are 516; with 127 exactly 512. */
    text_of(value, COVEY_TAG_VALUE_MAX, 'v');
    for (size_t i = 0; i < 4; i++)
        tags[i].value = value;
    assert_int_equal(cv_tags_collect(tags, 4, &out), COVEY_ERR_TOO_LARGE);
    text_of(value, COVEY_TAG_VALUE_MAX - 1, 'v');
    assert_int_equal(cv_tags_collect(tags, 4, &out), COVEY_OK);
}

static void set_adds_or_replaces_and_leaves_the_old_one(void **state)
{
    (void)state;
    const struct covey_tag tag = {"m", "1"};
    struct cv_tags tags;
    assert_int_equal(cv_tags_collect(&tag, 1, &tags), COVEY_OK);
    struct cv_cluster_node *n = node_with(&tags);
    assert_int_equal(cv_tags_set(n, "a", "2", &tags), COVEY_OK);
    assert_int_equal(tags.count, 2);
    assert_string_equal(tags.items[0].key, "a");
    assert_int_equal(cv_tags_set(n, "m", "3", &tags), COVEY_OK);
    assert_int_equal(tags.count, 1);
    assert_string_equal(tags.items[0].value, "3");
    assert_string_equal(n->tags[0].value, "1");
    assert_int_equal(cv_tags_set(n, "", "3", &tags), COVEY_ERR_INVALID_ARGUMENT);
    cv_cluster_node_release(n);
}

static void remove_needs_the_key(void **state)
{
    (void)state;
    const struct covey_tag two[] = {{"a", "1"}, {"b", "2"}};
    struct cv_tags tags;
    assert_int_equal(cv_tags_collect(two, 2, &tags), COVEY_OK);
    struct cv_cluster_node *n = node_with(&tags);
    assert_int_equal(cv_tags_remove(n, "a", &tags), COVEY_OK);
    assert_int_equal(tags.count, 1);
    assert_string_equal(tags.items[0].key, "b");
    assert_int_equal(cv_tags_remove(n, "c", &tags), COVEY_ERR_NOT_FOUND);
    cv_cluster_node_release(n);
}

static void equal_looks_at_keys_and_values(void **state)
{
    (void)state;
    const struct covey_tag a = {"a", "1"};
    const struct covey_tag b = {"a", "2"};
    struct cv_cluster_node *x = tagged_body(cv_alloc_default(), 1, 1, 0, &a, 1);
    struct cv_cluster_node *y = tagged_body(cv_alloc_default(), 1, 1, 0, &b, 1);
    struct cv_cluster_node *none = body_of(cv_alloc_default(), 1, 1, 0);
    assert_true(cv_tags_equal(x, x));
    assert_false(cv_tags_equal(x, y));
    assert_false(cv_tags_equal(x, none));
    cv_cluster_node_release(x);
    cv_cluster_node_release(y);
    cv_cluster_node_release(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_sorted),
        cmocka_unit_test(bad_tags_are_refused),
        cmocka_unit_test(key_and_value_have_limits),
        cmocka_unit_test(count_and_size_have_limits),
        cmocka_unit_test(set_adds_or_replaces_and_leaves_the_old_one),
        cmocka_unit_test(remove_needs_the_key),
        cmocka_unit_test(equal_looks_at_keys_and_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
