#include "cluster/node.h"

#include "base/siphash.h"
#include "base/writer.h"

#include <covey/error.h>

#include <assert.h>

static size_t tags_size(const struct cv_cluster_node_config *config)
{
    size_t size = 0;
    if (config->tag_texts.size > 0)
        return config->tag_texts.size;
    for (size_t i = 0; i < config->tag_count; i++)
        size += strlen(config->tags[i].key) + 1 + strlen(config->tags[i].value) + 1;
    return size;
}

/* Copies a text with its NUL to *next and moves it on. */
static const char *put_text(char **next, const char *text, size_t size)
{
    char *copy = *next;
    if (size != 0)
        memcpy(copy, text, size);
    copy[size] = '\0';
    *next = copy + size + 1;
    return copy;
}

/* Copies the tags' texts to *next, moves it on, and has the table point to them. */
static void put_tags(const struct cv_cluster_node_config *config, struct covey_tag *table,
                     char **next)
{
    const char *old = (const char *)config->tag_texts.data;
    char *texts = *next;
    for (size_t i = 0; i < config->tag_count; i++) {
        const struct covey_tag *tag = &config->tags[i];
        if (old != NULL) {
            table[i].key = texts + (tag->key - old);
            table[i].value = texts + (tag->value - old);
        } else {
            table[i].key = put_text(next, tag->key, strlen(tag->key));
            table[i].value = put_text(next, tag->value, strlen(tag->value));
        }
    }
    if (old == NULL)
        return;
    memcpy(texts, old, config->tag_texts.size);
    *next = texts + config->tag_texts.size;
}

/* `texts` are all of its texts, each with its NUL. */
static uint64_t hash_of(const struct cv_cluster_node *n, struct cv_slice texts)
{
    static const uint64_t key[2] = {0, 0};
    uint8_t bytes[48];
    struct cv_writer w;
    cv_writer_init(&w, bytes, sizeof(bytes));
    cv_write_bytes(&w, cv_slice_of(n->id.bytes, sizeof(n->id.bytes)));
    cv_write_u64(&w, n->incarnation);
    cv_write_u32(&w, n->version);
    cv_write_u8(&w, (uint8_t)n->tag_count);
    cv_write_u64(&w, cv_siphash(key, texts));
    assert(cv_writer_ok(&w));
    return cv_siphash(key, cv_writer_bytes(&w));
}

int cv_cluster_node_new(const struct cv_alloc *alloc, const struct cv_cluster_node_config *config,
                        struct cv_cluster_node **out)
{
    assert(config->name.size <= COVEY_NODE_NAME_MAX && config->tag_count <= COVEY_TAGS_MAX);
    char address[CV_ADDRESS_TEXT_SIZE];
    size_t address_size = strlen(cv_address_text(&config->address, address));
    size_t table_size = config->tag_count * sizeof(struct covey_tag);
    size_t texts_size = tags_size(config) + config->name.size + 1 + address_size + 1;
    struct cv_cluster_node *n =
        cv_allocate(alloc, sizeof(struct cv_cluster_node) + table_size + texts_size);
    if (n == NULL)
        return COVEY_ERR_NO_MEMORY;

    struct covey_tag *table = (struct covey_tag *)(n + 1);
    char *const texts = (char *)(table + config->tag_count);
    char *next = texts;
    put_tags(config, table, &next);
    const char *name = put_text(&next, (const char *)config->name.data, config->name.size);
    *n = (struct cv_cluster_node){
        .alloc = alloc,
        .id = config->id,
        .incarnation = config->incarnation,
        .version = config->version,
        .address = config->address,
        .name = name,
        .address_text = put_text(&next, address, address_size),
        .tag_count = config->tag_count,
        .tags = table,
    };
    n->hash = hash_of(n, cv_slice_of(texts, (size_t)(next - texts)));
    atomic_init(&n->references, 1);
    *out = n;
    return COVEY_OK;
}

bool cv_cluster_node_equal(const struct cv_cluster_node *a, const struct cv_cluster_node *b)
{
    bool equal = a->hash == b->hash && cv_node_id_equal(&a->id, &b->id) &&
                 a->incarnation == b->incarnation && a->version == b->version &&
                 a->tag_count == b->tag_count && strcmp(a->name, b->name) == 0 &&
                 cv_address_equal(&a->address, &b->address);
    for (size_t i = 0; equal && i < a->tag_count; i++)
        equal = strcmp(a->tags[i].key, b->tags[i].key) == 0 &&
                strcmp(a->tags[i].value, b->tags[i].value) == 0;
    return equal;
}

bool cv_cluster_node_is_shared(const struct cv_cluster_node *n)
{
    return atomic_load_explicit(&n->references, memory_order_relaxed) > 1;
}

struct cv_cluster_node *cv_cluster_node_retain(struct cv_cluster_node *n)
{
    unsigned before = atomic_fetch_add_explicit(&n->references, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return n;
}

void cv_cluster_node_release(struct cv_cluster_node *n)
{
    if (n == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&n->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1)
        cv_release(n->alloc, n);
}

struct covey_node cv_cluster_node_view(const struct cv_cluster_node *n, enum covey_node_state state,
                                       uint64_t incarnation)
{
    return (struct covey_node){
        .id = n->id,
        .name = n->name,
        .address = n->address_text,
        .state = state,
        .incarnation = incarnation,
        .tag_count = n->tag_count,
        .tags = n->tags,
    };
}

const char *covey_node_state_name(enum covey_node_state state)
{
    switch (state) {
    case COVEY_NODE_ALIVE:
        return "alive";
    case COVEY_NODE_SUSPECT:
        return "suspect";
    case COVEY_NODE_FAILED:
        return "failed";
    case COVEY_NODE_LEFT:
        return "left";
    }
    return "?";
}

const char *covey_node_tag(const struct covey_node *node, const char *key)
{
    for (size_t i = 0; i < node->tag_count; i++) {
        if (strcmp(node->tags[i].key, key) == 0)
            return node->tags[i].value;
    }
    return NULL;
}
