#include "io/udp_reader.h"

#include <covey/error.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/udp.h>
#include <string.h>

/* With GRO the kernel joins datagrams into one of up to 64 KiB; without, one buffer holds one
 * packet and shows that a larger one was cut. */
#define GRO_BATCH    16
#define GRO_SIZE     65536
#define PACKET_BATCH 64
#define PACKET_SIZE  2048
/* A flood of ICMP errors must not keep the reader for ever. */
#define ERRORS_MAX 64

struct cv_udp_reader {
    const struct cv_alloc *alloc;
    struct cv_udp_socket *socket;
    unsigned batch;
    struct mmsghdr messages[PACKET_BATCH];
    struct iovec bytes[PACKET_BATCH];
    union cv_sockaddr names[PACKET_BATCH];
    struct cv_udp_control controls[PACKET_BATCH];
    uint8_t *buffers;
};

/* The kernel fills in those that it uses. */
static void prepare(struct cv_udp_reader *r, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        r->messages[i].msg_hdr = (struct msghdr){.msg_name = &r->names[i],
                                                 .msg_namelen = sizeof r->names[i],
                                                 .msg_iov = &r->bytes[i],
                                                 .msg_iovlen = 1,
                                                 .msg_control = &r->controls[i],
                                                 .msg_controllen = sizeof r->controls[i]};
    }
}

int cv_udp_reader_new(const struct cv_alloc *alloc, struct cv_udp_socket *socket,
                      struct cv_udp_reader **out)
{
    unsigned batch = socket->features.gro ? GRO_BATCH : PACKET_BATCH;
    size_t size = socket->features.gro ? GRO_SIZE : PACKET_SIZE;
    struct cv_udp_reader *r = cv_allocate_zeroed(alloc, 1, sizeof *r);
    if (r == NULL)
        return COVEY_ERR_NO_MEMORY;
    r->buffers = cv_allocate(alloc, batch * size);
    if (r->buffers == NULL) {
        cv_release(alloc, r);
        return COVEY_ERR_NO_MEMORY;
    }
    r->alloc = alloc;
    r->socket = socket;
    r->batch = batch;
    for (unsigned i = 0; i < batch; i++)
        r->bytes[i] = (struct iovec){.iov_base = r->buffers + i * size, .iov_len = size};
    prepare(r, batch);
    *out = r;
    return 0;
}

void cv_udp_reader_free(struct cv_udp_reader *r)
{
    cv_release(r->alloc, r->buffers);
    cv_release(r->alloc, r);
}

static int take_singly(struct cv_udp_reader *r)
{
    int count = 0;
    for (unsigned i = 0; i < r->batch; i++) {
        r->socket->stats.receive_calls++;
        ssize_t size = recvmsg(r->socket->fd, &r->messages[i].msg_hdr, MSG_DONTWAIT);
        if (size < 0)
            return count > 0 ? count : -1;
        r->messages[i].msg_len = (unsigned)size;
        count++;
    }
    return count;
}

/* The number of messages that are there, or -1 and errno. */
static int take(struct cv_udp_reader *r)
{
    if (!r->socket->features.mmsg)
        return take_singly(r);
    r->socket->stats.receive_calls++;
    return recvmmsg(r->socket->fd, r->messages, r->batch, MSG_DONTWAIT, NULL);
}

/* What the kernel says about one message beside its bytes. */
struct facts {
    struct cv_address local;
    uint8_t ecn;
    size_t segment; /* the size of each of the joined datagrams; 0: there is only one */
};

static int read_int(const struct cmsghdr *c)
{
    int value;
    memcpy(&value, CMSG_DATA(c), sizeof value);
    return value;
}

static void read_v4(struct facts *facts, const struct cmsghdr *c)
{
    if (c->cmsg_type == IP_TOS) {
        facts->ecn = *CMSG_DATA(c) & 3;
    } else if (c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        memcpy(facts->local.ip, &info.ipi_spec_dst, sizeof info.ipi_spec_dst);
    }
}

static void read_v6(struct facts *facts, const struct cmsghdr *c)
{
    if (c->cmsg_type == IPV6_TCLASS) {
        facts->ecn = (uint8_t)(read_int(c) & 3);
    } else if (c->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        memcpy(facts->local.ip, &info.ipi6_addr, sizeof info.ipi6_addr);
        facts->local.scope = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
    }
}

static struct facts read_facts(const struct cv_udp_reader *r, struct msghdr *message)
{
    struct facts facts = {.local = r->socket->local};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP)
            read_v4(&facts, c);
        else if (c->cmsg_level == IPPROTO_IPV6)
            read_v6(&facts, c);
        else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
            facts.segment = read_int(c) > 0 ? (size_t)read_int(c) : 0;
    }
    return facts;
}

static void deliver_one(struct cv_udp_reader *r, const struct cv_udp_receiver *receiver,
                        const struct cv_datagram *d)
{
    r->socket->stats.packets_received++;
    if (d->bytes.size > CV_DATAGRAM_SIZE_MAX)
        r->socket->stats.packets_truncated++;
    else
        receiver->datagram(receiver->user, d);
}

static void deliver(struct cv_udp_reader *r, const struct cv_udp_receiver *receiver, unsigned index)
{
    size_t size = r->messages[index].msg_len;
    struct facts facts = read_facts(r, &r->messages[index].msg_hdr);
    size_t segment = facts.segment == 0 ? size : facts.segment;
    struct cv_datagram d = {
        .local = facts.local, .remote = cv_sockaddr_get(&r->names[index].any), .ecn = facts.ecn};
    const uint8_t *bytes = r->bytes[index].iov_base;
    for (size_t at = 0; at < size; at += segment) {
        size_t left = size - at;
        d.bytes = cv_slice_of(bytes + at, left < segment ? left : segment);
        deliver_one(r, receiver, &d);
    }
}

/* ICMP's "nobody listens there" and "no way there"; not what our own machine found out, and not
 * the many errors that say nothing certain. */
static bool says_unreachable(const struct sock_extended_err *error)
{
    return (error->ee_origin == SO_EE_ORIGIN_ICMP || error->ee_origin == SO_EE_ORIGIN_ICMP6) &&
           (error->ee_errno == ECONNREFUSED || error->ee_errno == EHOSTUNREACH);
}

static bool is_error(const struct cmsghdr *c)
{
    return (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
           (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
}

static bool message_says_unreachable(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        struct sock_extended_err error;
        if (!is_error(c))
            continue;
        memcpy(&error, CMSG_DATA(c), sizeof error);
        if (says_unreachable(&error))
            return true;
    }
    return false;
}

/* Room for an extended error and the address of who sent it. */
#define ERROR_CONTROL_SIZE                                                                         \
    (CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(union cv_sockaddr)) +                    \
     sizeof(struct cv_udp_control))

static void read_errors(struct cv_udp_reader *r, const struct cv_udp_receiver *receiver)
{
    for (unsigned i = 0; i < ERRORS_MAX; i++) {
        union cv_sockaddr remote;
        _Alignas(struct cmsghdr) uint8_t control[ERROR_CONTROL_SIZE];
        struct msghdr message = {.msg_name = &remote,
                                 .msg_namelen = sizeof remote,
                                 .msg_control = control,
                                 .msg_controllen = sizeof control};
        if (recvmsg(r->socket->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return;
        if (receiver->unreachable == NULL || message.msg_namelen == 0 ||
            !message_says_unreachable(&message))
            continue;
        struct cv_address address = cv_sockaddr_get(&remote.any);
        receiver->unreachable(receiver->user, &address);
    }
}

enum cv_udp_found cv_udp_reader_run(struct cv_udp_reader *r, const struct cv_udp_receiver *receiver,
                                    unsigned batches, bool is_woken)
{
    bool is_empty = true;
    for (unsigned round = 0; round < batches; round++) {
        int count = take(r);
        int error = count < 0 ? errno : 0;
        is_empty = is_empty && count <= 0 && (error == EAGAIN || error == EINTR);
        for (int i = 0; i < count; i++)
            deliver(r, receiver, (unsigned)i);
        prepare(r, count > 0 ? (unsigned)count : 1);
        if (error == ENOSYS)
            r->socket->features.mmsg = false;
        /* A pending error, or we were woken and there is nothing: then it was the error queue. */
        else if (error != 0 && error != EINTR && (error != EAGAIN || (is_empty && is_woken)))
            read_errors(r, receiver);
        if (error == EAGAIN)
            return is_empty && !is_woken ? CV_UDP_NOTHING : CV_UDP_ALL;
        if (error == 0 && (unsigned)count < r->batch)
            return CV_UDP_ALL;
    }
    return CV_UDP_SOME;
}
