#ifndef SIM_SIM_INTERNAL_H
#define SIM_SIM_INTERNAL_H

#include "sim/sim.h"

#include "base/heap.h"
#include "base/map.h"
#include "base/rand.h"

/* The wall clock of virtual time 0: all clocks agree but for a node's offset. */
#define SIM_WALL_MS UINT64_C(1700000000000)

#define SIM_EVENT_TYPES 16

enum sim_event_kind {
    SIM_WAKE,      /* a node's deadline */
    SIM_MESSAGE,   /* arrives, or is tried again */
    SIM_HANDSHAKE, /* a dial's flights are through, or are tried again */
    SIM_BREAK,     /* a side of a connection is lost */
    SIM_RESOLVED
};

/* Something that will happen to a node. Those for a paused node wait in its queue. */
struct sim_event {
    struct cv_timer timer;
    enum sim_event_kind kind;
    size_t node;
    uint32_t life; /* of the node; it is void after a restart */
    size_t peer;
    uint32_t peer_life;
    uint64_t connection;
    uint32_t number; /* of a dial or a resolve */
    uint32_t tries;
    covey_time begun;
    bool reliable;
    bool has_expected;
    covey_node_id expected;
    struct cv_address address;
    struct sim_event *next; /* in a paused node's queue */
    size_t size;
    uint8_t bytes[];
};

/* A connection of two nodes, the lower number first. Each side holds it up until it learns
 * otherwise. */
struct sim_connection {
    uint64_t key[2];
    uint64_t number; /* another for each handshake */
    bool is_up[2];
    covey_time since;
};

/* What the checker saw last, one for each observer and subject. */
struct sim_view {
    bool is_known;
    uint64_t incarnation;
    enum covey_node_state state;
    uint64_t body_incarnation; /* with `version`: which of its owner's statements */
    uint32_t version;
    bool is_joined; /* by the events */
    bool is_failed;
    size_t events[SIM_EVENT_TYPES];
};

struct sim_node {
    struct cv_membership *membership; /* NULL: down */
    uint32_t life;
    bool is_paused;
    bool has_left; /* this life ended with a goodbye */
    covey_node_id id;
    char name[24];
    struct cv_address address;
    int64_t clock_offset_ms;
    unsigned side;
    int refusal;
    int join_error;
    size_t join_attempts;
    size_t seed_count;
    size_t *seeds;
    uint64_t issued; /* the latest incarnation that it gave itself */
    bool has_issued;
    struct sim_event *wake;
    struct sim_event *waiting_first;
    struct sim_event *waiting_last;
    struct sim_view *views;
    struct sim_death death;
    size_t failed_by; /* how many that run hold it for failed, while it is down */
    struct sim_spread spread;
    uint64_t spread_incarnation; /* with `spread_version`: the body that has the tags */
    uint32_t spread_version;
    size_t shown_by; /* how many others that run have it */
};

struct sim_cut_link {
    size_t from, to;
};

struct sim {
    struct sim_config config;
    covey_time now;
    size_t steps;
    struct cv_rand rand;
    struct cv_heap heap;
    size_t event_count;
    struct sim_node *nodes;
    struct cv_map connections;
    uint64_t last_connection;
    size_t cut_count;
    struct sim_cut_link cuts[256];
    size_t suspicion_total;
    struct sim_totals totals; /* what observer.c counts */
    bool has_wrong_count;     /* the next one is right */
    size_t wrong_count;       /* pairs that run where one does not hold the other for alive */
    sim_change_fn change;
    void *change_user;
    uint64_t hash;
    char *trace;
    size_t trace_size;
    size_t trace_capacity;
    char violation[256];
};

/* sim.c */
void *sim_allocate(size_t size); /* zeroed; never NULL */
struct sim_event *sim_event_new(struct sim *s, enum sim_event_kind kind, size_t node, size_t size);
void sim_event_at(struct sim *s, struct sim_event *e, covey_time time);
void sim_event_free(struct sim *s, struct sim_event *e);
void sim_happen(struct sim *s, struct sim_event *e);

/* node.c */
int sim_step(struct sim *s, size_t node, struct cv_input *input);
void sim_wait(struct sim_node *n, struct sim_event *e);
void sim_drop_waiting(struct sim *s, struct sim_node *n);
size_t sim_index(const covey_node_id *id);
bool sim_is_current(const struct sim *s, const struct sim_event *e);

/* network.c */
void sim_network_send(struct sim *s, size_t from, const struct cv_output *output);
void sim_network_dial(struct sim *s, size_t from, const struct cv_output *output);
void sim_network_close(struct sim *s, size_t from, size_t to);
void sim_network_crash(struct sim *s, size_t node);
void sim_network_message(struct sim *s, struct sim_event *e);
void sim_network_handshake(struct sim *s, struct sim_event *e);
void sim_network_break(struct sim *s, struct sim_event *e);
void sim_network_fini(struct sim *s);
bool sim_is_cut(const struct sim *s, size_t from, size_t to); /* that way */

/* invariants.c */
void sim_check_node(struct sim *s, size_t node);
void sim_check_event(struct sim *s, size_t node, const struct cv_event *event);
void sim_check_send(struct sim *s, size_t node, const struct cv_output *output);
void sim_fail(struct sim *s, const char *format, ...) COVEY_PRINTF(2, 3);

/* observer.c: what became of the faults */
void sim_observe_change(struct sim *s, struct sim_node *o, struct sim_node *n,
                        const struct sim_view *before, const struct cv_node_status *after);
void sim_observe_start(struct sim *s);
void sim_observe_crash(struct sim *s, struct sim_node *n);
void sim_observe_heal(struct sim *s);
void sim_observe_tags(struct sim *s, struct sim_node *n);

/* trace.c */
void sim_trace_line(struct sim *s, const char *format, ...) COVEY_PRINTF(2, 3);
void sim_hash_input(struct sim *s, size_t node, const struct cv_input *input);

#endif
