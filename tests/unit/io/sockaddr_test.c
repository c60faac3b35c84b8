#include "io/sockaddr.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static struct cv_address address_of(const char *text)
{
    struct cv_address address;
    assert_int_equal(cv_address_parse(&address, text), 0);
    return address;
}

static void assert_round_trip(const struct cv_address *address, socklen_t expected)
{
    union cv_sockaddr kernel;
    memset(&kernel, 0xa5, sizeof kernel);
    assert_int_equal(cv_sockaddr_set(&kernel, address), expected);
    struct cv_address back = cv_sockaddr_get(&kernel.any);
    assert_true(cv_address_equal(&back, address));
}

static void addresses_come_back_as_they_were(void **state)
{
    (void)state;
    static const char *const v4[] = {"0.0.0.0:0", "127.0.0.1:4433", "255.255.255.255:65535"};
    static const char *const v6[] = {"[::]:0", "[2001:db8::1]:4433", "[fe80::1%7]:65535"};
    for (int i = 0; i < 3; i++) {
        struct cv_address a = address_of(v4[i]);
        struct cv_address b = address_of(v6[i]);
        assert_round_trip(&a, sizeof(struct sockaddr_in));
        assert_round_trip(&b, sizeof(struct sockaddr_in6));
    }
}

static void the_kernel_reads_what_we_mean(void **state)
{
    (void)state;
    union cv_sockaddr kernel;
    char text[INET6_ADDRSTRLEN];
    struct cv_address address = address_of("192.0.2.33:4433");
    (void)cv_sockaddr_set(&kernel, &address);
    assert_int_equal(kernel.v4.sin_family, AF_INET);
    assert_int_equal(ntohs(kernel.v4.sin_port), 4433);
    assert_string_equal(inet_ntop(AF_INET, &kernel.v4.sin_addr, text, sizeof text), "192.0.2.33");

    address = address_of("[fe80::2%9]:1");
    (void)cv_sockaddr_set(&kernel, &address);
    assert_int_equal(kernel.v6.sin6_family, AF_INET6);
    assert_int_equal(ntohs(kernel.v6.sin6_port), 1);
    assert_int_equal(kernel.v6.sin6_scope_id, 9);
    assert_string_equal(inet_ntop(AF_INET6, &kernel.v6.sin6_addr, text, sizeof text), "fe80::2");
}

static void no_address_is_none(void **state)
{
    (void)state;
    union cv_sockaddr kernel;
    struct cv_address none = {0};
    assert_int_equal(cv_sockaddr_set(&kernel, &none), 0);
    struct cv_address back = cv_sockaddr_get(&kernel.any);
    assert_true(cv_address_equal(&back, &none));

    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/somewhere"};
    back = cv_sockaddr_get((const struct sockaddr *)&local);
    assert_true(cv_address_equal(&back, &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_come_back_as_they_were),
        cmocka_unit_test(the_kernel_reads_what_we_mean),
        cmocka_unit_test(no_address_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
