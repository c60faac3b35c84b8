#include "cluster/tag_index.h"

#include <assert.h>
#include <covey/error.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static_assert(COVEY_TAGS_MAX <= 16, "a posting's tag has 4 bits");

#define NODES_MAX ((size_t)1 << 28)

void cv_tag_index_init(struct cv_tag_index *x, const struct cv_alloc *alloc,
                       const uint64_t secret[2], const struct covey_node *nodes, size_t count)
{
    assert(count < NODES_MAX);
    *x = (struct cv_tag_index){
        .alloc = alloc,
        .secret = {secret[0], secret[1]},
        .nodes = nodes,
        .node_count = count,
    };
}

void cv_tag_index_fini(struct cv_tag_index *x)
{
    cv_release(x->alloc, x->postings);
    x->postings = NULL;
    x->count = 0;
}

static const struct covey_node *node_of(const struct cv_tag_index *x, struct cv_tag_posting p)
{
    return &x->nodes[p.node];
}

static struct cv_tag_term term_at(const struct cv_tag_index *x, struct cv_tag_posting p)
{
    const struct covey_tag *tag = &node_of(x, p)->tags[p.tag];
    return (struct cv_tag_term){
        .key = tag->key, .value = (p.hash & 1) != 0 ? tag->value : NULL, .hash = p.hash};
}

/* ---- what has changed ---- */

#define GONE UINT32_MAX

/* From the nodes of one index to those of the next. */
struct change {
    uint32_t *place; /* of each old node that stays as it was: its number now; GONE */
    uint32_t *fresh; /* the Alive nodes that are not among those */
    size_t fresh_count;
    size_t kept_tags; /* of the nodes that stay */
    size_t fresh_tags;
};

static bool is_unchanged(const struct covey_node *old, const struct covey_node *now)
{
    return old->state == COVEY_NODE_ALIVE && old->tags == now->tags;
}

/* Both arrays are sorted by id. */
static void find_change(struct change *c, const struct cv_tag_index *x,
                        const struct cv_tag_index *previous)
{
    size_t j = 0;
    for (size_t i = 0; i < x->node_count; i++) {
        const struct covey_node *now = &x->nodes[i];
        int order = -1;
        while (j < previous->node_count &&
               (order = covey_node_id_compare(&now->id, &previous->nodes[j].id)) > 0)
            c->place[j++] = GONE;
        const bool is_there = j < previous->node_count && order == 0;
        const bool is_alive = now->state == COVEY_NODE_ALIVE;
        if (is_there && is_alive && is_unchanged(&previous->nodes[j], now)) {
            c->place[j++] = (uint32_t)i;
            c->kept_tags += now->tag_count;
            continue;
        }
        if (is_there)
            c->place[j++] = GONE;
        if (is_alive) {
            c->fresh[c->fresh_count++] = (uint32_t)i;
            c->fresh_tags += now->tag_count;
        }
    }
    while (j < previous->node_count)
        c->place[j++] = GONE;
}

/* ---- fresh postings ---- */

static int compare_postings(const void *a, const void *b)
{
    const struct cv_tag_posting *x = a;
    const struct cv_tag_posting *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

/* Sorts postings by term where they are sorted by hash and node. Hardly ever is there anything to
 * do: a hash has one text but for a chance of some thousands in 2^31. */
static void sort_texts(const struct cv_tag_index *x, struct cv_tag_posting *postings, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const struct cv_tag_posting moved = postings[i];
        const struct cv_tag_term term = term_at(x, moved);
        size_t j = i;
        while (j > 0 && postings[j - 1].hash == moved.hash) {
            const struct cv_tag_term before = term_at(x, postings[j - 1]);
            if (cv_tag_term_compare(&before, &term) <= 0)
                break;
            postings[j] = postings[j - 1];
            j--;
        }
        postings[j] = moved;
    }
}

static struct cv_tag_posting posting_of(const struct cv_tag_index *x, uint32_t node, size_t tag,
                                        const char *value)
{
    struct cv_tag_term term;
    const bool is_tag = cv_tag_term_of(x->secret, x->nodes[node].tags[tag].key, value, &term);
    assert(is_tag);
    (void)is_tag;
    return (struct cv_tag_posting){
        .hash = term.hash, .node = node & (NODES_MAX - 1), .tag = tag & 15};
}

/* Writes 2 * c->fresh_tags postings. */
static void make_fresh(const struct cv_tag_index *x, const struct change *c,
                       struct cv_tag_posting *out)
{
    size_t count = 0;
    for (size_t i = 0; i < c->fresh_count; i++) {
        const struct covey_node *node = &x->nodes[c->fresh[i]];
        assert(node->tag_count <= COVEY_TAGS_MAX);
        for (size_t tag = 0; tag < node->tag_count; tag++) {
            out[count++] = posting_of(x, c->fresh[i], tag, NULL);
            out[count++] = posting_of(x, c->fresh[i], tag, node->tags[tag].value);
        }
    }
    assert(count == 2 * c->fresh_tags);
    qsort(out, count, sizeof(*out), compare_postings);
    sort_texts(x, out, count);
}

/* ---- old and fresh ones together ---- */

/* True when `old` of `previous` stands before `fresh` of `x`. */
static bool is_before(const struct cv_tag_index *previous, struct cv_tag_posting old,
                      const struct cv_tag_index *x, struct cv_tag_posting fresh)
{
    if (old.hash != fresh.hash)
        return old.hash < fresh.hash;
    const struct cv_tag_term a = term_at(previous, old);
    const struct cv_tag_term b = term_at(x, fresh);
    const int order = cv_tag_term_compare(&a, &b);
    if (order != 0)
        return order < 0;
    return covey_node_id_compare(&node_of(previous, old)->id, &node_of(x, fresh)->id) < 0;
}

/* The first posting of previous->postings[from, count) that does not stand before `fresh`. */
static size_t place_of(const struct cv_tag_index *previous, size_t from,
                       const struct cv_tag_index *x, struct cv_tag_posting fresh)
{
    size_t end = previous->count;
    while (from < end) {
        const size_t middle = from + (end - from) / 2;
        if (is_before(previous, previous->postings[middle], x, fresh))
            from = middle + 1;
        else
            end = middle;
    }
    return from;
}

/* Appends those of `old` that stay. */
static void keep(struct cv_tag_index *x, const struct change *c, const struct cv_tag_posting *old,
                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t place = c->place[old[i].node];
        if (place == GONE)
            continue;
        x->postings[x->count] = old[i];
        x->postings[x->count].node = place & (NODES_MAX - 1);
        x->count++;
    }
}

/*
 * The fresh ones stand at the end of x->postings, which is as long as both together. Merging
 * forward never reaches one that was not read.
 */
static void merge(struct cv_tag_index *x, const struct change *c,
                  const struct cv_tag_index *previous)
{
    const struct cv_tag_posting *fresh = x->postings + 2 * c->kept_tags;
    size_t taken = 0;
    for (size_t i = 0; i < 2 * c->fresh_tags; i++) {
        const struct cv_tag_posting posting = fresh[i];
        const size_t end = place_of(previous, taken, x, posting);
        keep(x, c, &previous->postings[taken], end - taken);
        taken = end;
        x->postings[x->count++] = posting;
    }
    keep(x, c, previous->postings + taken, previous->count - taken);
    assert(x->count == 2 * (c->kept_tags + c->fresh_tags));
}

int cv_tag_index_build(struct cv_tag_index *x, const struct cv_tag_index *previous)
{
    struct cv_tag_posting no_posting;
    const struct cv_tag_index none = {.postings = &no_posting};
    if (previous == NULL || memcmp(previous->secret, x->secret, sizeof(x->secret)) != 0)
        previous = &none;
    assert(x->count == 0 && x->postings == NULL);
    uint32_t *places =
        cv_allocate(x->alloc, (previous->node_count + x->node_count) * sizeof(*places));
    if (places == NULL)
        return COVEY_ERR_NO_MEMORY;
    struct change c = {.place = places, .fresh = places + previous->node_count};
    find_change(&c, x, previous);
    const size_t count = 2 * (c.kept_tags + c.fresh_tags);
    x->postings = cv_allocate(x->alloc, count * sizeof(*x->postings));
    if (x->postings != NULL) {
        make_fresh(x, &c, x->postings + 2 * c.kept_tags);
        merge(x, &c, previous);
    }
    cv_release(x->alloc, places);
    return x->postings != NULL ? COVEY_OK : COVEY_ERR_NO_MEMORY;
}

/* ---- looking up ---- */

/* The first of `count` postings whose hash is at least `hash`, or one past them. No branch depends
 * on what is compared: half of them would be guessed wrong. */
static const struct cv_tag_posting *first_of(const struct cv_tag_posting *postings, size_t count,
                                             uint64_t hash)
{
    if (count == 0)
        return postings;
    while (count > 1) {
        const size_t half = count / 2;
        postings += postings[half - 1].hash < hash ? half : 0;
        count -= half;
    }
    return postings + (postings->hash < hash);
}

static int compare_with(const struct cv_tag_index *x, const struct cv_tag_posting *p,
                        const struct cv_tag_term *wanted)
{
    const struct cv_tag_term term = term_at(x, *p);
    return cv_tag_term_compare(&term, wanted);
}

/* The first posting of a run of one hash, sorted by text, that compares with the wanted term as
 * `least` or more. */
static const struct cv_tag_posting *first_text(const struct cv_tag_index *x,
                                               struct cv_tag_range run,
                                               const struct cv_tag_term *wanted, int least)
{
    while (run.next < run.end) {
        const struct cv_tag_posting *middle = run.next + (run.end - run.next) / 2;
        if (compare_with(x, middle, wanted) < least)
            run.next = middle + 1;
        else
            run.end = middle;
    }
    return run.next;
}

struct cv_tag_range cv_tag_index_find(const struct cv_tag_index *x, const struct covey_tag *tag)
{
    struct cv_tag_term wanted;
    struct cv_tag_range run = {.next = x->postings, .end = x->postings};
    if (x->count == 0 || !cv_tag_term_of(x->secret, tag->key, tag->value, &wanted))
        return run;
    const struct cv_tag_posting *end = x->postings + x->count;
    run.next = first_of(x->postings, x->count, wanted.hash);
    run.end = first_of(run.next, (size_t)(end - run.next), (uint64_t)wanted.hash + 1);
    if (run.next == run.end ||
        (compare_with(x, run.next, &wanted) == 0 && compare_with(x, run.end - 1, &wanted) == 0))
        return run; /* sorted by text: as the ends are, so is all between */
    return (struct cv_tag_range){.next = first_text(x, run, &wanted, 0),
                                 .end = first_text(x, run, &wanted, 1)};
}
