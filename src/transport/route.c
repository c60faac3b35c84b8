#include "transport/route.h"

#define HEADER_FORM_LONG 0x80
#define OFFSET_LONG      6
#define OFFSET_SHORT     1

uint8_t cv_route_byte(struct cv_slice datagram)
{
    if (datagram.size == 0)
        return 0;
    size_t offset = (datagram.data[0] & HEADER_FORM_LONG) != 0 ? OFFSET_LONG : OFFSET_SHORT;
    return datagram.size > offset ? datagram.data[offset] : 0;
}

unsigned cv_route_loop(struct cv_slice datagram, unsigned loop_count)
{
    uint8_t byte = cv_route_byte(datagram);
    if (loop_count <= 1 || byte == 0)
        return 0;
    return 1 + (byte - 1U) % (loop_count - 1);
}
