#include "io/sockaddr.h"

#include <string.h>

socklen_t cv_sockaddr_set(union cv_sockaddr *out, const struct cv_address *address)
{
    memset(out, 0, sizeof *out);
    if (address->family == 4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(address->port);
        memcpy(&out->v4.sin_addr, address->ip, sizeof out->v4.sin_addr);
        return sizeof out->v4;
    }
    if (address->family == 6) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(address->port);
        out->v6.sin6_scope_id = address->scope;
        memcpy(&out->v6.sin6_addr, address->ip, sizeof out->v6.sin6_addr);
        return sizeof out->v6;
    }
    return 0;
}

/* Copied, because the kernel's structures may stand at any place of a buffer. */
struct cv_address cv_sockaddr_get(const struct sockaddr *from)
{
    struct cv_address address = {0};
    if (from->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        address.family = 4;
        address.port = ntohs(v4.sin_port);
        memcpy(address.ip, &v4.sin_addr, sizeof v4.sin_addr);
    } else if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        address.family = 6;
        address.port = ntohs(v6.sin6_port);
        address.scope = v6.sin6_scope_id;
        memcpy(address.ip, &v6.sin6_addr, sizeof v6.sin6_addr);
    }
    return address;
}
