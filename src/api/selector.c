#include "api/selector.h"

#include <covey/error.h>
#include <string.h>

static bool are_tags(const struct covey_tag *tags, size_t count)
{
    if (count > COVEY_SELECTOR_TAGS_MAX || (tags == NULL && count > 0))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (tags[i].key == NULL)
            return false;
    }
    return true;
}

static size_t size_of(const struct covey_tag *tags, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += strlen(tags[i].key) + 1;
        size += tags[i].value == NULL ? 0 : strlen(tags[i].value) + 1;
    }
    return size;
}

static const char *copy_text(char **to, const char *text)
{
    const size_t size = strlen(text) + 1;
    const char *copy = memcpy(*to, text, size);
    *to += size;
    return copy;
}

static void copy_tags(struct covey_tag *own, const struct covey_tag *tags, size_t count, char **to)
{
    for (size_t i = 0; i < count; i++) {
        own[i].key = copy_text(to, tags[i].key);
        own[i].value = tags[i].value == NULL ? NULL : copy_text(to, tags[i].value);
    }
}

int cv_selector_new(const struct cv_alloc *alloc, const struct covey_selector *callers,
                    const covey_node_id *self, struct cv_selector **out)
{
    if (!are_tags(callers->all, callers->all_count) ||
        !are_tags(callers->none, callers->none_count))
        return COVEY_ERR_INVALID_ARGUMENT;
    const size_t size =
        size_of(callers->all, callers->all_count) + size_of(callers->none, callers->none_count);
    struct cv_selector *s = cv_allocate(alloc, sizeof *s + size);
    if (s == NULL)
        return COVEY_ERR_NO_MEMORY;
    s->self = *self;
    s->with_self = callers->with_self;
    s->all_count = callers->all_count;
    s->none_count = callers->none_count;
    char *at = s->texts;
    copy_tags(s->all, callers->all, callers->all_count, &at);
    copy_tags(s->none, callers->none, callers->none_count, &at);
    *out = s;
    return 0;
}

void cv_selection_begin(struct cv_selection *s, const struct cv_selector *selector,
                        const struct cv_denied *denied, const struct cv_snapshot *snapshot)
{
    s->selector = selector;
    s->denied = denied;
    cv_snapshot_with_all_tags(snapshot, selector->all, selector->all_count, &s->query);
}

static bool has(const struct covey_node *node, const struct covey_tag *tag)
{
    const char *value = covey_node_tag(node, tag->key);
    return value != NULL && (tag->value == NULL || strcmp(value, tag->value) == 0);
}

static bool is_selected(const struct cv_selector *s, const struct covey_node *node)
{
    if (!s->with_self && covey_node_id_compare(&node->id, &s->self) == 0)
        return false;
    for (size_t i = 0; i < s->none_count; i++) {
        if (has(node, &s->none[i]))
            return false;
    }
    return true;
}

const struct covey_node *cv_selection_next(struct cv_selection *s)
{
    const struct covey_node *node;
    do
        node = cv_tag_query_next(&s->query);
    while (node != NULL &&
           (!is_selected(s->selector, node) || cv_denied_has(s->denied, &node->id)));
    return node;
}
