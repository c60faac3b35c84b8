#include "sim_internal.h"

#include "cluster/membership_internal.h"

#include <stdlib.h>

/* Everything there is about one observer at once: M7, M8, G3, and what other files look
 * at. */

static void check_counts(struct sim *s, const struct sim_node *o)
{
    const struct cv_node_registry *r = cv_membership_registry(o->membership);
    size_t counts[4] = {0};
    size_t members_max = s->core.members_max;
    for (size_t i = 0; i < cv_node_registry_count(r); i++)
        counts[cv_node_registry_at(r, i)->state]++;
    for (int state = 0; state < 4; state++) {
        size_t said =
            cv_node_registry_count_state(r, (enum covey_node_state)state) + s->planted->counted;
        sim_require(s, SIM_M8, said == counts[state], "%s counts %zu %s, there are %zu", o->name,
                    said, covey_node_state_name((enum covey_node_state)state), counts[state]);
    }
    size_t live = counts[COVEY_NODE_ALIVE] + counts[COVEY_NODE_SUSPECT];
    sim_require(s, SIM_M8, live <= members_max && cv_node_registry_count(r) - live <= members_max,
                "%s has %zu members", o->name, cv_node_registry_count(r));
}

/* In a quiet cluster nobody is suspected but who left before it had joined. */
static void check_quiet(struct sim *s, const struct sim_node *o)
{
    for (size_t i = 0; sim_is_quiet(s) && i < s->config.node_count; i++) {
        const struct sim_node *n = &s->nodes[i];
        const struct sim_view *v = sim_view_of(o, n);
        bool is_well = !v->is_known || v->state == COVEY_NODE_ALIVE || v->state == COVEY_NODE_LEFT;
        sim_require(s, sim_quiet_invariant(s), is_well || n->has_left, "%s suspects %s", o->name,
                    n->name);
    }
}

static void check_queue(struct sim *s, const struct sim_node *o)
{
    size_t queued = cv_gossip_queue_count(&o->membership->gossip.queue) + s->planted->queued;
    size_t known = cv_node_registry_count(cv_membership_registry(o->membership));
    sim_require(s, SIM_G3, queued <= known, "%s has %zu updates about %zu nodes in its queue",
                o->name, queued, known);
}

/* Of nodes that are alive. */
static void check_address(struct sim *s, const struct sim_node *o, const struct cv_address *address)
{
    sim_require(s, SIM_M7,
                sim_address_book_name(&s->addresses, address) ||
                    s->oracle.lies[SIM_LIE_ADDRESS] + s->oracle.lies[SIM_LIE_STRANGER] > 0,
                "%s knows two live nodes at one address", o->name);
}

static void check_addresses(struct sim *s, const struct sim_node *o)
{
    const struct cv_node_registry *r = cv_membership_registry(o->membership);
    sim_address_book_begin(&s->addresses, cv_node_registry_count(r));
    for (size_t i = 0; i < cv_node_registry_count(r); i++) {
        const struct cv_member *m = cv_node_registry_at(r, i);
        if (sim_see_state(s, o, m) != COVEY_NODE_ALIVE)
            continue;
        const struct cv_address seen =
            s->planted->seen == NULL ? m->body->address : sim_see(s, o, m).address;
        check_address(s, o, &seen);
    }
}

void sim_check_scan(struct sim *s)
{
    for (size_t i = 0; i < s->config.node_count; i++) {
        struct sim_node *o = &s->nodes[i];
        if (o->membership == NULL)
            continue;
        check_counts(s, o);
        check_quiet(s, o);
        check_queue(s, o);
        check_addresses(s, o);
        sim_scan_detector(s, o);
        sim_scan_expected(s, o);
        sim_scan_leave(s, o);
        sim_scan_health(s, o);
        sim_scan_merge(s, o);
        /* Sorting is dear: each observer's turn comes once in as many scans as there are nodes. */
        if (i == s->clock.now / COVEY_SECOND % s->config.node_count)
            sim_scan_snapshot(s, o);
    }
    sim_scan_sides(s);
}
