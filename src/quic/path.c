#include "quic/path.h"

#include <assert.h>
#include <netinet/in.h>

#define FAMILY_IPV4 4
#define FAMILY_IPV6 6

static ngtcp2_socklen to_raw(ngtcp2_sockaddr_union *raw, const struct cv_address *address,
                             uint8_t family)
{
    *raw = (ngtcp2_sockaddr_union){0};
    if (family == FAMILY_IPV6) {
        raw->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                         .sin6_port = htons(address->port),
                                         .sin6_scope_id = address->scope};
        memcpy(&raw->in6.sin6_addr, address->ip, sizeof(raw->in6.sin6_addr));
        return sizeof(raw->in6);
    }
    raw->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(address->port)};
    memcpy(&raw->in.sin_addr, address->ip, sizeof(raw->in.sin_addr));
    return sizeof(raw->in);
}

void cv_path_init(struct cv_path *p, const struct cv_address *local,
                  const struct cv_address *remote)
{
    uint8_t family = local->family == 0 ? remote->family : local->family;
    p->path = (ngtcp2_path){0};
    p->path.local.addr = &p->local_raw.sa;
    p->path.local.addrlen = to_raw(&p->local_raw, local, family);
    p->path.remote.addr = &p->remote_raw.sa;
    p->path.remote.addrlen = to_raw(&p->remote_raw, remote, remote->family);
}

struct cv_address cv_path_address(const ngtcp2_addr *addr)
{
    struct cv_address address = {0};
    if (addr->addrlen == sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 raw;
        memcpy(&raw, addr->addr, sizeof(raw));
        address.family = FAMILY_IPV6;
        address.port = ntohs(raw.sin6_port);
        address.scope = raw.sin6_scope_id;
        memcpy(address.ip, &raw.sin6_addr, sizeof(raw.sin6_addr));
    } else if (addr->addrlen > 0) {
        struct sockaddr_in raw;
        assert(addr->addrlen == sizeof(raw));
        memcpy(&raw, addr->addr, sizeof(raw));
        address.family = FAMILY_IPV4;
        address.port = ntohs(raw.sin_port);
        memcpy(address.ip, &raw.sin_addr, sizeof(raw.sin_addr));
    }
    return address;
}

const struct cv_address *cv_path_end_address(struct cv_path_end *end, const ngtcp2_addr *addr)
{
    if (end->size == 0 || end->size != addr->addrlen ||
        memcmp(&end->raw, addr->addr, end->size) != 0) {
        end->address = cv_path_address(addr);
        end->size = addr->addrlen;
        if (addr->addrlen > 0)
            memcpy(&end->raw, addr->addr, addr->addrlen);
    }
    return &end->address;
}
