#include "sim_internal.h"

#include "cluster/snapshot.h"

#include <covey/error.h>
#include <stdlib.h>

/*
 * T3: what other threads read. A snapshot shows the registry, and its index of tags answers as
 * whoever looked at each record in turn. It is built upon the last one of the same observer, as it
 * is in a real node, so an index that was taken over is looked at as well as a new one.
 */

static void check_records(struct sim *s, const struct sim_node *o, const struct cv_snapshot *shot)
{
    const struct cv_node_registry *r = cv_membership_registry(o->membership);
    size_t shown = cv_snapshot_count(shot) + s->planted->shown;
    sim_require(s, SIM_T3, shown == cv_node_registry_count(r), "%s shows %zu of %zu nodes", o->name,
                shown, cv_node_registry_count(r));
    for (size_t i = 0; i < cv_snapshot_count(shot); i++) {
        const struct cv_record shows = cv_snapshot_record(shot, i);
        const struct cv_member *m = cv_node_registry_get(r, &shows.id);
        sim_require(s, SIM_T3,
                    m != NULL && shows.body == m->body && shows.status.state == m->state &&
                        shows.status.incarnation == m->incarnation,
                    "%s shows something else than it knows", o->name);
    }
}

static bool has_tag(const struct cv_cluster_node *body, const struct covey_tag *tag)
{
    for (size_t i = 0; i < body->tag_count; i++) {
        if (strcmp(body->tags[i].key, tag->key) == 0 &&
            (tag->value == NULL || strcmp(body->tags[i].value, tag->value) == 0))
            return true;
    }
    return false;
}

static bool has_all(const struct cv_member *m, const struct covey_tag *tags, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!has_tag(m->body, &tags[i]))
            return false;
    }
    return m->state == COVEY_NODE_ALIVE;
}

/* As many as a look at everybody finds, in order, and each of them one that has it. */
static void check_query(struct sim *s, const struct sim_node *o, const struct cv_snapshot *shot,
                        const struct covey_tag *tags, size_t count)
{
    const struct cv_node_registry *r = cv_membership_registry(o->membership);
    const char *key = count == 0 ? "no tag" : tags[0].key;
    struct cv_tag_query query;
    const struct covey_node *node;
    const covey_node_id *last = NULL;
    size_t wanted = 0;
    size_t found = s->planted->answers;
    for (size_t i = 0; i < cv_node_registry_count(r); i++)
        wanted += has_all(cv_node_registry_at(r, i), tags, count);
    cv_snapshot_with_all_tags(shot, tags, count, &query);
    while ((node = cv_tag_query_next(&query)) != NULL) {
        const struct cv_member *m = cv_node_registry_get(r, &node->id);
        sim_require(s, SIM_T3, m != NULL && has_all(m, tags, count),
                    "%s finds one by %s that does not have it", o->name, key);
        sim_require(s, SIM_T3, last == NULL || covey_node_id_compare(last, &node->id) < 0,
                    "%s finds nodes by %s out of order", o->name, key);
        last = &node->id;
        found++;
    }
    sim_require(s, SIM_T3, found == wanted, "%s finds %zu nodes by %s, there are %zu", o->name,
                found, key, wanted);
}

/* By what some member has, or had: each of its tags, with its value and with any, two together, and
 * what nobody has. */
static void check_queries(struct sim *s, const struct sim_node *o, const struct cv_snapshot *shot)
{
    const struct cv_node_registry *r = cv_membership_registry(o->membership);
    const struct covey_tag absent = {.key = "absent", .value = NULL};
    size_t place = (size_t)cv_rand_below(&s->oracle.rand, cv_node_registry_count(r));
    const struct cv_cluster_node *body = cv_node_registry_at(r, place)->body;
    check_query(s, o, shot, NULL, 0);
    check_query(s, o, shot, &absent, 1);
    for (size_t i = 0; i < body->tag_count; i++) {
        const struct covey_tag tag = {.key = body->tags[i].key, .value = body->tags[i].value};
        const struct covey_tag key = {.key = tag.key, .value = NULL};
        const struct covey_tag both[] = {tag, {.key = body->tags[0].key, .value = NULL}};
        check_query(s, o, shot, &tag, 1);
        check_query(s, o, shot, &key, 1);
        check_query(s, o, shot, both, 2);
    }
}

void sim_scan_snapshot(struct sim *s, struct sim_node *o)
{
    struct cv_snapshot *shot;
    if (cv_snapshot_new(cv_alloc_default(), cv_membership_registry(o->membership), o->snapshot,
                        &shot) != COVEY_OK)
        abort();
    check_records(s, o, shot);
    check_queries(s, o, shot);
    sim_forget_snapshot(o);
    if (sim_is_small(s))
        o->snapshot = shot;
    else
        cv_snapshot_release(shot);
}

void sim_forget_snapshot(struct sim_node *o)
{
    cv_snapshot_release(o->snapshot);
    o->snapshot = NULL;
}
