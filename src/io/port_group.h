#ifndef CV_IO_PORT_GROUP_H
#define CV_IO_PORT_GROUP_H

#include "io/udp.h"

/*
 * The sockets of the loops that share one UDP port (SO_REUSEPORT): socket i is the one of loop i. A
 * filter in the kernel gives each datagram to the socket of its loop as cv_route_loop() says; where
 * there is no filter the kernel spreads by addresses, and the endpoints hand over.
 *
 * The port is ours alone when the group is opened: a socket of anybody's on it, one that would share
 * it among them, is COVEY_ERR_ADDRESS_IN_USE, and no other group can be opened on it. The kernel lets
 * a program of the same user that asks for SO_REUSEPORT join later; the filter gives it nothing.
 *
 * Opening and closing: one thread at a time. The sockets in between: each on its own thread.
 */
struct cv_port_group;

struct cv_port_group_config {
    struct cv_udp_config udp; /* of every socket; `reuse_port` is not looked at */
    unsigned count;           /* sockets, 1 to CV_ROUTE_LOOPS_MAX */
    bool no_filter;           /* leave it out, for tests of the fallback and for odd kernels */
};

/* 0, or an error of cv_udp_open(): then nothing is open. With a count of 1 it is an ordinary socket.
 */
COVEY_MUST_USE int cv_port_group_open(const struct cv_port_group_config *config,
                                      struct cv_port_group **out);
/* Closes every socket. They are closed together because the kernel numbers those that are left
 * anew. */
void cv_port_group_close(struct cv_port_group *group);

unsigned cv_port_group_count(const struct cv_port_group *group);
/* The socket of loop `index`, valid until the group is closed; not to be closed by itself. */
struct cv_udp *cv_port_group_socket(const struct cv_port_group *group, unsigned index);
/* With the port that the kernel picked. */
struct cv_address cv_port_group_local(const struct cv_port_group *group);
/* True when the kernel finds the sockets by the packets' loops. */
bool cv_port_group_has_filter(const struct cv_port_group *group);

#endif
