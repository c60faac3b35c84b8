#include "base/address.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct cv_address address_of(const char *text)
{
    struct cv_address address = {0};
    if (cv_address_parse(&address, text) != 0)
        fail_msg("not an address: %s", text);
    return address;
}

static void text_is_parsed_to_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct cv_address address;
    } cases[] = {
        {"192.0.2.1:4433", {.family = 4, .ip = {192, 0, 2, 1}, .port = 4433}},
        {"0.0.0.0:0", {.family = 4, .port = 0}},
        {"255.255.255.255:65535", {.family = 4, .ip = {255, 255, 255, 255}, .port = 65535}},
        {"[::]:1", {.family = 6, .port = 1}},
        {"[2001:db8::1]:4433",
         {.family = 6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, .port = 4433}},
        {"[fe80::1%2]:65535",
         {.family = 6, .ip = {0xfe, 0x80, [15] = 1}, .port = 65535, .scope = 2}},
        {"[febf::%4294967295]:1",
         {.family = 6, .ip = {0xfe, 0xbf}, .port = 1, .scope = UINT32_MAX}},
        {"[::ffff:192.0.2.1]:1", {.family = 6, .ip = {[10] = 0xff, 0xff, 192, 0, 2, 1}, .port = 1}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cv_address address = address_of(cases[i].text);
        assert_memory_equal(&address, &cases[i].address, sizeof address);
        char text[CV_ADDRESS_TEXT_SIZE];
        assert_ptr_equal(cv_address_text(&address, text), text);
        assert_string_equal(text, cases[i].text);
    }
}

static void text_is_the_shortest_form(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[2001:0DB8:0:0:0:0:0:1]:80", "[2001:db8::1]:80"},
        {"[0:0:0:0:0:0:0:0]:0", "[::]:0"},
        {"[FE80::1%3]:80", "[fe80::1%3]:80"},
        {"[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
         "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[CV_ADDRESS_TEXT_SIZE];
        struct cv_address address = address_of(cases[i][0]);
        assert_string_equal(cv_address_text(&address, text), cases[i][1]);
    }
}

static void no_address_is_a_dash(void **state)
{
    (void)state;
    char text[CV_ADDRESS_TEXT_SIZE];
    assert_string_equal(cv_address_text(&(struct cv_address){0}, text), "-");
}

static void other_text_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        ":",
        ":80",
        "-",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:4294967297",
        "192.0.2.1:18446744073709551617",
        "192.0.2.1:-1",
        "192.0.2.1:+1",
        "192.0.2.1: 1",
        "192.0.2.1:1 ",
        "192.0.2.1:01",
        "192.0.2.1:00",
        "192.0.2.1:0x1",
        "192.0.2.1:http",
        " 192.0.2.1:1",
        "192.0.2:1",
        "192.0.2.1.5:1",
        "192.0.2.256:1",
        "192.0.2.01:1",
        "192.0.2.1:2:3",
        "0x7f.1:1",
        "2130706433:1",
        "localhost:1",
        "[192.0.2.1]:1",
        "::1:1",
        "::1",
        "[::1]",
        "[::1]1",
        "[::1:1",
        "::1]:1",
        "[]:1",
        "[[::1]]:1",
        "[::1]:65536",
        "[:::1]:1",
        "[1::2::3]:1",
        "[12345::]:1",
        "[1:2:3:4:5:6:7]:1",
        "[1:2:3:4:5:6:7:8:9]:1",
        "[::g]:1",
        "[fe80::1%]:1",
        "[fe80::1%0]:1",
        "[fe80::1%01]:1",
        "[fe80::1%-1]:1",
        "[fe80::1%eth0]:1",
        "[fe80::1%4294967296]:1",
        "[fe80::1%1%2]:1",
        "[2001:db8::1%1]:1",
        "[fec0::1%1]:1",
        "[%1]:1",
        "[::1]:1x",
        "[2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd]:1",
    };
    const struct cv_address before = address_of("192.0.2.9:9");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cv_address address = before;
        if (cv_address_parse(&address, cases[i]) != COVEY_ERR_ADDRESS)
            fail_msg("accepted: %s", cases[i]);
        assert_true(cv_address_equal(&address, &before));
    }
}

static void host_and_port_are_split(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } cases[] = {
        {"localhost:0", "localhost", 0},
        {"a:65535", "a", 65535},
        {"node-1.example_2.org.:4433", "node-1.example_2.org.", 4433},
        {"192.0.2.1:80", "192.0.2.1", 80},
        {"[::1]:80", "::1", 80},
        {"[::]:80", "::", 80},
        {"[fe80::1%eth0.1]:80", "fe80::1%eth0.1", 80},
        {"[fe80::1%2]:80", "fe80::1%2", 80},
        {"[::ffff:192.0.2.1]:80", "::ffff:192.0.2.1", 80},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char host[64];
        uint16_t port = 7;
        assert_int_equal(cv_address_split(cases[i].text, host, sizeof host, &port), 0);
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
}

static void what_cannot_be_split_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",        "host",        "host:",       ":1",          "host:65536",
        "host:1a", "host:01",     "host:-1",     "a b:1",       "a\n:1",
        "a/b:1",   "a%1:1",       "h\xc3\xb6:1", "::1:1",       "host:1:2",
        "[::1]",   "[::1]x:1",    "[host]:1",    "[]:1",        "[:1",
        "]:1",     "[1.2.3.4]:1", "[::1%]:1",    "[::1%a b]:1", "[::1%a%b]:1",
        "[%a]:1",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char host[64] = "unchanged";
        uint16_t port = 7;
        if (cv_address_split(cases[i], host, sizeof host, &port) != COVEY_ERR_ADDRESS)
            fail_msg("accepted: %s", cases[i]);
        assert_string_equal(host, "unchanged");
        assert_int_equal(port, 7);
    }
}

static void host_must_fit(void **state)
{
    (void)state;
    char host[8] = "";
    uint16_t port;
    assert_int_equal(cv_address_split("1234567:1", host, sizeof host, &port), 0);
    assert_string_equal(host, "1234567");
    assert_int_equal(cv_address_split("12345678:1", host, sizeof host, &port), COVEY_ERR_ADDRESS);
    assert_int_equal(cv_address_split("[2001::1]:1", host, sizeof host, &port), 0);
    assert_int_equal(cv_address_split("[2001::12]:1", host, sizeof host, &port), COVEY_ERR_ADDRESS);
    assert_int_equal(cv_address_split("a:1", host, 1, &port), COVEY_ERR_ADDRESS);
    assert_int_equal(cv_address_split("a:1", host, 0, &port), COVEY_ERR_ADDRESS);
    assert_string_equal(host, "2001::1");
}

static void addresses_are_equal_by_all_fields(void **state)
{
    (void)state;
    static const char *const different[] = {
        "192.0.2.1:1", "192.0.2.1:2",   "192.0.2.2:1",   "[c000:201::]:1",
        "[fe80::1]:1", "[fe80::1%1]:1", "[fe80::1%2]:1",
    };
    for (size_t i = 0; i < COUNT(different); i++) {
        for (size_t j = 0; j < COUNT(different); j++) {
            struct cv_address a = address_of(different[i]), b = address_of(different[j]);
            assert_int_equal(cv_address_equal(&a, &b), i == j);
        }
    }
}

static void wildcards(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_wildcard;
    } cases[] = {
        {"0.0.0.0:0", true},    {"0.0.0.0:1", true},
        {"[::]:0", true},       {"[::]:1", true},
        {"0.0.0.1:1", false},   {"1.0.0.0:1", false},
        {"[::1]:1", false},     {"[8000::]:1", false},
        {"127.0.0.1:1", false}, {"[::ffff:0.0.0.0]:1", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cv_address address = address_of(cases[i].text);
        assert_int_equal(cv_address_is_wildcard(&address), cases[i].is_wildcard);
    }
    assert_false(cv_address_is_wildcard(&(struct cv_address){0}));
}

static const struct {
    const char *text;
    bool is_usable;
} usable_cases[] = {
    {"192.0.2.1:1", true},
    {"192.0.2.1:65535", true},
    {"192.0.2.1:0", false},
    {"127.0.0.1:1", true},
    {"0.0.0.0:1", false},
    {"0.0.0.1:1", true},
    {"223.255.255.255:1", true},
    {"224.0.0.0:1", false},
    {"239.255.255.255:1", false},
    {"240.0.0.1:1", true},
    {"255.255.255.254:1", true},
    {"255.255.255.255:1", false},
    {"[::1]:1", true},
    {"[::1]:0", false},
    {"[::]:1", false},
    {"[2001:db8::1]:4433", true},
    {"[fe80::1]:1", true},
    {"[feff::1]:1", true},
    {"[ff00::]:1", false},
    {"[ff02::1]:1", false},
    {"[ffff:ffff::]:1", false},
    {"[::ffff:192.0.2.1]:1", false},
    {"[::ffff:224.0.0.1]:1", false},
    {"[::ffff:0.0.0.0]:1", false},
    {"[::fffe:192.0.2.1]:1", true},
};

static void usable_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(usable_cases); i++) {
        struct cv_address address = address_of(usable_cases[i].text);
        assert_int_equal(cv_address_is_usable(&address), usable_cases[i].is_usable);
    }
    assert_false(cv_address_is_usable(&(struct cv_address){0}));
    assert_false(cv_address_is_usable(&(struct cv_address){.family = 5, .ip = {1}, .port = 1}));
}

static void only_usable_addresses_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(usable_cases); i++) {
        uint8_t memory[19];
        struct cv_writer w;
        struct cv_reader r;
        struct cv_address address = address_of(usable_cases[i].text);
        size_t size = address.family == 4 ? 7 : 19;
        cv_writer_init(&w, memory, sizeof memory);
        cv_address_write(&w, &address);
        assert_int_equal(cv_writer_size(&w), size);
        cv_reader_init(&r, cv_writer_bytes(&w));
        struct cv_address read = cv_address_read(&r);
        assert_int_equal(cv_reader_done(&r), usable_cases[i].is_usable);
        if (!usable_cases[i].is_usable)
            address = (struct cv_address){0};
        assert_true(cv_address_equal(&read, &address));
    }
}

static void wire_form(void **state)
{
    (void)state;
    static const uint8_t four[] = {4, 192, 0, 2, 1, 0x11, 0x51};
    static const uint8_t six[] = {6, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80};
    uint8_t memory[26];
    struct cv_writer w;
    cv_writer_init(&w, memory, sizeof memory);
    struct cv_address address = address_of("192.0.2.1:4433");
    cv_address_write(&w, &address);
    address = address_of("[fe80::1%5]:80");
    cv_address_write(&w, &address);
    assert_int_equal(cv_writer_left(&w), 0);
    assert_memory_equal(memory, four, sizeof four);
    assert_memory_equal(memory + sizeof four, six, sizeof six);

    struct cv_reader r;
    cv_reader_init(&r, cv_slice_of(six, sizeof six));
    struct cv_address without_scope = cv_address_read(&r);
    address.scope = 0;
    assert_true(cv_address_equal(&without_scope, &address));
}

static void damaged_wire_forms_are_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[19] = {6, 0x20, 1, 0x0d, 0xb8, [17] = 1, 1};
    for (size_t size = 0; size < sizeof bytes; size++) {
        struct cv_reader r;
        cv_reader_init(&r, cv_slice_of(bytes, size));
        struct cv_address address = cv_address_read(&r);
        assert_false(cv_reader_ok(&r));
        assert_true(cv_address_equal(&address, &(struct cv_address){0}));
    }
    for (unsigned family = 0; family < 256; family++) {
        uint8_t copy[19];
        memcpy(copy, bytes, sizeof copy);
        copy[0] = (uint8_t)family;
        copy[5] = 1; /* a port for IPv4 */
        struct cv_reader r;
        cv_reader_init(&r, cv_slice_of(copy, sizeof copy));
        (void)cv_address_read(&r);
        assert_int_equal(cv_reader_ok(&r), family == 4 || family == 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_parsed_to_bytes),
        cmocka_unit_test(text_is_the_shortest_form),
        cmocka_unit_test(no_address_is_a_dash),
        cmocka_unit_test(other_text_is_refused),
        cmocka_unit_test(host_and_port_are_split),
        cmocka_unit_test(what_cannot_be_split_is_refused),
        cmocka_unit_test(host_must_fit),
        cmocka_unit_test(addresses_are_equal_by_all_fields),
        cmocka_unit_test(wildcards),
        cmocka_unit_test(usable_addresses),
        cmocka_unit_test(only_usable_addresses_are_read),
        cmocka_unit_test(wire_form),
        cmocka_unit_test(damaged_wire_forms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
