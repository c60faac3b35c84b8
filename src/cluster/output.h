#ifndef CV_CLUSTER_OUTPUT_H
#define CV_CLUSTER_OUTPUT_H

#include "base/address.h"
#include "cluster/events.h"

/* What the core wants done; cluster/membership.h says how a driver takes and answers it. */

enum cv_membership_state {
    CV_MEMBERSHIP_JOINING,
    CV_MEMBERSHIP_JOINED,
    CV_MEMBERSHIP_JOIN_FAILED, /* with an error; a command can try again */
    CV_MEMBERSHIP_LEAVING,
    CV_MEMBERSHIP_LEFT
};

enum cv_output_type {
    CV_OUTPUT_SEND,
    CV_OUTPUT_DIAL,      /* answered by exactly one CONNECTED or DIAL_FAILED with its number */
    CV_OUTPUT_CLOSE,     /* the connection with `peer` is not needed any more */
    CV_OUTPUT_RESOLVE,   /* answered by exactly one RESOLVED with its number */
    CV_OUTPUT_RUN_CHECK, /* answered by one CHECK_RESULT with its number, whenever it ends */
    CV_OUTPUT_EVENT,
    CV_OUTPUT_STATE
};

/* Pointers are valid until the next call of step() or poll(). */
struct cv_output {
    enum cv_output_type type;
    union {
        struct {
            covey_node_id to;
            bool reliable;
            struct cv_slice bytes;
        } send;
        struct {
            uint32_t dial; /* never 0 */
            struct cv_address address;
            bool has_expected;
            covey_node_id expected; /* the only node to accept there */
            bool is_hearsay; /* a peer named a node that we do not know: nobody is to give way */
        } dial;
        struct {
            covey_node_id peer;
        } close;
        struct {
            uint32_t resolve;
            const char *name; /* "HOST:PORT" */
        } resolve;
        struct {
            uint64_t run;
            void *user; /* as given with the check */
        } check;
        struct cv_event event; /* the receiver takes the reference to event.node */
        struct {
            enum cv_membership_state state;
            int error; /* of JOIN_FAILED: COVEY_ERR_NO_SEEDS_REACHABLE, JOIN_TIMEOUT, or why every
                          seed refused: REFUSED, CERTIFICATE, WRONG_CLUSTER, ... */
        } state;
    };
};

#endif
