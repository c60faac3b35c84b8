#ifndef INTEGRATION_UDP_SWITCH_H
#define INTEGRATION_UDP_SWITCH_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * What joins the members of a test's cluster: each has a port of the switch that it advertises, beside
 * the one that it listens on, and they know each other by the switch's. What member 0 sends to member 1
 * comes to port 1 and leaves by port 0, unless the way from 0 to 1 is cut:
 *
 *     member 0 ---------> port 1 | switch | port 0 ---------> member 1
 *
 * So nothing notices but that datagrams stay away. Others than members may be called past it. IPv4 loopback
 * only.
 */
#define SWITCH_PORTS_MAX 16
#define SWITCH_LOOK_MS   100

struct udp_switch {
    unsigned count;
    int sockets[SWITCH_PORTS_MAX];
    char addresses[SWITCH_PORTS_MAX][32];
    atomic_uint members[SWITCH_PORTS_MAX]; /* the UDP port that each listens on; 0: none */
    atomic_uint hosts[SWITCH_PORTS_MAX];   /* and where, in network order */
    atomic_bool is_cut[SWITCH_PORTS_MAX][SWITCH_PORTS_MAX]; /* from, to */
    atomic_ulong passed, dropped;
    atomic_bool ending;
    pthread_t thread;
};

static inline struct sockaddr_in switch_address_of(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

static inline void switch_pass(struct udp_switch *s, unsigned to)
{
    char bytes[65536];
    struct sockaddr_in source;
    socklen_t size = sizeof source;
    ssize_t length = recvfrom(s->sockets[to], bytes, sizeof bytes, MSG_DONTWAIT,
                              (struct sockaddr *)(void *)&source, &size);
    unsigned from = 0;
    while (from < s->count && atomic_load(&s->members[from]) != ntohs(source.sin_port))
        from++;
    if (length < 0 || from == s->count)
        return;
    if (atomic_load(&s->is_cut[from][to])) {
        atomic_fetch_add(&s->dropped, 1);
        return;
    }
    struct sockaddr_in target = switch_address_of(atomic_load(&s->members[to]));
    target.sin_addr.s_addr = atomic_load(&s->hosts[to]);
    (void)sendto(s->sockets[from], bytes, (size_t)length, 0,
                 (const struct sockaddr *)(const void *)&target, sizeof target);
    atomic_fetch_add(&s->passed, 1);
}

static inline void *switch_run(void *user)
{
    struct udp_switch *s = user;
    struct pollfd fds[SWITCH_PORTS_MAX];
    for (unsigned i = 0; i < s->count; i++)
        fds[i] = (struct pollfd){.fd = s->sockets[i], .events = POLLIN};
    while (!atomic_load(&s->ending)) {
        (void)poll(fds, s->count, SWITCH_LOOK_MS);
        for (unsigned i = 0; i < s->count; i++)
            if ((fds[i].revents & POLLIN) != 0)
                switch_pass(s, i);
    }
    return NULL;
}

/* False when a socket or the thread cannot be made. */
static inline bool switch_init(struct udp_switch *s, unsigned count)
{
    memset(s, 0, sizeof *s);
    s->count = count;
    for (unsigned i = 0; i < count; i++) {
        struct sockaddr_in own = switch_address_of(0);
        socklen_t size = sizeof own;
        s->sockets[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (s->sockets[i] < 0 ||
            bind(s->sockets[i], (const struct sockaddr *)(const void *)&own, sizeof own) != 0 ||
            getsockname(s->sockets[i], (struct sockaddr *)(void *)&own, &size) != 0)
            return false;
        snprintf(s->addresses[i], sizeof s->addresses[i], "127.0.0.1:%u", ntohs(own.sin_port));
    }
    return pthread_create(&s->thread, NULL, switch_run, s) == 0;
}

static inline void switch_fini(struct udp_switch *s)
{
    atomic_store(&s->ending, true);
    pthread_join(s->thread, NULL);
    for (unsigned i = 0; i < s->count; i++)
        close(s->sockets[i]);
}

/* Member `number` listens at this address of IPv4. Before it says a word. */
static inline void switch_plug(struct udp_switch *s, unsigned number, const char *address)
{
    unsigned port = 0;
    char host[32] = "";
    (void)sscanf(address, "%31[0-9.]:%u", host, &port);
    atomic_store(&s->hosts[number], inet_addr(host));
    atomic_store(&s->members[number], port);
}

/* Both ways. */
static inline void switch_set(struct udp_switch *s, unsigned a, unsigned b, bool cut)
{
    atomic_store(&s->is_cut[a][b], cut);
    atomic_store(&s->is_cut[b][a], cut);
}

/* Between the first `first_count` and the rest. */
static inline void switch_split(struct udp_switch *s, unsigned first_count, bool cut)
{
    for (unsigned a = 0; a < first_count; a++)
        for (unsigned b = first_count; b < s->count; b++)
            switch_set(s, a, b, cut);
}

#endif
