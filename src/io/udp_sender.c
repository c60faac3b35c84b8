#include "io/udp_sender.h"

#include "io/clock.h"
#include "transport/route.h"

#include <assert.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#define LOG_INTERVAL (10 * COVEY_SECOND)

/* A UDP_SEGMENT message carries up to 64 packets and 65,507 bytes. */
static_assert(CV_UDP_SENDER_PACKETS_MAX <= 64, "one run fits one message");
static_assert(CV_UDP_SENDER_PACKETS_MAX * CV_DATAGRAM_SIZE_MAX <= 65507,
              "one run fits one message");

/* One message: a run of packets of one size and way. */
struct run {
    unsigned first;
    unsigned count;
};

struct batch {
    unsigned count;
    struct run runs[CV_UDP_SENDER_PACKETS_MAX];
    struct mmsghdr messages[CV_UDP_SENDER_PACKETS_MAX];
    struct iovec bytes[CV_UDP_SENDER_PACKETS_MAX];
    union cv_sockaddr names[CV_UDP_SENDER_PACKETS_MAX];
    struct cv_udp_control controls[CV_UDP_SENDER_PACKETS_MAX];
};

void cv_udp_sender_init(struct cv_udp_sender *s, struct cv_udp_socket *socket)
{
    s->socket = socket;
    s->log_limit = (struct cv_log_limit){0};
    s->reserved = 0;
    s->used = 0;
    s->count = 0;
    s->count_max = CV_UDP_SENDER_PACKETS;
}

uint8_t *cv_udp_sender_reserve(struct cv_udp_sender *s, size_t size_max)
{
    assert(size_max <= CV_DATAGRAM_SIZE_MAX);
    assert(s->count < CV_UDP_SENDER_PACKETS_MAX);
    s->reserved = size_max;
    return s->buffer + s->used;
}

void cv_udp_sender_commit(struct cv_udp_sender *s, const struct cv_address *local,
                          const struct cv_address *remote, uint8_t ecn, size_t size)
{
    assert(size > 0);
    assert(size <= s->reserved);
    s->packets[s->count++] = (struct cv_udp_packet){
        .local = *local, .remote = *remote, .offset = s->used, .size = size, .ecn = ecn};
    s->used += size;
    s->reserved = 0;
    if (s->count >= s->count_max)
        cv_udp_sender_run(s);
}

void cv_udp_sender_bulk(struct cv_udp_sender *s, bool is_bulk)
{
    s->count_max = is_bulk ? CV_UDP_SENDER_PACKETS_MAX : CV_UDP_SENDER_PACKETS;
}

static uint8_t route_byte(const struct cv_udp_sender *s, const struct cv_udp_packet *p)
{
    return cv_route_byte(cv_slice_of(s->buffer + p->offset, p->size));
}

/* Also to the same loop of the peer: on one machine the kernel gives what is joined to one socket. */
static bool same_way(const struct cv_udp_sender *s, const struct cv_udp_packet *a,
                     const struct cv_udp_packet *b)
{
    return a->ecn == b->ecn && cv_address_equal(&a->remote, &b->remote) &&
           cv_address_equal(&a->local, &b->local) && route_byte(s, a) == route_byte(s, b);
}

/* How many packets from `first` on fit one UDP_SEGMENT message: all but the last are equal in size,
 * the last may be shorter. */
static unsigned run_length(const struct cv_udp_sender *s, unsigned first)
{
    const struct cv_udp_packet *head = &s->packets[first];
    unsigned count = 1;
    while (first + count < s->count) {
        const struct cv_udp_packet *next = &s->packets[first + count];
        if (next->size > head->size || !same_way(s, head, next))
            break;
        count++;
        if (next->size < head->size)
            break;
    }
    return count;
}

static void add_control(struct msghdr *message, int level, int type, const void *value, size_t size)
{
    struct cmsghdr *c = (void *)((uint8_t *)message->msg_control + message->msg_controllen);
    assert(message->msg_controllen + CMSG_SPACE(size) <= sizeof(struct cv_udp_control));
    memset(c, 0, CMSG_SPACE(size));
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), value, size);
    message->msg_controllen += CMSG_SPACE(size);
}

/* The answer to a datagram must come from the address that it was sent to. */
static void add_source(struct msghdr *message, const struct cv_address *local)
{
    if (local->family == 4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, local->ip, sizeof info.ipi_spec_dst);
        add_control(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = local->scope};
        memcpy(&info.ipi6_addr, local->ip, sizeof info.ipi6_addr);
        add_control(message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

static void add_ecn(struct msghdr *message, uint8_t family, uint8_t ecn)
{
    int value = ecn;
    if (family == 4)
        add_control(message, IPPROTO_IP, IP_TOS, &value, sizeof value);
    else
        add_control(message, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value);
}

static void add_controls(const struct cv_udp_sender *s, struct msghdr *message, struct run run)
{
    const struct cv_udp_packet *head = &s->packets[run.first];
    if (run.count > 1) {
        uint16_t segment = (uint16_t)head->size;
        add_control(message, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
    }
    if (s->socket->wildcard && head->local.family == s->socket->local.family &&
        !cv_address_is_wildcard(&head->local))
        add_source(message, &head->local);
    if (head->ecn != 0 && s->socket->features.ecn)
        add_ecn(message, s->socket->local.family, head->ecn);
}

static void add_message(struct cv_udp_sender *s, struct batch *batch, struct run run)
{
    unsigned i = batch->count++;
    const struct cv_udp_packet *head = &s->packets[run.first];
    const struct cv_udp_packet *last = &s->packets[run.first + run.count - 1];
    batch->runs[i] = run;
    batch->bytes[i] = (struct iovec){.iov_base = s->buffer + head->offset,
                                     .iov_len = last->offset + last->size - head->offset};
    struct msghdr *message = &batch->messages[i].msg_hdr;
    *message = (struct msghdr){.msg_name = &batch->names[i],
                               .msg_namelen = cv_sockaddr_set(&batch->names[i], &head->remote),
                               .msg_iov = &batch->bytes[i],
                               .msg_iovlen = 1,
                               .msg_control = &batch->controls[i]};
    add_controls(s, message, run);
}

static void build(struct cv_udp_sender *s, struct batch *batch)
{
    batch->count = 0;
    for (unsigned i = 0; i < s->count;) {
        struct run run = {.first = i, .count = s->socket->features.gso ? run_length(s, i) : 1};
        add_message(s, batch, run);
        i += run.count;
    }
}

/* The number of messages that the kernel took, or -1 and errno. */
static int send_some(struct cv_udp_sender *s, struct mmsghdr *first, unsigned count)
{
    int sent;
    do {
        s->socket->stats.send_calls++;
        if (count > 1 && s->socket->features.mmsg)
            sent = sendmmsg(s->socket->fd, first, count, 0);
        else
            sent = sendmsg(s->socket->fd, &first->msg_hdr, 0) < 0 ? -1 : 1;
    } while (sent < 0 && errno == EINTR);
    return sent;
}

/* No room in a buffer, and a packet that was made to find out whether it is too large, are every
 * day's work. */
static bool is_worth_a_line(int error)
{
    return error != EAGAIN && error != ENOBUFS && error != EMSGSIZE;
}

static void drop(struct cv_udp_sender *s, struct run run, int error)
{
    uint64_t suppressed;
    s->socket->stats.packets_dropped += run.count;
    if (!is_worth_a_line(error) ||
        !cv_log_limit_pass(&s->log_limit, cv_clock_now(), LOG_INTERVAL, &suppressed))
        return;
    char text[64];
    char address[CV_ADDRESS_TEXT_SIZE];
    cv_log_line(s->socket->log, CV_LOG_WARNING,
                "udp: packets to %s dropped: %s (%llu more such lines held back)",
                cv_address_text(&s->packets[run.first].remote, address),
                strerror_r(error, text, sizeof text), (unsigned long long)suppressed);
}

static void send_apart(struct cv_udp_sender *s, struct run run)
{
    for (unsigned i = run.first; i < run.first + run.count; i++) {
        struct batch single = {.count = 0};
        add_message(s, &single, (struct run){.first = i, .count = 1});
        if (send_some(s, single.messages, 1) < 0) {
            drop(s, single.runs[0], errno);
            continue;
        }
        s->socket->stats.packets_sent++;
        /* What is refused together and taken alone: it is GSO that does not work. */
        if (i == run.first)
            s->socket->features.gso = false;
    }
}

/* The kernel refused message `index` for the refusals-th time: returns how many messages from it on
 * are done with. */
static unsigned refused(struct cv_udp_sender *s, struct batch *batch, unsigned index, int error,
                        unsigned refusals)
{
    struct run run = batch->runs[index];
    if (error == ENOSYS && s->socket->features.mmsg) {
        s->socket->features.mmsg = false;
        return 0;
    }
    if (error == EAGAIN || error == ENOBUFS) {
        for (unsigned i = index; i < batch->count; i++)
            drop(s, batch->runs[i], error);
        return batch->count - index;
    }
    if (run.count > 1 && (error == EIO || error == EINVAL)) {
        send_apart(s, run);
        return 1;
    }
    /* Often it is the error of an earlier packet, which the kernel reports only once. */
    if (refusals == 1)
        return 0;
    drop(s, run, error);
    return 1;
}

static void count_sent(struct cv_udp_sender *s, const struct run *runs, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        s->socket->stats.packets_sent += runs[i].count;
}

void cv_udp_sender_run(struct cv_udp_sender *s)
{
    struct batch batch;
    unsigned refusals = 0;
    build(s, &batch);
    for (unsigned i = 0; i < batch.count;) {
        int sent = send_some(s, &batch.messages[i], batch.count - i);
        if (sent < 0) {
            unsigned done = refused(s, &batch, i, errno, ++refusals);
            refusals = done > 0 ? 0 : refusals;
            i += done;
            continue;
        }
        count_sent(s, &batch.runs[i], (unsigned)sent);
        i += (unsigned)sent;
        refusals = 0;
    }
    s->count = 0;
    s->used = 0;
}
