#include "node/identities.h"

#include <assert.h>
#include <covey/error.h>

#define IDENTITIES_MAX ((size_t)1 << 20)

struct cv_identity_share {
    covey_node_id id;
    unsigned connections;
};

static struct cv_slice key_of(const covey_node_id *id)
{
    return cv_slice_of(id->bytes, sizeof(id->bytes));
}

void cv_identities_init(struct cv_identities *ids, const struct cv_alloc *alloc,
                        const uint64_t secret[2], unsigned connections_max)
{
    *ids = (struct cv_identities){.alloc = alloc, .connections_max = connections_max};
    cv_map_init(&ids->counts, alloc, secret, IDENTITIES_MAX);
}

void cv_identities_fini(struct cv_identities *ids)
{
    assert(ids->counts.count == 0);
    cv_map_fini(&ids->counts);
}

static int add(struct cv_identities *ids, const covey_node_id *id, struct cv_identity_share **out)
{
    struct cv_identity_share *share = cv_allocate(ids->alloc, sizeof *share);
    if (share == NULL)
        return COVEY_ERR_NO_MEMORY;
    *share = (struct cv_identity_share){.id = *id};
    int error = cv_map_put(&ids->counts, key_of(&share->id), share);
    if (error != 0)
        cv_release(ids->alloc, share);
    else
        *out = share;
    return error;
}

int cv_identities_take(struct cv_identities *ids, const covey_node_id *id,
                       struct cv_identity_share **out)
{
    struct cv_identity_share *share = cv_map_get(&ids->counts, key_of(id));
    if (share != NULL && ids->connections_max > 0 && share->connections >= ids->connections_max)
        return COVEY_ERR_LIMIT;
    int error = share == NULL ? add(ids, id, &share) : 0;
    if (error != 0)
        return error;
    share->connections++;
    *out = share;
    return 0;
}

void cv_identities_give(struct cv_identities *ids, struct cv_identity_share *share)
{
    if (share == NULL || --share->connections > 0)
        return;
    (void)cv_map_remove(&ids->counts, key_of(&share->id));
    cv_release(ids->alloc, share);
}
