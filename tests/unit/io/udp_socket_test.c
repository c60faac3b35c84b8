#define _GNU_SOURCE
#include "io/udp_socket.h"

#include "unit/io/fixture.h"

#include <covey/error.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* Stand before the C library's: a kernel that does not know an option of UDP's. */
static int unknown_option;

int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    if (level == SOL_UDP && option == unknown_option) {
        errno = ENOPROTOOPT;
        return -1;
    }
    return (int)syscall(SYS_setsockopt, fd, level, option, value, size);
}

int getsockopt(int fd, int level, int option, void *restrict value, socklen_t *restrict size)
{
    if (level == SOL_UDP && option == unknown_option) {
        errno = ENOPROTOOPT;
        return -1;
    }
    return (int)syscall(SYS_getsockopt, fd, level, option, value, size);
}

static struct cv_udp_config config_of(const char *bind)
{
    struct cv_udp_config config;
    cv_udp_config_init(&config);
    assert_int_equal(cv_address_parse(&config.bind, bind), 0);
    return config;
}

static int option_of(int fd, int level, int option)
{
    int value = -1;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &size), 0);
    return value;
}

static void the_kernel_picks_a_port(void **state)
{
    (void)state;
    struct cv_udp_config config = config_of("127.0.0.1:0");
    struct cv_udp_socket s;
    assert_int_equal(cv_udp_socket_open(&s, &config), 0);
    assert_int_not_equal(s.local.port, 0);
    config.bind.port = s.local.port;
    assert_true(cv_address_equal(&s.local, &config.bind));
    assert_false(s.wildcard);
    cv_udp_socket_close(&s);
}

static void the_socket_never_blocks_and_is_not_inherited(void **state)
{
    (void)state;
    struct cv_udp_config config = config_of("127.0.0.1:0");
    struct cv_udp_socket s;
    assert_int_equal(cv_udp_socket_open(&s, &config), 0);
    assert_true(fcntl(s.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
    cv_udp_socket_close(&s);
}

static void packets_are_never_cut_and_icmp_does_not_set_their_size(void **state)
{
    (void)state;
    struct cv_udp_config config = config_of("127.0.0.1:0");
    struct cv_udp_socket s;
    assert_int_equal(cv_udp_socket_open(&s, &config), 0);
    assert_int_equal(option_of(s.fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_PROBE);
    cv_udp_socket_close(&s);
    config = config_of("[::1]:0");
    if (cv_udp_socket_open(&s, &config) != 0)
        skip();
    assert_int_equal(option_of(s.fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_PROBE);
    cv_udp_socket_close(&s);
}

static void an_ipv6_wildcard_leaves_ipv4_alone(void **state)
{
    (void)state;
    struct cv_udp_config config = config_of("[::]:0");
    struct cv_udp_socket v6;
    struct cv_udp_socket v4;
    if (cv_udp_socket_open(&v6, &config) != 0)
        skip();
    assert_true(v6.wildcard);
    config = config_of("0.0.0.0:0");
    config.bind.port = v6.local.port;
    assert_int_equal(cv_udp_socket_open(&v4, &config), 0);
    assert_true(v4.wildcard);
    cv_udp_socket_close(&v4);
    cv_udp_socket_close(&v6);
}

static void buffers_have_the_wanted_size_or_what_the_kernel_gives(void **state)
{
    (void)state;
    struct cv_udp_config config = config_of("127.0.0.1:0");
    struct cv_udp_socket s;
    config.buffer_size = 100000;
    assert_int_equal(cv_udp_socket_open(&s, &config), 0);
    assert_in_range(s.features.receive_buffer, 100000, 200000);
    assert_in_range(s.features.send_buffer, 100000, 200000);
    cv_udp_socket_close(&s);
    config.buffer_size = UINT32_MAX;
    assert_int_equal(cv_udp_socket_open(&s, &config), 0);
    assert_true(s.features.receive_buffer >= 100000);
    cv_udp_socket_close(&s);
    config.buffer_size = 0;
    assert_int_equal(cv_udp_socket_open(&s, &config), 0);
    assert_true(s.features.receive_buffer > 0);
    cv_udp_socket_close(&s);
}

static void what_the_config_leaves_out_is_off(void **state)
{
    (void)state;
    struct cv_udp_config config = config_of("127.0.0.1:0");
    struct cv_udp_socket s;
    config.no_gso = true;
    config.no_gro = true;
    config.no_mmsg = true;
    assert_int_equal(cv_udp_socket_open(&s, &config), 0);
    assert_false(s.features.gso);
    assert_false(s.features.gro);
    assert_false(s.features.mmsg);
    assert_true(s.features.ecn);
    cv_udp_socket_close(&s);
}

static void what_the_kernel_does_not_know_is_off(void **state)
{
    (void)state;
    struct cv_udp_config config = config_of("127.0.0.1:0");
    struct cv_udp_socket s;
    unknown_option = UDP_SEGMENT;
    assert_int_equal(cv_udp_socket_open(&s, &config), 0);
    assert_false(s.features.gso);
    assert_true(s.features.mmsg);
    cv_udp_socket_close(&s);
    unknown_option = UDP_GRO;
    assert_int_equal(cv_udp_socket_open(&s, &config), 0);
    assert_false(s.features.gro);
    cv_udp_socket_close(&s);
    unknown_option = 0;
}

struct log {
    unsigned lines;
};

static void count_line(void *user, enum cv_log_level level, const char *line)
{
    struct log *log = user;
    (void)level;
    (void)line;
    log->lines++;
}

static void errors_are_told_apart(void **state)
{
    (void)state;
    struct log counter = {0};
    struct cv_log log = {.write = count_line, .user = &counter, .level = CV_LOG_ERROR};
    struct cv_udp_config config = config_of("127.0.0.1:0");
    struct cv_udp_socket s;
    struct cv_udp_socket second = {.fd = -7};
    size_t fds = count_fds();
    config.log = &log;
    assert_int_equal(cv_udp_socket_open(&s, &config), 0);
    assert_int_equal(counter.lines, 0);
    config.bind = s.local;
    assert_int_equal(cv_udp_socket_open(&second, &config), COVEY_ERR_ADDRESS_IN_USE);
    assert_int_equal(counter.lines, 1);
    assert_int_equal(second.fd, -7);
    cv_udp_socket_close(&s);

    config = config_of("192.0.2.1:0");
    assert_int_equal(cv_udp_socket_open(&s, &config), COVEY_ERR_ADDRESS);
    config = config_of("[fe80::1234]:0");
    assert_int_equal(cv_udp_socket_open(&s, &config), COVEY_ERR_ADDRESS);
    config.bind = (struct cv_address){0};
    assert_int_equal(cv_udp_socket_open(&s, &config), COVEY_ERR_ADDRESS);
    assert_int_equal(count_fds(), fds);
}

static void two_sockets_may_share_a_port(void **state)
{
    (void)state;
    struct cv_udp_config config = config_of("127.0.0.1:0");
    struct cv_udp_socket first;
    struct cv_udp_socket second;
    config.reuse_port = true;
    assert_int_equal(cv_udp_socket_open(&first, &config), 0);
    config.bind = first.local;
    assert_int_equal(cv_udp_socket_open(&second, &config), 0);
    assert_true(cv_address_equal(&first.local, &second.local));
    cv_udp_socket_close(&second);
    cv_udp_socket_close(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_picks_a_port),
        cmocka_unit_test(the_socket_never_blocks_and_is_not_inherited),
        cmocka_unit_test(packets_are_never_cut_and_icmp_does_not_set_their_size),
        cmocka_unit_test(an_ipv6_wildcard_leaves_ipv4_alone),
        cmocka_unit_test(buffers_have_the_wanted_size_or_what_the_kernel_gives),
        cmocka_unit_test(what_the_config_leaves_out_is_off),
        cmocka_unit_test(what_the_kernel_does_not_know_is_off),
        cmocka_unit_test(errors_are_told_apart),
        cmocka_unit_test(two_sockets_may_share_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
