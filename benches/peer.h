#ifndef BENCHES_PEER_H
#define BENCHES_PEER_H

#include "credentials.h"

#include <covey/covey.h>

/* covey on one side of a benchmark: a runtime, who it is, and at most one server. What fails ends
 * the program. */
struct peer {
    covey_runtime *runtime;
    covey_identity *identity;
    covey_server *server;
};

/* The loops that its calls run on. */
struct peer_loops {
    unsigned count;
    unsigned busy_poll_us;
};

void peer_start(struct peer *p, const struct credentials *credentials, const struct covey_pem *own,
                const struct peer_loops *loops);
/* Serves one method on a free port of 127.0.0.1 and writes its address (PROCESS_ADDRESS_SIZE). For
 * more than the default's number of connections the limit is raised. */
void peer_serve(struct peer *p, const struct covey_method *method, unsigned connections,
                char *address);
/* A client for that address; an error code is left to the caller. */
int peer_client(const struct peer *p, const char *address, covey_client **out);
/* After its clients were freed. */
void peer_stop(struct peer *p);

/* Ends the program when `error` is one. */
void peer_check(const char *what, int error);

#endif
