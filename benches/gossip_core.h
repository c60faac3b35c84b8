#ifndef BENCHES_GOSSIP_CORE_H
#define BENCHES_GOSSIP_CORE_H

#include <stddef.h>
#include <stdint.h>

/* What each update is about. */
enum gossip_kind {
    GOSSIP_STATUS, /* a member is alive at a later incarnation: news, without a body */
    GOSSIP_BODY,   /* a member has other tags: news, with a new body */
    GOSSIP_OLD     /* what is known already */
};

/* One membership core in virtual time and nothing around it. What fails ends the program. */
struct gossip_core;

#define GOSSIP_MEMBERS_MIN 30
#define GOSSIP_MEMBERS_MAX 16384

/* It knows everybody and is connected with member 1. *used: the bytes that it takes, bodies apart. */
struct gossip_core *gossip_core_new(uint32_t member_count, size_t *used);
/* Takes in `updates`, in messages of 20: so many a second of CPU time, without the writing of the
 * messages. */
double gossip_core_rate(struct gossip_core *c, enum gossip_kind kind, uint64_t updates);
void gossip_core_free(struct gossip_core *c);

#endif
