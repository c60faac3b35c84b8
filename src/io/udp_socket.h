#ifndef CV_IO_UDP_SOCKET_H
#define CV_IO_UDP_SOCKET_H

#include "io/sockaddr.h"
#include "io/udp.h"

/* The socket of a cv_udp: opened and set up; what its reading and its writing half share. */
struct cv_udp_socket {
    int fd;
    struct cv_address local;
    bool wildcard; /* bound to every address of the machine, so each datagram has its own */
    struct cv_udp_features features; /* either half clears what turns out not to work */
    struct cv_udp_stats stats;
    const struct cv_log *log;
};

/* Errors as cv_udp_open(). */
COVEY_MUST_USE int cv_udp_socket_open(struct cv_udp_socket *s, const struct cv_udp_config *config);
void cv_udp_socket_close(struct cv_udp_socket *s);

/* Room for the control messages of one message in either direction, as the kernel aligns them. */
struct cv_udp_control {
    _Alignas(struct cmsghdr)
        uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
};

#endif
