#include "sim_internal.h"

/*
 * M6: in whatever order three statements about one node are merged, the same stands. They are made
 * of what an observer holds: its incarnation or one of the next two, any state, any accuser, any of
 * the bodies that the node ever had. So ties of every kind are frequent.
 */
#define TRIPLES 8 /* for each observer and scan */

static struct cv_record merge(const struct sim *s, const struct cv_record *a,
                              const struct cv_record *b)
{
    if (s->planted->merge != NULL)
        return s->planted->merge(a, b);
    return cv_record_merge(a, b);
}

static bool is_same(const struct cv_record *a, const struct cv_record *b)
{
    return cv_node_status_compare(&a->status, &b->status) == 0 &&
           cv_body_compare(a->body, b->body) == 0;
}

static struct cv_record variant(struct sim *s, const struct cv_record *known)
{
    struct cv_rand *rand = &s->oracle.rand;
    struct cv_record r = *known;
    const struct sim_node *n = sim_node_of(s, &known->id);
    r.status.incarnation += cv_rand_below(rand, 3);
    r.status.state = (enum covey_node_state)cv_rand_below(rand, 4);
    memset(&r.status.accuser, 0, sizeof(r.status.accuser));
    if (r.status.state == COVEY_NODE_SUSPECT || r.status.state == COVEY_NODE_FAILED)
        r.status.accuser = s->nodes[cv_rand_below(rand, s->config.node_count)].id;
    if (cv_rand_below(rand, 4) == 0)
        r.body = NULL;
    else if (n != NULL && n->bodies.count > 0)
        r.body = n->bodies.items[cv_rand_below(rand, n->bodies.count)];
    return r;
}

static void check_triple(struct sim *s, const struct sim_node *o, const struct cv_record *known)
{
    const struct cv_record a = variant(s, known);
    const struct cv_record b = variant(s, known);
    const struct cv_record c = variant(s, known);
    const struct cv_record ab = merge(s, &a, &b);
    const struct cv_record ba = merge(s, &b, &a);
    const struct cv_record bc = merge(s, &b, &c);
    const struct cv_record ab_c = merge(s, &ab, &c);
    const struct cv_record a_bc = merge(s, &a, &bc);
    const struct cv_record again = merge(s, &ab, &b);
    sim_require(s, SIM_M6, is_same(&ab, &ba), "%s: two statements stand by their order", o->name);
    sim_require(s, SIM_M6, is_same(&ab_c, &a_bc), "%s: three statements stand by their order",
                o->name);
    sim_require(s, SIM_M6, is_same(&ab, &again), "%s: a statement counts twice", o->name);
}

void sim_scan_merge(struct sim *s, const struct sim_node *o)
{
    const struct cv_node_registry *r = cv_membership_registry(o->membership);
    for (size_t i = 0; i < TRIPLES; i++) {
        size_t place = (size_t)cv_rand_below(&s->oracle.rand, cv_node_registry_count(r));
        const struct cv_record known = cv_member_record(cv_node_registry_at(r, place));
        check_triple(s, o, &known);
    }
}
