#ifndef SIM_LINK_H
#define SIM_LINK_H

#include <covey/types.h>
#include <stdint.h>

/* What happens on the way from one node to another. Chances are in a thousand. */
struct sim_link {
    covey_time delay_min; /* one way */
    covey_time delay_max;
    uint32_t loss;         /* of packets: a reliable message is sent again */
    uint32_t message_loss; /* of messages, reliable ones too: nobody ever learns of it */
    uint32_t duplication;  /* of packets: QUIC drops the second, so it is only counted */
    uint32_t reordering;   /* of packets that are late by up to reorder_delay */
    covey_time reorder_delay;
    uint64_t rate;       /* bytes a second; 0: no limit */
    uint32_t queue_size; /* bytes that wait for a link with a rate; what comes then is lost */
};

#endif
