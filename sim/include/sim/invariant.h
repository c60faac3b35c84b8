#ifndef SIM_INVARIANT_H
#define SIM_INVARIANT_H

#include <stddef.h>
#include <stdint.h>

struct sim;

/*
 * What must hold, by the names of the project's list of invariants. The oracle is the simulator: it
 * knows who runs and what each node ever said of itself. The touched pair of observer and subject is
 * checked at each change, everything once a virtual second up to SIM_SMALL nodes, and at the end
 * above that (sim_check_end()).
 *
 * Not here, because there is nothing of it in the core that the simulator drives; where it is shown:
 *
 *     E4  an event waits for nobody           publishing does not look at who reads:
 *                                             unit/cluster/events_test.c
 *     E5  after the last event, closed        closing is the server's: unit/cluster/events_test.c
 *     B2  why joining failed                  unit/cluster/membership_join_test.c, sim/join_test.c
 *     B3  nothing is left after a failure     memory and threads: unit/api/cluster_test.c, ASan
 *     B4  waits are independent               unit/cluster/membership_join_test.c
 *     H3  no callback after the end           unit/api/server_free_test.c, under ASan and TSan
 *     P5  read-only while partitioned         the mode is the server's, and to come
 *     PL  the pool                            unit/transport
 *     R   calls                               unit/rpc, conformance
 */
#define SIM_INVARIANTS(X)                                                                          \
    X(M1, "what an observer knows of a node never goes back")                                      \
    X(M2, "nobody knows an incarnation that the node itself never had")                            \
    X(M3, "a node holds itself for alive until it leaves, for left afterwards")                    \
    X(M4, "a node answers what is said of it as it should")                                        \
    X(M5, "states change along legal edges")                                                       \
    X(M6, "statements stand whatever their order")                                                 \
    X(M7, "one record for a node, one live node at an address")                                    \
    X(M8, "counts agree with a full scan and keep their bounds")                                   \
    X(M9, "without any fault nobody is ever suspected")                                            \
    X(M10, "a crashed node is failed at every live node in time")                                  \
    X(M11, "one called failed by mistake is alive again in time")                                  \
    X(M12, "when the faults are over all see each other in time")                                  \
    X(M13, "and agree about everything in time")                                                   \
    X(M14, "one that joins is known to all in time, and knows all")                                \
    X(M15, "wall clocks that jump change nothing")                                                 \
    X(G1, "a message is within its limits and has one encoding")                                   \
    X(G2, "an update is sent a bounded number of times by one node")                               \
    X(G3, "at most one update about a node is queued")                                             \
    X(G4, "the urgent goes first, and nothing waits for ever")                                     \
    X(G5, "of the same urgency goes what was sent least, then what is new")                        \
    X(G6, "without faults news is everywhere in time")                                             \
    X(G7, "a node sends a bounded number of bytes in a period")                                    \
    X(FD1, "phi is a number in its range")                                                         \
    X(FD2, "phi is what the times between heartbeats say, and nothing else counts")                \
    X(FD3, "a silence counts as suspicious in time")                                               \
    X(FD4, "a node that was paused accuses nobody before it listened")                             \
    X(FD5, "local health is in its range")                                                         \
    X(FD7, "a node is as well as the worst of its checks")                                         \
    X(P1, "two sides of a cut never both have the majority for long")                              \
    X(P2, "the partition status changes along legal edges, and in time")                           \
    X(P3, "the expected size does not follow failures")                                            \
    X(P4, "quorum is what the counts say")                                                         \
    X(P6, "one event for each change of the partition status")                                     \
    X(E1, "an event is delivered, dropped or waits")                                               \
    X(E2, "events of one node come in order")                                                      \
    X(E3, "a subscriber knows how much it lost")                                                   \
    X(T1, "only its owner changes a node's tags, and they never go back")                          \
    X(T2, "the last tags are everywhere in time")                                                  \
    X(T3, "a snapshot shows the registry, and queries find what it has")                           \
    X(B1, "attempts to join are few and wait in between")                                          \
    X(H1, "who leaves does so step by step, and in time")                                          \
    X(H2, "who leaves is left at all others in time, never failed")                                \
    X(H4, "leaving twice changes nothing")                                                         \
    X(X2, "virtual time goes on, and a run ends")

#define SIM_INVARIANT_ENUM(id, text) SIM_##id,
enum sim_invariant { SIM_INVARIANTS(SIM_INVARIANT_ENUM) SIM_INVARIANT_COUNT };
#undef SIM_INVARIANT_ENUM

/* Up to so many nodes everything is checked. */
#define SIM_SMALL 100

const char *sim_invariant_name(enum sim_invariant id);
const char *sim_invariant_text(enum sim_invariant id);
/* How often it was looked at in this run. */
uint64_t sim_invariant_checks(const struct sim *s, enum sim_invariant id);
/* The one that broke first; SIM_INVARIANT_COUNT when none did. */
enum sim_invariant sim_invariant_broken(const struct sim *s);

/* The full scan, and what must be so when there were no faults for long enough. */
void sim_check_end(struct sim *s);

#endif
