#include "quic/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void expect_round_trip(const char *text)
{
    struct cv_path p;
    struct cv_address address;
    struct cv_address none = {0};
    assert_int_equal(cv_address_parse(&address, text), 0);
    cv_path_init(&p, &none, &address);
    struct cv_address back = cv_path_address(&p.path.remote);
    assert_true(cv_address_equal(&address, &back));
    back = cv_path_address(&p.path.local);
    assert_int_equal(back.family, address.family);
    assert_true(cv_address_is_wildcard(&back));
}

static void test_round_trip(void **state)
{
    (void)state;
    expect_round_trip("192.0.2.1:4433");
    expect_round_trip("255.255.255.255:65535");
    expect_round_trip("[2001:db8::1]:1");
    expect_round_trip("[::1]:4433");
}

static void test_scope_is_kept(void **state)
{
    struct cv_path p;
    struct cv_address local = {.ip = {0xfe, 0x80}, .port = 7, .family = 6, .scope = 3};
    (void)state;
    cv_path_init(&p, &local, &local);
    struct cv_address back = cv_path_address(&p.path.local);
    assert_true(cv_address_equal(&local, &back));
}

static void test_no_address(void **state)
{
    ngtcp2_addr none = {0};
    struct cv_address expected = {0};
    (void)state;
    struct cv_address back = cv_path_address(&none);
    assert_true(cv_address_equal(&back, &expected));
}

static struct cv_address seen(struct cv_path_end *end, const char *text)
{
    struct cv_path p;
    struct cv_address address;
    assert_int_equal(cv_address_parse(&address, text), 0);
    cv_path_init(&p, &address, &address);
    return *cv_path_end_address(end, &p.path.remote);
}

static void expect_seen(struct cv_path_end *end, const char *text)
{
    struct cv_address expected;
    assert_int_equal(cv_address_parse(&expected, text), 0);
    struct cv_address address = seen(end, text);
    assert_true(cv_address_equal(&address, &expected));
}

/* Whatever came before: the same end, another port, another host, another family, none. */
static void test_an_end_is_the_one_given(void **state)
{
    struct cv_path_end end = {.size = 0};
    const ngtcp2_addr none = {0};
    (void)state;
    expect_seen(&end, "192.0.2.1:4433");
    expect_seen(&end, "192.0.2.1:4433");
    expect_seen(&end, "192.0.2.1:4434");
    expect_seen(&end, "192.0.2.2:4434");
    expect_seen(&end, "[2001:db8::1]:4434");
    expect_seen(&end, "[2001:db8::2]:4434");
    expect_seen(&end, "192.0.2.2:4434");
    assert_int_equal(cv_path_end_address(&end, &none)->family, 0);
    expect_seen(&end, "192.0.2.2:4434");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_scope_is_kept),
        cmocka_unit_test(test_no_address),
        cmocka_unit_test(test_an_end_is_the_one_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
