#include "proxy.h"

#include "process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS_MAX   OPTIONS_LOSSY_CONNECTIONS_MAX
#define PACKET_SIZE 2048
/* So many datagrams of a socket before the others have their turn. */
#define BURST 64

/* A client: its address, and the socket by which it reaches the server. */
struct peer {
    struct sockaddr_in address;
    int fd;
};

struct relay {
    int front; /* what clients send to */
    struct sockaddr_in server;
    struct peer peers[PEERS_MAX];
    unsigned peer_count;
    unsigned loss_ppm;
    uint64_t random;
};

/* splitmix64: the same losses in each run, as far as the order of datagrams is the same. */
static bool is_lost(struct relay *r)
{
    uint64_t x = r->random += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return x % 1000000 < r->loss_ppm;
}

static int open_socket(const struct sockaddr_in *peer)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = 4 << 20;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) != 0 ||
        (peer != NULL && connect(fd, (const struct sockaddr *)peer, sizeof *peer) != 0))
        die("proxy: socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return fd;
}

static struct peer *peer_of(struct relay *r, const struct sockaddr_in *from)
{
    for (unsigned i = 0; i < r->peer_count; i++)
        if (r->peers[i].address.sin_port == from->sin_port)
            return &r->peers[i];
    if (r->peer_count == PEERS_MAX)
        return NULL;
    struct peer *peer = &r->peers[r->peer_count++];
    *peer = (struct peer){.address = *from, .fd = open_socket(&r->server)};
    return peer;
}

static void forward_front(struct relay *r)
{
    unsigned char bytes[PACKET_SIZE];
    struct sockaddr_in from;
    for (int i = 0; i < BURST; i++) {
        socklen_t length = sizeof from;
        ssize_t n = recvfrom(r->front, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &length);
        if (n < 0)
            return;
        struct peer *peer = peer_of(r, &from);
        /* A datagram that does not go out is lost like any other. */
        if (peer != NULL && !is_lost(r))
            (void)!send(peer->fd, bytes, (size_t)n, 0);
    }
}

static void forward_back(struct relay *r, const struct peer *peer)
{
    unsigned char bytes[PACKET_SIZE];
    for (int i = 0; i < BURST; i++) {
        ssize_t n = recv(peer->fd, bytes, sizeof bytes, 0);
        if (n < 0)
            return;
        if (!is_lost(r))
            (void)!sendto(r->front, bytes, (size_t)n, 0, (const struct sockaddr *)&peer->address,
                          sizeof peer->address);
    }
}

static void relay_run(struct relay *r, int from_parent)
{
    struct pollfd polled[2 + PEERS_MAX];
    for (;;) {
        unsigned peers = r->peer_count;
        polled[0] = (struct pollfd){.fd = from_parent, .events = POLLIN};
        polled[1] = (struct pollfd){.fd = r->front, .events = POLLIN};
        for (unsigned i = 0; i < peers; i++)
            polled[2 + i] = (struct pollfd){.fd = r->peers[i].fd, .events = POLLIN};
        if (poll(polled, 2 + peers, -1) < 0)
            continue;
        if (polled[0].revents != 0)
            return;
        if (polled[1].revents != 0)
            forward_front(r);
        for (unsigned i = 0; i < peers; i++)
            if (polled[2 + i].revents != 0)
                forward_back(r, &r->peers[i]);
    }
}

int proxy_serve(void *user, int from_parent, int to_parent)
{
    const struct proxy *proxy = user;
    static struct relay relay;
    char address[PROCESS_ADDRESS_SIZE] = {0};
    struct sockaddr_in own;
    socklen_t length = sizeof own;
    const char *port = strrchr(proxy->server, ':');
    relay.loss_ppm = proxy->options->loss_ppm;
    relay.random = 1;
    relay.server.sin_family = AF_INET;
    relay.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    relay.server.sin_port = htons((uint16_t)(port == NULL ? 0 : atoi(port + 1)));
    relay.front = open_socket(NULL);
    getsockname(relay.front, (struct sockaddr *)&own, &length);
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(own.sin_port));
    if (!write_all(to_parent, address, sizeof address))
        return 1;
    relay_run(&relay, from_parent);
    return 0;
}
