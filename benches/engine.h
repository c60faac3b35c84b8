#ifndef BENCHES_ENGINE_H
#define BENCHES_ENGINE_H

#include "credentials.h"
#include "load.h"

/*
 * What is measured: covey (rpc_server.c, rpc_client.c) or ngtcp2 with no RPC in it (bound_*.c).
 * main.c, which is the same for both, makes one server in a process and one client in another.
 * Whatever fails ends the program with die().
 */
extern const char engine_name[];

/* NULL, or why the engine cannot do what the options say. */
const char *engine_refuses(const struct options *o);

struct engine_server;
/* Echoes, or answers with o->reply_size bytes of the pattern. Writes its address. */
struct engine_server *engine_server_start(const struct options *o,
                                          const struct credentials *credentials, char *address);
void engine_server_stop(struct engine_server *server);

struct engine_client;
/* Returns when every connection is up. */
struct engine_client *engine_client_start(const struct options *o,
                                          const struct credentials *credentials,
                                          const char *address);
/* Begins the calls of the load, which the engine initialises; from now on they go on by
 * themselves. */
void engine_client_run(struct engine_client *client, struct load *load);
/* After the load's last call. */
void engine_client_stop(struct engine_client *client);

#endif
