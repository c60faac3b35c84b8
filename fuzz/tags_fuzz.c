/*
 * Tags as a user gives them: held to their limits (T4), kept whole in a body, on the wire, and when
 * they are set and removed one at a time.
 *
 * The input is texts with a NUL between them: key, value, key, value.
 */
#include "cluster/gossip/update.h"
#include "cluster/tags.h"

#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* More than there may be, so that this limit is reached too. */
#define TAGS_MAX (COVEY_TAGS_MAX + 4)

struct input {
    char *text;
    struct covey_tag tags[TAGS_MAX];
    size_t count;
};

static void split(struct input *in, const uint8_t *data, size_t size)
{
    *in = (struct input){.text = calloc(size + 2, 1)};
    assert(in->text != NULL);
    if (size > 0)
        memcpy(in->text, data, size);
    for (char *next = in->text; next < in->text + size && in->count < TAGS_MAX;) {
        struct covey_tag *tag = &in->tags[in->count++];
        tag->key = next;
        next += strlen(next) + 1;
        tag->value = next;
        next += next < in->text + size ? strlen(next) + 1 : 0;
    }
}

/* ---- what the limits say, without the library ---- */

/* The number of bytes of the character at `c`, 0 if it is none: by its value, not by its bytes. */
static size_t character_size(const unsigned char *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t size = c[0] < 0x80 ? 1 : c[0] < 0xc0 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    if (size < 2)
        return size;
    uint32_t value = c[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((c[i] & 0xc0) != 0x80) /* the NUL at the end is none */
            return 0;
        value = value << 6 | (c[i] & 0x3f);
    }
    const bool is_surrogate = value >= 0xd800 && value < 0xe000;
    return c[0] < 0xf8 && value >= least[size] && value <= 0x10ffff && !is_surrogate ? size : 0;
}

static bool is_text(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    while (*c != 0) {
        const size_t size = character_size(c);
        if (size == 0)
            return false;
        c += size;
    }
    return true;
}

static bool is_tag(const struct covey_tag *tag)
{
    const size_t key_size = strlen(tag->key);
    return key_size >= 1 && key_size <= 64 && strlen(tag->value) <= 128 && is_text(tag->key) &&
           is_text(tag->value);
}

static bool are_tags(const struct covey_tag *tags, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += strlen(tags[i].key) + strlen(tags[i].value);
        if (!is_tag(&tags[i]))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(tags[i].key, tags[k].key) == 0)
                return false;
        }
    }
    return count <= 16 && size <= 512;
}

/* ---- one at a time ---- */

static struct cv_cluster_node *body_of(const struct cv_tags *tags)
{
    struct cv_cluster_node *body;
    const struct cv_cluster_node_config config = {
        .id = {.bytes = {1}},
        .incarnation = 1,
        .address = {.ip = {127, 0, 0, 1}, .port = 1, .family = 4},
        .name = cv_slice_text("n"),
        .tags = tags->items,
        .tag_count = tags->count,
    };
    const int error = cv_cluster_node_new(cv_alloc_default(), &config, &body);
    assert(error == 0);
    return body;
}

/* The body with `tags`, instead of *body. */
static void become(struct cv_cluster_node **body, const struct cv_tags *tags)
{
    struct cv_cluster_node *next = body_of(tags);
    cv_cluster_node_release(*body);
    *body = next;
}

static const char *value_of(const struct cv_cluster_node *body, const char *key)
{
    const struct covey_node view = cv_cluster_node_view(body, COVEY_NODE_ALIVE, 1);
    return covey_node_tag(&view, key);
}

/* Sets one if that is allowed, which is told by what would come of it. */
static void set(struct cv_cluster_node **body, const struct covey_tag *tag)
{
    struct covey_tag wanted[COVEY_TAGS_MAX + 1];
    struct cv_tags out = {.count = 99};
    size_t count = 0;
    for (size_t i = 0; i < (*body)->tag_count; i++) {
        if (strcmp((*body)->tags[i].key, tag->key) != 0)
            wanted[count++] = (*body)->tags[i];
    }
    wanted[count++] = *tag;
    const int error = cv_tags_set(*body, tag->key, tag->value, &out);
    assert((error == 0) == are_tags(wanted, count));
    assert(error == 0 ? out.count == count : out.count == 99);
    if (error != 0)
        return;
    become(body, &out);
    assert(strcmp(value_of(*body, tag->key), tag->value) == 0);
}

static void remove_tag(struct cv_cluster_node **body, const char *key)
{
    struct cv_tags out = {.count = 99};
    const size_t count = (*body)->tag_count;
    const bool is_there = value_of(*body, key) != NULL;
    const int error = cv_tags_remove(*body, key, &out);
    assert(error == (is_there ? 0 : COVEY_ERR_NOT_FOUND));
    assert(out.count == (is_there ? count - 1 : 99));
    if (error != 0)
        return;
    become(body, &out);
    assert(value_of(*body, key) == NULL);
}

static void check_steps(const struct input *in)
{
    const struct cv_tags none = {.count = 0};
    struct cv_cluster_node *body = body_of(&none);
    for (size_t i = 0; i < in->count; i++) {
        set(&body, &in->tags[i]);
        if (i % 3 == 2)
            remove_tag(&body, in->tags[i / 2].key);
    }
    while (body->tag_count > 0) {
        char key[COVEY_TAG_KEY_MAX + 1]; /* the body's own goes with it */
        strcpy(key, body->tags[body->tag_count / 2].key);
        remove_tag(&body, key);
    }
    cv_cluster_node_release(body);
}

/* ---- all together ---- */

static void check_wire(struct cv_cluster_node *body)
{
    static uint8_t memory[CV_UPDATE_SIZE_MAX];
    const struct cv_record record = {.id = body->id, .status = {.incarnation = 1}, .body = body};
    struct cv_cluster_node *read;
    struct cv_writer w;
    struct cv_reader r;
    cv_writer_init(&w, memory, sizeof memory);
    cv_update_write(&w, &record);
    assert(cv_writer_ok(&w) && cv_writer_size(&w) == cv_update_size(&record));
    cv_reader_init(&r, cv_writer_bytes(&w));
    const struct cv_update update = cv_update_read(&r);
    assert(cv_reader_done(&r) && update.has_body);
    const int error = cv_update_body(cv_alloc_default(), &update, &read);
    assert(error == 0 && cv_tags_equal(read, body));
    cv_cluster_node_release(read);
}

static void check_all(const struct input *in)
{
    struct cv_tags out = {.count = 99};
    const int error = cv_tags_collect(in->tags, in->count, &out);
    assert((error == 0) == are_tags(in->tags, in->count));
    if (error != 0) {
        assert(error == COVEY_ERR_TOO_LARGE || error == COVEY_ERR_INVALID_ARGUMENT);
        assert(out.count == 99);
        return;
    }
    assert(out.count == in->count);
    for (size_t i = 1; i < out.count; i++)
        assert(strcmp(out.items[i - 1].key, out.items[i].key) < 0);
    struct cv_cluster_node *body = body_of(&out);
    for (size_t i = 0; i < in->count; i++)
        assert(strcmp(value_of(body, in->tags[i].key), in->tags[i].value) == 0);
    check_wire(body);
    cv_cluster_node_release(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in;
    split(&in, data, size);
    check_all(&in);
    check_steps(&in);
    free(in.text);
    return 0;
}
