#include "cluster/gossip/protocol_internal.h"

/*
 * Whom to stay connected with, and so whom to probe. While the members fit the connection pool that
 * is everybody. In a larger cluster a probe of just anybody would cost a handshake each period, and
 * the pool could not hold them all; there it is the neighbours on the watch rings in both
 * directions, about 2w of them (DESIGN D7).
 *
 * A connection costs a handshake, and when many come at once each of them changes who the neighbours
 * are. So a few changes are followed at once, and then one in each protocol period: of all that came
 * meanwhile only those are dialled that still are neighbours. One that joins hears of all first.
 *
 * In a small cluster the neighbours are dialled at once, too, and first. The others are only to be probed, one in
 * each period, so they are dialled a few at a time: of members that start together most will have dialled us by
 * then, or there are so many that the cluster is not small.
 *
 * This is done in passes. A pass goes once around the registry and ends where it began, so one that cannot be
 * reached costs one dial in each, and the others have theirs; from then on it is the probes that try again. A
 * change during a pass lengthens it to once around from where it is, so nobody is left out for those who come.
 * The last of the registry takes the place of one that is removed, and may be passed over for that: a probe finds
 * it.
 */

static bool is_small(const struct cv_gossip_protocol *p)
{
    size_t most = p->is_mesh ? CV_FULL_MESH_MAX : CV_FULL_MESH_BACK;
    return cv_node_registry_live_count(&p->registry) <= most;
}

/* Without rings there are no neighbours, and somebody must be probed. */
bool cv_warm_is_mesh(const struct cv_gossip_protocol *p)
{
    return p->rings.ring_count == 0 || is_small(p);
}

bool cv_gossip_protocol_is_warm(struct cv_gossip_protocol *p, const covey_node_id *id)
{
    return is_small(p) || cv_watches_is_warm(&p->watches, id);
}

/* Of two members the one with the lower id dials at once; the other only to probe. So they seldom
 * dial each other at the same time. A newcomer's first pass dials all: they may not have heard of it. */
static bool is_to_dial(const struct cv_gossip_protocol *p, const struct cv_member *m)
{
    bool dials =
        !p->was_settled || covey_node_id_compare(cv_member_id(p->self), cv_member_id(m)) < 0;
    return p->is_mesh && dials && m->link == CV_LINK_NONE && !p->is_leaving && is_small(p);
}

void cv_warm_connect(struct cv_gossip_protocol *p, struct cv_member *m)
{
    if (is_to_dial(p, m))
        cv_gossip_protocol_dial(p, m);
}

static bool is_wanted(struct cv_gossip_protocol *p, const struct cv_member *m)
{
    return m != NULL && m != p->self && cv_member_is_live(m);
}

static void connect_neighbours(struct cv_gossip_protocol *p)
{
    for (size_t i = 0; i < CV_RINGS_MAX; i++) {
        const struct cv_watch *watch = &p->watches.subjects[i];
        struct cv_member *m =
            watch->is_used ? cv_node_registry_get(&p->registry, &watch->subject) : NULL;
        if (is_wanted(p, m) && is_to_dial(p, m))
            cv_gossip_protocol_dial(p, m);
    }
}

/* Where a pass takes long, not all begin with the same ones. */
static void begin_pass(struct cv_gossip_protocol *p)
{
    const size_t count = cv_node_registry_count(&p->registry);
    connect_neighbours(p);
    if (p->mesh_left == 0)
        p->mesh_next = count > CV_MESH_DIALS + 1 ? (size_t)(p->rings.own % count) : 0;
    p->mesh_left = count;
}

/* Goes on with the pass, to its end or until no more may be dialled now; true at its end. */
static bool connect_some(struct cv_gossip_protocol *p)
{
    const size_t count = cv_node_registry_count(&p->registry);
    for (; p->mesh_left > 0; p->mesh_left--) {
        const size_t at = p->mesh_next < count ? p->mesh_next : 0;
        struct cv_member *m = cv_node_registry_at(&p->registry, at);
        if (is_wanted(p, m) && is_to_dial(p, m)) {
            if (cv_bucket_ready(&p->mesh_dials, 1, p->now) > p->now)
                return false;
            if (cv_gossip_protocol_dial(p, m)) /* one that is kept out costs nothing */
                (void)cv_bucket_take(&p->mesh_dials, 1, p->now);
        }
        p->mesh_next = at + 1;
    }
    return true;
}

void cv_warm_connect_mesh(struct cv_gossip_protocol *p)
{
    if (connect_some(p))
        p->was_settled = true;
    else
        cv_heap_set(&p->heap, &p->mesh.timer, cv_bucket_ready(&p->mesh_dials, 1, p->now));
}

static void probe_all(struct cv_gossip_protocol *p)
{
    cv_probe_order_clear(&p->order);
    for (size_t i = 0; i < cv_node_registry_count(&p->registry); i++) {
        const struct cv_member *m = cv_node_registry_at(&p->registry, i);
        if (is_wanted(p, m))
            cv_probe_order_insert(&p->order, cv_member_id(m), &p->rand);
    }
    begin_pass(p);
    cv_warm_connect_mesh(p);
}

void cv_warm_settle(struct cv_gossip_protocol *p)
{
    bool is_due = p->rings_changed || p->mesh_changed;
    if (!is_due || p->is_joining || p->is_leaving)
        return;
    if (!cv_bucket_take(&p->settles, 1, p->now)) {
        cv_heap_set(&p->heap, &p->settle.timer, cv_bucket_ready(&p->settles, 1, p->now));
        return;
    }
    if (p->rings_changed)
        cv_watching_update(p);
    if (p->mesh_changed)
        begin_pass(p);
    cv_warm_connect_mesh(p);
    p->rings_changed = false;
    p->mesh_changed = false;
}

static void probe_too(struct cv_gossip_protocol *p, const covey_node_id *id)
{
    if (is_wanted(p, cv_node_registry_get(&p->registry, id)) && !cv_probe_order_has(&p->order, id))
        cv_probe_order_insert(&p->order, id, &p->rand);
}

static void probe_warm(struct cv_gossip_protocol *p)
{
    for (size_t i = p->order.count; i-- > 0;) {
        const covey_node_id id = p->order.ids[i];
        if (!cv_watches_is_warm(&p->watches, &id))
            cv_probe_order_remove(&p->order, &id);
    }
    for (size_t i = 0; i < CV_RINGS_MAX; i++) {
        if (p->watches.subjects[i].is_used)
            probe_too(p, &p->watches.subjects[i].subject);
    }
    for (size_t i = 0; i < p->watches.watcher_count; i++)
        probe_too(p, &p->watches.watchers[i].id);
}

void cv_warm_update(struct cv_gossip_protocol *p)
{
    bool was_mesh = p->is_mesh;
    p->is_mesh = cv_warm_is_mesh(p);
    if (p->is_mesh && !was_mesh)
        probe_all(p);
    else if (!p->is_mesh && (was_mesh || p->warm_changed))
        probe_warm(p);
    p->warm_changed = false;
    /* All of them may have gone, and others come in their place, in one step. */
    if (p->order.count > 0)
        cv_probing_start(p);
}

size_t cv_warm_peers(struct cv_gossip_protocol *p, const covey_node_id *except,
                     struct cv_member **out)
{
    size_t count = 0;
    for (size_t i = 0; i < CV_RINGS_MAX + p->watches.watcher_count; i++) {
        bool is_subject = i < CV_RINGS_MAX;
        const struct cv_watch *watch = &p->watches.subjects[is_subject ? i : 0];
        const covey_node_id *id =
            is_subject ? &watch->subject : &p->watches.watchers[i - CV_RINGS_MAX].id;
        bool is_second = !is_subject && cv_watches_subject(&p->watches, id) != NULL;
        if ((is_subject && !watch->is_used) || is_second ||
            (except != NULL && cv_node_id_equal(id, except)))
            continue;
        struct cv_member *m = cv_node_registry_get(&p->registry, id);
        if (is_wanted(p, m) && m->link == CV_LINK_UP)
            out[count++] = m;
    }
    return count;
}
