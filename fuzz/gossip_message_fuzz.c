/*
 * One gossip message. What is read is within its limits, borrows from the bytes and takes no memory.
 * Read and written again it is the same, but for fields that this version does not know, which are
 * left out; written once more it does not change. Bodies are made of what was read and written from
 * that, so tags and texts go the whole way.
 */
#include "cluster/gossip/message.h"

#include "base/alloc.h"
#include "cluster/incarnation.h"

#include <assert.h>
#include <covey/error.h>
#include <sanitizer/allocator_interface.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The fuzzer has threads of its own. */
static _Thread_local size_t allocations;

static void count_allocation(const volatile void *memory, size_t size)
{
    (void)memory;
    (void)size;
    allocations++;
}

static void ignore_release(const volatile void *memory)
{
    (void)memory;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    int installed = __sanitizer_install_malloc_and_free_hooks(count_allocation, ignore_release);
    void *volatile some = malloc(1);
    free(some);
    if (installed == 0 || allocations == 0)
        abort();
    return 0;
}

static bool is_inside(struct cv_slice part, struct cv_slice whole)
{
    return part.size == 0 || (part.data >= whole.data && part.size <= whole.size &&
                              (size_t)(part.data - whole.data) <= whole.size - part.size);
}

static void check_update(const struct cv_update *u, struct cv_slice bytes)
{
    bool is_accused = u->status.state == COVEY_NODE_SUSPECT || u->status.state == COVEY_NODE_FAILED;
    const covey_node_id none = {.bytes = {0}};
    assert(u->status.state <= COVEY_NODE_LEFT);
    assert(is_accused || covey_node_id_compare(&u->status.accuser, &none) == 0);
    assert(is_inside(u->name, bytes) && is_inside(u->tags, bytes));
    assert(u->name.size <= COVEY_NODE_NAME_MAX);
    if (!u->has_body) {
        assert(u->name.size == 0 && u->tags.size == 0 && u->address.family == 0);
        return;
    }
    assert(cv_address_is_usable(&u->address));
    assert(cv_incarnation_compare(u->body_incarnation, u->status.incarnation) <= 0);
}

/* The digest and the chunks that this type has, and no others. */
static void check_head(const struct cv_message_head *head)
{
    size_t digest = 0;
    bool has_chunks = head->type == CV_MESSAGE_JOIN_ACK;
    if (head->type == CV_MESSAGE_SYNC)
        digest = CV_DIGEST_ROOT_SIZE;
    if (head->type == CV_MESSAGE_SYNC_BUCKETS)
        digest = CV_DIGEST_BUCKETS_SIZE;
    if (head->type == CV_MESSAGE_SYNC_RECORDS || head->type == CV_MESSAGE_SYNC_ANSWER) {
        digest = sizeof(struct cv_bucket_set);
        has_chunks = true;
    }
    assert(head->type >= CV_MESSAGE_PING && head->type <= CV_MESSAGE_SYNC_ANSWER);
    assert(head->digest.size == digest);
    if (has_chunks)
        assert(head->chunk < head->chunk_count);
    else
        assert(head->chunk == 0 && head->chunk_count == 0);
}

static void check(const struct cv_message *m, struct cv_slice bytes)
{
    assert(bytes.size <= CV_MAX_MESSAGE_SIZE && m->update_count <= CV_MAX_UPDATES_PER_MESSAGE);
    check_head(&m->head);
    assert(is_inside(m->head.digest, bytes));
    assert(m->head.type != CV_MESSAGE_JOIN || (m->update_count > 0 && m->updates[0].has_body));
    for (size_t i = 0; i < m->update_count; i++)
        check_update(&m->updates[i], bytes);
}

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
    size_t allocations_before = allocations;
    int error = cv_message_read(bytes, &first);
    assert(allocations == allocations_before);
    if (error != COVEY_OK)
        return 0;
    check(&first, bytes);
    struct cv_slice written = write_again(&first, once);
    assert(written.size < size || cv_slice_equal(written, bytes));
    error = cv_message_read(written, &second);
    assert(error == COVEY_OK);
    assert(second.update_count == first.update_count);
    assert(cv_slice_equal(write_again(&second, twice), written));
    return 0;
}
