#ifndef CV_TRANSPORT_TRANSPORT_H
#define CV_TRANSPORT_TRANSPORT_H

#include "base/address.h"
#include "base/slice.h"

#include <covey/types.h>
#include <stdbool.h>

/*
 * The port between the protocol layers below and whatever carries their packets: a UDP socket, a
 * simulated network, a test. Packets go in as struct cv_datagram and come out through a struct
 * cv_datagram_sink; neither side owns a socket or a clock of the other's.
 */

/* The largest UDP payload that we ever send or receive as one QUIC packet. */
#define CV_DATAGRAM_SIZE_MAX 1500

/* One received UDP datagram; the bytes are borrowed for the call. */
struct cv_datagram {
    struct cv_address local;
    struct cv_address remote;
    uint8_t ecn;      /* the two ECN bits of the IP header */
    bool handed_over; /* by another loop of ours that it came to first: it goes no further */
    struct cv_slice bytes;
};

/*
 * Where packets to be sent are written. reserve() gives room for one packet of up to `size_max`
 * bytes (at most CV_DATAGRAM_SIZE_MAX), never NULL: a sink that is full sends first. commit() hands
 * over the first `size` bytes of that room; without a commit the room is given back by the next
 * reserve(). What a sink cannot send it drops and counts, as a network would. bulk(true), where
 * there is such a function, says that many packets of one size follow on one way, until
 * bulk(false): a sink may then wait for more of them than it does for small messages.
 */
struct cv_datagram_sink {
    uint8_t *(*reserve)(void *user, size_t size_max);
    void (*commit)(void *user, const struct cv_address *local, const struct cv_address *remote,
                   uint8_t ecn, size_t size);
    void (*bulk)(void *user, bool is_bulk); /* or NULL */
    void *user;
};

#endif
