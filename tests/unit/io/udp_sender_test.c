#define _GNU_SOURCE
#include "io/udp_sender.h"

#include <errno.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/*
 * A kernel in place of the real one: it writes down what it is given, and refuses what the test
 * says. A number in the plan is the answer to one system call: 0 takes everything, an errno
 * refuses, TAKE(n) takes n messages.
 */
#define TAKE(n) (-(n))

struct sent {
    size_t size;
    size_t segment;
    uint16_t port;
    int tos;
    bool has_source;
    uint8_t first_byte;
};

static struct {
    int plan[32];
    unsigned planned;
    unsigned calls;
    unsigned multiple_calls;
    struct sent sent[64];
    unsigned count;
} kernel;

static void read_controls(struct sent *s, struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        uint16_t segment;
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT) {
            memcpy(&segment, CMSG_DATA(c), sizeof segment);
            s->segment = segment;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            memcpy(&s->tos, CMSG_DATA(c), sizeof s->tos);
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            s->has_source = true;
        } else {
            fail_msg("unexpected control message %d %d", c->cmsg_level, c->cmsg_type);
        }
    }
}

static void take(const struct msghdr *message)
{
    struct msghdr copy = *message;
    const struct sockaddr_in *to = message->msg_name;
    struct sent *s = &kernel.sent[kernel.count++];
    *s = (struct sent){.size = message->msg_iov->iov_len,
                       .port = ntohs(to->sin_port),
                       .first_byte = *(const uint8_t *)message->msg_iov->iov_base};
    read_controls(s, &copy);
}

/* How many of `count` messages are taken; -1 and errno. */
static int answer(unsigned count)
{
    int plan = kernel.calls < kernel.planned ? kernel.plan[kernel.calls] : 0;
    kernel.calls++;
    if (plan > 0) {
        errno = plan;
        return -1;
    }
    return plan < 0 ? -plan : (int)count;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    (void)fd;
    (void)flags;
    if (answer(1) < 0)
        return -1;
    take(message);
    return (ssize_t)message->msg_iov->iov_len;
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    (void)fd;
    (void)flags;
    kernel.multiple_calls++;
    int taken = answer(count);
    for (int i = 0; i < taken; i++)
        take(&messages[i].msg_hdr);
    return taken;
}

struct fixture {
    struct cv_udp_socket socket;
    struct cv_udp_sender sender;
    struct cv_log log;
    unsigned lines;
};

static void count_line(void *user, enum cv_log_level level, const char *line)
{
    struct fixture *f = user;
    (void)level;
    (void)line;
    f->lines++;
}

static struct fixture *init(bool gso, bool mmsg)
{
    static struct fixture f;
    memset(&kernel, 0, sizeof kernel);
    f.lines = 0;
    f.log = (struct cv_log){.write = count_line, .user = &f, .level = CV_LOG_DEBUG};
    f.socket = (struct cv_udp_socket){.fd = -1,
                                      .local = {.family = 4, .port = 4433},
                                      .wildcard = true,
                                      .features = {.gso = gso, .mmsg = mmsg, .ecn = true},
                                      .log = &f.log};
    cv_udp_sender_init(&f.sender, &f.socket);
    return &f;
}

static void plan(const int *answers, unsigned count)
{
    memcpy(kernel.plan, answers, count * sizeof *answers);
    kernel.planned = count;
}
#define PLAN(...) plan((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static const struct cv_address wildcard = {.family = 4, .port = 4433};

static struct cv_address peer(uint16_t port)
{
    return (struct cv_address){.family = 4, .ip = {127, 0, 0, 1}, .port = port};
}

/* The first byte of a packet is its running number in the buffer. */
static void put(struct fixture *f, uint16_t port, uint8_t ecn, size_t size)
{
    struct cv_address to = peer(port);
    uint8_t *room = cv_udp_sender_reserve(&f->sender, CV_DATAGRAM_SIZE_MAX);
    memset(room, 0, size);
    room[0] = (uint8_t)f->sender.count;
    cv_udp_sender_commit(&f->sender, &wildcard, &to, ecn, size);
}

static void put_many(struct fixture *f, unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++)
        put(f, 1, 0, size);
}

static void assert_sent(unsigned index, uint8_t first, size_t size, size_t segment)
{
    assert_true(index < kernel.count);
    assert_int_equal(kernel.sent[index].first_byte, first);
    assert_int_equal(kernel.sent[index].size, size);
    assert_int_equal(kernel.sent[index].segment, segment);
}

static void assert_stats(const struct fixture *f, uint64_t sent, uint64_t dropped)
{
    assert_int_equal(f->socket.stats.packets_sent, sent);
    assert_int_equal(f->socket.stats.packets_dropped, dropped);
    assert_int_equal(f->socket.stats.send_calls, kernel.calls);
}

static void nothing_to_send_is_no_call(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    cv_udp_sender_run(&f->sender);
    (void)cv_udp_sender_reserve(&f->sender, CV_DATAGRAM_SIZE_MAX);
    cv_udp_sender_run(&f->sender);
    assert_stats(f, 0, 0);
}

static void the_eighth_packet_sends(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    put_many(f, 7, 1200);
    assert_int_equal(kernel.calls, 0);
    put_many(f, 1, 1200);
    assert_int_equal(kernel.calls, 1);
    assert_int_equal(kernel.count, 1);
    assert_sent(0, 0, 8 * 1200, 1200);
    assert_stats(f, 8, 0);
    put_many(f, 1, 1200);
    cv_udp_sender_run(&f->sender);
    assert_sent(1, 0, 1200, 0);
    assert_stats(f, 9, 0);
}

static void the_largest_packets_fit(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    put_many(f, 8, CV_DATAGRAM_SIZE_MAX);
    assert_sent(0, 0, 8 * CV_DATAGRAM_SIZE_MAX, CV_DATAGRAM_SIZE_MAX);
    put_many(f, 8, 1);
    assert_sent(1, 0, 8, 1);
    assert_stats(f, 16, 0);
}

static void bulk_waits_for_a_full_message(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    cv_udp_sender_bulk(&f->sender, true);
    put_many(f, CV_UDP_SENDER_PACKETS_MAX - 1, CV_DATAGRAM_SIZE_MAX);
    assert_int_equal(kernel.calls, 0);
    put_many(f, 1, CV_DATAGRAM_SIZE_MAX);
    assert_int_equal(kernel.calls, 1);
    assert_sent(0, 0, CV_UDP_SENDER_PACKETS_MAX * CV_DATAGRAM_SIZE_MAX, CV_DATAGRAM_SIZE_MAX);
    assert_stats(f, CV_UDP_SENDER_PACKETS_MAX, 0);
}

static void what_waits_when_bulk_ends_leaves_with_the_next(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    cv_udp_sender_bulk(&f->sender, true);
    put_many(f, 20, 1200);
    cv_udp_sender_bulk(&f->sender, false);
    assert_int_equal(kernel.calls, 0);
    put_many(f, 1, 100);
    assert_int_equal(kernel.calls, 1);
    assert_sent(0, 0, 20 * 1200 + 100, 1200);
    put_many(f, 8, 1200);
    assert_int_equal(kernel.calls, 2);
    assert_stats(f, 29, 0);
}

static void a_shorter_packet_ends_a_run(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    put_many(f, 3, 1200);
    put_many(f, 2, 100);
    put_many(f, 1, 101);
    cv_udp_sender_run(&f->sender);
    assert_int_equal(kernel.calls, 1);
    assert_int_equal(kernel.count, 3);
    assert_sent(0, 0, 3700, 1200);
    assert_sent(1, 4, 100, 0);
    assert_sent(2, 5, 101, 0);
    assert_stats(f, 6, 0);
}

static void another_way_ends_a_run(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    struct cv_address to = peer(2);
    struct cv_address from = peer(4433);
    put(f, 1, 0, 100);
    put(f, 1, 0, 100);
    put(f, 2, 0, 100);
    put(f, 2, 1, 100);
    (void)cv_udp_sender_reserve(&f->sender, 100);
    cv_udp_sender_commit(&f->sender, &from, &to, 1, 100);
    cv_udp_sender_run(&f->sender);
    assert_int_equal(kernel.count, 4);
    assert_sent(0, 0, 200, 100);
    assert_int_equal(kernel.sent[0].port, 1);
    assert_int_equal(kernel.sent[1].port, 2);
    assert_int_equal(kernel.sent[1].tos, 0);
    assert_int_equal(kernel.sent[2].tos, 1);
    assert_false(kernel.sent[2].has_source);
    assert_int_equal(kernel.sent[3].tos, 1);
    assert_true(kernel.sent[3].has_source);
}

/* A server finds the socket of a packet by its loop, and of joined ones by the first one's. */
static void another_loop_of_the_peer_ends_a_run(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    struct cv_address to = peer(1);
    static const uint8_t loops[] = {1, 1, 2, 0, 0, 0};
    for (size_t i = 0; i < sizeof loops; i++) {
        uint8_t *room = cv_udp_sender_reserve(&f->sender, 100);
        memset(room, 0, 100);
        room[0] = 0x40;
        room[1] = loops[i];
        cv_udp_sender_commit(&f->sender, &wildcard, &to, 0, 100);
    }
    cv_udp_sender_run(&f->sender);
    assert_int_equal(kernel.calls, 1);
    assert_int_equal(kernel.count, 3);
    assert_sent(0, 0x40, 200, 100);
    assert_sent(1, 0x40, 100, 0);
    assert_sent(2, 0x40, 300, 100);
    assert_stats(f, 6, 0);
}

/* A socket bound to one address always sends from it. */
static void a_bound_socket_needs_no_source(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    struct cv_address to = peer(2);
    struct cv_address from = peer(4433);
    f->socket.wildcard = false;
    f->socket.local = from;
    (void)cv_udp_sender_reserve(&f->sender, 100);
    cv_udp_sender_commit(&f->sender, &from, &to, 0, 100);
    cv_udp_sender_run(&f->sender);
    assert_false(kernel.sent[0].has_source);
}

static void a_room_without_commit_is_given_back(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    uint8_t *first = cv_udp_sender_reserve(&f->sender, CV_DATAGRAM_SIZE_MAX);
    uint8_t *second = cv_udp_sender_reserve(&f->sender, CV_DATAGRAM_SIZE_MAX);
    assert_ptr_equal(first, second);
    put_many(f, 1, 10);
    assert_ptr_equal(cv_udp_sender_reserve(&f->sender, 1), first + 10);
    cv_udp_sender_run(&f->sender);
    assert_stats(f, 1, 0);
}

static void without_gso_each_packet_is_a_message(void **state)
{
    (void)state;
    struct fixture *f = init(false, true);
    put_many(f, 8, 1200);
    assert_int_equal(kernel.calls, 1);
    assert_int_equal(kernel.count, 8);
    for (uint8_t i = 0; i < 8; i++)
        assert_sent(i, i, 1200, 0);
    assert_stats(f, 8, 0);
}

static void without_mmsg_each_message_is_a_call(void **state)
{
    (void)state;
    struct fixture *f = init(false, false);
    put_many(f, 8, 1200);
    assert_int_equal(kernel.calls, 8);
    assert_int_equal(kernel.multiple_calls, 0);
    assert_stats(f, 8, 0);
}

static void assert_gso_given_up(int error)
{
    struct fixture *f = init(true, true);
    PLAN(error);
    put_many(f, 8, 1200);
    assert_int_equal(kernel.count, 8);
    for (uint8_t i = 0; i < 8; i++)
        assert_sent(i, i, 1200, 0);
    assert_false(f->socket.features.gso);
    assert_stats(f, 8, 0);
    put_many(f, 8, 1200);
    assert_sent(8, 0, 1200, 0);
    assert_stats(f, 16, 0);
}

static void gso_that_does_not_work_is_given_up_without_a_loss(void **state)
{
    (void)state;
    assert_gso_given_up(EIO);
    assert_gso_given_up(EINVAL);
}

/* A source address that the machine has no longer is refused too, but GSO is not at fault. */
static void gso_stays_when_single_packets_are_refused_too(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    PLAN(EINVAL, EINVAL, EINVAL, EINVAL);
    put_many(f, 3, 1200);
    put(f, 2, 0, 1200);
    cv_udp_sender_run(&f->sender);
    assert_true(f->socket.features.gso);
    assert_int_equal(kernel.count, 1);
    assert_sent(0, 3, 1200, 0);
    assert_stats(f, 1, 3);
}

/* Larger than the path's MTU, but for the last one. */
static void gso_stays_when_the_first_packet_is_refused_alone(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    PLAN(EINVAL, EMSGSIZE);
    put_many(f, 1, 1400);
    put_many(f, 1, 100);
    cv_udp_sender_run(&f->sender);
    assert_true(f->socket.features.gso);
    assert_stats(f, 1, 1);
}

static void a_full_buffer_drops_the_rest(void **state)
{
    (void)state;
    static const int errors[] = {EAGAIN, ENOBUFS};
    for (int i = 0; i < 2; i++) {
        struct fixture *f = init(false, true);
        PLAN(TAKE(3), errors[i]);
        put_many(f, 8, 1200);
        assert_stats(f, 3, 5);
        assert_int_equal(f->lines, 0);
        put_many(f, 8, 1200);
        assert_stats(f, 11, 5);
    }
}

static void an_interrupted_call_is_tried_again(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    PLAN(EINTR, EINTR, EINTR);
    put_many(f, 8, 1200);
    assert_stats(f, 8, 0);
}

static void a_kernel_without_sendmmsg_loses_nothing(void **state)
{
    (void)state;
    struct fixture *f = init(false, true);
    PLAN(ENOSYS);
    put_many(f, 8, 1200);
    assert_false(f->socket.features.mmsg);
    assert_int_equal(kernel.multiple_calls, 1);
    assert_stats(f, 8, 0);
    put_many(f, 8, 1200);
    assert_int_equal(kernel.multiple_calls, 1);
    assert_stats(f, 16, 0);
}

/* The kernel reports an ICMP error at the next call, whatever that is. */
static void an_old_error_costs_no_packet(void **state)
{
    (void)state;
    struct fixture *f = init(false, true);
    PLAN(ECONNREFUSED, TAKE(4), EHOSTUNREACH);
    put_many(f, 8, 1200);
    assert_int_equal(kernel.count, 8);
    for (uint8_t i = 0; i < 8; i++)
        assert_sent(i, i, 1200, 0);
    assert_stats(f, 8, 0);
    assert_int_equal(f->lines, 0);
}

static void a_refused_packet_is_dropped_and_the_others_go(void **state)
{
    (void)state;
    struct fixture *f = init(false, true);
    PLAN(TAKE(2), EPERM, EPERM);
    put_many(f, 8, 1200);
    assert_int_equal(kernel.count, 7);
    assert_sent(1, 1, 1200, 0);
    assert_sent(2, 3, 1200, 0);
    assert_stats(f, 7, 1);
    assert_int_equal(f->lines, 1);
}

static void each_message_is_tried_twice(void **state)
{
    (void)state;
    struct fixture *f = init(false, true);
    PLAN(EPERM, EPERM, ECONNREFUSED);
    put_many(f, 2, 1200);
    cv_udp_sender_run(&f->sender);
    assert_int_equal(kernel.count, 1);
    assert_sent(0, 1, 1200, 0);
    assert_stats(f, 1, 1);
}

static void many_refusals_make_few_lines(void **state)
{
    (void)state;
    struct fixture *f = init(false, false);
    for (int i = 0; i < 16; i++)
        kernel.plan[i] = ENETUNREACH;
    kernel.planned = 16;
    put_many(f, 8, 1200);
    assert_stats(f, 0, 8);
    assert_int_equal(f->lines, 1);
}

/* A probe for a larger path MTU. */
static void a_packet_that_is_too_large_is_no_news(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    PLAN(EMSGSIZE, EMSGSIZE);
    put_many(f, 1, 1500);
    cv_udp_sender_run(&f->sender);
    assert_stats(f, 0, 1);
    assert_int_equal(f->lines, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_send_is_no_call),
        cmocka_unit_test(the_eighth_packet_sends),
        cmocka_unit_test(the_largest_packets_fit),
        cmocka_unit_test(bulk_waits_for_a_full_message),
        cmocka_unit_test(what_waits_when_bulk_ends_leaves_with_the_next),
        cmocka_unit_test(a_shorter_packet_ends_a_run),
        cmocka_unit_test(another_way_ends_a_run),
        cmocka_unit_test(another_loop_of_the_peer_ends_a_run),
        cmocka_unit_test(a_bound_socket_needs_no_source),
        cmocka_unit_test(a_room_without_commit_is_given_back),
        cmocka_unit_test(without_gso_each_packet_is_a_message),
        cmocka_unit_test(without_mmsg_each_message_is_a_call),
        cmocka_unit_test(gso_that_does_not_work_is_given_up_without_a_loss),
        cmocka_unit_test(gso_stays_when_single_packets_are_refused_too),
        cmocka_unit_test(gso_stays_when_the_first_packet_is_refused_alone),
        cmocka_unit_test(a_full_buffer_drops_the_rest),
        cmocka_unit_test(an_interrupted_call_is_tried_again),
        cmocka_unit_test(a_kernel_without_sendmmsg_loses_nothing),
        cmocka_unit_test(an_old_error_costs_no_packet),
        cmocka_unit_test(a_refused_packet_is_dropped_and_the_others_go),
        cmocka_unit_test(each_message_is_tried_twice),
        cmocka_unit_test(many_refusals_make_few_lines),
        cmocka_unit_test(a_packet_that_is_too_large_is_no_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
