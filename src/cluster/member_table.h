#ifndef CV_CLUSTER_MEMBER_TABLE_H
#define CV_CLUSTER_MEMBER_TABLE_H

#include "base/alloc.h"
#include "cluster/node.h"

#include <covey/export.h>

/*
 * Where the member with an id is: a hash table of numbers, 4 bytes each, for a registry of many
 * thousand nodes. The ids themselves stay with the members, so a lookup asks its owner for them; 9
 * bits of the hash beside the number see to it that it seldom asks in vain.
 *
 *     entry:  | 9 bits of hash | 23 bits of number |
 *
 * Open addressing with linear probing, at most three quarters full; a removal moves the following
 * ones up, so there are no gravestones. The hash is SipHash with a key that peers do not know.
 */
#define CV_MEMBER_TABLE_NONE UINT32_MAX
#define CV_MEMBER_NUMBER_MAX ((1u << 23) - 2)

/* The id of the member with this number. */
typedef const covey_node_id *cv_member_id_of(const void *owner, uint32_t number);

struct cv_member_table {
    const struct cv_alloc *alloc;
    uint64_t secret[2];
    cv_member_id_of *id_of;
    const void *owner;
    uint32_t *entries; /* CV_MEMBER_TABLE_NONE: free */
    size_t capacity;   /* a power of two, or 0 */
    size_t count;
};

void cv_member_table_init(struct cv_member_table *t, const struct cv_alloc *alloc,
                          const uint64_t secret[2], cv_member_id_of *id_of, const void *owner);
void cv_member_table_fini(struct cv_member_table *t);
/* Makes sure that `more` further puts have room. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_member_table_reserve(struct cv_member_table *t, size_t more);
/* Puts in all that is in another table, which has the same secret, under the same numbers; this one must
 * be empty. 0 or COVEY_ERR_NO_MEMORY. */
COVEY_MUST_USE int cv_member_table_copy(struct cv_member_table *t,
                                        const struct cv_member_table *from);
/* Adds a member that is not in it. Needs a reserve. */
void cv_member_table_put(struct cv_member_table *t, uint32_t number);
/* CV_MEMBER_TABLE_NONE when there is none. */
uint32_t cv_member_table_get(const struct cv_member_table *t, const covey_node_id *id);
/*
 * The same for one whose cv_member_table_hash() is known. For a lookup that comes soon: has the place
 * fetched where it begins; and, when that is there, says whose id it will ask for first, or
 * CV_MEMBER_TABLE_NONE.
 */
uint64_t cv_member_table_hash(const struct cv_member_table *t, const covey_node_id *id);
uint32_t cv_member_table_get_hashed(const struct cv_member_table *t, uint64_t hash,
                                    const covey_node_id *id);
void cv_member_table_prefetch(const struct cv_member_table *t, uint64_t hash);
uint32_t cv_member_table_guess(const struct cv_member_table *t, uint64_t hash);
/* Removes one that is in it. */
void cv_member_table_remove(struct cv_member_table *t, const covey_node_id *id);

#endif
