#include "unit/cluster/cluster_fixture.h"

#include "cluster/tag_term.h"

static struct cv_tag_term term(const char *key, const char *value)
{
    struct cv_tag_term out;
    assert_true(cv_tag_term_of(fixture_secret, key, value, &out));
    assert_ptr_equal(out.key, key);
    assert_ptr_equal(out.value, value);
    assert_int_equal(out.hash & 1, value != NULL);
    return out;
}

static int order_of(const char *key, const char *value, const char *other_key,
                    const char *other_value)
{
    const struct cv_tag_term a = term(key, value), b = term(other_key, other_value);
    const int order = cv_tag_term_compare(&a, &b);
    const int back = cv_tag_term_compare(&b, &a);
    assert_true((order < 0) == (back > 0) && (order == 0) == (back == 0));
    return order;
}

static void equal_texts_are_equal(void **state)
{
    (void)state;
    assert_int_equal(order_of("a", "b", "a", "b"), 0);
    assert_int_equal(order_of("a", NULL, "a", NULL), 0);
    assert_int_equal(order_of("a", "", "a", ""), 0);
}

/* Also where the texts one after the other are the same. */
static void other_texts_are_not(void **state)
{
    (void)state;
    assert_int_not_equal(order_of("ab", "c", "a", "bc"), 0);
    assert_int_not_equal(order_of("a", "", "a", NULL), 0);
    assert_int_not_equal(order_of("ab", NULL, "a", "b"), 0);
}

static void texts_decide_where_hashes_are_equal(void **state)
{
    (void)state;
    const struct cv_tag_term a = term("71602", NULL), b = term("190761", NULL);
    const struct cv_tag_term c = term("k", "132787"), d = term("k", "163741");
    assert_int_equal(a.hash, b.hash);
    assert_int_equal(c.hash, d.hash);
    assert_true(order_of("190761", NULL, "71602", NULL) < 0);
    assert_true(order_of("k", "132787", "k", "163741") < 0);
}

static void texts_too_long_for_a_tag_are_none(void **state)
{
    (void)state;
    char text[COVEY_TAG_VALUE_MAX + 2] = {0};
    struct cv_tag_term out = {.hash = 42};
    memset(text, 'x', COVEY_TAG_VALUE_MAX + 1);
    char *const key = text + COVEY_TAG_VALUE_MAX + 1 - COVEY_TAG_KEY_MAX;
    char *const value = text + 1;
    term(key, value);
    assert_false(cv_tag_term_of(fixture_secret, key - 1, "v", &out));
    assert_false(cv_tag_term_of(fixture_secret, key - 1, NULL, &out));
    assert_false(cv_tag_term_of(fixture_secret, "k", value - 1, &out));
    assert_int_equal(out.hash, 42);
}

static void the_secret_counts(void **state)
{
    (void)state;
    static const uint64_t other[2] = {1, 3};
    const struct cv_tag_term a = term("role", "worker");
    struct cv_tag_term b;
    assert_true(cv_tag_term_of(other, "role", "worker", &b));
    assert_int_not_equal(a.hash, b.hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_texts_are_equal),
        cmocka_unit_test(other_texts_are_not),
        cmocka_unit_test(texts_decide_where_hashes_are_equal),
        cmocka_unit_test(texts_too_long_for_a_tag_are_none),
        cmocka_unit_test(the_secret_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
