#include "io/udp_socket.h"

#include <covey/error.h>
#include <errno.h>
#include <limits.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

static bool has(int fd, int level, int option)
{
    int value;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, option, &value, &size) == 0;
}

static uint32_t get_size(int fd, int option)
{
    int value = 0;
    socklen_t size = sizeof value;
    (void)getsockopt(fd, SOL_SOCKET, option, &value, &size);
    return value < 0 ? 0 : (uint32_t)value;
}

static void set_buffers(struct cv_udp_socket *s, uint32_t wanted)
{
    int size = wanted > INT_MAX ? INT_MAX : (int)wanted;
    (void)set(s->fd, SOL_SOCKET, SO_RCVBUF, size);
    (void)set(s->fd, SOL_SOCKET, SO_SNDBUF, size);
    s->features.receive_buffer = get_size(s->fd, SO_RCVBUF);
    s->features.send_buffer = get_size(s->fd, SO_SNDBUF);
}

/*
 * QUIC packets must not be cut in pieces by routers, hence "don't fragment". PROBE and not DO: the
 * kernel then does not believe ICMP messages about the path's MTU, which anybody can forge; QUIC
 * finds it out by its own probes.
 */
static void set_v4(struct cv_udp_socket *s)
{
    (void)set(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    (void)set(s->fd, IPPROTO_IP, IP_RECVERR, 1);
    s->features.ecn = set(s->fd, IPPROTO_IP, IP_RECVTOS, 1);
    if (s->wildcard)
        (void)set(s->fd, IPPROTO_IP, IP_PKTINFO, 1);
}

static void set_v6(struct cv_udp_socket *s)
{
    (void)set(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    (void)set(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    (void)set(s->fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    s->features.ecn = set(s->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    if (s->wildcard)
        (void)set(s->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

static void set_options(struct cv_udp_socket *s, const struct cv_udp_config *config)
{
    if (config->bind.family == 4)
        set_v4(s);
    else
        set_v6(s);
    if (config->reuse_port)
        (void)set(s->fd, SOL_SOCKET, SO_REUSEPORT, 1);
    set_buffers(s, config->buffer_size);
    s->features.mmsg = !config->no_mmsg;
    s->features.gso = !config->no_gso && has(s->fd, SOL_UDP, UDP_SEGMENT);
    s->features.gro = !config->no_gro && set(s->fd, SOL_UDP, UDP_GRO, 1);
}

static int error_of(int error)
{
    switch (error) {
    case EADDRINUSE:
        return COVEY_ERR_ADDRESS_IN_USE;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: /* IPv6 on a machine without it */
    case EINVAL:       /* a link-local address without a scope */
    case ENODEV:       /* or with that of no interface */
        return COVEY_ERR_ADDRESS;
    case ENOMEM:
    case ENOBUFS:
        return COVEY_ERR_NO_MEMORY;
    default:
        return COVEY_ERR_SYSTEM;
    }
}

static int failed(const struct cv_udp_config *config, const char *what, int error)
{
    char text[64];
    char address[CV_ADDRESS_TEXT_SIZE];
    cv_log_line(config->log, CV_LOG_ERROR, "udp: %s %s: %s", what,
                cv_address_text(&config->bind, address), strerror_r(error, text, sizeof text));
    return error_of(error);
}

static bool bind_and_look(struct cv_udp_socket *s, union cv_sockaddr *name, socklen_t size)
{
    if (bind(s->fd, &name->any, size) != 0 || getsockname(s->fd, &name->any, &size) != 0)
        return false;
    s->local = cv_sockaddr_get(&name->any);
    return true;
}

int cv_udp_socket_open(struct cv_udp_socket *s, const struct cv_udp_config *config)
{
    union cv_sockaddr name;
    socklen_t size = cv_sockaddr_set(&name, &config->bind);
    if (size == 0)
        return COVEY_ERR_ADDRESS;
    int fd = socket(name.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failed(config, "socket for", errno);
    struct cv_udp_socket new = {
        .fd = fd, .wildcard = cv_address_is_wildcard(&config->bind), .log = config->log};
    set_options(&new, config);
    if (!bind_and_look(&new, &name, size)) {
        int error = failed(config, "bind to", errno);
        (void)close(fd);
        return error;
    }
    *s = new;
    return 0;
}

void cv_udp_socket_close(struct cv_udp_socket *s)
{
    (void)close(s->fd);
    s->fd = -1;
}
