#ifndef BENCHES_OPTIONS_H
#define BENCHES_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* The largest request and reply: covey's largest message. */
#define OPTIONS_SIZE_MAX        (4u << 20)
#define OPTIONS_CONNECTIONS_MAX 1000u
#define OPTIONS_INFLIGHT_MAX    20000u
/* Calls under way in all; of blocking ones each has a thread. */
#define OPTIONS_LANES_MAX    100000u
#define OPTIONS_BLOCKING_MAX 1024u
/* The proxy that loses datagrams has a socket for each connection. */
#define OPTIONS_LOSSY_CONNECTIONS_MAX 64u
/* Bytes of bodies under way on each side. */
#define OPTIONS_BODIES_MAX ((size_t)1 << 30)

/* What a run does, the same for covey and for the bound. */
struct options {
    unsigned connections;
    unsigned inflight;   /* calls under way on each connection; of an open loop: at most */
    unsigned size;       /* of a request */
    unsigned reply_size; /* 0: the request comes back */
    unsigned seconds;    /* that are counted, after half a second that is not */
    unsigned rate;       /* calls/s in all, begun by the clock; 0: closed loop, the next call begins
                            when one ends */
    unsigned loss_ppm;   /* datagrams lost of a million, each way */
    unsigned busy_poll_us;
    unsigned loops;
    bool blocking; /* from a thread for each call under way */
    bool json;
};

#define OPTIONS_REASON_SIZE 128

/* Fills *o. False: something is wrong, and `reason` (OPTIONS_REASON_SIZE) says what. */
bool options_parse(int argc, char **argv, struct options *o, char *reason);

/* The size of each reply. */
unsigned options_reply_size(const struct options *o);

#endif
