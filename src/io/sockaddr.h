#ifndef CV_IO_SOCKADDR_H
#define CV_IO_SOCKADDR_H

#include "base/address.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* A socket address of one of the two families that we use: the kernel's form of a cv_address. */
union cv_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Returns the size of the address in *out; 0 when `address` is none. */
socklen_t cv_sockaddr_set(union cv_sockaddr *out, const struct cv_address *address);
/* No address for any other family. `from` holds a whole address of its family. */
struct cv_address cv_sockaddr_get(const struct sockaddr *from);

#endif
