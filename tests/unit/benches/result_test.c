#include "result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct histogram latency;

/* What is printed, up to `size` bytes. */
static void print(const struct options *o, const struct result *r, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");
    assert_non_null(out);
    result_print(out, "rpc", o, r);
    fclose(out);
}

static void json_is_one_line_with_all_figures(void **state)
{
    const struct options o = {
        .connections = 4, .inflight = 128, .size = 64, .reply_size = 1024, .json = true};
    const struct result r = {.seconds = 2,
                             .calls = 1000,
                             .errors = 3,
                             .latency = &latency,
                             .client_cpu_s = 0.004,
                             .server_cpu_s = 0.005,
                             .server_rss_kib = 4321};
    char text[1024] = {0};
    (void)state;
    memset(&latency, 0, sizeof latency);
    histogram_add(&latency, 100);
    print(&o, &r, text, sizeof text);
    assert_string_equal(text, "{\"bench\":\"rpc\",\"connections\":4,\"inflight\":128,\"size\":64,"
                              "\"reply_size\":1024,\"seconds\":2.000,\"calls\":1000,\"errors\":3,"
                              "\"calls_per_s\":500,\"p50_us\":0.1,\"p99_us\":0.1,\"p999_us\":0.1,"
                              "\"client_cpu_us_per_call\":4.00,\"server_cpu_us_per_call\":5.00,"
                              "\"server_rss_kib\":4321}\n");
}

static void a_run_without_calls_divides_by_nothing(void **state)
{
    const struct options o = {.connections = 1, .inflight = 1, .size = 64, .json = true};
    const struct result r = {.latency = &latency};
    char text[1024] = {0};
    (void)state;
    memset(&latency, 0, sizeof latency);
    print(&o, &r, text, sizeof text);
    assert_non_null(strstr(text, "\"reply_size\":64,"));
    assert_non_null(strstr(text, "\"calls_per_s\":0,"));
    assert_null(strstr(text, "nan"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_one_line_with_all_figures),
        cmocka_unit_test(a_run_without_calls_divides_by_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
