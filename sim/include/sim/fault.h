#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <stdint.h>

struct sim;

/* The kinds of faults, each counted when it is done to the cluster. */
#define SIM_FAULTS(X)                                                                              \
    X(CRASH, "crash")                                                                              \
    X(RESTART, "restart")                                                                          \
    X(MOVE, "restart elsewhere")                                                                   \
    X(CLOCK, "clock jump")                                                                         \
    X(PAUSE, "pause")                                                                              \
    X(HOLD, "messages held")                                                                       \
    X(CUT, "link cut")                                                                             \
    X(SIDE, "partition")                                                                           \
    X(HEAL, "heal")                                                                                \
    X(LOSS, "packet loss")                                                                         \
    X(MESSAGE_LOSS, "message loss")                                                                \
    X(DUPLICATION, "duplication")                                                                  \
    X(REORDERING, "reordering")                                                                    \
    X(RATE, "slow link")                                                                           \
    X(REFUSAL, "refusal")                                                                          \
    X(LIE, "lie")

#define SIM_FAULT_ENUM(id, text) SIM_FAULT_##id,
enum sim_fault { SIM_FAULTS(SIM_FAULT_ENUM) SIM_FAULT_COUNT };
#undef SIM_FAULT_ENUM

const char *sim_fault_name(enum sim_fault fault);
uint64_t sim_fault_count(const struct sim *s, enum sim_fault fault);

#endif
