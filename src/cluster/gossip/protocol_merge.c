#include "cluster/gossip/protocol_internal.h"
#include "cluster/incarnation.h"
#include "cluster/tags.h"

#include <assert.h>

/*
 * What updates change. A member's record is merged as cluster/record.h says, within limits on what
 * is believed from whom (DESIGN D3, D6; RELIABILITY M5):
 *
 *  - an incarnation that is too far ahead of what is known is refused;
 *  - hearsay that a node failed counts as a suspicion, and as a long one that no more hearsay
 *    shortens, until somebody accuses it: it may live on our side of what divided it from the others,
 *    and when that ends all of our side is said to have failed at once. What we pass on is what we
 *    were told, not our suspicion: nobody here has accused it;
 *  - who left comes back only as alive, and who said so itself only by a body of a later
 *    incarnation: a new life;
 *  - a body that came on the node's own connection yields only to a later one.
 */

/* One update about another node, and where it comes from. */
struct news {
    const struct cv_update *update;
    struct cv_cluster_node *body; /* NULL: none, or none that is news */
    bool is_direct;               /* on the node's own connection */
    enum cv_message_type type;    /* of the message */
};

static bool is_admissible(const struct cv_gossip_protocol *p, const struct news *n,
                          const struct cv_member *m)
{
    uint64_t told = n->update->status.incarnation;
    uint64_t known = m == NULL ? p->wall_ms : m->incarnation;
    if (n->is_direct)
        return cv_incarnation_is_owners(known, told, p->wall_ms);
    return cv_incarnation_is_near(known, told);
}

/* The name in a node's own record must be its certificate's. */
static bool is_named_right(const struct cv_gossip_protocol *p, const struct news *n)
{
    if (!n->is_direct || !n->update->has_body)
        return true;
    const struct cv_peer *peer = cv_links_peer(&p->links, &n->update->id);
    return peer == NULL || peer->name[0] == '\0' ||
           cv_slice_equal(cv_slice_text(peer->name), n->update->name);
}

/* Passes news on. A list that a seed gave us is known to the others; one from another part of the
 * cluster is worth telling, but nothing waits for it. */
static void pass_on(struct cv_gossip_protocol *p, const struct cv_member *m, const struct news *n,
                    enum cv_priority priority)
{
    struct cv_record record = cv_member_record(m);
    if (n->body == NULL)
        record.body = NULL;
    if (m->state == COVEY_NODE_SUSPECT && m->trouble->suspicion.is_hearsay)
        record.status.state = COVEY_NODE_FAILED;
    p->counters.updates_applied++;
    if (!cv_message_is_list(n->type))
        cv_gossip_protocol_broadcast(p, priority, &record);
    else if (!p->is_learning)
        cv_gossip_protocol_broadcast(p, CV_PRIORITY_LOW, &record);
}

/* The gone that we do not know we may have forgotten in good time: comparing what we know must not
 * bring them back from each other for ever. */
static bool is_forgotten(const struct news *n)
{
    enum covey_node_state state = n->update->status.state;
    return n->type != CV_MESSAGE_JOIN_ACK && cv_message_is_list(n->type) &&
           (state == COVEY_NODE_FAILED || state == COVEY_NODE_LEFT);
}

static void admit(struct cv_gossip_protocol *p, const struct news *n)
{
    if (is_forgotten(n))
        return;
    struct cv_record record = {.id = n->update->id, .status = n->update->status, .body = n->body};
    struct cv_member *m = cv_node_registry_insert(&p->registry, &record, p->now);
    if (m == NULL)
        return;
    m->body_is_direct = n->is_direct;
    m->link = cv_link_of(p, cv_member_id(m));
    cv_link_member(p, cv_member_id(m), m);
    cv_member_entered(p, m);
    pass_on(p, m, n, CV_PRIORITY_MEDIUM);
}

/* True when the body tells of a life after the one that ended. */
static bool is_new_life(const struct news *n, const struct cv_member *m)
{
    return n->update->has_body &&
           cv_incarnation_compare(n->update->body_incarnation, m->incarnation) > 0;
}

/* One that left comes back by its own word only: it refutes a goodbye that it never said, or begins
 * a new life. */
static bool may_return(const struct news *n, const struct cv_member *m)
{
    enum covey_node_state told = n->update->status.state;
    if (told == COVEY_NODE_LEFT)
        return true;
    return told == COVEY_NODE_ALIVE && (!m->left_is_direct || is_new_life(n, m));
}

/* That a live member failed is believed by one that suspects it for some time itself, so that
 * it could have heard a refutation, and has not heard from it since. */
static bool may_fail(const struct cv_gossip_protocol *p, const struct news *n,
                     const struct cv_member *m)
{
    if (m->state != COVEY_NODE_SUSPECT || m->incarnation != n->update->status.incarnation)
        return !cv_member_is_live(m);
    covey_time begun = m->trouble->suspicion.start;
    return !m->trouble->suspicion.is_hearsay && m->trouble->heard <= begun &&
           p->now - begun >= p->config.suspicion_min / 2;
}

/* What of the told status is believed; false: nothing of it. */
static bool believe(struct cv_gossip_protocol *p, const struct news *n, struct cv_member *m,
                    struct cv_node_status *status)
{
    const struct cv_node_status known = cv_member_status(m);
    *status = n->update->status;
    if (!cv_node_status_is_after(status, &known))
        return false;
    if (known.state == COVEY_NODE_LEFT && !may_return(n, m))
        return false;
    if (status->state == COVEY_NODE_FAILED && !may_fail(p, n, m))
        status->state = COVEY_NODE_SUSPECT;
    bool is_return = !cv_member_is_live(m) &&
                     (status->state == COVEY_NODE_ALIVE || status->state == COVEY_NODE_SUSPECT);
    return cv_node_status_is_after(status, &known) &&
           (!is_return || cv_node_registry_admits_return(&p->registry));
}

/* From failed to suspect goes by way of alive. */
static void follow(struct cv_gossip_protocol *p, struct cv_member *m,
                   const struct cv_node_status *status)
{
    const struct cv_node_status before = cv_member_status(m);
    if (!cv_node_status_may_follow(&before, status)) {
        struct cv_node_status alive = {.incarnation = status->incarnation};
        cv_gossip_protocol_set_status(p, m, &alive);
    }
    cv_gossip_protocol_set_status(p, m, status);
}

static void merge_status(struct cv_gossip_protocol *p, const struct news *n, struct cv_member *m,
                         const struct cv_node_status *status)
{
    if (status->state == COVEY_NODE_LEFT && n->is_direct)
        m->left_is_direct = true;
    if (status->state == COVEY_NODE_ALIVE && !n->is_direct)
        cv_link_doubt(p, m);
    follow(p, m, status);
    if (m->state == COVEY_NODE_SUSPECT && n->update->status.state == COVEY_NODE_FAILED)
        cv_member_rumoured(p, m);
    if (m->state == COVEY_NODE_LEFT && m->left_is_direct)
        cv_member_unexpect(p, m);
}

/* The same suspicion from another accuser. */
static void merge_accuser(struct cv_gossip_protocol *p, const struct news *n, struct cv_member *m)
{
    const struct cv_node_status *told = &n->update->status;
    bool accuses = told->state == COVEY_NODE_SUSPECT || told->state == COVEY_NODE_FAILED;
    if (m->state != COVEY_NODE_SUSPECT || !accuses || told->incarnation != m->incarnation ||
        (m->trouble->suspicion.is_hearsay && told->state == COVEY_NODE_FAILED))
        return;
    cv_member_confirmed(p, m, &told->accuser);
    if (told->state == COVEY_NODE_FAILED)
        cv_member_doubted(p, m);
}

/* What of the news is believed, as a record: what is not is what we know. A body is never of a
 * later incarnation than its record, and who left keeps the one that it had. */
static struct cv_record believed(struct cv_gossip_protocol *p, const struct news *n,
                                 struct cv_member *m)
{
    struct cv_record told = {.id = m->body->id};
    if (!believe(p, n, m, &told.status))
        told.status = cv_member_status(m);
    if (n->body != NULL && told.status.state != COVEY_NODE_LEFT &&
        cv_incarnation_compare(n->body->incarnation, told.status.incarnation) <= 0)
        told.body = n->body;
    return told;
}

/* True when the member gets the body that was told: it is later, or of the same age but first-hand.
 */
static bool merge_body(struct cv_gossip_protocol *p, const struct news *n, struct cv_member *m,
                       const struct cv_record *told)
{
    const struct cv_record known = cv_member_record(m);
    struct cv_record merged = cv_record_merge(&known, told);
    bool is_later = merged.body != m->body;
    bool is_first_hand = told->body != NULL && n->is_direct && !m->body_is_direct &&
                         cv_body_compare(told->body, m->body) == 0;
    if (is_first_hand && cv_cluster_node_equal(told->body, m->body)) {
        m->body_is_direct = true;
        return false;
    }
    if (!is_later && !is_first_hand)
        return false;
    bool tags_differ = !cv_tags_equal(told->body, m->body);
    cv_node_registry_set_body(&p->registry, m, told->body, n->is_direct);
    cv_member_body_changed(p, m, tags_differ);
    return true;
}

/* What takes an accusation back is as urgent as the accusation: it has a suspicion's time to be
 * everywhere, and when many are accused at once would come after all of that. */
static enum cv_priority priority_of(const struct cv_member *m, const struct cv_node_status *before)
{
    bool is_calm = m->state == COVEY_NODE_ALIVE && before->state == COVEY_NODE_ALIVE;
    return is_calm ? CV_PRIORITY_HIGH : CV_PRIORITY_CRITICAL;
}

static void merge(struct cv_gossip_protocol *p, const struct news *n, struct cv_member *m)
{
    struct cv_record told = believed(p, n, m);
    const struct cv_node_status before = cv_member_status(m);
    bool status_changes = cv_node_status_is_after(&told.status, &before);
    bool body_changes = merge_body(p, n, m, &told);
    if (status_changes)
        merge_status(p, n, m, &told.status);
    if (body_changes || status_changes)
        pass_on(p, m, n, priority_of(m, &before));
    else
        merge_accuser(p, n, m);
}

static void apply(struct cv_gossip_protocol *p, const covey_node_id *from, const struct news *n,
                  struct cv_member *m)
{
    if (m == p->self)
        return;
    if (!is_admissible(p, n, m) || !is_named_right(p, n)) {
        p->counters.updates_refused++;
        cv_gossip_protocol_charge(p, from, CV_GLITCH_REFUSED);
        return;
    }
    if (m != NULL)
        merge(p, n, m);
    else if (n->body != NULL)
        admit(p, n);
}

void cv_gossip_protocol_apply(struct cv_gossip_protocol *p, const covey_node_id *from,
                              const struct cv_message *message, struct cv_update_plan *plan)
{
    const struct cv_update *told;
    if (cv_self_told(p, message, &told))
        cv_self_answer(p, from, message->head.type, told, plan->self);
    p->teller = from;
    for (size_t i = 0; i < message->update_count; i++) {
        const struct news n = {
            .update = &message->updates[i],
            .body = plan->bodies[i],
            .is_direct = cv_node_id_equal(&message->updates[i].id, from),
            .type = message->head.type,
        };
        apply(p, from, &n,
              cv_node_registry_get_again(&p->registry, plan->members[i], &n.update->id));
        cv_cluster_node_release(plan->bodies[i]);
        plan->bodies[i] = NULL;
    }
    p->teller = NULL;
}
