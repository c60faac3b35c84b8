#ifndef CV_TRANSPORT_ROUTE_H
#define CV_TRANSPORT_ROUTE_H

#include "base/slice.h"

#include <stdint.h>

/*
 * Several loops share one UDP port, each with a socket and a QUIC endpoint of its own. Loop 0 is the
 * cluster's, the others serve calls. A packet names its loop by the first byte of its destination
 * connection id:
 *
 *     long header    1xxxxxxx | version (4) | size of id (1) | LOOP ...      byte 6
 *     short header   0xxxxxxx | LOOP ...                                     byte 1
 *
 *     LOOP 0                     loop 0
 *     LOOP b, 1 to 255           loop 1 + (b - 1) % (loops - 1)
 *
 * Ids of ours carry their loop's number, for which that is the identity; the first id of a client,
 * which it chose itself, is spread. A packet that is too short to name a loop belongs to loop 0,
 * where it will be dropped.
 *
 * These functions are the truth; the filter in the kernel (io/port_group) does the same. Between two
 * hosts the kernel may join datagrams for different loops that came from one address in one burst,
 * and looks at the first: that is mended by handing over.
 */

/* Loops that can be told apart by one byte. */
#define CV_ROUTE_LOOPS_MAX 256

/* The byte that names the loop; 0 when the datagram is too short to have it. Pure. */
uint8_t cv_route_byte(struct cv_slice datagram);

/* The loop of `loop_count` (0 counts as 1) that a datagram belongs to. Pure. */
unsigned cv_route_loop(struct cv_slice datagram, unsigned loop_count);

#endif
