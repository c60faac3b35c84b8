/*
 * One gossip message. What is read and written again is the same, but for fields that this version
 * does not know, which are left out; written once more it does not change. Bodies are made of what
 * was read and written from that, so tags and texts go the whole way.
 */
#include "cluster/gossip/message.h"

#include "base/alloc.h"

#include <assert.h>
#include <covey/error.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cv_slice write_again(const struct cv_message *m, uint8_t *memory)
{
    struct cv_message_writer mw;
    cv_message_begin(&mw, memory, CV_MAX_MESSAGE_SIZE, &m->head);
    for (size_t i = 0; i < m->update_count; i++) {
        struct cv_record record = {.id = m->updates[i].id, .status = m->updates[i].status};
        if (m->updates[i].has_body &&
            cv_update_body(cv_alloc_default(), &m->updates[i], &record.body) != COVEY_OK)
            abort();
        assert(cv_update_size(&record) <= CV_UPDATE_SIZE_MAX);
        bool added = cv_message_add(&mw, &record);
        assert(added);
        (void)added;
        cv_cluster_node_release(record.body);
    }
    return cv_message_bytes(&mw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cv_message first;
    static struct cv_message second;
    static uint8_t once[CV_MAX_MESSAGE_SIZE];
    static uint8_t twice[CV_MAX_MESSAGE_SIZE];
    struct cv_slice bytes = cv_slice_of(data, size);
    if (cv_message_read(bytes, &first) != COVEY_OK)
        return 0;
    assert(size <= CV_MAX_MESSAGE_SIZE);
    assert(first.update_count <= CV_MAX_UPDATES_PER_MESSAGE);
    struct cv_slice written = write_again(&first, once);
    assert(written.size < size || cv_slice_equal(written, bytes));
    int error = cv_message_read(written, &second);
    assert(error == COVEY_OK);
    (void)error;
    assert(cv_slice_equal(write_again(&second, twice), written));
    return 0;
}
