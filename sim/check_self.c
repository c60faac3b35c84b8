#include "sim_internal.h"

#include "cluster/incarnation.h"

#include <covey/error.h>

/*
 * What a node says of itself: it is noted down as the truth about it (M3), and each change of its
 * incarnation must be the right answer to what was said of it (M4).
 */

static void note_issue(struct sim *s, struct sim_node *n, uint64_t incarnation, uint32_t life)
{
    struct sim_issues *is = &n->issues;
    uint32_t found = sim_issue_find(is, incarnation);
    if (found != SIM_NONE && is->items[found].life == life)
        return;
    if (is->count == is->capacity) {
        is->capacity = is->capacity == 0 ? 4 : is->capacity * 2;
        is->items = sim_reallocate(is->items, is->capacity, sizeof(*is->items));
    }
    sim_require(s, SIM_X2, is->count < SIM_ISSUES_MAX, "%s has too many incarnations", n->name);
    is->items[is->count] = (struct sim_issue){.incarnation = incarnation, .life = life};
    is->count++;
}

static void note_own_body(struct sim *s, struct sim_node *n, const struct sim_seen *seen)
{
    struct sim_bodies *bs = &n->bodies;
    if (sim_body_find(bs, seen) != SIM_NONE)
        return;
    if (bs->count == bs->capacity) {
        bs->capacity = bs->capacity == 0 ? 4 : bs->capacity * 2;
        bs->items = sim_reallocate(bs->items, bs->capacity, sizeof(struct cv_cluster_node *));
    }
    sim_require(s, SIM_X2, bs->count < SIM_ISSUES_MAX, "%s has too many bodies", n->name);
    bs->items[bs->count] = cv_cluster_node_retain((struct cv_cluster_node *)(uintptr_t)seen->body);
    bs->count++;
    n->shown_by = 0;
    n->spread = (struct sim_spread){s->clock.now, COVEY_NEVER};
    if (n->membership != NULL)
        sim_expect(s, SIM_DEADLINE_TAGS, n, NULL);
}

void sim_note_known(struct sim *s, struct sim_node *n, const struct cv_record *record)
{
    const struct sim_seen seen = {.subject = n->index,
                                  .status = record->status,
                                  .body = record->body,
                                  .body_incarnation = record->body->incarnation,
                                  .version = record->body->version};
    note_issue(s, n, record->status.incarnation, 1);
    note_own_body(s, n, &seen);
    n->spread = (struct sim_spread){COVEY_NEVER, COVEY_NEVER}; /* nobody has to be told */
}

void sim_check_own(struct sim *s, struct sim_node *n, const struct sim_seen *seen)
{
    enum covey_node_state state = seen->status.state;
    bool may_be_left = n->membership != NULL;
    sim_require(s, SIM_M3, state == COVEY_NODE_ALIVE || (state == COVEY_NODE_LEFT && may_be_left),
                "%s holds itself for %s", n->name, covey_node_state_name(state));
    note_issue(s, n, seen->status.incarnation, n->life);
    note_own_body(s, n, seen);
    if (state == COVEY_NODE_LEFT)
        n->issues.items[sim_issue_find(&n->issues, seen->status.incarnation)].is_left = true;
}

/* --- M4 --- */

/* The most that a message says of the node; as the node reads it, so before it does. */
/* One that says too much is not read to the end. */
static uint64_t count_read(const struct sim_node *n)
{
    struct cv_membership_stats stats;
    cv_membership_stats(n->membership, &stats);
    return stats.messages_received;
}

static void read_told(struct sim *s, const struct sim_node *n, struct sim_told *told)
{
    for (size_t i = 0; i < s->message.update_count; i++) {
        const struct cv_update *u = &s->message.updates[i];
        if (!cv_node_id_equal(&u->id, &n->id))
            continue;
        if (!told->is_told || cv_node_status_is_after(&u->status, &told->status))
            told->status = u->status;
        told->is_told = true;
    }
}

struct sim_told sim_told_before(struct sim *s, const struct sim_node *n,
                                const struct cv_input *input)
{
    struct sim_told told = {.is_told = false};
    bool is_sample = sim_is_small(s) || s->steps % SIM_SAMPLE == 0;
    if (input->type != CV_INPUT_MESSAGE || !is_sample)
        return told;
    told.own = n->own->incarnation;
    if (cv_message_read(input->message.bytes, &s->message) == COVEY_OK)
        read_told(s, n, &told);
    if (told.is_told)
        told.read = count_read(n);
    return told;
}

void sim_check_answer(struct sim *s, const struct sim_node *n, const struct sim_told *told)
{
    enum cv_membership_state state = cv_membership_state(n->membership);
    bool leaves = state == CV_MEMBERSHIP_LEAVING || state == CV_MEMBERSHIP_LEFT;
    enum covey_node_state is = sim_see_state(s, n, n->own);
    sim_require(s, SIM_M3, (is == COVEY_NODE_LEFT) == leaves, "%s holds itself for %s", n->name,
                covey_node_state_name(is));
    if (!told->is_told || count_read(n) == told->read)
        return;
    const struct sim_seen seen = sim_see(s, n, n->own);
    uint64_t own = s->planted->is_stubborn ? told->own : seen.status.incarnation;
    bool is_accused = told->status.state != COVEY_NODE_ALIVE;
    uint64_t answer = cv_incarnation_refute(told->own, told->status.incarnation);
    int order = cv_incarnation_compare(told->status.incarnation, told->own);
    sim_require(s, SIM_M4, own == told->own || (order >= 0 && own == answer),
                "%s went from %" PRIu64 " to %" PRIu64 " when told %" PRIu64, n->name, told->own,
                own, told->status.incarnation);
    sim_require(s, SIM_M4, order != 0 || !is_accused || leaves || own == answer,
                "%s did not refute that it is %s", n->name,
                covey_node_state_name(told->status.state));
}
