#ifndef CV_CLUSTER_ALARM_H
#define CV_CLUSTER_ALARM_H

#include "base/heap.h"

/* A timer that says whose it is: all deadlines of the core are in one heap. */
enum cv_alarm_kind {
    CV_ALARM_PROBE_TICK, /* the next probe is due */
    CV_ALARM_PROBE,      /* a phase of a probe is over */
    CV_ALARM_RELAY,      /* a ping for another node got no answer */
    CV_ALARM_GOSSIP,     /* there is something to tell */
    CV_ALARM_HEARTBEAT,  /* our watchers wait for one */
    CV_ALARM_WATCH,      /* one that we watch is silent, or is to be asked again */
    CV_ALARM_SETTLE,     /* whom to be connected with may be decided anew */
    CV_ALARM_MESH,       /* more members of a small cluster may be dialled */
    CV_ALARM_MEMBER,     /* a suspicion ends, or a gone member is let go */
    CV_ALARM_RECONNECT,  /* failed members and lost seeds are tried again */
    CV_ALARM_JOIN,       /* the next attempt, or patience with a seed is over */
    CV_ALARM_JOIN_END,   /* joining has taken too long */
    CV_ALARM_SYNC,       /* time to compare with somebody what we know */
    CV_ALARM_CHECK,      /* a health check is due, or has taken too long */
    CV_ALARM_PARTITION,  /* a lack of quorum lasts, or is over */
    CV_ALARM_LEAVE       /* nobody waits for more acknowledgements */
};

struct cv_alarm {
    struct cv_timer timer; /* first: the heap's pointer is the alarm's */
    enum cv_alarm_kind kind;
};

#endif
