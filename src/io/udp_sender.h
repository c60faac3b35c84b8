#ifndef CV_IO_UDP_SENDER_H
#define CV_IO_UDP_SENDER_H

#include "base/log.h"
#include "io/udp_socket.h"

/* A peer starts on the first packets while we make the next: with one send a turn both sides work
 * in turns, and half as many calls get through. Fewer than 8 make the system calls dear. */
#define CV_UDP_SENDER_PACKETS 8
/* Large bodies keep both sides busy anyway: as many as fit one message with UDP_SEGMENT. */
#define CV_UDP_SENDER_PACKETS_MAX 43

struct cv_udp_packet {
    struct cv_address local;
    struct cv_address remote;
    size_t offset;
    size_t size;
    uint8_t ecn;
};

/*
 * The writing half of a cv_udp: packets that wait, one behind the other in one buffer.
 *
 *   buffer   | packet 0 | packet 1 | packet 2 |   room for reserve()   |
 *            '- same size and way: one message with UDP_SEGMENT -'
 */
struct cv_udp_sender {
    struct cv_udp_socket *socket;
    struct cv_log_limit log_limit;
    size_t reserved;
    size_t used;
    unsigned count;
    unsigned count_max; /* at which it sends */
    struct cv_udp_packet packets[CV_UDP_SENDER_PACKETS_MAX];
    uint8_t buffer[CV_UDP_SENDER_PACKETS_MAX * CV_DATAGRAM_SIZE_MAX];
};

/* `socket` is borrowed. */
void cv_udp_sender_init(struct cv_udp_sender *s, struct cv_udp_socket *socket);

/* As in struct cv_datagram_sink. */
uint8_t *cv_udp_sender_reserve(struct cv_udp_sender *s, size_t size_max);
void cv_udp_sender_commit(struct cv_udp_sender *s, const struct cv_address *local,
                          const struct cv_address *remote, uint8_t ecn, size_t size);

/* As in struct cv_datagram_sink. */
void cv_udp_sender_bulk(struct cv_udp_sender *s, bool is_bulk);

/* Sends what waits. */
void cv_udp_sender_run(struct cv_udp_sender *s);

#endif
