#ifndef BENCHES_PROXY_H
#define BENCHES_PROXY_H

#include "options.h"

struct proxy {
    const struct options *options; /* of them: loss_ppm */
    const char *server;            /* "127.0.0.1:PORT" */
};

/*
 * Stands between client and server and loses datagrams of both directions by a generator with a
 * fixed seed. The body of a child process (process.h): tells its own address, ends when its input
 * does. `user` is a struct proxy.
 */
int proxy_serve(void *user, int from_parent, int to_parent);

#endif
