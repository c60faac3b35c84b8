#include "bound.h"
#include "process.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH       16
#define JOINED_SIZE 65536
/* Batches of a socket before the others have their turn. */
#define ROUNDS      8
#define SOCKET_SIZE (4 << 20)

/* Room for the one control message that is wanted, aligned for it. */
union control {
    size_t alignment;
    char bytes[CMSG_SPACE(sizeof(int))];
};

struct bound_reader {
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_in from[BATCH];
    union control controls[BATCH];
    unsigned char bytes[BATCH][JOINED_SIZE];
};

struct bound_reader *bound_reader_new(void)
{
    struct bound_reader *r = calloc(1, sizeof *r);
    if (r == NULL)
        die("rpc-bound: no memory");
    return r;
}

void bound_socket_open(struct bound_socket *s, const struct sockaddr_in *remote)
{
    int size = SOCKET_SIZE, on = 1;
    socklen_t length = sizeof s->local;
    *s = (struct bound_socket){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)};
    s->local.sin_family = AF_INET;
    s->local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&s->local, sizeof s->local) != 0)
        die("rpc-bound: socket: %s", strerror(errno));
    if (remote != NULL) {
        s->remote = *remote;
        s->is_connected = true;
        if (connect(s->fd, (const struct sockaddr *)remote, sizeof *remote) != 0)
            die("rpc-bound: connect: %s", strerror(errno));
    }
    getsockname(s->fd, (struct sockaddr *)&s->local, &length);
    setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (setsockopt(s->fd, SOL_UDP, UDP_GRO, &on, sizeof on) != 0)
        die("rpc-bound: UDP_GRO: %s", strerror(errno));
}

/* ---- in ---- */

static void prepare(struct bound_reader *r)
{
    for (unsigned i = 0; i < BATCH; i++) {
        r->parts[i] = (struct iovec){.iov_base = r->bytes[i], .iov_len = JOINED_SIZE};
        r->messages[i].msg_hdr = (struct msghdr){.msg_name = &r->from[i],
                                                 .msg_namelen = sizeof r->from[i],
                                                 .msg_iov = &r->parts[i],
                                                 .msg_iovlen = 1,
                                                 .msg_control = &r->controls[i],
                                                 .msg_controllen = sizeof r->controls[i]};
    }
}

/* The size of each of the datagrams that the kernel joined. */
static size_t segment_of(struct msghdr *message, size_t size)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    int segment;
    if (c == NULL || c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
        return size;
    memcpy(&segment, CMSG_DATA(c), sizeof segment);
    return (size_t)segment;
}

static void take(struct bound *b, struct bound_socket *s, unsigned i, uint64_t now)
{
    struct bound_reader *r = b->reader;
    size_t size = r->messages[i].msg_len;
    size_t segment = segment_of(&r->messages[i].msg_hdr, size);
    for (size_t at = 0; at < size; at += segment)
        bound_packet(b, s, &r->from[i], r->bytes[i] + at, size - at < segment ? size - at : segment,
                     now);
}

bool bound_socket_read(struct bound *b, struct bound_socket *s)
{
    struct bound_reader *r = b->reader;
    bool any = false;
    for (int round = 0; round < ROUNDS; round++) {
        prepare(r);
        int count = recvmmsg(s->fd, r->messages, BATCH, MSG_DONTWAIT, NULL);
        if (count <= 0)
            break;
        uint64_t now = now_ns();
        for (unsigned i = 0; i < (unsigned)count; i++)
            take(b, s, i, now);
        any = true;
        if (count < BATCH)
            break;
    }
    return any;
}

/* ---- out ---- */

unsigned char *bound_sender_room(struct bound_sender *sender, struct bound_socket *s)
{
    if (sender->socket != s || sender->packet_count == sender->burst)
        bound_sender_flush(sender);
    sender->socket = s;
    return sender->bytes + sender->used;
}

void bound_sender_commit(struct bound_sender *sender, const struct sockaddr_in *to, size_t size)
{
    struct bound_group *g =
        sender->group_count == 0 ? NULL : &sender->groups[sender->group_count - 1];
    if (g == NULL || g->is_closed || size > g->segment || g->to.sin_port != to->sin_port) {
        g = &sender->groups[sender->group_count++];
        *g = (struct bound_group){.offset = sender->used, .segment = size, .to = *to};
    }
    g->size += size;
    g->is_closed = size < g->segment;
    sender->used += size;
    sender->packet_count++;
}

static void set_segment(struct msghdr *message, union control *control, size_t segment)
{
    uint16_t value = (uint16_t)segment;
    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(sizeof value);
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof value);
    memcpy(CMSG_DATA(c), &value, sizeof value);
}

/* What the kernel does not take is lost, and QUIC sends it again. */
void bound_sender_flush(struct bound_sender *sender)
{
    struct mmsghdr messages[BOUND_BURST_LARGE];
    struct iovec parts[BOUND_BURST_LARGE];
    union control controls[BOUND_BURST_LARGE];
    for (unsigned i = 0; i < sender->group_count; i++) {
        struct bound_group *g = &sender->groups[i];
        struct msghdr *message = &messages[i].msg_hdr;
        parts[i] = (struct iovec){.iov_base = sender->bytes + g->offset, .iov_len = g->size};
        *message = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
        if (!sender->socket->is_connected) {
            message->msg_name = &g->to;
            message->msg_namelen = sizeof g->to;
        }
        if (g->size > g->segment)
            set_segment(message, &controls[i], g->segment);
    }
    if (sender->group_count == 1)
        (void)!sendmsg(sender->socket->fd, &messages[0].msg_hdr, 0);
    else if (sender->group_count > 1)
        (void)!sendmmsg(sender->socket->fd, messages, sender->group_count, 0);
    sender->group_count = sender->packet_count = 0;
    sender->used = 0;
}
