#define _GNU_SOURCE
/* More members than a node keeps connections: 81 in one process, over loopback. */
#include "api/server.h"
#include "integration/waiting.h"
#include "node/internal.h"
#include "unit/api/members.h"

#define MEMBERS  81
#define POOL_MAX 50 /* connections that a node dialled and that are not pinned */
/* About a millisecond apart: half a second of peace. */
#define SETTLED_LOOKS 500

#define DIAL_NUMBER UINT32_MAX

static struct member members[MEMBERS];

static void start_number(struct world *w, unsigned number)
{
    char name[16];
    snprintf(name, sizeof name, "n%u", number);
    members[number].server = world_server(w, name);
    assert_int_equal(covey_server_start(members[number].server), 0);
}

static void join_number(unsigned number)
{
    struct member *m = &members[number];
    const char *seed = number == 0 ? NULL : covey_server_address(members[0].server);
    struct covey_cluster_config config;
    covey_cluster_config_init(&config); /* of a LAN */
    assert_int_equal(covey_server_enable_cluster(m->server, &config, &seed, seed != NULL), 0);
    m->cluster = covey_server_cluster(m->server);
    assert_int_equal(covey_server_cluster_events(m->server, &m->events), 0);
}

static struct covey_cluster_stats counters_of(unsigned number)
{
    struct covey_cluster_stats stats = {.size = sizeof stats};
    assert_int_equal(covey_cluster_stats(members[number].cluster, &stats), 0);
    return stats;
}

/* ---- on a member's loop ---- */

struct look {
    struct cv_node *node;
    struct cv_pool_stats pool;
    struct cv_quic_conn *pinned[MEMBERS]; /* the connections of those who are kept */
    size_t pinned_count;
    size_t connections;
};

static void look_on_loop(void *user)
{
    struct look *l = user;
    const struct cv_gossip_conn *peer;
    l->pinned_count = l->connections = 0;
    cv_node_pool_stats(l->node, &l->pool);
    TAILQ_FOREACH (peer, &l->node->peers, all) {
        if (!peer->is_ready || peer->pooled.slot == NULL)
            continue;
        l->connections++;
        if (cv_membership_keeps(l->node->membership, &cv_quic_conn_peer(peer->head.conn)->id))
            l->pinned[l->pinned_count++] = peer->head.conn;
    }
}

static struct look look_at(unsigned number)
{
    struct cv_host *host = &members[number].server->loops[0].host;
    struct look l = {.node = host->node};
    cv_server_call_loop(host->loop, look_on_loop, &l);
    assert_true(l.pool.dialled <= POOL_MAX);
    return l;
}

struct dialling {
    struct cv_server_loop *loop;
    struct covey_node_list *targets;
};

/* As the core does for who asks it: each of them once, all at once. */
static void dial_on_loop(void *user)
{
    struct dialling *d = user;
    struct cv_node *node = d->loop->host.node;
    for (size_t i = 0; i < covey_node_list_count(d->targets); i++) {
        const struct covey_node *target = covey_node_list_at(d->targets, i);
        struct cv_output out = {.type = CV_OUTPUT_DIAL,
                                .dial = {.dial = DIAL_NUMBER, .has_expected = true}};
        out.dial.expected = target->id;
        assert_int_equal(cv_address_parse(&out.dial.address, target->address), 0);
        if (covey_node_id_compare(&target->id, &cv_tls_identity(node->tls)->id) != 0)
            cv_node_pool_dial(node, &out);
    }
    node->cluster_is_dirty = true;
    cv_loop_again(d->loop->host.loop);
}

static bool are_still_there(const struct look *before, const struct look *now)
{
    for (size_t i = 0; i < before->pinned_count; i++) {
        bool is_there = false;
        for (size_t j = 0; j < now->pinned_count; j++)
            is_there = is_there || before->pinned[i] == now->pinned[j];
        if (!is_there)
            return false;
    }
    return true;
}

static bool is_settled(unsigned number, struct look *last, unsigned *same)
{
    const struct look now = look_at(number);
    bool is_same = now.pinned_count > 0 && now.pinned_count == last->pinned_count &&
                   are_still_there(last, &now);
    *same = is_same ? *same + 1 : 0;
    *last = now;
    return *same >= SETTLED_LOOKS;
}

/* Until all that it wants to be connected with for good are, and stay for a look. */
static struct look wait_settled(unsigned number)
{
    struct look last = look_at(number);
    unsigned same = 0;
    AWAIT_LONG(is_settled(number, &last, &same), "n%u has no peace", number);
    return last;
}

/* A round of it; true when some had to give way. On a slow machine dials may be in vain. */
static bool dial_all(unsigned number, struct look *after)
{
    uint64_t evicted = after->pool.evicted;
    struct dialling d = {.loop = &members[number].server->loops[0]};
    assert_int_equal(covey_cluster_members(members[number].cluster, &d.targets), 0);
    assert_int_equal(covey_node_list_count(d.targets), MEMBERS);
    cv_server_call_loop(d.loop->host.loop, dial_on_loop, &d);
    covey_node_list_free(d.targets);
    AWAIT_LONG(look_at(number).pool.waiting == 0, "%s", "dials without an answer");
    *after = look_at(number);
    return after->pool.evicted > evicted;
}

/* Who was dialled by the fewest has the most to dial. */
static unsigned find_least_accepted(void)
{
    unsigned least = 1;
    for (unsigned i = 2; i < MEMBERS; i++)
        if (look_at(i).pool.accepted < look_at(least).pool.accepted)
            least = i;
    return least;
}

static void no_node_has_more_connections_than_it_may(void **state)
{
    (void)state;
    static struct world w;
    world_init(&w);
    for (unsigned i = 0; i < MEMBERS; i++)
        start_number(&w, i); /* all first: they share a loop, which is busy once they talk */
    for (unsigned i = 0; i < MEMBERS; i++)
        join_number(i);
    for (unsigned i = 0; i < MEMBERS; i++)
        AWAIT_LONG(counters_of(i).members_alive == MEMBERS, "n%u knows %llu", i,
                   (unsigned long long)counters_of(i).members_alive);
    for (unsigned i = 0; i < MEMBERS; i++)
        (void)look_at(i);

    /* one wants all the others at once */
    const unsigned one = find_least_accepted();
    const struct look before = wait_settled(one);
    assert_true(before.pool.accepted + before.pinned_count + POOL_MAX < MEMBERS - 1);
    struct look after = before;
    AWAIT_LONG(dial_all(one, &after), "n%u closed none of its connections for another", one);
    assert_true(after.pool.dials > before.pool.dials);
    assert_true(are_still_there(&before, &after));

    /* and the last one is heard by everybody, whoever is connected with whom; nobody was failed */
    assert_int_equal(covey_server_update_tag(members[MEMBERS - 1].server, "last", "one"), 0);
    for (unsigned i = 0; i < MEMBERS; i++) {
        AWAIT_LONG(count_with_tag(members[i].cluster, "last", "one") == 1, "n%u has no tag", i);
        assert_int_equal(counters_of(i).members_failed, 0);
        (void)look_at(i);
    }
    for (unsigned i = 0; i < MEMBERS; i++)
        stop(&members[i]);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_node_has_more_connections_than_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
