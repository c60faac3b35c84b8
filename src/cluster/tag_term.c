#include "cluster/tag_term.h"

#include "base/siphash.h"

bool cv_tag_term_of(const uint64_t secret[2], const char *key, const char *value,
                    struct cv_tag_term *out)
{
    char text[COVEY_TAG_KEY_MAX + COVEY_TAG_VALUE_MAX + 1];
    size_t size = strlen(key);
    const size_t value_size = value == NULL ? 0 : strlen(value);
    if (size > COVEY_TAG_KEY_MAX || value_size > COVEY_TAG_VALUE_MAX)
        return false;
    memcpy(text, key, size);
    if (value != NULL) {
        text[size] = '\0'; /* in no text: where the key ends is part of the term */
        memcpy(&text[size + 1], value, value_size);
        size += 1 + value_size;
    }
    const uint32_t hash = (uint32_t)cv_siphash(secret, cv_slice_of(text, size));
    *out = (struct cv_tag_term){.key = key, .value = value, .hash = hash << 1 | (value != NULL)};
    return true;
}

int cv_tag_term_compare(const struct cv_tag_term *a, const struct cv_tag_term *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    const int order = strcmp(a->key, b->key);
    /* The last bit says that both have a value or none has. */
    return order != 0 || a->value == NULL ? order : strcmp(a->value, b->value);
}
