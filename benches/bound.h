#ifndef BENCHES_BOUND_H
#define BENCHES_BOUND_H

/*
 * The raw bound: an echo over ngtcp2 and GnuTLS with nothing in it that a library would need. One
 * bidirectional stream a call; its bytes and the fin are the request, and so is the reply. No
 * framing, no names, no deadlines, no checks of what a peer does: whatever fails ends the program.
 *
 * One thread for each side:
 *
 *     epoll -> sockets: recvmmsg with GRO -> packets -> callbacks, which only queue
 *           -> timers that are due
 *           -> each dirty connection is written until it is empty: a send every few packets
 *
 *   bound_engine.c   engine.h for it        bound_conn.c       connections, calls, packets in
 *   bound_loop.c     the thread             bound_callbacks.c  what ngtcp2 tells
 *   bound_socket.c   datagrams in and out   bound_write.c      what is queued becomes packets
 *   bound_tls.c      mutual TLS 1.3
 */
#include "engine.h"

#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <sys/queue.h>

/* Ours. A client's first packets go to an id of another length, by which they are told apart. */
#define BOUND_ID_SIZE 8
/* What Ethernet's 1500 bytes leave beside IPv6 and UDP headers, as covey sends. */
#define BOUND_PACKET_SIZE 1452
/* Packets of a send. With small calls a larger burst makes both sides work in lock-step; with large
 * bodies a full GSO send, 64 KiB, takes a third less CPU. */
#define BOUND_BURST_SMALL  8
#define BOUND_BURST_LARGE  44
#define BOUND_BURST_BORDER (16u << 10) /* bytes of a body */

struct bound;
struct bound_conn;

/* One call on one stream, with room for a body of the run's request size. */
struct bound_call {
    STAILQ_ENTRY(bound_call) link;
    int64_t stream;
    struct lane *lane; /* NULL at the server */
    uint64_t stamp;
    const unsigned char *out; /* the body, or the server's answer */
    size_t out_size;
    size_t sent;
    size_t received;
    bool is_wrong;
    unsigned char body[];
};
STAILQ_HEAD(bound_calls, bound_call);

struct bound_socket {
    int fd;
    struct sockaddr_in local;
    struct sockaddr_in remote; /* of a connected one */
    bool is_connected;
    struct bound_conn *conn; /* a client's socket has one connection */
};

struct bound_conn {
    ngtcp2_crypto_conn_ref ref;
    struct bound *bound;
    ngtcp2_conn *native;
    gnutls_session_t tls;
    struct bound_socket *socket;
    struct sockaddr_in remote;
    uint32_t index;
    ngtcp2_cid first_id;        /* what the client chose for the server */
    struct bound_calls waiting; /* for a stream */
    struct bound_calls sending;
    unsigned closed_streams; /* of which the peer was not told yet */
    bool is_dirty;
    STAILQ_ENTRY(bound_conn) dirty_link;
    ngtcp2_path_storage path;
};
STAILQ_HEAD(bound_dirty, bound_conn);

/* Datagrams of one size to one peer, sent as one. */
struct bound_group {
    size_t offset;
    size_t size;
    size_t segment;
    bool is_closed; /* its last datagram was a short one */
    struct sockaddr_in to;
};

struct bound_sender {
    struct bound_socket *socket;
    unsigned burst; /* packets of a send */
    struct bound_group groups[BOUND_BURST_LARGE];
    unsigned group_count;
    unsigned packet_count;
    size_t used;
    unsigned char bytes[BOUND_BURST_LARGE * BOUND_PACKET_SIZE];
};

struct bound_reader;

/* One side. */
struct bound {
    const struct options *options;
    bool is_server;
    /* TLS */
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
    /* datagrams */
    struct bound_socket *sockets;
    unsigned socket_count;
    struct bound_reader *reader;
    struct bound_sender sender;
    /* connections and calls */
    struct bound_conn **conns;
    unsigned conn_count;
    struct bound_dirty dirty;
    struct bound_calls free_calls;
    void **blocks; /* of calls */
    size_t block_count;
    unsigned char *answer; /* the server's; NULL: the request comes back */
    /* the thread */
    pthread_t thread;
    int epoll;
    int timer;
    int wake;
    uint64_t deadline; /* the earliest, or one before it */
    uint64_t armed;    /* what the timer is set to */
    struct load *load; /* the thread's, once it was given */
    _Atomic(struct load *) given;
    atomic_bool is_stopped;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned up; /* connections whose handshake is confirmed */
};

/* ---- bound_tls.c ---- */
void bound_tls_init(struct bound *b, const struct covey_pem *ca, const struct covey_pem *own);
void bound_tls_fini(struct bound *b);
gnutls_session_t bound_tls_session(struct bound_conn *c);

/* ---- bound_socket.c ---- */
struct bound_reader *bound_reader_new(void);
/* Bound to a free port of 127.0.0.1; connected when `remote` is given. */
void bound_socket_open(struct bound_socket *s, const struct sockaddr_in *remote);
/* Takes what is there. False: nothing was. */
bool bound_socket_read(struct bound *b, struct bound_socket *s);
/* Where the next packet may be written: BOUND_PACKET_SIZE bytes. */
unsigned char *bound_sender_room(struct bound_sender *sender, struct bound_socket *s);
/* That packet is there. */
void bound_sender_commit(struct bound_sender *sender, const struct sockaddr_in *to, size_t size);
void bound_sender_flush(struct bound_sender *sender);

/* ---- bound_conn.c ---- */
void bound_connect(struct bound *b, struct bound_socket *s);
void bound_conn_free(struct bound_conn *c);
void bound_packet(struct bound *b, struct bound_socket *s, const struct sockaddr_in *from,
                  const unsigned char *bytes, size_t size, uint64_t now);
void bound_conn_mark(struct bound_conn *c);
void bound_conn_make_id(const struct bound_conn *c, ngtcp2_cid *id);
struct bound_call *bound_call_new(struct bound *b);
void bound_random(void *bytes, size_t size);

/* ---- bound_callbacks.c ---- */
ngtcp2_callbacks bound_callbacks(bool is_server);

/* ---- bound_write.c ---- */
void bound_conn_write(struct bound_conn *c, uint64_t now);

/* ---- bound_loop.c ---- */
void bound_loop_start(struct bound *b);
/* The thread has ended when it returns. */
void bound_loop_stop(struct bound *b);
/* The thread begins the load's calls. */
void bound_loop_give(struct bound *b, struct load *load);
/* On the thread: its timers are looked at no later than at that time. */
void bound_loop_note(struct bound *b, uint64_t deadline);

#endif
