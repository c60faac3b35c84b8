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

void peer_start(struct peer *p, const struct credentials *credentials, const struct covey_pem *own);
/* Serves one method on a free port of 127.0.0.1 and writes its address (PROCESS_ADDRESS_SIZE). */
void peer_serve(struct peer *p, const struct covey_method *method, char *address);
/* A client for that address; an error code is left to the caller. */
int peer_client(const struct peer *p, const char *address, covey_client **out);
/* After its clients were freed. */
void peer_stop(struct peer *p);

/* Ends the program when `error` is one. */
void peer_check(const char *what, int error);

#endif
