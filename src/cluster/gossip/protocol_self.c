#include "cluster/gossip/protocol_internal.h"
#include "cluster/incarnation.h"

#include <assert.h>

/*
 * Our own record. Only we change it; others may only make us do so (DESIGN D6, RELIABILITY M4):
 *
 *      what is told         our answer
 *      before our own       none: old news
 *      at our own           our own + 1, if we are accused or the body is none of ours
 *      after our own        while learning: past it, so that our last life is over; later: ours
 *                           again, unchanged, and a point against the teller, because only we
 *                           ever raise it. An alive one is another process with our key.
 *
 * Learning is over when we have joined, and with members known from before it is at once; but one
 * whom that news did not reach, and who holds our last life for what it was, says so when it joins
 * with us again, or when we compare what we know: in a JOIN, its answer and anti-entropy what is of
 * our own address or an accusation is always gone past. Whenever our incarnation rises our body is
 * made anew with it, so that no body of a last life can be later than ours.
 */

enum answer { ANSWER_NONE, ANSWER_RAISE, ANSWER_REPEAT };

static bool is_about_us(const struct cv_gossip_protocol *p, const struct cv_update *u)
{
    return cv_node_id_equal(&u->id, cv_member_id(p->self));
}

bool cv_self_told(const struct cv_gossip_protocol *p, const struct cv_message *message,
                  const struct cv_update **told)
{
    *told = NULL;
    for (size_t i = 0; i < message->update_count; i++) {
        const struct cv_update *u = &message->updates[i];
        if (is_about_us(p, u) &&
            (*told == NULL || cv_node_status_is_after(&u->status, &(*told)->status)))
            *told = u;
    }
    return *told != NULL;
}

static bool is_of_our_address(const struct cv_gossip_protocol *p, const struct cv_update *told)
{
    return told->has_body && cv_address_equal(&told->address, &p->self->body->address);
}

/* True when the update is of a body that is not ours. */
static bool is_of_another(const struct cv_gossip_protocol *p, const struct cv_update *told)
{
    return told->has_body && !is_of_our_address(p, told);
}

/* True when the update's body has our age, or a later one, and we did not say that: it is of a last
 * life, or of another process with our key, that came to the same incarnation. */
static bool is_not_our_word(const struct cv_gossip_protocol *p, const struct cv_update *told)
{
    const struct cv_cluster_node age = {.incarnation = told->body_incarnation,
                                        .version = told->version};
    int order = cv_body_compare(&age, p->self->body);
    return told->has_body && (order > 0 || (order == 0 && !cv_update_says(told, p->self->body)));
}

static enum answer answer_to(const struct cv_gossip_protocol *p, enum cv_message_type type,
                             const struct cv_update *told)
{
    bool is_joining = type == CV_MESSAGE_JOIN || cv_message_is_list(type);
    uint64_t own = p->self->incarnation;
    int order = cv_incarnation_compare(told->status.incarnation, own);
    bool is_accused = told->status.state != COVEY_NODE_ALIVE;
    if (p->is_leaving || order < 0 || !cv_incarnation_is_near(own, told->status.incarnation))
        return ANSWER_NONE;
    if (p->is_learning && (order > 0 || is_accused || is_of_another(p, told)))
        return ANSWER_RAISE;
    if (order > 0)
        return is_joining && (is_accused || is_of_our_address(p, told)) ? ANSWER_RAISE
                                                                        : ANSWER_REPEAT;
    return is_accused || is_not_our_word(p, told) ? ANSWER_RAISE : ANSWER_NONE;
}

bool cv_self_needs_body(const struct cv_gossip_protocol *p, enum cv_message_type type,
                        const struct cv_update *told, uint64_t *incarnation)
{
    *incarnation = cv_incarnation_refute(p->self->incarnation, told->status.incarnation);
    return answer_to(p, type, told) == ANSWER_RAISE;
}

/* Takes the reference to `body`. */
static void raise_incarnation(struct cv_gossip_protocol *p, struct cv_cluster_node *body)
{
    struct cv_node_status status = {.incarnation = body->incarnation};
    cv_node_registry_set_status(&p->registry, p->self, &status, p->now);
    cv_node_registry_set_body(&p->registry, p->self, body, true);
    cv_cluster_node_release(body);
    p->counters.refutations++;
}

/* Two processes have our key. Neither gives way: ours stays as it is, so they do not chase each
 * other's incarnations; the operator is told once. */
static void tell_conflict(struct cv_gossip_protocol *p)
{
    if (p->conflict_told)
        return;
    p->conflict_told = true;
    cv_gossip_protocol_emit(p, COVEY_EVENT_NODE_CONFLICT, p->self);
    cv_log_line(p->log, CV_LOG_WARNING, "another process uses this node's key");
}

static void announce(struct cv_gossip_protocol *p, enum cv_priority priority)
{
    const struct cv_record record = cv_member_record(p->self);
    cv_gossip_protocol_broadcast(p, priority, &record);
}

void cv_self_answer(struct cv_gossip_protocol *p, const covey_node_id *from,
                    enum cv_message_type type, const struct cv_update *told,
                    struct cv_cluster_node *body)
{
    enum answer answer = answer_to(p, type, told);
    bool is_ahead = cv_incarnation_compare(told->status.incarnation, p->self->incarnation) > 0;
    assert((answer == ANSWER_RAISE) == (body != NULL));
    switch (answer) {
    case ANSWER_NONE:
        return;
    case ANSWER_RAISE:
        if (is_ahead && !p->is_learning)
            cv_gossip_protocol_charge(p, from, CV_GLITCH_REFUSED);
        if (told->status.state != COVEY_NODE_ALIVE && !p->is_learning)
            cv_local_health_note(&p->health, CV_LOCAL_HEALTH_REFUTED);
        raise_incarnation(p, body);
        break;
    case ANSWER_REPEAT:
        cv_gossip_protocol_charge(p, from, CV_GLITCH_REFUSED);
        if (told->status.state == COVEY_NODE_ALIVE && is_of_another(p, told))
            tell_conflict(p);
        break;
    }
    announce(p, told->status.state == COVEY_NODE_ALIVE ? CV_PRIORITY_HIGH : CV_PRIORITY_CRITICAL);
}

void cv_gossip_protocol_announce(struct cv_gossip_protocol *p)
{
    announce(p, CV_PRIORITY_HIGH);
}

int cv_gossip_protocol_new_self(const struct cv_gossip_protocol *p, uint64_t incarnation,
                                uint32_t version, const struct covey_tag *tags, size_t tag_count,
                                struct cv_cluster_node **out)
{
    const struct cv_cluster_node *body = p->self->body;
    int error = cv_cluster_node_new(p->alloc,
                                    &(struct cv_cluster_node_config){
                                        .id = body->id,
                                        .incarnation = incarnation,
                                        .version = version,
                                        .address = body->address,
                                        .name = cv_slice_text(body->name),
                                        .tags = tags,
                                        .tag_count = tag_count,
                                    },
                                    out);
    if (error == COVEY_OK)
        *out = cv_gossip_shared_body(p, *out);
    return error;
}
