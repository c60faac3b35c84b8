#ifndef SIM_SIM_INTERNAL_H
#define SIM_SIM_INTERNAL_H

#include "sim/sim.h"

#include "address_book.h"
#include "arena.h"
#include "base/rand.h"
#include "clock.h"
#include "connection.h"
#include "cost.h"
#include "graph.h"
#include "oracle.h"
#include "planted.h"
#include "sim/health.h"
#include "views.h"

#include <inttypes.h>

/* The simulator's object, and what its files call in each other. */

/* The wall clock of virtual time 0: all clocks agree but for a node's offset. */
#define SIM_WALL_MS UINT64_C(1700000000000)

#define SIM_EVENT_TYPES 16
#define SIM_SEEDS_MAX   16

/* ahead.c */
#define SIM_AHEAD_STAGES 5

/* Who reads the events of a small cluster (check_subscriber.c). */
#define SIM_SUBSCRIBERS 4

struct sim_audience;
struct sim_liar;

/* Events in the order in which they came. */
struct sim_queue {
    struct sim_event *first;
    struct sim_event *last;
};

/* A health check of a node's user, and its last run (FD7). */
struct sim_run {
    struct sim_health_check check;
    uint64_t number;
    bool is_under_way;
    covey_time begun;
    covey_time ended;
};

/* A seed's turn in the attempts to join (B1). */
struct sim_try {
    uint32_t count;
    covey_time last;
};

struct sim_node {
    /* What nearly every step looks at, down to the name: fetched ahead (ahead.c). */
    struct sim *sim;
    struct cv_membership *membership; /* NULL: down */
    const struct cv_member *own;      /* its own record */
    uint32_t index;
    uint32_t life;
    bool is_paused;
    bool is_held;     /* messages of it and to it wait (hold.c) */
    bool is_starting; /* in cv_membership_new() */
    bool has_lied;    /* ever: it may still be under way */
    bool has_left;    /* this life ended with a goodbye */
    covey_node_id id;
    int64_t clock_offset_ms;
    covey_time busy_until; /* with a handshake */
    struct sim_event *wake;
    struct sim_event *free;          /* at busy_until, when something waits for it */
    struct sim_event *waiting_first; /* what came while it was paused or busy */
    struct sim_event *waiting_last;
    uint64_t messages_sent;
    uint64_t bytes_sent;
    covey_time period_start; /* G7 */
    uint64_t period_bytes;
    enum cv_partition_state partition; /* as it was told last */
    enum cv_membership_state state;    /* likewise */
    struct sim_liar *liar;             /* NULL: honest */

    char name[16];
    struct cv_address address;
    int refusal;
    int join_error;
    size_t join_attempts;
    size_t seed_count;
    size_t seeds[SIM_SEEDS_MAX];
    struct sim_try tries[SIM_SEEDS_MAX];
    covey_time started;
    covey_time joined; /* COVEY_NEVER: not yet */
    covey_time paused;
    covey_time resumed; /* from a pause that was long enough to matter; 0: never */
    covey_time leaving; /* when it began to, in this life */
    struct sim_queue held_out;
    struct sim_queue held_in;
    size_t run_count; /* of health checks */
    struct sim_run runs[SIM_HEALTH_CHECKS_MAX];
    struct cv_registry_watcher watcher;
    struct sim_issues issues;
    struct sim_bodies bodies;
    struct sim_views views; /* of all nodes, as this one sees them */
    bool begins_as_known;   /* its views do, and are checked against what it was given */
    uint32_t known_count;   /* how many members it had as they were given */
    uint32_t failed_by;     /* how many nodes that run hold it for failed */
    uint32_t shown_by;      /* how many others that run have its last body */
    struct sim_death death;
    struct sim_spread spread;
    covey_time partition_since;
    struct cv_snapshot *snapshot; /* the last that was looked at; NULL: none */
};

/* Before a step, to be compared with what is afterwards: the queue of news (check_queue.c), */
struct sim_filling {
    bool is_looked_at;
    uint64_t sequence; /* of the next update that will be queued */
    covey_node_id to;  /* the last message of the step: whom it is for, */
    size_t size;       /* and its bytes; 0: there is none */
    uint8_t bytes[CV_DATAGRAM_MESSAGE_SIZE];
};

/* and what is learnt of the watched (check_detector.c). */
struct sim_detectors {
    bool is_looked_at;
    uint64_t marks[CV_RINGS_MAX];
};

/* What the oracle keeps of all. */
struct sim_oracle {
    sim_change_fn change; /* NULL: nobody wants to know */
    void *change_user;
    uint64_t checks[SIM_INVARIANT_COUNT];
    enum sim_invariant broken;
    uint64_t faults[SIM_FAULT_COUNT];
    uint64_t lies[SIM_LIE_COUNT];
    size_t liar_count;
    size_t refused_count;      /* nodes that are refused now */
    covey_time disturbed;      /* the last fault of the network, or pause */
    covey_time shaken;         /* that, or the last crash */
    covey_time stirred;        /* that, or the last start */
    bool has_disturbance;      /* anything but starts and clocks, ever */
    bool is_calm_awaited;      /* there is a deadline for it */
    uint64_t period_bytes_max; /* G7: the most of any node */
    uint64_t strangers;        /* records of nodes that do not exist */
    uint32_t told_by;          /* whose message is the input; SIM_NONE: it is something else */
    bool has_wrong_count;      /* the next one is right */
    size_t wrong_count;        /* pairs that run where one does not hold the other for alive */
    covey_time healed_at;
    covey_time whole_at;
    uint64_t suspicions;
    uint64_t failures;
    uint64_t false_failed;
    uint64_t event_total[SIM_EVENT_TYPES];
    uint32_t *event_counts; /* observer, subject, type; NULL above SIM_SMALL */
    struct sim_sent *sent;  /* sender, subject; NULL above SIM_SMALL */
    covey_time next_scan;
    struct sim_filling filling;
    struct sim_detectors detectors;
    struct sim_audience *audience; /* NULL above SIM_SMALL */
    struct cv_rand rand;           /* what is looked at: no part of the run */
    struct cv_rand health_rand;    /* what health checks answer */
};

struct sim {
    struct sim_config config;
    struct cv_membership_config core; /* what all cores begin with */
    struct sim_arena arena;           /* of the cores, when they are many */
    struct sim_clock clock;
    uint64_t ahead[SIM_AHEAD_STAGES]; /* of each stage, the number of the entry that is next */
    struct cv_rand rand;
    struct sim_graph graph;
    struct sim_connections connections;
    struct sim_node *nodes;
    covey_node_id *ids; /* of the nodes, side by side */
    struct cv_body_table bodies;
    struct cv_record *known; /* of all nodes as they first start; NULL without full views */
    struct cv_roster roster; /* the same */
    size_t up_count;
    uint64_t steps;
    uint64_t events;
    uint64_t handshakes;
    struct sim_oracle oracle;
    const struct sim_planted *planted; /* NULL: nothing is */
    uint64_t hash;
    char *trace;
    size_t trace_size;
    size_t trace_capacity;
    char violation[320];
    struct cv_message message;       /* being checked */
    struct sim_view_page known_page; /* what there is to see at first of each, with full views */
    struct sim_address_book addresses;
};

/* sim.c */
struct sim_event *sim_event_new(struct sim *s, enum sim_event_kind kind, uint32_t node,
                                size_t size);
bool sim_is_small(const struct sim *s);

/* ahead.c: before the next event happens */
void sim_look_ahead(struct sim *s);

/* fault.c */
void sim_fault(struct sim *s, enum sim_fault fault); /* counts it, and what it disturbs */
void sim_disturb(struct sim *s);

/* node.c: what a real node's loop does with a core */
int sim_step(struct sim *s, uint32_t node, struct cv_input *input);
void sim_drain(struct sim *s, struct sim_node *n);
uint64_t sim_wall_of(const struct sim *s, const struct sim_node *n);
void sim_happen(struct sim *s, struct sim_event *e);
void sim_catch_up(struct sim *s, struct sim_node *n); /* takes what waits, until it is busy again */

/* hold.c */
void sim_hold_sent(struct sim *s, uint32_t from, uint32_t to, uint64_t connection,
                   struct cv_slice bytes, bool is_reliable);
void sim_hold_received(struct sim_node *n, struct sim_event *e);
void sim_hold_drop(struct sim *s, struct sim_node *n);

/* life.c */
void sim_node_init(struct sim *s, uint32_t index);
void sim_node_fini(struct sim_node *n);
void sim_make_known(struct sim *s);

/* message.c */
void sim_message_send(struct sim *s, uint32_t from, uint32_t to, struct cv_slice bytes,
                      bool is_reliable);
void sim_message_event(struct sim *s, struct sim_event *e);
void sim_charge(struct sim *s, uint32_t node, uint64_t bytes);
/* When a packet that was lost is sent again, by how often it was before. */
covey_time sim_retry_after(uint32_t tries);

/* dial.c: connections that come and go */
void sim_dial(struct sim *s, uint32_t from, const struct cv_output *output);
void sim_dial_event(struct sim *s, struct sim_event *e);
void sim_close(struct sim *s, uint32_t from, uint32_t to);
void sim_break_side(struct sim *s, const struct sim_connection *c, uint32_t node, covey_time time);
void sim_break_event(struct sim *s, struct sim_event *e);
void sim_idle_event(struct sim *s, struct sim_event *e);
void sim_forget_connections(struct sim *s, uint32_t node); /* it crashed */

/* liar.c */
void sim_lie_event(struct sim *s, struct sim_event *e);
void sim_liar_hears(struct sim *s, struct sim_node *n, struct cv_slice bytes);
void sim_liar_free(struct sim_liar *liar);

/* oracle.c */
void sim_oracle_init(struct sim *s);
void sim_oracle_fini(struct sim *s);
/* The number in an id, whether there is such a node or not. */
uint32_t sim_index_of(const covey_node_id *id);
struct sim_node *sim_node_of(struct sim *s, const covey_node_id *id); /* NULL: no node of ours */
struct sim_seen sim_see(struct sim *s, const struct sim_node *o, const struct cv_member *m);
/* The state alone, which is asked for more often than all that goes with it. */
enum covey_node_state sim_see_state(struct sim *s, const struct sim_node *o,
                                    const struct cv_member *m);
const struct sim_view *sim_view_of(const struct sim_node *o, const struct sim_node *subject);
struct sim_view *sim_view_edit(struct sim_node *o, const struct sim_node *subject);
void sim_watch(struct sim_node *n);
void sim_oracle_starts(struct sim *s, struct sim_node *n);
void sim_oracle_started(struct sim *s, struct sim_node *n);
void sim_oracle_crashed(struct sim *s, struct sim_node *n); /* its views are still there */
/* A node less has to know of what happened. */
void sim_oracle_is_gone(struct sim *s);
void sim_oracle_healed(struct sim *s);
/* The transition of a pair that was checked. */
void sim_oracle_note(struct sim *s, struct sim_node *o, struct sim_node *n,
                     const struct sim_view *before, const struct sim_view *after);
bool sim_can_reach(const struct sim *s, const struct sim_node *a, const struct sim_node *b);
void sim_fail(struct sim *s, enum sim_invariant id, const char *format, ...) COVEY_PRINTF(3, 4);
/* Counts a check, and fails it with the printf arguments when it does not hold. */
#define sim_require(s, id, condition, ...)                                                         \
    do {                                                                                           \
        (s)->oracle.checks[id]++;                                                                  \
        if (!(condition))                                                                          \
            sim_fail(s, id, __VA_ARGS__);                                                          \
    } while (0)

/* check_self.c, check_member.c: a record that changed */
void sim_check_own(struct sim *s, struct sim_node *n, const struct sim_seen *seen);
/* What it will say of itself when it first starts, which others know before. */
void sim_note_known(struct sim *s, struct sim_node *n, const struct cv_record *record);
void sim_check_member(struct sim *s, struct sim_node *o, const struct sim_seen *seen);
void sim_check_removed(struct sim *s, struct sim_node *o, const struct sim_seen *seen);

/* Nothing has happened that could have anybody suspected; and the invariant that says so. */
bool sim_is_quiet(const struct sim *s);
enum sim_invariant sim_quiet_invariant(const struct sim *s);

/* check_self.c: M4 */
struct sim_told {
    bool is_told;  /* something about the node itself */
    uint64_t own;  /* its incarnation before, when it is told */
    uint64_t read; /* how many messages it had read before */
    struct cv_node_status status;
};
struct sim_told sim_told_before(struct sim *s, const struct sim_node *n,
                                const struct cv_input *input);
void sim_check_answer(struct sim *s, const struct sim_node *n, const struct sim_told *told);

/* check_event.c */
void sim_check_event(struct sim *s, struct sim_node *o, const struct cv_event *event);

/* check_message.c */
void sim_check_message(struct sim *s, struct sim_node *from, const struct cv_output *output);

/* check_queue.c: around a step, and of each message of it */
void sim_queue_before(struct sim *s, const struct sim_node *n);
void sim_queue_sent(struct sim *s, const struct cv_output *output);
void sim_check_queue(struct sim *s, const struct sim_node *n);

/* check_merge.c */
void sim_scan_merge(struct sim *s, const struct sim_node *o);

/* check_snapshot.c */
void sim_scan_snapshot(struct sim *s, struct sim_node *o);
void sim_forget_snapshot(struct sim_node *o);

/* check_subscriber.c */
struct sim_audience *sim_audience_new(void);
void sim_audience_free(struct sim_audience *a);
void sim_audience_publish(struct sim *s, const struct cv_event *event);
void sim_audience_end(struct sim *s); /* all read what is left */

/* check_leave.c */
void sim_check_state(struct sim *s, struct sim_node *n, enum cv_membership_state to);
void sim_scan_leave(struct sim *s, const struct sim_node *n);

/* check_health.c */
void sim_run_check(struct sim *s, struct sim_node *n, const struct cv_output *output);
void sim_checked_event(struct sim *s, struct sim_event *e);
void sim_scan_health(struct sim *s, const struct sim_node *n);

/* check_scan.c: everything there is about one observer */
void sim_check_scan(struct sim *s);

/* check_partition.c */
void sim_check_partition_event(struct sim *s, struct sim_node *n, const struct cv_event *event);
void sim_check_partition(struct sim *s, struct sim_node *n); /* after each step */
void sim_scan_expected(struct sim *s, const struct sim_node *n);
void sim_scan_sides(struct sim *s);

/* check_detector.c: around a step, and once a virtual second */
void sim_detector_before(struct sim *s, const struct sim_node *n);
void sim_check_detector(struct sim *s, const struct sim_node *n, const struct cv_input *input);
void sim_scan_detector(struct sim *s, const struct sim_node *n);

/* check_join.c */
void sim_check_attempt(struct sim *s, struct sim_node *n, size_t seed);

/* check_time.c: what must have come about by a time */
enum sim_deadline {
    SIM_DEADLINE_DEATH,   /* M10 */
    SIM_DEADLINE_MISTAKE, /* M11 */
    SIM_DEADLINE_CALM,    /* M12, M13, T2 */
    SIM_DEADLINE_JOIN,    /* M14: it is known */
    SIM_DEADLINE_VIEW,    /* M14: and knows, after a push-pull */
    SIM_DEADLINE_LEAVE,   /* H2 */
    SIM_DEADLINE_TAGS     /* G6 */
};
void sim_expect(struct sim *s, enum sim_deadline deadline, const struct sim_node *n,
                const struct sim_node *observer);
void sim_expect_calm(struct sim *s);
void sim_deadline_event(struct sim *s, struct sim_event *e);
void sim_check_calm(struct sim *s);

/* trace.c */
void sim_trace_line(struct sim *s, const char *format, ...) COVEY_PRINTF(2, 3);
void sim_hash_input(struct sim *s, uint32_t node, const struct cv_input *input);

#endif
