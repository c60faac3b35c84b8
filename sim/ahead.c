#include "sim_internal.h"

#include "cluster/membership_internal.h"

/*
 * In a run of many thousand nodes nearly every step is that of a node whose memory is in no cache, and
 * a core that waits for memory to find the address of more memory does nothing else. But the next
 * events are known in their order, so what they touch is fetched while others happen: further ahead
 * what has a known address, nearer what is found through that.
 *
 *     events ahead   what is fetched
 *         20         the event, the node
 *         15         the fields of its core
 *         10         what these point to; where its peers are noted down
 *          6         the peers, the connections
 *          3         the members behind them
 *
 * Nothing here changes anything.
 */
#define LINE 64

typedef void fetch(struct sim *s, const struct sim_entry *entry);

static void touch(const void *memory, size_t size)
{
    for (size_t i = 0; i < size; i += LINE)
        __builtin_prefetch((const char *)memory + i);
}

static uint64_t hash_of(const struct cv_links *l, const covey_node_id *id)
{
    return cv_map_hash(&l->peers, cv_slice_of(id->bytes, sizeof(id->bytes)));
}

static bool is_beat(const struct cv_gossip_protocol *g, const struct sim_event *e)
{
    return e->kind == SIM_WAKE && g->heap.count > 0 &&
           g->heap.entries[0].timer == &g->heartbeat.timer;
}

static bool is_tick(const struct cv_gossip_protocol *g, const struct sim_event *e)
{
    return e->kind == SIM_WAKE && g->heap.count > 0 && g->heap.entries[0].timer == &g->tick.timer &&
           g->order.next < g->order.count;
}

static void fetch_node(struct sim *s, const struct sim_entry *entry)
{
    touch(entry->event, sizeof(*entry->event) + LINE);
    touch(&s->nodes[entry->node], offsetof(struct sim_node, name));
}

static void fetch_core(struct sim *s, const struct sim_entry *entry)
{
    const struct cv_membership *m = s->nodes[entry->node].membership;
    const struct sim_event *e = entry->event;
    if (m == NULL)
        return;
    const struct cv_gossip_protocol *g = &m->gossip;
    const char *begin = (const char *)m;
    touch(begin, (size_t)((const char *)&g->registry.digest - begin));
    touch(&g->queue, offsetof(struct cv_gossip_queue, queued));
    touch(&g->links, offsetof(struct cv_links, dials));
    begin = (const char *)&g->outbox;
    touch(begin, (size_t)((const char *)g->watches.subjects - begin));
    touch(g->scratch, 2 * LINE);
    touch(&m->state, LINE);
    touch(&m->partition, sizeof(m->partition));
    touch(&m->message, 2 * LINE);
    if (e->kind == SIM_MESSAGE)
        touch(e->link, sizeof(*e->link));
}

static void fetch_places(struct sim *s, const struct sim_entry *entry)
{
    const struct sim_node *n = &s->nodes[entry->node];
    const struct sim_event *e = entry->event;
    if (n->membership == NULL)
        return;
    const struct cv_gossip_protocol *g = &n->membership->gossip;
    touch(g->heap.entries, 4 * LINE);
    touch(g->outbox.ring.elements, 3 * LINE);
    touch(g->self, LINE);
    if (is_tick(g, e))
        touch(&g->order.ids[g->order.next], LINE);
    if (e->kind == SIM_MESSAGE) {
        const covey_node_id *from = &s->ids[e->peer];
        cv_map_prefetch(&g->links.peers, hash_of(&g->links, from));
    }
    for (size_t i = 0; is_beat(g, e) && i < g->watches.watcher_count; i++) {
        const covey_node_id *id = &g->watches.watchers[i].id;
        uint32_t to = sim_index_of(id);
        cv_map_prefetch(&g->links.peers, hash_of(&g->links, id));
        sim_connection_prefetch_place(&s->connections, entry->node, to);
    }
}

static void fetch_watch(const struct cv_watches *w, const covey_node_id *id)
{
    for (size_t i = 0; i < CV_RINGS_MAX; i++) {
        if (cv_node_id_equal(&w->subject_ids[i], id))
            touch(&w->subjects[i], sizeof(w->subjects[i]));
    }
}

static void fetch_peers(struct sim *s, const struct sim_entry *entry)
{
    const struct sim_node *n = &s->nodes[entry->node];
    const struct sim_event *e = entry->event;
    if (n->membership == NULL)
        return;
    const struct cv_gossip_protocol *g = &n->membership->gossip;
    if (is_tick(g, e)) {
        const covey_node_id *id = &g->order.ids[g->order.next];
        cv_map_prefetch(&g->links.peers, hash_of(&g->links, id));
        sim_connection_prefetch_place(&s->connections, entry->node, sim_index_of(id));
    }
    if (e->kind == SIM_MESSAGE) {
        const covey_node_id *from = &s->ids[e->peer];
        cv_map_prefetch_value(&g->links.peers, hash_of(&g->links, from), 2 * LINE);
        fetch_watch(&g->watches, from);
    }
    for (size_t i = 0; is_beat(g, e) && i < g->watches.watcher_count; i++) {
        const covey_node_id *id = &g->watches.watchers[i].id;
        cv_map_prefetch_value(&g->links.peers, hash_of(&g->links, id), 2 * LINE);
        sim_connection_prefetch(&s->connections, entry->node, sim_index_of(id));
    }
}

static void fetch_member(const struct cv_links *l, const covey_node_id *id)
{
    const struct cv_peer *peer = cv_links_peer(l, id);
    if (peer != NULL && peer->member != NULL)
        touch(peer->member, sizeof(*peer->member));
}

static void fetch_members(struct sim *s, const struct sim_entry *entry)
{
    const struct sim_node *n = &s->nodes[entry->node];
    const struct sim_event *e = entry->event;
    if (n->membership == NULL)
        return;
    const struct cv_gossip_protocol *g = &n->membership->gossip;
    touch(g->self->body, LINE);
    if (is_tick(g, e)) {
        const covey_node_id *id = &g->order.ids[g->order.next];
        cv_map_prefetch_value(&g->links.peers, hash_of(&g->links, id), 2 * LINE);
        sim_connection_prefetch(&s->connections, entry->node, sim_index_of(id));
    }
    if (e->kind == SIM_MESSAGE)
        fetch_member(&g->links, &s->ids[e->peer]);
    for (size_t i = 0; is_beat(g, e) && i < g->watches.watcher_count; i++)
        fetch_member(&g->links, &g->watches.watchers[i].id);
}

static const struct {
    size_t ahead;
    fetch *fetch;
} stages[SIM_AHEAD_STAGES] = {
    {20, fetch_node}, {15, fetch_core}, {10, fetch_places}, {6, fetch_peers}, {3, fetch_members}};

/* Entries are counted, not places: some that turn out to be void are taken out with the next that is not,
 * and those behind them come nearer by more than one place. Each is to pass every stage. */
void sim_look_ahead(struct sim *s)
{
    const uint64_t taken = sim_clock_taken(&s->clock);
    if (sim_is_small(s))
        return;
    for (size_t i = 0; i < SIM_AHEAD_STAGES; i++) {
        uint64_t next = s->ahead[i] > taken ? s->ahead[i] : taken;
        const struct sim_entry *entry;
        while (next <= taken + stages[i].ahead &&
               (entry = sim_clock_ahead(&s->clock, (size_t)(next - taken))) != NULL) {
            stages[i].fetch(s, entry);
            next++;
        }
        s->ahead[i] = next;
    }
}
