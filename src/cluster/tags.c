#include "cluster/tags.h"

#include "base/utf8.h"

#include <covey/error.h>

int cv_tag_check(struct cv_slice key, struct cv_slice value)
{
    if (key.size > COVEY_TAG_KEY_MAX || value.size > COVEY_TAG_VALUE_MAX)
        return COVEY_ERR_TOO_LARGE;
    if (key.size == 0 || !cv_utf8_is_valid(key) || !cv_utf8_is_valid(value))
        return COVEY_ERR_INVALID_ARGUMENT;
    return COVEY_OK;
}

/* Where `key` is or belongs. */
static size_t place_of(const struct cv_tags *tags, const char *key, bool *found)
{
    size_t place = 0;
    *found = false;
    while (place < tags->count) {
        int order = cv_slice_compare(cv_slice_text(tags->items[place].key), cv_slice_text(key));
        *found = order == 0;
        if (order >= 0)
            break;
        place++;
    }
    return place;
}

static size_t size_of(const struct cv_tags *tags)
{
    size_t size = 0;
    for (size_t i = 0; i < tags->count; i++)
        size += strlen(tags->items[i].key) + strlen(tags->items[i].value);
    return size;
}

static int insert(struct cv_tags *tags, size_t place, const struct covey_tag *tag)
{
    if (tags->count == COVEY_TAGS_MAX)
        return COVEY_ERR_TOO_LARGE;
    memmove(&tags->items[place + 1], &tags->items[place],
            (tags->count - place) * sizeof(tags->items[0]));
    tags->items[place] = *tag;
    tags->count++;
    return COVEY_OK;
}

static struct cv_tags tags_of(const struct cv_cluster_node *node)
{
    struct cv_tags tags = {.count = node->tag_count};
    for (size_t i = 0; i < node->tag_count; i++)
        tags.items[i] = node->tags[i];
    return tags;
}

int cv_tags_collect(const struct covey_tag *tags, size_t count, struct cv_tags *out)
{
    struct cv_tags collected = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        bool found;
        int error = cv_tag_check(cv_slice_text(tags[i].key), cv_slice_text(tags[i].value));
        if (error != COVEY_OK)
            return error;
        size_t place = place_of(&collected, tags[i].key, &found);
        if (found)
            return COVEY_ERR_INVALID_ARGUMENT;
        error = insert(&collected, place, &tags[i]);
        if (error != COVEY_OK)
            return error;
    }
    if (size_of(&collected) > COVEY_TAGS_SIZE_MAX)
        return COVEY_ERR_TOO_LARGE;
    *out = collected;
    return COVEY_OK;
}

int cv_tags_set(const struct cv_cluster_node *node, const char *key, const char *value,
                struct cv_tags *out)
{
    int error = cv_tag_check(cv_slice_text(key), cv_slice_text(value));
    if (error != COVEY_OK)
        return error;
    struct cv_tags tags = tags_of(node);
    struct covey_tag tag = {.key = key, .value = value};
    bool found;
    size_t place = place_of(&tags, key, &found);
    if (found)
        tags.items[place] = tag;
    else
        error = insert(&tags, place, &tag);
    if (error == COVEY_OK && size_of(&tags) > COVEY_TAGS_SIZE_MAX)
        error = COVEY_ERR_TOO_LARGE;
    if (error == COVEY_OK)
        *out = tags;
    return error;
}

int cv_tags_remove(const struct cv_cluster_node *node, const char *key, struct cv_tags *out)
{
    struct cv_tags tags = tags_of(node);
    bool found;
    size_t place = place_of(&tags, key, &found);
    if (!found)
        return COVEY_ERR_NOT_FOUND;
    tags.count--;
    memmove(&tags.items[place], &tags.items[place + 1],
            (tags.count - place) * sizeof(tags.items[0]));
    *out = tags;
    return COVEY_OK;
}

bool cv_tags_equal(const struct cv_cluster_node *a, const struct cv_cluster_node *b)
{
    if (a->tag_count != b->tag_count)
        return false;
    for (size_t i = 0; i < a->tag_count; i++) {
        if (strcmp(a->tags[i].key, b->tags[i].key) != 0 ||
            strcmp(a->tags[i].value, b->tags[i].value) != 0)
            return false;
    }
    return true;
}
