#ifndef CV_IO_UDP_READER_H
#define CV_IO_UDP_READER_H

#include "io/udp_socket.h"

/* The reading half of a cv_udp: the buffers of one batch, and the socket's error queue. */
struct cv_udp_reader;

/* `socket` is borrowed. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_udp_reader_new(const struct cv_alloc *alloc, struct cv_udp_socket *socket,
                                     struct cv_udp_reader **out);
void cv_udp_reader_free(struct cv_udp_reader *r);

/* As cv_udp_receive(). */
enum cv_udp_found cv_udp_reader_run(struct cv_udp_reader *r, const struct cv_udp_receiver *receiver,
                                    unsigned batches, bool is_woken);

#endif
