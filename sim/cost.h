#ifndef SIM_COST_H
#define SIM_COST_H

#include <covey/types.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * What a message costs on a real network, where it is a frame in a QUIC packet in a UDP datagram:
 *
 *     IP and UDP  28 | short header  1 + 16 (connection id) + 1 (packet number) | frame | tag  16
 *
 * A DATAGRAM frame has 1 + 2 bytes before the message, a STREAM frame 1 + 2 (id) + 2 (length) when
 * its stream has one. Every packet of either asks for an acknowledgement: a packet of its own here,
 * though a real one may carry an answer, too.
 *
 * Measured with two endpoints of this library on a wire in memory: a DATAGRAM of 100 bytes is 137
 * bytes of UDP, its acknowledgement 42.
 */
#define SIM_PACKET_OVERHEAD 62 /* with the tag, without a frame */
#define SIM_DATAGRAM_FRAME  3
#define SIM_STREAM_FRAME    5
#define SIM_PACKET_PAYLOAD  1150 /* of a stream, in a packet of 1200 bytes before IP and UDP */
#define SIM_ACK_PACKET      70

/*
 * A handshake with certificates on both sides (ECDSA P-256), on the same wire without loss: 7
 * packets from the client with 5476 bytes, 5 from the server with 4243, the search for the path's
 * packet size included; and 28 bytes for each.
 */
#define SIM_HANDSHAKE_CLIENT_BYTES 5672
#define SIM_HANDSHAKE_SERVER_BYTES 4383
#define SIM_HANDSHAKE_TRY_BYTES    1228 /* a first flight that nobody answers */
/* What it keeps a core busy for on each side (docs/decisions/0006-no-resumption.md). */
#define SIM_HANDSHAKE_CPU (600 * COVEY_MICROSECOND)

/* How many packets a message takes, and how many bytes they have in all. */
size_t sim_cost_packets(size_t size, bool is_reliable);
size_t sim_cost_bytes(size_t size, bool is_reliable);

#endif
