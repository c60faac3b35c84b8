#ifndef CV_CLUSTER_GOSSIP_PROTOCOL_INTERNAL_H
#define CV_CLUSTER_GOSSIP_PROTOCOL_INTERNAL_H

#include "cluster/gossip/protocol.h"

/* What the files of the protocol call in each other. */

/* protocol.c */
/* Takes the reference to a new body and gives one to what is kept of it. */
struct cv_cluster_node *cv_gossip_shared_body(const struct cv_gossip_protocol *p,
                                              struct cv_cluster_node *body);
/* protocol_news.c */
/* The bytes that there are for news. */
void cv_news_init(struct cv_gossip_protocol *p);
void cv_gossip_spread(struct cv_gossip_protocol *p);
void cv_gossip_ping(struct cv_gossip_protocol *p, const covey_node_id *to, uint32_t sequence,
                    bool reliable);

/* protocol_links.c */
/* What the links say of a node. */
enum cv_member_link cv_link_of(const struct cv_gossip_protocol *p, const covey_node_id *id);
/* The peer with this id, if it is connected, is this member; NULL: none. */
void cv_link_member(struct cv_gossip_protocol *p, const covey_node_id *id, struct cv_member *m);
/* Others hear from a node that is alive: when we do not, our connection is dead and is closed. */
void cv_link_doubt(struct cv_gossip_protocol *p, struct cv_member *m);

/* protocol_probe.c */
void cv_probing_start(struct cv_gossip_protocol *p);
void cv_probing_tick(struct cv_gossip_protocol *p);
void cv_probing_alarm(struct cv_gossip_protocol *p, struct cv_probe *probe);
void cv_probing_connected(struct cv_gossip_protocol *p, const covey_node_id *peer);
/* A dial failed or a connection broke. */
void cv_probing_link_lost(struct cv_gossip_protocol *p, const covey_node_id *peer);
void cv_probing_ack(struct cv_gossip_protocol *p, const covey_node_id *from, uint32_t sequence);
void cv_probing_nack(struct cv_gossip_protocol *p, const covey_node_id *from, uint32_t sequence);
void cv_probing_forget(struct cv_gossip_protocol *p, const covey_node_id *target);
/* No probes any more. */
void cv_probing_stop(struct cv_gossip_protocol *p);
/* All probes begin again. */
void cv_probing_restart(struct cv_gossip_protocol *p);

/* One whose heartbeats stay away: by all means at once. */
void cv_probing_urgent(struct cv_gossip_protocol *p, struct cv_member *target);
/* True while such a probe is under way. */
bool cv_probing_is_urgent(struct cv_gossip_protocol *p, const covey_node_id *target);

/* protocol_watch.c */
/* Chooses whom to watch among the members that there are now. */
void cv_watching_update(struct cv_gossip_protocol *p);
void cv_watching_alarm(struct cv_gossip_protocol *p, struct cv_watch *watch);
void cv_watching_beat(struct cv_gossip_protocol *p);
void cv_watching_connected(struct cv_gossip_protocol *p, const covey_node_id *peer);
/* The connection is gone, whoever closed it, and with it what was asked and heard on it. */
void cv_watching_unlinked(struct cv_gossip_protocol *p, const covey_node_id *peer);
/* The same, and it was not us. */
void cv_watching_disconnected(struct cv_gossip_protocol *p, const covey_node_id *peer);
void cv_watching_asked(struct cv_gossip_protocol *p, const covey_node_id *from);
void cv_watching_unasked(struct cv_gossip_protocol *p, const covey_node_id *from);
void cv_watching_heard(struct cv_gossip_protocol *p, const covey_node_id *from, uint32_t number);
/* The end of an urgent probe. */
void cv_watching_probed(struct cv_gossip_protocol *p, const covey_node_id *target,
                        bool is_answered);
/* Our own pause is not their silence. */
void cv_watching_restart(struct cv_gossip_protocol *p);
void cv_watching_stop(struct cv_gossip_protocol *p);

/* protocol_warm.c */
/* True when all members are probed. */
bool cv_warm_is_mesh(const struct cv_gossip_protocol *p);
/* Two members of a small cluster stay connected. */
void cv_warm_connect(struct cv_gossip_protocol *p, struct cv_member *m);
/* Goes on with the pass that dials all members of a small cluster. */
void cv_warm_connect_mesh(struct cv_gossip_protocol *p);
/* Chooses whom to watch, and in a small cluster connects with all, when that has changed and
 * it was not done too often before; not while joining. */
void cv_warm_settle(struct cv_gossip_protocol *p);
void cv_warm_update(struct cv_gossip_protocol *p);
/* All connected live members of the watch rings but one, at most CV_WARM_MAX; their number. */
#define CV_WARM_MAX (CV_RINGS_MAX * (1 + CV_WATCHERS_PER_RING))
size_t cv_warm_peers(struct cv_gossip_protocol *p, const covey_node_id *except,
                     struct cv_member **out);

/* protocol_relay.c */
void cv_relay_request(struct cv_gossip_protocol *p, const covey_node_id *from,
                      const struct cv_message_head *head);
void cv_relay_alarm(struct cv_gossip_protocol *p, struct cv_owed_ack *owed);
void cv_relay_connected(struct cv_gossip_protocol *p, const covey_node_id *peer);
void cv_relay_ack(struct cv_gossip_protocol *p, const covey_node_id *from, uint32_t sequence);

/* protocol_state.c */
/* A member known from before: nothing is told of it. */
void cv_member_recalled(struct cv_gossip_protocol *p, struct cv_member *m);
/* The same for many at once, of which none is dialled: for each, and then for all. */
void cv_member_adopted(struct cv_gossip_protocol *p, struct cv_member *m);
void cv_members_adopted(struct cv_gossip_protocol *p);
void cv_member_entered(struct cv_gossip_protocol *p, struct cv_member *m);
void cv_member_body_changed(struct cv_gossip_protocol *p, struct cv_member *m, bool tags_differ);
void cv_member_alarm(struct cv_gossip_protocol *p, struct cv_member *m);
/* It does not count for the size of the cluster any more. */
void cv_member_unexpect(struct cv_gossip_protocol *p, struct cv_member *m);
/* Nobody answered our probe. */
void cv_member_unanswered(struct cv_gossip_protocol *p, struct cv_member *m);
/* Another one suspects it too. */
void cv_member_confirmed(struct cv_gossip_protocol *p, struct cv_member *m,
                         const covey_node_id *accuser);
/* It is suspected only because others hold it for failed: it has the longest time to refute. */
void cv_member_rumoured(struct cv_gossip_protocol *p, struct cv_member *m);
/* Others hold the suspect for failed: it has less time to refute, and is asked at once. */
void cv_member_doubted(struct cv_gossip_protocol *p, struct cv_member *m);
/* Every suspicion begins again, with a ping. */
void cv_suspicions_restart(struct cv_gossip_protocol *p);

/* protocol_self.c */
/* The strongest of what a message says of us; false when it says nothing. */
bool cv_self_told(const struct cv_gossip_protocol *p, const struct cv_message *message,
                  const struct cv_update **told);
/* True when the answer to what a message of this type says is a new body; *incarnation is its own
 * then. */
bool cv_self_needs_body(const struct cv_gossip_protocol *p, enum cv_message_type type,
                        const struct cv_update *told, uint64_t *incarnation);
/* Answers what is said of us; takes the reference to `body`, which may be NULL. */
void cv_self_answer(struct cv_gossip_protocol *p, const covey_node_id *from,
                    enum cv_message_type type, const struct cv_update *told,
                    struct cv_cluster_node *body);

#endif
