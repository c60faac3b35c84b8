#ifndef CV_IO_UDP_H
#define CV_IO_UDP_H

#include "base/alloc.h"
#include "base/log.h"
#include "transport/transport.h"

#include <covey/export.h>

/*
 * One UDP socket that reads and writes in batches: recvmmsg with UDP_GRO, sendmmsg with
 * UDP_SEGMENT, ECN bits both ways, ICMP errors from the error queue. What the kernel does not offer
 * is left out without a word to the caller (cv_udp_features says what is used). One thread at a
 * time.
 *
 * A socket for [::] serves IPv6 only: both families need two sockets. Packets are never fragmented,
 * and ICMP's "packet too big" is not believed: QUIC probes for the path's MTU itself.
 */
struct cv_udp;

struct cv_udp_config {
    const struct cv_alloc *alloc;
    const struct cv_log *log;
    struct cv_address bind; /* port 0: the kernel picks one */
    bool reuse_port;        /* SO_REUSEPORT: see io/port_group.h */
    uint32_t buffer_size;   /* wanted SO_RCVBUF and SO_SNDBUF, 4 MiB; the kernel may give less */
    bool no_gso;            /* leave these out, for tests of the fallbacks and for odd kernels */
    bool no_gro;
    bool no_mmsg;
};
void cv_udp_config_init(struct cv_udp_config *config);

/* 0; COVEY_ERR_ADDRESS_IN_USE; COVEY_ERR_ADDRESS (not an address of this machine);
 * COVEY_ERR_SYSTEM; COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_udp_open(const struct cv_udp_config *config, struct cv_udp **out);
void cv_udp_close(struct cv_udp *udp);

int cv_udp_fd(const struct cv_udp *udp);
/* With the port that the kernel picked. */
struct cv_address cv_udp_local(const struct cv_udp *udp);

struct cv_udp_receiver {
    /* Neither empty datagrams nor larger ones than CV_DATAGRAM_SIZE_MAX. May write to the sink;
     * must not close the socket. */
    void (*datagram)(void *user, const struct cv_datagram *d);
    /* An ICMP error says that nothing listens at `remote`; a hint, anybody can forge it. May be
     * NULL. */
    void (*unreachable)(void *user, const struct cv_address *remote);
    void *user;
};

enum cv_udp_found {
    CV_UDP_NOTHING,
    CV_UDP_ALL, /* that there was */
    CV_UDP_SOME /* there may be more */
};

/*
 * Reads what is there, at most `batches` rounds so that a flood cannot keep the caller for ever.
 * `is_woken`: the socket was said to be readable, so when nothing came there is an error to be
 * fetched.
 */
enum cv_udp_found cv_udp_receive(struct cv_udp *udp, const struct cv_udp_receiver *receiver,
                                 unsigned batches, bool is_woken);

/* Packets committed to the sink are sent when 8 of them wait (a peer starts on the first ones while
 * we make the others) and at cv_udp_send(). Valid as long as the socket. */
const struct cv_datagram_sink *cv_udp_sink(struct cv_udp *udp);
/* Sends what waits. When the kernel's buffer is full the rest is dropped and counted, as a network
 * would. */
void cv_udp_send(struct cv_udp *udp);

struct cv_udp_stats {
    uint64_t packets_received;
    uint64_t packets_sent;
    uint64_t packets_dropped;   /* that the kernel did not take */
    uint64_t packets_truncated; /* larger than CV_DATAGRAM_SIZE_MAX */
    uint64_t receive_calls;
    uint64_t send_calls;
};
void cv_udp_stats(const struct cv_udp *udp, struct cv_udp_stats *out);

struct cv_udp_features {
    bool gso, gro, mmsg, ecn;
    uint32_t receive_buffer, send_buffer; /* as the kernel counts: twice the payload */
};
void cv_udp_features(const struct cv_udp *udp, struct cv_udp_features *out);

#endif
