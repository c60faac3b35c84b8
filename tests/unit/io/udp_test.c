#define _GNU_SOURCE
#include "io/udp.h"

#include "support/test_alloc.h"
#include "unit/io/fixture.h"

#include <covey/error.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* What arrived at one socket. The first four bytes of a packet are its number. */
struct peer {
    struct test_alloc memory;
    struct cv_udp *udp;
    struct cv_address at;
    bool echo;
    unsigned received;
    unsigned wrong; /* out of order, or with other bytes than were sent */
    unsigned unreachable;
    struct cv_address last_remote;
    struct cv_address last_local;
    uint8_t last_ecn;
};

/* Sizes change, so that GSO runs begin and end; many equal ones in between. */
static size_t size_of(uint32_t number)
{
    static const size_t sizes[] = {1200, 1200, 1200, 64, 1452, 1452, 1500, 4, 700, 700, 700, 700};
    return number % 100 < 50 ? 1200 : sizes[number % 12];
}

static void fill(uint8_t *bytes, uint32_t number)
{
    memset(bytes, (int)(number * 7 + 1), size_of(number));
    memcpy(bytes, &number, sizeof number);
}

static void send_from(struct peer *p, const struct cv_address *local, const struct cv_address *to,
                      uint8_t ecn, const uint8_t *bytes, size_t size)
{
    const struct cv_datagram_sink *sink = cv_udp_sink(p->udp);
    memcpy(sink->reserve(sink->user, CV_DATAGRAM_SIZE_MAX), bytes, size);
    sink->commit(sink->user, local, to, ecn, size);
}

static void on_datagram(void *user, const struct cv_datagram *d)
{
    struct peer *p = user;
    uint8_t expected[CV_DATAGRAM_SIZE_MAX];
    fill(expected, p->received);
    if (!cv_slice_equal(d->bytes, cv_slice_of(expected, size_of(p->received))))
        p->wrong++;
    p->received++;
    p->last_remote = d->remote;
    p->last_local = d->local;
    p->last_ecn = d->ecn;
    if (p->echo)
        send_from(p, &d->local, &d->remote, d->ecn, d->bytes.data, d->bytes.size);
}

static void on_unreachable(void *user, const struct cv_address *remote)
{
    struct peer *p = user;
    p->unreachable++;
    p->last_remote = *remote;
}

static enum cv_udp_found find(struct peer *p, bool is_woken)
{
    const struct cv_udp_receiver receiver = {
        .datagram = on_datagram, .unreachable = on_unreachable, .user = p};
    enum cv_udp_found found = cv_udp_receive(p->udp, &receiver, 4, is_woken);
    cv_udp_send(p->udp);
    return found;
}

static bool receive(struct peer *p)
{
    return find(p, true) == CV_UDP_SOME;
}

static bool receive_until(struct peer *p, unsigned count)
{
    while (p->received < count) {
        if (!wait_readable(cv_udp_fd(p->udp)))
            return false;
        (void)receive(p);
    }
    return true;
}

static int try_open(struct peer *p, struct cv_udp_config *config, const char *bind)
{
    *p = (struct peer){.udp = NULL};
    test_alloc_init(&p->memory);
    config->alloc = &p->memory.alloc;
    assert_int_equal(cv_address_parse(&config->bind, bind), 0);
    int error = cv_udp_open(config, &p->udp);
    if (error == 0)
        p->at = cv_udp_local(p->udp);
    return error;
}

static void open_peer(struct peer *p, const char *bind)
{
    struct cv_udp_config config;
    cv_udp_config_init(&config);
    assert_int_equal(try_open(p, &config, bind), 0);
}

static void close_peer(struct peer *p)
{
    cv_udp_close(p->udp);
    test_alloc_assert_empty(&p->memory);
}

static bool has_ipv6(void)
{
    struct cv_udp_config config;
    struct peer p;
    cv_udp_config_init(&config);
    if (try_open(&p, &config, "[::1]:0") != 0)
        return false;
    close_peer(&p);
    return true;
}

static void send_number(struct peer *from, const struct peer *to, uint32_t number, uint8_t ecn)
{
    uint8_t bytes[CV_DATAGRAM_SIZE_MAX];
    fill(bytes, number);
    send_from(from, &from->at, &to->at, ecn, bytes, size_of(number));
}

#define PACKETS 1000
#define PORTION 40

/* 1000 packets to a peer that sends each back. */
static void exchange(struct peer *here, struct peer *there)
{
    there->echo = true;
    for (uint32_t i = 0; i < PACKETS; i++) {
        send_number(here, there, i, 0);
        if ((i + 1) % PORTION != 0)
            continue;
        cv_udp_send(here->udp);
        assert_true(receive_until(there, i + 1));
        assert_true(receive_until(here, i + 1));
    }
    assert_int_equal(here->received, PACKETS);
    assert_int_equal(there->received, PACKETS);
    assert_int_equal(here->wrong, 0);
    assert_int_equal(there->wrong, 0);
}

static void assert_all_counted(const struct peer *p)
{
    struct cv_udp_stats stats;
    cv_udp_stats(p->udp, &stats);
    assert_int_equal(stats.packets_received, PACKETS);
    assert_int_equal(stats.packets_sent, PACKETS);
    assert_int_equal(stats.packets_dropped, 0);
    assert_int_equal(stats.packets_truncated, 0);
}

/* Every combination of features on the one side meets every one on the other. */
static void exchange_with_all_features(const char *bind)
{
    for (unsigned kinds = 0; kinds < 64; kinds++) {
        struct peer here;
        struct peer there;
        struct cv_udp_config config;
        cv_udp_config_init(&config);
        config.no_gso = kinds & 1;
        config.no_gro = kinds & 2;
        config.no_mmsg = kinds & 4;
        assert_int_equal(try_open(&here, &config, bind), 0);
        config.no_gso = kinds & 8;
        config.no_gro = kinds & 16;
        config.no_mmsg = kinds & 32;
        assert_int_equal(try_open(&there, &config, bind), 0);
        exchange(&here, &there);
        assert_all_counted(&here);
        assert_all_counted(&there);
        close_peer(&here);
        close_peer(&there);
    }
}

static void packets_cross_ipv4_in_order(void **state)
{
    (void)state;
    exchange_with_all_features("127.0.0.1:0");
}

static void packets_cross_ipv6_in_order(void **state)
{
    (void)state;
    if (!has_ipv6())
        skip();
    exchange_with_all_features("[::1]:0");
}

static void eight_equal_packets_are_one_call_each_way(void **state)
{
    (void)state;
    struct peer here;
    struct peer there;
    struct cv_udp_stats stats;
    struct cv_udp_features features;
    open_peer(&here, "127.0.0.1:0");
    open_peer(&there, "127.0.0.1:0");
    cv_udp_features(here.udp, &features);
    if (!features.gso || !features.gro)
        skip();
    for (uint32_t i = 0; i < 8; i++)
        send_number(&here, &there, i, 0);
    cv_udp_stats(here.udp, &stats);
    assert_int_equal(stats.send_calls, 1);
    assert_int_equal(stats.packets_sent, 8);
    assert_true(wait_readable(cv_udp_fd(there.udp)));
    assert_false(receive(&there));
    assert_int_equal(there.received, 8);
    assert_int_equal(there.wrong, 0);
    cv_udp_stats(there.udp, &stats);
    assert_int_equal(stats.receive_calls, 1);
    close_peer(&here);
    close_peer(&there);
}

static void ecn_crosses(const char *bind)
{
    struct peer here;
    struct peer there;
    struct cv_udp_features features;
    open_peer(&here, bind);
    open_peer(&there, bind);
    cv_udp_features(here.udp, &features);
    assert_true(features.ecn);
    there.echo = true;
    for (uint32_t i = 0; i < 8; i++) {
        send_number(&here, &there, i, i % 4);
        cv_udp_send(here.udp);
        assert_true(receive_until(&there, i + 1));
        assert_int_equal(there.last_ecn, i % 4);
        assert_true(receive_until(&here, i + 1));
        assert_int_equal(here.last_ecn, i % 4);
    }
    close_peer(&here);
    close_peer(&there);
}

static void ecn_bits_cross(void **state)
{
    (void)state;
    ecn_crosses("127.0.0.1:0");
    if (has_ipv6())
        ecn_crosses("[::1]:0");
}

static void assert_address(const struct cv_address *address, const char *host, uint16_t port)
{
    char expected[CV_ADDRESS_TEXT_SIZE];
    char text[CV_ADDRESS_TEXT_SIZE];
    (void)snprintf(expected, sizeof expected, "%s:%u", host, port);
    assert_string_equal(cv_address_text(address, text), expected);
}

/* A socket for all addresses says which one a packet came to, and answers from that one. */
static void wildcard_knows_its_address(const char *any, const char *bind, const char *host)
{
    struct peer client;
    struct peer server;
    struct peer target = {.udp = NULL};
    open_peer(&client, bind);
    open_peer(&server, any);
    char text[CV_ADDRESS_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%s:%u", host, server.at.port);
    assert_int_equal(cv_address_parse(&target.at, text), 0);
    server.echo = true;
    send_number(&client, &target, 0, 0);
    cv_udp_send(client.udp);
    assert_true(receive_until(&server, 1));
    assert_address(&server.last_local, host, server.at.port);
    assert_true(cv_address_equal(&server.last_remote, &client.at));
    assert_true(receive_until(&client, 1));
    assert_address(&client.last_remote, host, server.at.port);
    assert_true(cv_address_equal(&client.last_local, &client.at));
    close_peer(&client);
    close_peer(&server);
}

static void a_wildcard_socket_answers_from_the_address_asked(void **state)
{
    (void)state;
    wildcard_knows_its_address("0.0.0.0:0", "127.0.0.1:0", "127.0.0.1");
    wildcard_knows_its_address("0.0.0.0:0", "127.0.0.1:0", "127.0.0.77");
    if (has_ipv6())
        wildcard_knows_its_address("[::]:0", "[::1]:0", "[::1]");
}

static void a_wildcard_source_leaves_it_to_the_kernel(void **state)
{
    (void)state;
    struct peer client;
    struct peer server;
    open_peer(&client, "0.0.0.0:0");
    open_peer(&server, "127.0.0.1:0");
    send_number(&client, &server, 0, 0);
    cv_udp_send(client.udp);
    assert_true(receive_until(&server, 1));
    assert_address(&server.last_remote, "127.0.0.1", client.at.port);
    close_peer(&client);
    close_peer(&server);
}

/* poll() counts an error as an event whatever was asked for. */
static void wait_error(struct peer *p)
{
    struct pollfd wanted = {.fd = cv_udp_fd(p->udp)};
    assert_int_equal(poll(&wanted, 1, WAIT_SECONDS * 1000), 1);
    assert_true(wanted.revents & POLLERR);
}

static void assert_no_event(struct peer *p)
{
    struct pollfd wanted = {.fd = cv_udp_fd(p->udp), .events = POLLIN};
    assert_int_equal(poll(&wanted, 1, 0), 0);
}

static void unreachable_is_told(const char *bind)
{
    struct peer here;
    struct peer there;
    struct peer dead;
    open_peer(&here, bind);
    open_peer(&there, bind);
    open_peer(&dead, bind);
    close_peer(&dead);
    send_number(&here, &dead, 0, 0);
    cv_udp_send(here.udp);
    wait_error(&here);
    assert_false(receive(&here));
    assert_int_equal(here.unreachable, 1);
    assert_true(cv_address_equal(&here.last_remote, &dead.at));
    assert_no_event(&here);

    /* An error that waits while others are sent to costs them nothing. */
    send_number(&here, &dead, 0, 0);
    cv_udp_send(here.udp);
    wait_error(&here);
    send_number(&here, &there, 0, 0);
    cv_udp_send(here.udp);
    assert_true(receive_until(&there, 1));
    (void)receive(&here);
    assert_int_equal(here.unreachable, 2);
    assert_no_event(&here);
    close_peer(&here);
    close_peer(&there);
}

static void nobody_listening_is_unreachable(void **state)
{
    (void)state;
    unreachable_is_told("127.0.0.1:0");
    if (has_ipv6())
        unreachable_is_told("[::1]:0");
}

/* Too large for any buffer without GRO, and still no packet with it; the next one is not hurt. */
static void what_is_too_large_is_counted(void **state)
{
    (void)state;
    for (int gro = 0; gro < 2; gro++) {
        struct peer here;
        struct peer there;
        struct cv_udp_config config;
        struct cv_udp_stats stats;
        uint8_t large[3000] = {0};
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        cv_udp_config_init(&config);
        config.no_gro = gro == 0;
        open_peer(&here, "127.0.0.1:0");
        assert_int_equal(try_open(&there, &config, "127.0.0.1:0"), 0);
        to.sin_port = htons(there.at.port);
        assert_int_equal(
            sendto(cv_udp_fd(here.udp), large, sizeof large, 0, (struct sockaddr *)&to, sizeof to),
            sizeof large);
        send_number(&here, &there, 0, 0);
        cv_udp_send(here.udp);
        assert_true(receive_until(&there, 1));
        cv_udp_stats(there.udp, &stats);
        assert_int_equal(stats.packets_truncated, 1);
        assert_int_equal(there.wrong, 0);
        close_peer(&here);
        close_peer(&there);
    }
}

static void a_full_receive_buffer_loses_packets_and_nothing_else(void **state)
{
    (void)state;
    struct peer here;
    struct peer there;
    struct cv_udp_config config;
    cv_udp_config_init(&config);
    config.buffer_size = 0;
    open_peer(&here, "127.0.0.1:0");
    assert_int_equal(try_open(&there, &config, "127.0.0.1:0"), 0);
    for (uint32_t i = 0; i < PACKETS; i++)
        send_number(&here, &there, 0, 0);
    (void)receive(&there);
    assert_in_range(there.received, 1, PACKETS - 1);
    unsigned before = there.received;
    send_number(&here, &there, 0, 0);
    cv_udp_send(here.udp);
    assert_true(receive_until(&there, before + 1));
    close_peer(&here);
    close_peer(&there);
}

static void a_look_says_whether_there_was_something(void **state)
{
    (void)state;
    struct peer here;
    struct peer there;
    open_peer(&here, "127.0.0.1:0");
    open_peer(&there, "127.0.0.1:0");
    assert_int_equal(find(&there, false), CV_UDP_NOTHING);
    assert_int_equal(find(&there, true), CV_UDP_ALL);
    send_number(&here, &there, 0, 0);
    cv_udp_send(here.udp);
    assert_true(wait_readable(cv_udp_fd(there.udp)));
    assert_int_equal(find(&there, false), CV_UDP_ALL);
    assert_int_equal(there.received, 1);
    assert_int_equal(find(&there, false), CV_UDP_NOTHING);
    close_peer(&here);
    close_peer(&there);
}

static void open_tells_why_it_cannot(void **state)
{
    (void)state;
    struct peer first;
    struct peer second;
    struct cv_udp_config config;
    char text[CV_ADDRESS_TEXT_SIZE];
    cv_udp_config_init(&config);
    open_peer(&first, "127.0.0.1:0");
    assert_int_equal(try_open(&second, &config, cv_address_text(&first.at, text)),
                     COVEY_ERR_ADDRESS_IN_USE);
    test_alloc_assert_empty(&second.memory);
    assert_int_equal(try_open(&second, &config, "192.0.2.1:0"), COVEY_ERR_ADDRESS);
    test_alloc_assert_empty(&second.memory);
    close_peer(&first);
}

static void open_without_memory_leaves_nothing(void **state)
{
    (void)state;
    struct test_alloc memory;
    struct cv_udp *udp = NULL;
    struct cv_udp_config config;
    size_t fds = count_fds();
    int error = COVEY_ERR_NO_MEMORY;
    cv_udp_config_init(&config);
    config.alloc = &memory.alloc;
    assert_int_equal(cv_address_parse(&config.bind, "127.0.0.1:0"), 0);
    for (size_t n = 1; error != 0; n++) {
        test_alloc_init(&memory);
        memory.fail_at = n;
        error = cv_udp_open(&config, &udp);
        if (error == 0)
            break;
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        assert_null(udp);
        test_alloc_assert_empty(&memory);
        assert_int_equal(count_fds(), fds);
    }
    assert_int_equal(memory.calls, 3);
    cv_udp_close(udp);
    test_alloc_assert_empty(&memory);
    assert_int_equal(count_fds(), fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_cross_ipv4_in_order),
        cmocka_unit_test(packets_cross_ipv6_in_order),
        cmocka_unit_test(eight_equal_packets_are_one_call_each_way),
        cmocka_unit_test(ecn_bits_cross),
        cmocka_unit_test(a_wildcard_socket_answers_from_the_address_asked),
        cmocka_unit_test(a_wildcard_source_leaves_it_to_the_kernel),
        cmocka_unit_test(nobody_listening_is_unreachable),
        cmocka_unit_test(what_is_too_large_is_counted),
        cmocka_unit_test(a_full_receive_buffer_loses_packets_and_nothing_else),
        cmocka_unit_test(a_look_says_whether_there_was_something),
        cmocka_unit_test(open_tells_why_it_cannot),
        cmocka_unit_test(open_without_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
