#include "cluster/tag_query.h"

static size_t length_of(const struct cv_tag_range *r)
{
    return (size_t)(r->end - r->next);
}

/* False when no node can have all that was added. */
static bool add_range(struct cv_tag_query *q, struct cv_tag_range range)
{
    if (range.next == range.end)
        return false;
    for (size_t i = 0; i < q->range_count; i++) {
        if (q->ranges[i].next == range.next) /* asked for twice */
            return true;
    }
    if (q->range_count == CV_TAG_RANGES_MAX)
        return false;
    q->ranges[q->range_count++] = range;
    if (length_of(&range) < length_of(&q->ranges[0])) {
        q->ranges[q->range_count - 1] = q->ranges[0];
        q->ranges[0] = range;
    }
    return true;
}

void cv_tag_query_init(struct cv_tag_query *q, const struct cv_tag_index *x,
                       const struct covey_tag *tags, size_t count)
{
    q->index = x;
    q->next_node = 0;
    q->range_count = 0; /* the ranges past it are never read */
    for (size_t i = 0; i < count; i++) {
        if (!add_range(q, cv_tag_index_find(x, &tags[i]))) {
            q->ranges[0] = (struct cv_tag_range){.next = x->postings, .end = x->postings};
            q->range_count = 1;
            return;
        }
    }
}

size_t cv_tag_query_count_max(const struct cv_tag_query *q)
{
    if (q->range_count == 0)
        return q->index->node_count - q->next_node;
    return length_of(&q->ranges[0]);
}

/* Goes on to the first posting of `node` or a later one, in steps that double: what is skipped costs
 * its logarithm. */
static void skip_to(struct cv_tag_range *r, uint32_t node)
{
    size_t step = 1;
    while (step < length_of(r) && r->next[step].node < node) {
        r->next += step;
        step *= 2;
    }
    size_t count = step < length_of(r) ? step : length_of(r);
    while (count > 0) {
        const size_t half = count / 2;
        if (r->next[half].node < node) {
            r->next += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
}

static bool is_in_others(struct cv_tag_query *q, uint32_t node)
{
    for (size_t i = 1; i < q->range_count; i++) {
        struct cv_tag_range *r = &q->ranges[i];
        skip_to(r, node);
        if (r->next == r->end || r->next->node != node)
            return false;
    }
    return true;
}

static const struct covey_node *next_alive(struct cv_tag_query *q)
{
    while (q->next_node < q->index->node_count) {
        const struct covey_node *node = &q->index->nodes[q->next_node++];
        if (node->state == COVEY_NODE_ALIVE)
            return node;
    }
    return NULL;
}

const struct covey_node *cv_tag_query_next_of_any(struct cv_tag_query *q)
{
    if (q->range_count == 0)
        return next_alive(q);
    struct cv_tag_range *lead = &q->ranges[0];
    while (lead->next < lead->end) {
        const uint32_t node = lead->next->node;
        lead->next++;
        if (is_in_others(q, node))
            return &q->index->nodes[node];
    }
    return NULL;
}
