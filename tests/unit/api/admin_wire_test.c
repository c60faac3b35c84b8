#include "api/admin_wire.h"

#include <covey/error.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct cv_admin_tag marked(void)
{
    struct cv_admin_tag tag;
    memset(&tag, 'x', sizeof tag);
    return tag;
}

static void text_of(char *text, size_t size)
{
    memset(text, 'a', size);
    text[size] = '\0';
}

static struct cv_slice write_set(uint8_t *bytes, size_t size, const char *key, const char *value)
{
    struct cv_writer w;
    cv_writer_init(&w, bytes, size);
    cv_admin_tag_set_write(&w, key, value);
    assert_true(cv_writer_ok(&w));
    return cv_writer_bytes(&w);
}

static void assert_set_malformed(struct cv_slice request)
{
    struct cv_admin_tag tag = marked();
    struct cv_admin_tag before = marked();
    assert_int_equal(cv_admin_tag_set_read(request, &tag), COVEY_ERR_MALFORMED);
    assert_memory_equal(&tag, &before, sizeof tag);
}

static void assert_remove_malformed(struct cv_slice request)
{
    struct cv_admin_tag tag = marked();
    struct cv_admin_tag before = marked();
    assert_int_equal(cv_admin_tag_remove_read(request, &tag), COVEY_ERR_MALFORMED);
    assert_memory_equal(&tag, &before, sizeof tag);
}

static void set_has_these_bytes(void **state)
{
    (void)state;
    uint8_t bytes[16];
    struct cv_slice request = write_set(bytes, sizeof bytes, "role", "db");
    assert_int_equal(request.size, 8);
    assert_memory_equal(request.data,
                        "\x04role\x02"
                        "db",
                        8);
}

static void remove_has_these_bytes(void **state)
{
    (void)state;
    uint8_t bytes[16];
    struct cv_writer w;
    cv_writer_init(&w, bytes, sizeof bytes);
    cv_admin_tag_remove_write(&w, "role");
    assert_int_equal(cv_writer_size(&w), 5);
    assert_memory_equal(bytes, "\x04role", 5);
}

static void set_comes_back(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 0}, {1, 1}, {63, 127}, {64, 128}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char key[COVEY_TAG_KEY_MAX + 1];
        char value[COVEY_TAG_VALUE_MAX + 1];
        uint8_t bytes[CV_ADMIN_REQUEST_SIZE_MAX];
        struct cv_admin_tag tag = marked();
        text_of(key, sizes[i][0]);
        text_of(value, sizes[i][1]);
        struct cv_slice request = write_set(bytes, sizeof bytes, key, value);
        assert_int_equal(cv_admin_tag_set_read(request, &tag), 0);
        assert_string_equal(tag.key, key);
        assert_string_equal(tag.value, value);
    }
}

static void remove_comes_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 63, 64};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char key[COVEY_TAG_KEY_MAX + 1];
        uint8_t bytes[CV_ADMIN_REQUEST_SIZE_MAX];
        struct cv_admin_tag tag = marked();
        struct cv_writer w;
        text_of(key, sizes[i]);
        cv_writer_init(&w, bytes, sizeof bytes);
        cv_admin_tag_remove_write(&w, key);
        assert_int_equal(cv_admin_tag_remove_read(cv_writer_bytes(&w), &tag), 0);
        assert_string_equal(tag.key, key);
        assert_string_equal(tag.value, "");
    }
}

static void too_long_is_malformed(void **state)
{
    (void)state;
    char key[COVEY_TAG_KEY_MAX + 2];
    char value[COVEY_TAG_VALUE_MAX + 2];
    uint8_t bytes[CV_ADMIN_REQUEST_SIZE_MAX + 2];
    text_of(key, COVEY_TAG_KEY_MAX + 1);
    text_of(value, COVEY_TAG_VALUE_MAX + 1);
    assert_set_malformed(write_set(bytes, sizeof bytes, key, "v"));
    assert_set_malformed(write_set(bytes, sizeof bytes, "k", value));
    struct cv_writer w;
    cv_writer_init(&w, bytes, sizeof bytes);
    cv_admin_tag_remove_write(&w, key);
    assert_remove_malformed(cv_writer_bytes(&w));
}

static void every_other_size_is_malformed(void **state)
{
    (void)state;
    uint8_t bytes[16] = {0};
    struct cv_slice request = write_set(bytes, sizeof bytes, "role", "db");
    for (size_t size = 0; size <= request.size + 1; size++) {
        if (size != request.size)
            assert_set_malformed(cv_slice_of(bytes, size));
        if (size != 5)
            assert_remove_malformed(cv_slice_of(bytes, size));
    }
}

static void texts_are_utf8_without_nul(void **state)
{
    (void)state;
    assert_set_malformed(cv_slice_of("\x00\x01v", 3)); /* no key */
    assert_set_malformed(cv_slice_of("\x02"
                                     "a\x00\x00",
                                     4)); /* a NUL in the key */
    assert_set_malformed(cv_slice_of("\x01k\x01\x00", 4));
    assert_set_malformed(cv_slice_of("\x01\xff\x00", 3));
    assert_set_malformed(cv_slice_of("\x01k\x01\xff", 4));
    assert_remove_malformed(cv_slice_of("\x00", 1));
    assert_remove_malformed(cv_slice_of("\x01\xff", 2));
    assert_remove_malformed(cv_slice_of("\x01\x00", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_has_these_bytes),
        cmocka_unit_test(remove_has_these_bytes),
        cmocka_unit_test(set_comes_back),
        cmocka_unit_test(remove_comes_back),
        cmocka_unit_test(too_long_is_malformed),
        cmocka_unit_test(every_other_size_is_malformed),
        cmocka_unit_test(texts_are_utf8_without_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
