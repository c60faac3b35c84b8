#define _GNU_SOURCE
#include "io/port_group.h"

#include "io/sockaddr.h"
#include "support/test_alloc.h"
#include "transport/route.h"
#include "unit/io/fixture.h"

#include <covey/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* Stand before the C library's: kernels that lack an option, and one that is short of sockets. */
static int unknown_option;
static unsigned sockets_left; /* the one at which it is 1 fails */

int setsockopt(int fd, int level, int option, const void *value, socklen_t size)
{
    if (level == SOL_SOCKET && option == unknown_option) {
        errno = ENOPROTOOPT;
        return -1;
    }
    return (int)syscall(SYS_setsockopt, fd, level, option, value, size);
}

int socket(int family, int type, int protocol)
{
    if (sockets_left > 0 && --sockets_left == 0) {
        errno = EMFILE;
        return -1;
    }
    return (int)syscall(SYS_socket, family, type, protocol);
}

static struct cv_port_group_config config_of(const struct test_alloc *memory, const char *bind,
                                             unsigned count)
{
    struct cv_port_group_config config = {.count = count};
    cv_udp_config_init(&config.udp);
    config.udp.alloc = &memory->alloc;
    config.udp.buffer_size = 256 * 1024;
    assert_int_equal(cv_address_parse(&config.udp.bind, bind), 0);
    return config;
}

struct fixture {
    struct test_alloc memory;
    struct cv_port_group_config config;
    struct cv_port_group *group;
};

static void init(struct fixture *f, const char *bind, unsigned count)
{
    test_alloc_init(&f->memory);
    f->config = config_of(&f->memory, bind, count);
    assert_int_equal(cv_port_group_open(&f->config, &f->group), 0);
}

static void fini(struct fixture *f)
{
    cv_port_group_close(f->group);
    test_alloc_assert_empty(&f->memory);
}

/* A bare socket of somebody else's. */
static int open_stranger(const struct cv_address *address, bool shares)
{
    union cv_sockaddr name;
    int on = shares;
    socklen_t size = cv_sockaddr_set(&name, address);
    int fd = socket(name.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    if (bind(fd, &name.any, size) == 0)
        return fd;
    assert_int_equal(errno, EADDRINUSE);
    (void)close(fd);
    return -1;
}

/* Sends one datagram to the group from a port of its own. */
static void send_to(const struct cv_address *to, const uint8_t *bytes, size_t size)
{
    union cv_sockaddr name;
    socklen_t name_size = cv_sockaddr_set(&name, to);
    int fd = socket(name.any.sa_family, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(sendto(fd, bytes, size, 0, &name.any, name_size), (ssize_t)size);
    (void)close(fd);
}

struct arrival {
    unsigned count;
    size_t size;
};

static void count_arrival(void *user, const struct cv_datagram *d)
{
    struct arrival *a = user;
    a->count++;
    a->size = d->bytes.size;
}

static unsigned arrivals_at(const struct cv_port_group *group, unsigned index, size_t size)
{
    struct arrival a = {0};
    const struct cv_udp_receiver receiver = {.datagram = count_arrival, .user = &a};
    while (cv_udp_receive(cv_port_group_socket(group, index), &receiver, 4, true) == CV_UDP_SOME)
        ;
    if (a.count > 0)
        assert_int_equal(a.size, size);
    return a.count;
}

/* Where one datagram arrived: loopback has delivered it when sendto() returns. */
static unsigned socket_of(const struct cv_port_group *group, const struct cv_address *to,
                          const uint8_t *bytes, size_t size)
{
    unsigned found = UINT32_MAX;
    send_to(to, bytes, size);
    for (unsigned i = 0; i < cv_port_group_count(group); i++) {
        unsigned count = arrivals_at(group, i, size);
        assert_in_range(count, 0, 1);
        if (count == 0)
            continue;
        assert_int_equal(found, UINT32_MAX);
        found = i;
    }
    assert_int_not_equal(found, UINT32_MAX);
    return found;
}

static void check_packet(const struct fixture *f, const struct cv_address *to, const uint8_t *bytes,
                         size_t size)
{
    unsigned expected = cv_route_loop(cv_slice_of(bytes, size), f->config.count);
    assert_int_equal(socket_of(f->group, to, bytes, size), expected);
}

/* Both header forms with every byte, and every size below what names a loop. */
static void check_all_packets(const struct fixture *f, const struct cv_address *to)
{
    static const uint8_t firsts[] = {0x00, 0x40, 0x7f, 0x80, 0xc3, 0xff};
    for (size_t i = 0; i < sizeof firsts; i++) {
        uint8_t packet[64];
        memset(packet, 0xa5, sizeof packet);
        packet[0] = firsts[i];
        for (size_t size = 1; size < 9; size++)
            check_packet(f, to, packet, size);
        for (unsigned byte = 0; byte < 256; byte++) {
            packet[firsts[i] >= 0x80 ? 6 : 1] = (uint8_t)byte;
            check_packet(f, to, packet, sizeof packet);
        }
    }
}

static void the_kernel_routes_as_the_function_does(void **state)
{
    (void)state;
    static const unsigned counts[] = {2, 3, 4, 9};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct fixture f;
        init(&f, "127.0.0.1:0", counts[i]);
        assert_true(cv_port_group_has_filter(f.group));
        struct cv_address local = cv_port_group_local(f.group);
        check_all_packets(&f, &local);
        fini(&f);
    }
}

static void the_largest_group_routes(void **state)
{
    (void)state;
    struct fixture f;
    init(&f, "127.0.0.1:0", CV_ROUTE_LOOPS_MAX);
    struct cv_address local = cv_port_group_local(f.group);
    for (unsigned byte = 0; byte < 256; byte++) {
        const uint8_t packet[] = {0x40, (uint8_t)byte, 1, 2, 3};
        assert_int_equal(socket_of(f.group, &local, packet, sizeof packet), byte);
    }
    fini(&f);
}

static void wildcards_and_ipv6_are_routed_too(void **state)
{
    (void)state;
    static const char *const binds[][2] = {
        {"0.0.0.0:0", "127.0.0.1:0"}, {"[::1]:0", "[::1]:0"}, {"[::]:0", "[::1]:0"}};
    for (size_t i = 0; i < sizeof binds / sizeof binds[0]; i++) {
        struct fixture f;
        struct cv_address to;
        if (i > 0) {
            struct cv_udp *probe;
            test_alloc_init(&f.memory);
            f.config = config_of(&f.memory, "[::1]:0", 1);
            if (cv_udp_open(&f.config.udp, &probe) != 0)
                skip();
            cv_udp_close(probe);
        }
        init(&f, binds[i][0], 3);
        assert_int_equal(cv_address_parse(&to, binds[i][1]), 0);
        to.port = cv_port_group_local(f.group).port;
        check_all_packets(&f, &to);
        fini(&f);
    }
}

static void without_the_filter_everything_still_arrives(void **state)
{
    (void)state;
    struct fixture f;
    unsigned hits[4] = {0};
    test_alloc_init(&f.memory);
    f.config = config_of(&f.memory, "127.0.0.1:0", 4);
    f.config.no_filter = true;
    assert_int_equal(cv_port_group_open(&f.config, &f.group), 0);
    assert_false(cv_port_group_has_filter(f.group));
    struct cv_address local = cv_port_group_local(f.group);
    for (unsigned i = 0; i < 200; i++) {
        const uint8_t packet[] = {0x40, 1};
        hits[socket_of(f.group, &local, packet, sizeof packet)]++;
    }
    /* by the sender's address, which is another one each time */
    assert_true(hits[1] < 200);
    fini(&f);
}

static void all_sockets_have_one_port_of_the_kernels(void **state)
{
    (void)state;
    struct fixture f;
    init(&f, "127.0.0.1:0", 3);
    struct cv_address local = cv_port_group_local(f.group);
    assert_int_not_equal(local.port, 0);
    assert_int_equal(cv_port_group_count(f.group), 3);
    for (unsigned i = 0; i < 3; i++) {
        struct cv_address one = cv_udp_local(cv_port_group_socket(f.group, i));
        assert_true(cv_address_equal(&one, &local));
    }
    fini(&f);
}

static void one_socket_is_not_shared(void **state)
{
    (void)state;
    struct fixture f;
    init(&f, "127.0.0.1:0", 1);
    struct cv_address local = cv_port_group_local(f.group);
    assert_false(cv_port_group_has_filter(f.group));
    assert_int_equal(open_stranger(&local, true), -1);
    fini(&f);
}

static void a_port_of_somebody_else_is_in_use(void **state)
{
    (void)state;
    struct fixture f;
    struct cv_address address;
    test_alloc_init(&f.memory);
    for (int shares = 0; shares <= 1; shares++)
        for (unsigned count = 1; count <= 3; count += 2) {
            struct cv_udp *probe;
            f.config = config_of(&f.memory, "127.0.0.1:0", count);
            assert_int_equal(cv_udp_open(&f.config.udp, &probe), 0);
            address = cv_udp_local(probe);
            cv_udp_close(probe);
            int stranger = open_stranger(&address, shares);
            assert_true(stranger >= 0);
            f.config.udp.bind = address;
            size_t fds = count_fds();
            assert_int_equal(cv_port_group_open(&f.config, &f.group), COVEY_ERR_ADDRESS_IN_USE);
            assert_int_equal(count_fds(), fds);
            (void)close(stranger);
        }
    test_alloc_assert_empty(&f.memory);
}

static void a_port_of_another_group_is_in_use(void **state)
{
    (void)state;
    struct fixture f;
    struct cv_port_group *second;
    init(&f, "127.0.0.1:0", 3);
    struct cv_port_group_config config = f.config;
    config.udp.bind = cv_port_group_local(f.group);
    for (config.count = 1; config.count <= 4; config.count++)
        assert_int_equal(cv_port_group_open(&config, &second), COVEY_ERR_ADDRESS_IN_USE);
    /* the wildcard address has the port, too */
    assert_int_equal(cv_address_parse(&config.udp.bind, "0.0.0.0:0"), 0);
    config.udp.bind.port = cv_port_group_local(f.group).port;
    config.count = 2;
    assert_int_equal(cv_port_group_open(&config, &second), COVEY_ERR_ADDRESS_IN_USE);
    cv_port_group_close(f.group);
    /* and is free again */
    assert_int_equal(cv_port_group_open(&config, &f.group), 0);
    fini(&f);
}

static void who_joins_later_gets_nothing(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t byte;
    init(&f, "127.0.0.1:0", 3);
    struct cv_address local = cv_port_group_local(f.group);
    assert_int_equal(open_stranger(&local, false), -1);
    int stranger = open_stranger(&local, true);
    if (stranger >= 0) {
        check_all_packets(&f, &local);
        assert_int_equal(recv(stranger, &byte, 1, 0), -1);
        (void)close(stranger);
    }
    check_all_packets(&f, &local);
    fini(&f);
}

static void old_kernels_are_worked_around_or_told_of(void **state)
{
    (void)state;
    struct fixture f;
    test_alloc_init(&f.memory);
    f.config = config_of(&f.memory, "127.0.0.1:0", 3);
    unknown_option = SO_ATTACH_REUSEPORT_CBPF;
    assert_int_equal(cv_port_group_open(&f.config, &f.group), 0);
    assert_false(cv_port_group_has_filter(f.group));
    cv_port_group_close(f.group);
    unknown_option = SO_REUSEPORT;
    assert_int_equal(cv_port_group_open(&f.config, &f.group), COVEY_ERR_SYSTEM);
    unknown_option = 0;
    test_alloc_assert_empty(&f.memory);
}

static void a_failure_leaves_nothing_open(void **state)
{
    (void)state;
    struct fixture f;
    test_alloc_init(&f.memory);
    f.config = config_of(&f.memory, "127.0.0.1:0", 3);
    size_t fds = count_fds();
    for (unsigned nth = 1; nth <= 3; nth++) {
        sockets_left = nth;
        assert_int_equal(cv_port_group_open(&f.config, &f.group), COVEY_ERR_SYSTEM);
        assert_int_equal(sockets_left, 0);
        assert_int_equal(count_fds(), fds);
        assert_int_equal(f.memory.outstanding, 0);
    }
    for (size_t nth = 1;; nth++) {
        f.memory.calls = 0;
        f.memory.fail_at = nth;
        int error = cv_port_group_open(&f.config, &f.group);
        if (error == 0)
            break;
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        assert_int_equal(count_fds(), fds);
        assert_int_equal(f.memory.outstanding, 0);
    }
    fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_routes_as_the_function_does),
        cmocka_unit_test(the_largest_group_routes),
        cmocka_unit_test(wildcards_and_ipv6_are_routed_too),
        cmocka_unit_test(without_the_filter_everything_still_arrives),
        cmocka_unit_test(all_sockets_have_one_port_of_the_kernels),
        cmocka_unit_test(one_socket_is_not_shared),
        cmocka_unit_test(a_port_of_somebody_else_is_in_use),
        cmocka_unit_test(a_port_of_another_group_is_in_use),
        cmocka_unit_test(who_joins_later_gets_nothing),
        cmocka_unit_test(old_kernels_are_worked_around_or_told_of),
        cmocka_unit_test(a_failure_leaves_nothing_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
