#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct options o;
static char reason[OPTIONS_REASON_SIZE];

/* The arguments of a command line, without the program's name. */
static bool parse(const char *const *arguments)
{
    char *argv[16] = {(char *)(uintptr_t) "bench"};
    int argc = 1;
    for (; arguments[argc - 1] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
    memset(reason, 0, sizeof reason);
    return options_parse(argc, argv, &o, reason);
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void has_defaults(void **state)
{
    (void)state;
    assert_true(parse((const char *const[]){NULL}));
    const struct options wanted = {
        .connections = 1, .inflight = 64, .size = 64, .seconds = 3, .loops = 1};
    assert_memory_equal(&o, &wanted, sizeof o);
    assert_int_equal(options_reply_size(&o), 64);
}

static void takes_every_flag(void **state)
{
    (void)state;
    assert_true(PARSE("--connections", "4", "--inflight=128", "--size", "0", "--reply-size",
                      "65536", "--seconds", "2", "--rate", "1000"));
    assert_int_equal(o.connections, 4);
    assert_int_equal(o.inflight, 128);
    assert_int_equal(o.size, 0);
    assert_int_equal(o.reply_size, 65536);
    assert_int_equal(options_reply_size(&o), 65536);
    assert_int_equal(o.seconds, 2);
    assert_int_equal(o.rate, 1000);
    assert_true(
        PARSE("--loss", "0.5", "--busy-poll", "50", "--loops", "2", "--blocking", "--json"));
    assert_int_equal(o.loss_ppm, 5000);
    assert_int_equal(o.busy_poll_us, 50);
    assert_int_equal(o.loops, 2);
    assert_true(o.blocking);
    assert_true(o.json);
}

static void bounds_are_inclusive(void **state)
{
    (void)state;
    assert_true(PARSE("--inflight", "20000"));
    assert_false(PARSE("--inflight", "20001"));
    assert_true(PARSE("--connections", "1000"));
    assert_false(PARSE("--connections", "1001"));
    assert_true(PARSE("--size", "4194304"));
    assert_false(PARSE("--size", "4194305"));
    assert_false(PARSE("--inflight", "0"));
    assert_true(PARSE("--loss", "50"));
    assert_false(PARSE("--loss", "50.1"));
}

static void refuses_what_is_no_number(void **state)
{
    (void)state;
    assert_false(PARSE("--inflight", "many"));
    assert_string_equal(reason, "many is not a number from 1 to 20000");
    assert_false(PARSE("--inflight", "1x"));
    assert_false(PARSE("--inflight", "-1"));
    assert_false(PARSE("--inflight", ""));
    assert_false(PARSE("--loss", "nan"));
    assert_false(PARSE("--unknown"));
    assert_false(PARSE("--inflight"));
    assert_false(PARSE("word"));
    assert_string_equal(reason, "there are flags only");
}

static void refuses_what_does_not_fit_together(void **state)
{
    (void)state;
    assert_true(PARSE("--connections", "1000", "--inflight", "100"));
    assert_false(PARSE("--connections", "1000", "--inflight", "101"));
    assert_true(PARSE("--inflight", "256", "--size", "4194304"));
    assert_false(PARSE("--inflight", "257", "--reply-size", "4194304"));
    assert_true(PARSE("--inflight", "1024", "--blocking"));
    assert_false(PARSE("--inflight", "1025", "--blocking"));
    assert_true(PARSE("--connections", "64", "--loss", "1"));
    assert_false(PARSE("--connections", "65", "--loss", "1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_defaults),
        cmocka_unit_test(takes_every_flag),
        cmocka_unit_test(bounds_are_inclusive),
        cmocka_unit_test(refuses_what_is_no_number),
        cmocka_unit_test(refuses_what_does_not_fit_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
