#include "unit/cluster/core_fixture.h"

#include "cluster/membership_internal.h"

static int join(uint32_t number)
{
    struct cv_cluster_node *body = body_of(cv_alloc_default(), number, CORE_WALL_MS, 0);
    struct cv_record record = record_of(number, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    int error =
        core_message(number, &(struct cv_message_head){.type = CV_MESSAGE_JOIN}, &record, NULL);
    cv_cluster_node_release(body);
    return error;
}

/* Counts who is in the list that was just sent; it is in chunks, each one within the limits. */
static size_t count_listed(uint32_t to, bool *seen, size_t count)
{
    size_t listed = 0;
    uint16_t chunks = 0;
    for (size_t i = 0; i < core.count; i++) {
        const struct cv_output *output = &core.outputs[i].output;
        covey_node_id id = id_of(to);
        if (output->type != CV_OUTPUT_SEND || !id_equal(&output->send.to, &id) ||
            output->send.bytes.data[0] != CV_MESSAGE_JOIN_ACK)
            continue;
        assert_true(output->send.reliable);
        assert_int_equal(cv_message_read(output->send.bytes, &core.read), COVEY_OK);
        assert_int_equal(core.read.head.chunk, chunks);
        chunks++;
        for (size_t k = 0; k < core.read.update_count; k++) {
            const covey_node_id *about = &core.read.updates[k].id;
            size_t number = (size_t)about->bytes[0] << 8 | about->bytes[1];
            assert_true(number < count && !seen[number]);
            assert_true(core.read.updates[k].has_body);
            seen[number] = true;
            listed++;
        }
    }
    assert_true(chunks > 0);
    assert_int_equal(core.read.head.chunk_count, chunks);
    return listed;
}

static void all_that_are_known_are_listed_once(void **state)
{
    (void)state;
    bool seen[300] = {false};
    core_add_member(1);
    for (uint32_t i = 2; i < 250; i++)
        core_tell(1, i, CORE_WALL_MS, i % 10 ? COVEY_NODE_ALIVE : COVEY_NODE_LEFT, 0);
    core_connected(299, 0);
    assert_int_equal(join(299), COVEY_OK);
    assert_int_equal(count_listed(299, seen, 300), 251);
    assert_true(seen[0] && seen[299] && seen[10] && seen[249]);
}

/* It is told what we hold it for, so it can go past its last life. */
static void the_newcomers_own_old_record_is_listed(void **state)
{
    (void)state;
    core_add_member(1);
    core_tell(1, 2, CORE_WALL_MS + 50, COVEY_NODE_FAILED, 0);
    core_connected(2, 0);
    assert_int_equal(join(2), COVEY_OK);
    const struct cv_update *u = core_update(core_sent(2, CV_MESSAGE_JOIN_ACK, NULL), 2);
    assert_non_null(u);
    assert_int_equal(u->status.incarnation, CORE_WALL_MS + 50);
    assert_int_equal(u->status.state, COVEY_NODE_FAILED);
}

/* That one failed, as somebody told us, is not said again as if we accused it. */
static void a_rumour_is_no_accusation_in_a_list(void **state)
{
    (void)state;
    core_add_member(1);
    core_tell(1, 2, CORE_WALL_MS, COVEY_NODE_ALIVE, 0);
    core_tell(1, 2, CORE_WALL_MS, COVEY_NODE_FAILED, -1);
    assert_int_equal(core_state(2), COVEY_NODE_SUSPECT);
    core_connected(299, 0);
    assert_int_equal(join(299), COVEY_OK);
    const struct cv_update *listed = core_update(core_sent(299, CV_MESSAGE_JOIN_ACK, NULL), 2);
    assert_int_equal(listed->status.state, COVEY_NODE_ALIVE);
    assert_int_equal(listed->status.incarnation, CORE_WALL_MS);
}

static void who_is_not_taken_gets_no_list(void **state)
{
    (void)state;
    cv_membership_free(core.m);
    struct cv_membership_config config = core_config();
    config.members_max = 2;
    core_start(&config);
    core_add_member(1);
    core_connected(2, 0);
    assert_int_equal(join(2), COVEY_OK);
    assert_null(core_sent(2, CV_MESSAGE_JOIN_ACK, NULL));
    assert_null(core_member(2));
}

/* A JOIN is about its sender. */
static void joining_for_another_is_malformed(void **state)
{
    (void)state;
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 5, CORE_WALL_MS, 0);
    struct cv_record record = record_of(5, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    core_add_member(1);
    assert_int_equal(
        core_message(1, &(struct cv_message_head){.type = CV_MESSAGE_JOIN}, &record, NULL),
        COVEY_ERR_MALFORMED);
    assert_null(core_member(5));
    cv_cluster_node_release(body);
}

static void without_memory_there_is_no_answer_and_no_change(void **state)
{
    (void)state;
    core_connected(2, 0);
    for (size_t n = 1;; n++) {
        core.t.fail_at = core.t.calls + n;
        int error = join(2);
        core.t.fail_at = 0;
        if (error == COVEY_OK)
            break;
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        assert_null(core_member(2));
        assert_true(n < 50);
    }
    assert_non_null(core_sent(2, CV_MESSAGE_JOIN_ACK, NULL));
}

/* A core that is freed, or whose peer is lost, before its answer was polled. */
static void an_answer_that_nobody_takes_is_freed(void **state)
{
    (void)state;
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 2, CORE_WALL_MS, 0);
    struct cv_record record = record_of(2, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    struct cv_message_writer mw;
    uint8_t memory[256];
    core_connected(2, 0);
    cv_message_begin(&mw, memory, sizeof(memory),
                     &(struct cv_message_head){.type = CV_MESSAGE_JOIN});
    assert_true(cv_message_add(&mw, &record));
    struct cv_input input = {.type = CV_INPUT_MESSAGE, .now = core.now, .wall_ms = core.wall_ms};
    input.message.from = id_of(2);
    input.message.bytes = cv_message_bytes(&mw);
    assert_int_equal(cv_membership_step(core.m, &input), COVEY_OK);
    core_disconnected(2);
    assert_null(core_sent(2, CV_MESSAGE_JOIN_ACK, NULL));
    core_connected(2, 0);
    assert_int_equal(cv_membership_step(core.m, &input), COVEY_OK);
    cv_cluster_node_release(body);
}

/* A message that asks for the list and brings the last straw: nothing goes to who is closed. */
static void who_is_closed_gets_no_list(void **state)
{
    (void)state;
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 2, CORE_WALL_MS, 0);
    struct cv_record own = record_of(2, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    core_add_member(2);
    core_add_member(3);
    for (int i = 0; i < 99; i++)
        assert_int_equal(core_bytes(2, cv_slice_text("\x7f")), COVEY_ERR_MALFORMED);
    struct cv_record wild =
        record_of(3, CORE_WALL_MS + (UINT64_C(1) << 41), COVEY_NODE_SUSPECT, NULL);
    assert_int_equal(
        core_message(2, &(struct cv_message_head){.type = CV_MESSAGE_JOIN}, &own, &wild), COVEY_OK);
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 1);
    assert_int_equal(core_count_sent(CV_MESSAGE_JOIN_ACK), 0);
    cv_cluster_node_release(body);
}

/* A list for a newcomer goes before what is under way to it for a comparison; one of each is enough
 * for others, and no more than eight peers get one at once. */
static void one_list_for_each_peer_and_eight_in_all(void **state)
{
    (void)state;
    struct cv_bucket_set all;
    memset(all.bits, 0xff, sizeof(all.bits));
    uint8_t memory[128];
    struct cv_message_writer mw;
    struct cv_message_head head = {.type = CV_MESSAGE_SYNC_RECORDS,
                                   .chunk_count = 1,
                                   .digest = cv_slice_of(all.bits, sizeof(all.bits))};
    for (uint32_t i = 1; i <= 10; i++)
        core_add_member(i);
    cv_message_begin(&mw, memory, sizeof(memory), &head);
    struct cv_input input = {.type = CV_INPUT_MESSAGE, .now = core.now, .wall_ms = core.wall_ms};
    input.message.bytes = cv_message_bytes(&mw);
    for (uint32_t i = 1; i <= 10; i++) {
        input.message.from = id_of(i);
        for (int k = 0; k < 2; k++)
            assert_int_equal(cv_membership_step(core.m, &input), COVEY_OK);
    }
    core_drain();
    for (uint32_t i = 1; i <= 10; i++)
        assert_int_equal(core_sent(i, CV_MESSAGE_SYNC_ANSWER, NULL) != NULL, i <= 8);
    assert_int_equal(core_count_sent(CV_MESSAGE_SYNC_ANSWER), 8);
    assert_int_equal(core_stats().lists_shed, 4);
    /* Beside a join. */
    input.message.from = id_of(1);
    assert_int_equal(cv_membership_step(core.m, &input), COVEY_OK);
    assert_int_equal(join(1), COVEY_OK);
    assert_int_equal(core_count_sent(CV_MESSAGE_SYNC_ANSWER), 0);
    assert_int_equal(core_count_sent(CV_MESSAGE_JOIN_ACK), 1);
}

/* Steps only: what is to be sent is taken when all have asked. */
static void ask_to_join(uint32_t number)
{
    uint8_t memory[512];
    struct cv_message_writer mw;
    struct cv_message_head head = {.type = CV_MESSAGE_JOIN};
    struct cv_cluster_node *body = body_of(cv_alloc_default(), number, CORE_WALL_MS, 0);
    const struct cv_record record = record_of(number, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    cv_message_begin(&mw, memory, sizeof(memory), &head);
    assert_true(cv_message_add(&mw, &record));
    struct cv_input input = {.type = CV_INPUT_MESSAGE, .now = core.now, .wall_ms = core.wall_ms};
    input.message.from = id_of(number);
    input.message.bytes = cv_message_bytes(&mw);
    assert_int_equal(cv_membership_step(core.m, &input), COVEY_OK);
    cv_cluster_node_release(body);
}

/* Whoever asks twice waits once, and who is gone when his turn comes is passed over. */
static void newcomers_wait_in_a_row(void **state)
{
    enum { ALL = 40, GONE = 20 };
    (void)state;
    for (uint32_t i = 1; i <= ALL; i++)
        core_add_member(i);
    for (uint32_t i = 1; i <= ALL; i++)
        ask_to_join(i);
    for (uint32_t i = 1; i <= ALL; i++)
        ask_to_join(i);
    const struct cv_input gone = {.type = CV_INPUT_DISCONNECTED,
                                  .now = core.now,
                                  .wall_ms = core.wall_ms,
                                  .disconnected = {.peer = id_of(GONE)}};
    assert_int_equal(cv_membership_step(core.m, &gone), COVEY_OK);
    core_drain();
    for (uint32_t i = 1; i <= ALL; i++) {
        bool seen[ALL + 2] = {false};
        if (i == GONE)
            assert_null(core_sent(i, CV_MESSAGE_JOIN_ACK, NULL));
        else
            assert_true(count_listed(i, seen, ALL + 2) >= ALL);
    }
    assert_int_equal(core_stats().lists_shed, 0);
}

static void not_everybody_may_wait(void **state)
{
    enum { MORE = 3, ALL = CV_TRANSFERS_MAX + CV_NEWCOMERS_MAX + MORE };
    (void)state;
    for (uint32_t i = 1; i <= ALL; i++)
        core_add_member(i);
    for (uint32_t i = 1; i <= ALL; i++)
        ask_to_join(i);
    assert_int_equal(core_stats().lists_shed, MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(all_that_are_known_are_listed_once),
        CORE_TEST(the_newcomers_own_old_record_is_listed),
        CORE_TEST(a_rumour_is_no_accusation_in_a_list),
        CORE_TEST(who_is_not_taken_gets_no_list),
        CORE_TEST(joining_for_another_is_malformed),
        CORE_TEST(without_memory_there_is_no_answer_and_no_change),
        CORE_TEST(an_answer_that_nobody_takes_is_freed),
        CORE_TEST(who_is_closed_gets_no_list),
        CORE_TEST(one_list_for_each_peer_and_eight_in_all),
        CORE_TEST(newcomers_wait_in_a_row),
        CORE_TEST(not_everybody_may_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
