#include "cluster/roster.h"

#include <covey/error.h>

static const covey_node_id *id_of_place(const void *owner, uint32_t place)
{
    return &((const struct cv_roster *)owner)->records[place].id;
}

static bool is_fit(const struct cv_roster *r, const struct cv_record *record)
{
    return record->body != NULL && record->status.state == COVEY_NODE_ALIVE &&
           cv_node_id_equal(&record->id, &record->body->id) &&
           cv_member_table_get(&r->table, &record->id) == CV_MEMBER_TABLE_NONE;
}

int cv_roster_init(struct cv_roster *r, const struct cv_alloc *alloc, const uint64_t secret[2],
                   const struct cv_record *records, size_t count)
{
    *r = (struct cv_roster){.records = records, .count = count};
    cv_member_table_init(&r->table, alloc, secret, id_of_place, r);
    if (count > CV_MEMBER_NUMBER_MAX)
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = cv_member_table_reserve(&r->table, count);
    if (error != COVEY_OK)
        return error;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_fit(r, &records[i]))
            return COVEY_ERR_INVALID_ARGUMENT;
        cv_member_table_put(&r->table, i);
        cv_digest_add(&r->digest, records[i].body, records[i].status.incarnation);
    }
    return COVEY_OK;
}

void cv_roster_fini(struct cv_roster *r)
{
    cv_member_table_fini(&r->table);
}

uint32_t cv_roster_find(const struct cv_roster *r, const covey_node_id *id)
{
    return cv_member_table_get(&r->table, id);
}
