#ifndef SIM_CONNECTION_H
#define SIM_CONNECTION_H

#include "base/map.h"

#include <covey/types.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The connections that there are, one for each pair of nodes at most. Each side holds it up until
 * it learns otherwise; when neither does, it is forgotten.
 */
struct sim_connection {
    uint64_t key; /* both nodes, the lower number first */
    uint64_t
        number; /* another for each handshake: what is under way on an old one is void; 0: free */
    struct sim_connection *next_free;
    covey_time since;
    bool is_up[2];
    covey_time heard[2]; /* when the side last got a packet, if only an acknowledgement */
    covey_time told[2];  /* when it last got a message */
};

/* Numbers of nodes, in no order that means anything. */
struct sim_peers {
    uint32_t *peers;
    size_t count;
    size_t capacity;
};

struct sim_connections {
    struct cv_map map;
    struct sim_connection *free; /* their memory stays theirs: events point to it */
    struct sim_peers *peers_of;  /* each node's */
    size_t node_count;
    uint64_t last_number;
};

void sim_connections_init(struct sim_connections *cs, size_t node_count, uint64_t seed);
void sim_connections_fini(struct sim_connections *cs);

/* NULL when there is none. */
struct sim_connection *sim_connection_find(const struct sim_connections *cs, uint32_t a,
                                           uint32_t b);
/* Has what is found so fetched, in two steps that lie some time apart. */
void sim_connection_prefetch_place(const struct sim_connections *cs, uint32_t a, uint32_t b);
void sim_connection_prefetch(const struct sim_connections *cs, uint32_t a, uint32_t b);
/* A new connection in the place of an old one, up on both sides. */
struct sim_connection *sim_connection_open(struct sim_connections *cs, uint32_t a, uint32_t b,
                                           covey_time now);
/* The side is down now; forgets the connection, and its number, when the other one is, too. */
void sim_connection_drop(struct sim_connections *cs, struct sim_connection *c, uint32_t node);

bool sim_connection_is_up(const struct sim_connection *c, uint32_t node); /* NULL: false */
/* The place of a node in the arrays. */
size_t sim_connection_side(const struct sim_connection *c, uint32_t node);
uint32_t sim_connection_other(const struct sim_connection *c, uint32_t node);

#endif
