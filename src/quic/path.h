#ifndef CV_QUIC_PATH_H
#define CV_QUIC_PATH_H

#include "base/address.h"
#include "quic/qcompat.h"

/* Our addresses as the QUIC library wants them and back. No socket is involved. */

struct cv_path {
    ngtcp2_sockaddr_union local_raw;
    ngtcp2_sockaddr_union remote_raw;
    ngtcp2_path path; /* points into this struct: it must not move */
};

/* A local address of no family is the wildcard of the remote one's family. */
void cv_path_init(struct cv_path *p, const struct cv_address *local,
                  const struct cv_address *remote);

struct cv_address cv_path_address(const ngtcp2_addr *addr);

/* One end of the path of packets that follow each other: nearly always it is the same one. */
struct cv_path_end {
    ngtcp2_socklen size; /* of `raw`; 0: none was seen yet */
    ngtcp2_sockaddr_union raw;
    struct cv_address address;
};
/* As cv_path_address(); valid until the next call with the same `end`. */
const struct cv_address *cv_path_end_address(struct cv_path_end *end, const ngtcp2_addr *addr);

#endif
