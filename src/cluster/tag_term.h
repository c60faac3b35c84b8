#ifndef CV_CLUSTER_TAG_TERM_H
#define CV_CLUSTER_TAG_TERM_H

#include <covey/node.h>
#include <stdbool.h>

/*
 * What is looked up in a tag index: a key, or a key with its value. Peers choose the texts, so the
 * hash has a secret; it is short, so two terms may share one, and then their texts decide. Borrows
 * its texts.
 */
struct cv_tag_term {
    const char *key;
    const char *value; /* NULL: the key alone */
    uint32_t hash;     /* 31 bits of SipHash, and in the last bit whether there is a value */
};

/* Fills *out. False, with *out as it was, when the texts are too long for any tag. */
bool cv_tag_term_of(const uint64_t secret[2], const char *key, const char *value,
                    struct cv_tag_term *out);
/* By hash, then by key, then by value: less than, equal to or greater than 0. */
int cv_tag_term_compare(const struct cv_tag_term *a, const struct cv_tag_term *b);

#endif
