#include "cluster/membership_internal.h"

#include <assert.h>
#include <covey/error.h>

/*
 * The answer to a JOIN: all records, the gone ones too, so that the newcomer does not believe old
 * news of them and can try the failed ones again. It is written chunk by chunk as it is polled, so
 * a long list takes one message's memory at a time.
 */

int cv_answer_new(struct cv_membership *m, const covey_node_id *to, struct cv_join_answer **out)
{
    size_t room = cv_node_registry_count(&m->gossip.registry) + CV_MAX_UPDATES_PER_MESSAGE;
    *out = cv_allocate(m->alloc, sizeof(**out) + room * sizeof((*out)->records[0]));
    if (*out == NULL)
        return COVEY_ERR_NO_MEMORY;
    **out = (struct cv_join_answer){.to = *to};
    return COVEY_OK;
}

static void free_answer(struct cv_membership *m, struct cv_join_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++)
        cv_cluster_node_release(answer->records[i].body);
    cv_release(m->alloc, answer);
}

/* Writes records from `next` on until the chunk is full; returns the first that is not in it. */
static size_t write_chunk(struct cv_gossip_protocol *g, const struct cv_join_answer *answer,
                          size_t next)
{
    struct cv_message_head head = {.type = CV_MESSAGE_JOIN_ACK,
                                   .chunk = answer->chunk_next,
                                   .chunk_count = answer->chunk_count};
    cv_message_begin(&g->writer, g->scratch, CV_MAX_MESSAGE_SIZE, &head);
    while (next < answer->count && cv_message_add(&g->writer, &answer->records[next]))
        next++;
    return next;
}

void cv_answer_begin(struct cv_membership *m, struct cv_join_answer *answer)
{
    struct cv_gossip_protocol *g = &m->gossip;
    cv_answers_drop(m, &answer->to);
    if (m->answer_count == CV_JOIN_ANSWERS_MAX ||
        cv_node_registry_get(&g->registry, &answer->to) == NULL) {
        free_answer(m, answer);
        return;
    }
    for (size_t i = 0; i < cv_node_registry_count(&g->registry); i++) {
        answer->records[i] = cv_member_record(cv_node_registry_at(&g->registry, i));
        cv_cluster_node_retain(answer->records[i].body);
        answer->count = i + 1;
    }
    for (size_t next = 0; next < answer->count;) {
        next = write_chunk(g, answer, next);
        assert(answer->chunk_count < UINT16_MAX);
        answer->chunk_count++;
    }
    m->answers[m->answer_count] = answer;
    m->answer_count++;
}

static void drop_at(struct cv_membership *m, size_t index)
{
    free_answer(m, m->answers[index]);
    m->answer_count--;
    for (size_t i = index; i < m->answer_count; i++)
        m->answers[i] = m->answers[i + 1];
}

void cv_answers_drop(struct cv_membership *m, const covey_node_id *to)
{
    for (size_t i = m->answer_count; i-- > 0;) {
        if (covey_node_id_compare(&m->answers[i]->to, to) == 0)
            drop_at(m, i);
    }
}

bool cv_answers_poll(struct cv_membership *m, struct cv_output *output)
{
    if (m->answer_count == 0)
        return false;
    struct cv_join_answer *answer = m->answers[0];
    answer->next = write_chunk(&m->gossip, answer, answer->next);
    answer->chunk_next++;
    *output = (struct cv_output){.type = CV_OUTPUT_SEND};
    output->send.to = answer->to;
    output->send.reliable = true;
    output->send.bytes = cv_message_bytes(&m->gossip.writer);
    m->answers_sent++;
    if (answer->chunk_next == answer->chunk_count)
        drop_at(m, 0);
    return true;
}

void cv_answers_fini(struct cv_membership *m)
{
    while (m->answer_count > 0)
        drop_at(m, m->answer_count - 1);
}
