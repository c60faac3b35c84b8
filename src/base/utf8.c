#include "base/utf8.h"

/* What the second byte of a character may be: narrower than 80..BF where the wider range would
 * allow an overlong form, a surrogate or a number above 10FFFF. */
struct lead {
    uint8_t first;
    uint8_t last;
    uint8_t size;
    uint8_t second_first;
    uint8_t second_last;
};

static const struct lead leads[] = {
    {0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static const struct lead *find_lead(uint8_t byte)
{
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        if (byte >= leads[i].first && byte <= leads[i].last)
            return &leads[i];
    }
    return NULL;
}

/* The size of the character at `at`; 0 when there is no whole one. */
static size_t character_size(struct cv_slice text, size_t at)
{
    const struct lead *lead = find_lead(text.data[at]);
    if (lead == NULL || lead->size > text.size - at)
        return 0;
    if (lead->size == 1)
        return 1;
    uint8_t second = text.data[at + 1];
    if (second < lead->second_first || second > lead->second_last)
        return 0;
    for (size_t i = 2; i < lead->size; i++) {
        if ((text.data[at + i] & 0xc0) != 0x80)
            return 0;
    }
    return lead->size;
}

/* How many characters of one byte there are from `at` on; most texts have no others. */
static size_t ascii_size(struct cv_slice text, size_t at)
{
    const size_t begin = at;
    while (at < text.size && text.data[at] < 0x80)
        at++;
    return at - begin;
}

size_t cv_utf8_prefix(struct cv_slice text)
{
    size_t at = 0;
    while ((at += ascii_size(text, at)) < text.size) {
        size_t size = character_size(text, at);
        if (size == 0)
            break;
        at += size;
    }
    return at;
}

bool cv_utf8_is_valid(struct cv_slice text)
{
    return cv_utf8_prefix(text) == text.size &&
           (text.size == 0 || memchr(text.data, 0, text.size) == NULL);
}
