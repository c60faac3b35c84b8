#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct sink {
    size_t count;
    enum cv_log_level level;
    char line[2048];
};

static void sink_write(void *user, enum cv_log_level level, const char *line)
{
    struct sink *s = user;
    assert_true(strlen(line) < sizeof s->line);
    s->count++;
    s->level = level;
    strcpy(s->line, line);
}

static void line_is_formatted(void **state)
{
    (void)state;
    struct sink s = {0};
    struct cv_log log = {.write = sink_write, .user = &s, .level = CV_LOG_INFO};
    cv_log_line(&log, CV_LOG_WARNING, "%s has %d eggs", "hen", 3);
    assert_int_equal(s.count, 1);
    assert_int_equal(s.level, CV_LOG_WARNING);
    assert_string_equal(s.line, "hen has 3 eggs");
    cv_log_line(&log, CV_LOG_INFO, "%s", "");
    assert_int_equal(s.count, 2);
    assert_string_equal(s.line, "");
}

static void level_decides(void **state)
{
    (void)state;
    for (int set = CV_LOG_ERROR; set <= CV_LOG_DEBUG; set++) {
        for (int level = CV_LOG_ERROR; level <= CV_LOG_DEBUG; level++) {
            struct sink s = {0};
            struct cv_log log = {.write = sink_write, .user = &s, .level = (enum cv_log_level)set};
            cv_log_line(&log, (enum cv_log_level)level, "x");
            assert_int_equal(s.count, level <= set);
        }
    }
}

static void nowhere_to_write_is_silent(void **state)
{
    (void)state;
    struct sink s = {0};
    struct cv_log silent = {.user = &s, .level = CV_LOG_DEBUG};
    cv_log_line(NULL, CV_LOG_ERROR, "x");
    cv_log_line(&silent, CV_LOG_ERROR, "x");
    assert_int_equal(s.count, 0);
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'a', sizeof text);
    struct sink s = {0};
    struct cv_log log = {.write = sink_write, .user = &s, .level = CV_LOG_DEBUG};
    static const int sizes[][2] = {{1022, 1022}, {1023, 1023}, {1024, 1023}, {1999, 1023}};
    for (size_t i = 0; i < 4; i++) {
        cv_log_line(&log, CV_LOG_ERROR, "%.*s", sizes[i][0], text);
        assert_int_equal(strlen(s.line), sizes[i][1]);
        assert_int_equal(s.line[0], 'a');
    }
}

static void control_characters_are_replaced(void **state)
{
    (void)state;
    struct sink s = {0};
    struct cv_log log = {.write = sink_write, .user = &s, .level = CV_LOG_DEBUG};
    for (int c = 1; c < 256; c++) {
        bool control = c < 0x20 || c == 0x7f;
        cv_log_line(&log, CV_LOG_ERROR, "a%cb", c);
        char expected[] = {'a', control ? '?' : (char)c, 'b', '\0'};
        assert_string_equal(s.line, expected);
    }
    cv_log_line(&log, CV_LOG_ERROR, "peer \"%s\"", "x\r\n\x1b[2J\xc3\xa9");
    assert_string_equal(s.line, "peer \"x???[2J\xc3\xa9\"");
}

static void one_line_in_an_interval(void **state)
{
    (void)state;
    struct cv_log_limit limit = {0};
    uint64_t suppressed = 99;
    assert_true(cv_log_limit_pass(&limit, 0, 10, &suppressed));
    assert_true(suppressed == 0);
    suppressed = 99;
    for (covey_time now = 0; now < 10; now++)
        assert_false(cv_log_limit_pass(&limit, now, 10, &suppressed));
    assert_true(suppressed == 99);
    assert_true(cv_log_limit_pass(&limit, 10, 10, &suppressed));
    assert_true(suppressed == 10);
    assert_false(cv_log_limit_pass(&limit, 19, 10, &suppressed));
    assert_true(cv_log_limit_pass(&limit, 1000, 10, &suppressed));
    assert_true(suppressed == 1);
    assert_true(cv_log_limit_pass(&limit, 1010, 10, &suppressed));
    assert_true(suppressed == 0);
}

static void intervals_at_the_ends(void **state)
{
    (void)state;
    struct cv_log_limit limit = {0};
    uint64_t suppressed;
    assert_true(cv_log_limit_pass(&limit, 5, 0, &suppressed));
    assert_true(cv_log_limit_pass(&limit, 5, 0, &suppressed));
    /* The end of the interval lies past the end of time: it must not wrap. */
    assert_true(cv_log_limit_pass(&limit, 6, COVEY_NEVER, &suppressed));
    assert_false(cv_log_limit_pass(&limit, 7, COVEY_NEVER, &suppressed));
    assert_false(cv_log_limit_pass(&limit, COVEY_NEVER - 1, COVEY_NEVER, &suppressed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_is_formatted),
        cmocka_unit_test(level_decides),
        cmocka_unit_test(nowhere_to_write_is_silent),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(control_characters_are_replaced),
        cmocka_unit_test(one_line_in_an_interval),
        cmocka_unit_test(intervals_at_the_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
