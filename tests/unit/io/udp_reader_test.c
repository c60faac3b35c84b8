#define _GNU_SOURCE
#include "io/udp_reader.h"

#include "support/test_alloc.h"

#include <covey/error.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/*
 * A kernel in place of the real one. `queue` holds the messages that wait: each has a size, and a
 * segment size that is told as UDP_GRO does (0: not told). The bytes of a message count up from 0.
 * Error messages wait in a queue of their own, as ICMP errors with that errno.
 */
struct waiting {
    size_t size;
    int segment;
};

struct waiting_error {
    uint32_t error;
    uint8_t origin;
};

static struct {
    struct waiting queue[256];
    unsigned count;
    unsigned next;
    int refuse_first; /* an errno for the first call */
    bool no_recvmmsg;
    unsigned calls;
    struct waiting_error errors[128];
    unsigned error_count;
    unsigned error_next;
    unsigned error_calls;
} kernel;

static void add_control(struct msghdr *message, int level, int type, const void *data, size_t size)
{
    struct cmsghdr *c = message->msg_control;
    assert_true(message->msg_controllen >= CMSG_SPACE(size));
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), data, size);
    message->msg_controllen = CMSG_SPACE(size);
}

static void set_name(struct msghdr *message, uint16_t port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(message->msg_name, &name, sizeof name);
    message->msg_namelen = sizeof name;
}

static size_t give(struct msghdr *message)
{
    const struct waiting *w = &kernel.queue[kernel.next++];
    uint8_t *bytes = message->msg_iov->iov_base;
    assert_true(w->size <= message->msg_iov->iov_len);
    for (size_t i = 0; i < w->size; i++)
        bytes[i] = (uint8_t)i;
    set_name(message, (uint16_t)kernel.next);
    if (w->segment == 0)
        message->msg_controllen = 0;
    else
        add_control(message, SOL_UDP, UDP_GRO, &w->segment, sizeof w->segment);
    return w->size;
}

static ssize_t give_error(struct msghdr *message)
{
    kernel.error_calls++;
    if (kernel.error_next == kernel.error_count) {
        errno = EAGAIN;
        return -1;
    }
    const struct waiting_error *w = &kernel.errors[kernel.error_next++];
    struct sock_extended_err error = {.ee_errno = w->error, .ee_origin = w->origin};
    add_control(message, IPPROTO_IP, IP_RECVERR, &error, sizeof error);
    set_name(message, (uint16_t)kernel.error_next);
    return 0;
}

static bool refused(void)
{
    kernel.calls++;
    if (kernel.calls == 1 && kernel.refuse_first != 0) {
        errno = kernel.refuse_first;
        return true;
    }
    if (kernel.next == kernel.count) {
        errno = EAGAIN;
        return true;
    }
    return false;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    (void)fd;
    if (flags & MSG_ERRQUEUE)
        return give_error(message);
    return refused() ? -1 : (ssize_t)give(message);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    (void)fd;
    (void)flags;
    (void)timeout;
    if (kernel.no_recvmmsg) {
        errno = ENOSYS;
        return -1;
    }
    if (refused())
        return -1;
    unsigned given = 0;
    while (given < count && kernel.next < kernel.count) {
        messages[given].msg_len = (unsigned)give(&messages[given].msg_hdr);
        given++;
    }
    return (int)given;
}

struct fixture {
    struct test_alloc memory;
    struct cv_udp_socket socket;
    struct cv_udp_reader *reader;
    struct cv_udp_receiver receiver;
    size_t sizes[1024];
    uint8_t first_bytes[1024];
    uint16_t ports[1024];
    unsigned count;
    unsigned unreachable;
};

static void on_datagram(void *user, const struct cv_datagram *d)
{
    struct fixture *f = user;
    f->sizes[f->count] = d->bytes.size;
    f->first_bytes[f->count] = d->bytes.data[0];
    f->ports[f->count] = d->remote.port;
    f->count++;
}

static void on_unreachable(void *user, const struct cv_address *remote)
{
    struct fixture *f = user;
    assert_int_not_equal(remote->port, 0);
    f->unreachable++;
}

static struct fixture *init(bool gro, bool mmsg)
{
    static struct fixture f;
    memset(&kernel, 0, sizeof kernel);
    f = (struct fixture){.socket = {.fd = -1, .features = {.gro = gro, .mmsg = mmsg}}};
    f.receiver = (struct cv_udp_receiver){
        .datagram = on_datagram, .unreachable = on_unreachable, .user = &f};
    test_alloc_init(&f.memory);
    assert_int_equal(cv_udp_reader_new(&f.memory.alloc, &f.socket, &f.reader), 0);
    return &f;
}

static void fini(struct fixture *f)
{
    cv_udp_reader_free(f->reader);
    test_alloc_assert_empty(&f->memory);
}

static void put(size_t size, int segment)
{
    kernel.queue[kernel.count++] = (struct waiting){.size = size, .segment = segment};
}

static bool run(struct fixture *f, unsigned batches)
{
    return cv_udp_reader_run(f->reader, &f->receiver, batches, true) == CV_UDP_SOME;
}

/* Without being told that there is something. */
static enum cv_udp_found look(struct fixture *f, unsigned batches)
{
    return cv_udp_reader_run(f->reader, &f->receiver, batches, false);
}

static void joined_datagrams_are_taken_apart(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    put(2500, 1000);
    put(100, 0);
    put(3000, 1000);
    assert_false(run(f, 1));
    static const size_t sizes[] = {1000, 1000, 500, 100, 1000, 1000, 1000};
    static const uint16_t ports[] = {1, 1, 1, 2, 3, 3, 3};
    assert_int_equal(f->count, 7);
    assert_int_equal(f->socket.stats.packets_received, 7);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(f->sizes[i], sizes[i]);
        assert_int_equal(f->ports[i], ports[i]);
    }
    assert_int_equal(f->first_bytes[1], 1000 % 256);
    assert_int_equal(f->first_bytes[2], 2000 % 256);
    fini(f);
}

static void a_strange_segment_size_does_no_harm(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    put(1000, 5000);
    put(1000, -1);
    put(1000, 1000);
    put(3, 1);
    assert_false(run(f, 1));
    assert_int_equal(f->count, 6);
    for (int i = 0; i < 3; i++)
        assert_int_equal(f->sizes[i], 1000);
    fini(f);
}

static void what_is_no_packet_is_not_delivered(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    put(0, 0);
    put(CV_DATAGRAM_SIZE_MAX, 0);
    put(CV_DATAGRAM_SIZE_MAX + 1, 0);
    put(65535, 0);
    assert_false(run(f, 1));
    assert_int_equal(f->count, 1);
    assert_int_equal(f->socket.stats.packets_truncated, 2);
    fini(f);
}

static void a_flood_is_left_after_the_wanted_batches(void **state)
{
    (void)state;
    static const struct {
        bool gro, mmsg;
        unsigned batch;
    } kinds[] = {{false, true, 64}, {true, true, 16}, {false, false, 64}, {true, false, 16}};
    for (int i = 0; i < 4; i++) {
        struct fixture *f = init(kinds[i].gro, kinds[i].mmsg);
        for (unsigned n = 0; n < 2 * kinds[i].batch + 1; n++)
            put(10, 0);
        assert_true(run(f, 0));
        assert_int_equal(f->count, 0);
        assert_true(run(f, 1));
        assert_int_equal(f->count, kinds[i].batch);
        assert_true(run(f, 1));
        assert_false(run(f, 1));
        assert_int_equal(f->count, 2 * kinds[i].batch + 1);
        assert_int_equal(f->socket.stats.receive_calls, kernel.calls);
        fini(f);
    }
}

static void a_kernel_without_recvmmsg_is_read_all_the_same(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    kernel.no_recvmmsg = true;
    for (int i = 0; i < 20; i++)
        put(10, 0);
    assert_false(run(f, 8));
    assert_int_equal(f->count, 20);
    assert_false(f->socket.features.mmsg);
    fini(f);
}

static void an_interrupted_call_is_tried_again(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    kernel.refuse_first = EINTR;
    put(10, 0);
    assert_false(run(f, 8));
    assert_int_equal(f->count, 1);
    assert_int_equal(kernel.error_calls, 0);
    fini(f);
}

static void put_error(uint32_t error, uint8_t origin)
{
    kernel.errors[kernel.error_count++] = (struct waiting_error){.error = error, .origin = origin};
}

/* The kernel tells the error instead of the data, once; the data follows. */
static void an_icmp_error_is_told_and_costs_no_packet(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    kernel.refuse_first = ECONNREFUSED;
    put_error(ECONNREFUSED, SO_EE_ORIGIN_ICMP);
    put(10, 0);
    assert_false(run(f, 8));
    assert_int_equal(f->unreachable, 1);
    assert_int_equal(f->count, 1);
    fini(f);
}

static void only_certain_errors_mean_unreachable(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    put_error(ECONNREFUSED, SO_EE_ORIGIN_ICMP);
    put_error(EHOSTUNREACH, SO_EE_ORIGIN_ICMP6);
    put_error(EMSGSIZE, SO_EE_ORIGIN_ICMP);
    put_error(EPROTO, SO_EE_ORIGIN_ICMP);
    put_error(ECONNREFUSED, SO_EE_ORIGIN_LOCAL);
    assert_false(run(f, 8));
    assert_int_equal(f->unreachable, 2);
    assert_int_equal(kernel.error_next, 5);
    fini(f);
}

static void nobody_needs_to_listen_to_errors(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    f->receiver.unreachable = NULL;
    put_error(ECONNREFUSED, SO_EE_ORIGIN_ICMP);
    assert_false(run(f, 8));
    assert_int_equal(kernel.error_next, 1);
    fini(f);
}

static void a_flood_of_errors_is_left_too(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    for (int i = 0; i < 100; i++)
        put_error(ECONNREFUSED, SO_EE_ORIGIN_ICMP);
    assert_false(run(f, 8));
    assert_int_equal(f->unreachable, 64);
    assert_false(run(f, 8));
    assert_int_equal(f->unreachable, 100);
    fini(f);
}

static void data_alone_costs_no_look_at_the_errors(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    put(10, 0);
    assert_false(run(f, 8));
    assert_int_equal(kernel.error_calls, 0);
    assert_int_equal(kernel.calls, 1);
    fini(f);
}

/* ---- what was found ---- */

static void a_look_at_nothing_costs_one_call(void **state)
{
    (void)state;
    for (int mmsg = 0; mmsg < 2; mmsg++) {
        struct fixture *f = init(true, mmsg != 0);
        put_error(ECONNREFUSED, SO_EE_ORIGIN_ICMP);
        assert_int_equal(look(f, 8), CV_UDP_NOTHING);
        assert_int_equal(kernel.calls, 1);
        assert_int_equal(kernel.error_calls, 0);
        assert_int_equal(f->unreachable, 0);
        fini(f);
    }
}

/* Then it was an error that woke us. */
static void nothing_after_a_wakeup_means_an_error(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    put_error(ECONNREFUSED, SO_EE_ORIGIN_ICMP);
    enum cv_udp_found found = cv_udp_reader_run(f->reader, &f->receiver, 8, true);
    assert_int_equal(found, CV_UDP_ALL);
    assert_int_equal(f->unreachable, 1);
    assert_int_equal(kernel.calls, 1);
    /* Woken for nothing at all. */
    found = cv_udp_reader_run(f->reader, &f->receiver, 8, true);
    assert_int_equal(found, CV_UDP_ALL);
    assert_int_equal(f->unreachable, 1);
    fini(f);
}

/* Also when that took a second call to know. */
static void a_look_finds_all_that_there_is(void **state)
{
    (void)state;
    static const unsigned counts[] = {1, 15, 16, 17, 32};
    for (int i = 0; i < 5; i++) {
        struct fixture *f = init(true, true);
        for (unsigned n = 0; n < counts[i]; n++)
            put(10, 0);
        assert_int_equal(look(f, 8), CV_UDP_ALL);
        assert_int_equal(f->count, counts[i]);
        assert_int_equal(kernel.calls, counts[i] / 16 + 1);
        assert_int_equal(look(f, 8), CV_UDP_NOTHING);
        assert_int_equal(kernel.error_calls, 0);
        fini(f);
    }
}

static void a_look_leaves_a_flood(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    for (int i = 0; i < 33; i++)
        put(10, 0);
    assert_int_equal(look(f, 2), CV_UDP_SOME);
    assert_int_equal(f->count, 32);
    assert_int_equal(look(f, 2), CV_UDP_ALL);
    assert_int_equal(f->count, 33);
    fini(f);
}

/* The kernel says so itself: it is fetched, whoever asked. */
static void a_look_fetches_an_error_that_it_meets(void **state)
{
    (void)state;
    struct fixture *f = init(true, true);
    kernel.refuse_first = ECONNREFUSED;
    put_error(ECONNREFUSED, SO_EE_ORIGIN_ICMP);
    assert_int_equal(look(f, 8), CV_UDP_ALL);
    assert_int_equal(f->unreachable, 1);
    assert_int_equal(look(f, 8), CV_UDP_NOTHING);
    fini(f);
}

/* The kernel shrinks what a message has room for to what it used, down to nothing: in each round it
 * finds all of it again, on whichever way and after an error too. */
static void every_round_has_room_for_what_the_kernel_tells(void **state)
{
    (void)state;
    for (int mmsg = 0; mmsg < 2; mmsg++) {
        struct fixture *f = init(true, mmsg != 0);
        for (int i = 0; i < 16; i++)
            put(10, 0);
        for (int i = 0; i < 16; i++)
            put(2000, 1000);
        assert_int_equal(look(f, 1), CV_UDP_SOME);
        assert_int_equal(f->count, 16);
        assert_int_equal(look(f, 1), CV_UDP_SOME);
        assert_int_equal(f->count, 48);
        assert_int_equal(look(f, 1), CV_UDP_NOTHING);
        put(10, 0);
        assert_int_equal(look(f, 1), CV_UDP_ALL);
        put(2000, 1000);
        assert_int_equal(look(f, 1), CV_UDP_ALL);
        assert_int_equal(f->count, 51);
        assert_int_equal(f->sizes[50], 1000);
        fini(f);
    }
}

static void no_memory(void **state)
{
    (void)state;
    struct cv_udp_socket socket = {.fd = -1};
    for (size_t n = 1; n <= 2; n++) {
        struct test_alloc memory;
        struct cv_udp_reader *reader = NULL;
        test_alloc_init(&memory);
        memory.fail_at = n;
        assert_int_equal(cv_udp_reader_new(&memory.alloc, &socket, &reader), COVEY_ERR_NO_MEMORY);
        assert_null(reader);
        test_alloc_assert_empty(&memory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joined_datagrams_are_taken_apart),
        cmocka_unit_test(a_strange_segment_size_does_no_harm),
        cmocka_unit_test(what_is_no_packet_is_not_delivered),
        cmocka_unit_test(a_flood_is_left_after_the_wanted_batches),
        cmocka_unit_test(a_kernel_without_recvmmsg_is_read_all_the_same),
        cmocka_unit_test(an_interrupted_call_is_tried_again),
        cmocka_unit_test(an_icmp_error_is_told_and_costs_no_packet),
        cmocka_unit_test(only_certain_errors_mean_unreachable),
        cmocka_unit_test(nobody_needs_to_listen_to_errors),
        cmocka_unit_test(a_flood_of_errors_is_left_too),
        cmocka_unit_test(data_alone_costs_no_look_at_the_errors),
        cmocka_unit_test(a_look_at_nothing_costs_one_call),
        cmocka_unit_test(nothing_after_a_wakeup_means_an_error),
        cmocka_unit_test(a_look_finds_all_that_there_is),
        cmocka_unit_test(a_look_leaves_a_flood),
        cmocka_unit_test(a_look_fetches_an_error_that_it_meets),
        cmocka_unit_test(every_round_has_room_for_what_the_kernel_tells),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
