#include "unit/cluster/cluster_fixture.h"

static void everything_is_copied(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    char key[] = "role";
    char value[] = "worker";
    const struct covey_tag tags[] = {{key, value}, {"zone", ""}};
    struct cv_cluster_node *n = tagged_body(&t.alloc, 3, 7, 2, tags, 2);
    key[0] = 'X';
    value[0] = 'X';
    assert_string_equal(n->tags[0].key, "role");
    assert_string_equal(n->tags[0].value, "worker");
    assert_string_equal(n->tags[1].value, "");
    assert_string_equal(n->name, "name");
    assert_string_equal(n->address_text, "10.0.0.3:4433");
    cv_cluster_node_release(n);
    test_alloc_assert_empty(&t);
}

/* Texts that lie one after the other are copied as they are: the body is the same. */
static void texts_in_a_row_make_the_same_body(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    static const char texts[] = "role\0worker\0zone\0";
    const struct covey_tag apart[] = {{"role", "worker"}, {"zone", ""}};
    const struct covey_tag in_a_row[] = {{texts, texts + 5}, {texts + 12, texts + 17}};
    struct cv_cluster_node *a = tagged_body(&t.alloc, 3, 7, 2, apart, 2);
    struct cv_cluster_node *b = NULL;
    const struct cv_cluster_node_config config = {.id = a->id,
                                                  .incarnation = 7,
                                                  .version = 2,
                                                  .address = a->address,
                                                  .name = cv_slice_text("name"),
                                                  .tags = in_a_row,
                                                  .tag_count = 2,
                                                  .tag_texts = cv_slice_of(texts, sizeof(texts))};
    assert_int_equal(cv_cluster_node_new(&t.alloc, &config, &b), COVEY_OK);
    assert_true(b->tags[0].key != texts);
    assert_string_equal(b->tags[0].value, "worker");
    assert_string_equal(b->tags[1].key, "zone");
    assert_string_equal(b->address_text, a->address_text);
    assert_true(cv_cluster_node_equal(a, b) && a->hash == b->hash);
    cv_cluster_node_release(a);
    cv_cluster_node_release(b);
    test_alloc_assert_empty(&t);
}

static void the_last_reference_frees(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    struct cv_cluster_node *n = body_of(&t.alloc, 1, 1, 0);
    assert_ptr_equal(cv_cluster_node_retain(n), n);
    cv_cluster_node_release(n);
    assert_int_equal(t.outstanding, 1);
    cv_cluster_node_release(n);
    cv_cluster_node_release(NULL);
    test_alloc_assert_empty(&t);
}

static void a_view_shows_it_all(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    const struct covey_tag tag = {"k", "v"};
    struct cv_cluster_node *n = tagged_body(&t.alloc, 5, 7, 2, &tag, 1);
    struct covey_node view = cv_cluster_node_view(n, COVEY_NODE_SUSPECT, 9);
    assert_true(id_equal(&view.id, &n->id));
    assert_int_equal(view.state, COVEY_NODE_SUSPECT);
    assert_int_equal(view.incarnation, 9);
    assert_string_equal(covey_node_tag(&view, "k"), "v");
    assert_null(covey_node_tag(&view, "other"));
    cv_cluster_node_release(n);
    test_alloc_assert_empty(&t);
}

static void no_memory_is_an_error(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    t.fail_at = 1;
    struct cv_cluster_node *n = NULL;
    struct cv_cluster_node_config config = {.address = address_of(1)};
    assert_int_equal(cv_cluster_node_new(&t.alloc, &config, &n), COVEY_ERR_NO_MEMORY);
    assert_null(n);
    test_alloc_assert_empty(&t);
}

static void every_state_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(covey_node_state_name(COVEY_NODE_ALIVE), "alive");
    assert_string_equal(covey_node_state_name(COVEY_NODE_SUSPECT), "suspect");
    assert_string_equal(covey_node_state_name(COVEY_NODE_FAILED), "failed");
    assert_string_equal(covey_node_state_name(COVEY_NODE_LEFT), "left");
    assert_string_equal(covey_node_state_name((enum covey_node_state)4), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_copied),
        cmocka_unit_test(texts_in_a_row_make_the_same_body),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(a_view_shows_it_all),
        cmocka_unit_test(no_memory_is_an_error),
        cmocka_unit_test(every_state_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
