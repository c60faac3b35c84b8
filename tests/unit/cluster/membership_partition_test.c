#include "unit/cluster/core_fixture.h"

#define INC CORE_WALL_MS

static struct cv_partition_status status(void)
{
    return cv_membership_partition(core.m);
}

static void add_members(uint32_t count)
{
    for (uint32_t i = 1; i <= count; i++)
        core_add_member(i);
}

static const struct cv_output *partition_event(void)
{
    for (size_t i = 0; i < core.count; i++) {
        const struct cv_output *output = &core.outputs[i].output;
        if (output->type == CV_OUTPUT_EVENT && output->event.type == COVEY_EVENT_PARTITION_DETECTED)
            return output;
    }
    return NULL;
}

/* Runs while all that are connected are heard, so that nobody is accused; until there is an event. */
static bool run_heard(covey_time length)
{
    covey_time end = core.now + length;
    while (core.now < end) {
        covey_time next = cv_membership_deadline(core.m);
        core.now = next < end ? (next > core.now ? next : core.now) : end;
        struct cv_input time = {.type = CV_INPUT_TIME};
        assert_int_equal(core_step(&time), COVEY_OK);
        if (partition_event() != NULL)
            return true;
        uint32_t from[CORE_OUTPUTS_MAX], sequence[CORE_OUTPUTS_MAX];
        size_t count = 0;
        for (size_t i = 0; i < core.count; i++) {
            const struct cv_output *output = &core.outputs[i].output;
            if (output->type != CV_OUTPUT_SEND ||
                cv_message_read(output->send.bytes, &core.read) != COVEY_OK ||
                core.read.head.type != CV_MESSAGE_PING)
                continue;
            from[count] = core_number(&output->send.to);
            sequence[count++] = core.read.head.sequence;
        }
        for (size_t i = 0; i < count; i++)
            core_head(from[i], CV_MESSAGE_ACK, sequence[i]);
    }
    return false;
}

/* Hearsay about one that we do not hear: believed when we suspected it for a while. */
static void fail_member(uint32_t teller, uint32_t number)
{
    core_disconnected(number);
    core_tell(teller, number, INC, COVEY_NODE_SUSPECT, -1);
    for (covey_time end = core.now + 1600 * MS; core.now < end;)
        run_heard(end - core.now);
    core_tell(teller, number, INC, COVEY_NODE_FAILED, -1);
    assert_int_equal(core_state(number), COVEY_NODE_FAILED);
}

static void alone_is_healthy(void **state)
{
    (void)state;
    struct cv_input time = {.type = CV_INPUT_TIME};
    assert_int_equal(core_step(&time), COVEY_OK);
    assert_int_equal(status().state, CV_PARTITION_HEALTHY);
    assert_int_equal(status().expected, 1);
    assert_int_equal(status().alive, 1);
    assert_null(partition_event());
}

static void unknown_until_joined(void **state)
{
    (void)state;
    core_teardown(state);
    core_start_joining(1);
    core_run(5 * SEC);
    assert_int_equal(status().state, CV_PARTITION_UNKNOWN);
    assert_null(partition_event());
}

/* P3: by one for each that joins, and for each that leaves by its own word; not for failures. */
static void the_expected_size_follows_joins_and_goodbyes(void **state)
{
    (void)state;
    add_members(4);
    assert_int_equal(status().expected, 5);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    core_tell(1, 5, INC, COVEY_NODE_SUSPECT, -1);
    assert_int_equal(status().expected, 6);
    fail_member(1, 5);
    assert_int_equal(status().expected, 6);
    core_tell(1, 5, INC + 1, COVEY_NODE_ALIVE, -1);
    assert_int_equal(status().expected, 6);
    /* One that others hold for failed counts for them, and so for us; one that has left does not. */
    core_tell(1, 6, INC, COVEY_NODE_FAILED, 0);
    assert_int_equal(status().expected, 7);
    core_tell(1, 6, INC + 1, COVEY_NODE_ALIVE, -1);
    core_tell(1, 7, INC, COVEY_NODE_LEFT, 0);
    assert_int_equal(status().expected, 7);
    struct cv_message_head leave = {.type = CV_MESSAGE_LEAVE, .incarnation = INC};
    core_message(2, &leave, NULL, NULL);
    assert_int_equal(status().expected, 6);
    core_message(2, &leave, NULL, NULL);
    assert_int_equal(status().expected, 6);
    /* A new life counts again. */
    core_tell(1, 2, INC + 5, COVEY_NODE_ALIVE, 0);
    assert_int_equal(status().expected, 7);
}

/* A forged goodbye moves nothing: its victim has 18 s to take it back. */
static void hearsay_of_a_goodbye_counts_late(void **state)
{
    (void)state;
    add_members(4);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    core_tell(1, 6, INC, COVEY_NODE_ALIVE, 0);
    assert_int_equal(status().expected, 7);
    core_tell(1, 5, INC, COVEY_NODE_LEFT, -1);
    core_tell(1, 6, INC, COVEY_NODE_LEFT, -1);
    run_heard(17900 * MS);
    assert_int_equal(status().expected, 7);
    core_tell(1, 6, INC + 1, COVEY_NODE_ALIVE, -1);
    run_heard(200 * MS);
    assert_int_equal(status().expected, 6);
    /* It lived: taken back even later, it counts again. */
    core_tell(1, 5, INC + 1, COVEY_NODE_ALIVE, -1);
    assert_int_equal(status().expected, 7);
}

/* Its own word is as good when hearsay was there first. */
static void its_own_word_counts_at_once(void **state)
{
    (void)state;
    struct cv_message_head leave = {.type = CV_MESSAGE_LEAVE, .incarnation = INC};
    add_members(4);
    core_tell(1, 2, INC, COVEY_NODE_LEFT, -1);
    assert_int_equal(status().expected, 5);
    core_message(2, &leave, NULL, NULL);
    assert_int_equal(status().expected, 4);
}

/* C43: it failed for us, and later we hear that it had left. */
static void a_failed_member_that_had_left_counts_no_more(void **state)
{
    (void)state;
    add_members(4);
    fail_member(1, 4);
    run_heard(60 * SEC);
    assert_int_equal(status().expected, 5);
    core_tell(1, 4, INC, COVEY_NODE_LEFT, -1);
    run_heard(17 * SEC);
    assert_int_equal(status().expected, 5);
    run_heard(2 * SEC);
    assert_int_equal(status().expected, 4);
    assert_int_equal(core_state(4), COVEY_NODE_LEFT);
}

/* Forgotten after a day, it has left. */
static void a_forgotten_member_counts_no_more(void **state)
{
    (void)state;
    cv_membership_free(core.m);
    struct cv_membership_config config = core_config();
    config.tombstone_ttl = 100 * SEC;
    core_start(&config);
    add_members(4);
    fail_member(1, 4);
    run_heard(99 * SEC);
    assert_int_equal(status().expected, 5);
    run_heard(2 * SEC);
    assert_int_equal(status().expected, 4);
    assert_null(core_member(4));
}

/* P6: one event for each edge, with what it is about; a moment of quorum is none. */
static void each_edge_is_one_event(void **state)
{
    (void)state;
    add_members(4);
    assert_int_equal(status().state, CV_PARTITION_HEALTHY);
    fail_member(1, 2);
    assert_null(partition_event());
    fail_member(1, 3);
    assert_null(partition_event());
    /* Two of five. */
    core_disconnected(4);
    core_tell(1, 4, INC, COVEY_NODE_SUSPECT, -1);
    assert_non_null(partition_event());
    struct cv_partition_status told = partition_event()->event.partition;
    assert_int_equal(told.state, CV_PARTITION_SUSPECT);
    assert_int_equal(told.alive, 2);
    assert_int_equal(told.expected, 5);
    assert_int_equal(told.grace_remaining, 30 * SEC);
    assert_true(told.minority);
    covey_time begun = core.now;
    assert_true(run_heard(60 * SEC));
    assert_int_equal(core.now - begun, 30 * SEC);
    assert_int_equal(status().state, CV_PARTITION_PARTITIONED);
    assert_false(run_heard(60 * SEC));
    /* Quorum is back for a period. */
    core_tell(1, 4, INC + 1, COVEY_NODE_ALIVE, -1);
    assert_null(partition_event());
    assert_int_equal(status().state, CV_PARTITION_PARTITIONED);
    begun = core.now;
    assert_true(run_heard(10 * SEC));
    assert_int_equal(partition_event()->event.partition.state, CV_PARTITION_HEALTHY);
    assert_int_equal(core.now - begun, SEC);
}

/* P5: what others could miss is not changed, and what was there can be read. */
static void a_partitioned_node_may_be_read_only(void **state)
{
    (void)state;
    cv_membership_free(core.m);
    struct cv_membership_config config = core_config();
    config.partition.read_only_on_partition = true;
    config.expected_size = 2;
    core_start(&config);
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "k", "v"), COVEY_OK);
    assert_false(status().read_only);
    core_run(30 * SEC);
    assert_int_equal(status().state, CV_PARTITION_PARTITIONED);
    assert_true(status().read_only);
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "k", "w"), COVEY_ERR_PARTITIONED);
    assert_int_equal(core_command(CV_COMMAND_TAG_REMOVE, "k", NULL), COVEY_ERR_PARTITIONED);
    struct covey_node self = cv_cluster_node_view(core_member(0)->body, COVEY_NODE_ALIVE, INC);
    assert_string_equal(covey_node_tag(&self, "k"), "v");
    core_add_member(1);
    core_run(SEC);
    assert_int_equal(core_command(CV_COMMAND_TAG_SET, "k", "w"), COVEY_OK);
    /* An operator's word, and goodbye, are always possible. */
    struct cv_input expect = {.type = CV_INPUT_COMMAND};
    expect.command.type = CV_COMMAND_EXPECT;
    expect.command.size = 9;
    assert_int_equal(core_step(&expect), COVEY_OK);
    run_heard(30 * SEC);
    assert_true(status().read_only);
    assert_int_equal(core_command(CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
}

/* A suspect is not alive, and one that is alive again in time ends the lack. */
static void suspects_do_not_count(void **state)
{
    (void)state;
    add_members(2);
    core_tell(1, 2, INC, COVEY_NODE_SUSPECT, -1);
    assert_int_equal(status().alive, 2);
    assert_int_equal(status().state, CV_PARTITION_HEALTHY);
    core_tell(2, 1, INC, COVEY_NODE_SUSPECT, -1);
    assert_int_equal(status().state, CV_PARTITION_SUSPECT);
    core_tell(1, 1, INC + 1, COVEY_NODE_ALIVE, -1);
    core_tell(2, 2, INC + 1, COVEY_NODE_ALIVE, -1);
    assert_true(run_heard(2 * SEC));
    assert_int_equal(status().state, CV_PARTITION_HEALTHY);
}

/* P4: an even split is nobody's, unless the tie-break is on and the lowest id is with us: that of
 * all that are expected, the failed ones too. */
static void an_even_split_is_the_lowest_ids(void **state)
{
    (void)state;
    for (int tie_break = 0; tie_break < 2; tie_break++) {
        cv_membership_free(core.m);
        struct cv_membership_config config = core_config();
        config.partition.tie_break = tie_break != 0;
        core_start(&config);
        add_members(3);
        fail_member(1, 2);
        fail_member(1, 3);
        assert_int_equal(status().state, tie_break ? CV_PARTITION_HEALTHY : CV_PARTITION_SUSPECT);
        assert_int_equal(status().minority, tie_break == 0);
    }
    cv_membership_free(core.m);
    struct cv_membership_config config = core_config();
    config.partition.tie_break = true;
    config.id = id_of(9);
    core_start(&config);
    add_members(3);
    fail_member(3, 1);
    fail_member(3, 2);
    assert_int_equal(status().state, CV_PARTITION_SUSPECT);
    /* The lowest one has left: the next one is the lowest. */
    cv_membership_free(core.m);
    config.id = id_of(2);
    core_start(&config);
    core_add_member(1);
    for (uint32_t i = 3; i <= 5; i++)
        core_add_member(i);
    core_message(1, &(struct cv_message_head){.type = CV_MESSAGE_LEAVE, .incarnation = INC}, NULL,
                 NULL);
    fail_member(3, 4);
    fail_member(3, 5);
    assert_int_equal(status().expected, 4);
    assert_int_equal(status().state, CV_PARTITION_HEALTHY);
}

static int expect(uint32_t size)
{
    struct cv_input input = {.type = CV_INPUT_COMMAND};
    input.command.type = CV_COMMAND_EXPECT;
    input.command.size = size;
    return core_step(&input);
}

static void the_size_can_be_set_by_hand(void **state)
{
    (void)state;
    add_members(2);
    assert_int_equal(expect(6), COVEY_OK);
    assert_non_null(partition_event());
    assert_int_equal(status().expected, 6);
    assert_int_equal(status().state, CV_PARTITION_SUSPECT);
    /* Joins move it no more, but are learnt meanwhile. */
    core_add_member(3);
    assert_int_equal(status().expected, 6);
    assert_int_equal(status().alive, 4);
    assert_true(run_heard(2 * SEC));
    assert_int_equal(status().state, CV_PARTITION_HEALTHY);
    assert_int_equal(expect(0), COVEY_OK);
    assert_int_equal(status().expected, 4);
    /* From the start, too. */
    cv_membership_free(core.m);
    struct cv_membership_config config = core_config();
    config.expected_size = 3;
    core_start(&config);
    struct cv_input time = {.type = CV_INPUT_TIME};
    assert_int_equal(core_step(&time), COVEY_OK);
    assert_int_equal(status().expected, 3);
    assert_int_equal(status().state, CV_PARTITION_SUSPECT);
}

/* What it sees while it leaves is no partition. */
static void who_leaves_tells_of_none(void **state)
{
    (void)state;
    add_members(4);
    assert_int_equal(core_command(CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
    assert_null(partition_event());
    for (uint32_t i = 2; i <= 4; i++) {
        core_disconnected(i);
        core_tell(1, i, INC, COVEY_NODE_FAILED, -1);
        assert_null(partition_event());
    }
    assert_false(run_heard(60 * SEC));
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_LEFT);
    assert_int_equal(expect(3), COVEY_ERR_STATE);
    cv_membership_free(core.m);
    /* Nor is a grace that runs when it begins to. */
    struct cv_membership_config config = core_config();
    config.leave_timeout = 100 * SEC;
    core_start(&config);
    add_members(4);
    for (uint32_t i = 2; i <= 4; i++)
        fail_member(1, i);
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    assert_false(run_heard(90 * SEC));
    assert_int_equal(expect(3), COVEY_ERR_STATE);
}

/* A minority of two does not grow into a majority by taking in two more; when others are back they
 * count all at once. */
static void who_joins_a_minority_does_not_count_yet(void **state)
{
    (void)state;
    add_members(4);
    for (uint32_t i = 2; i <= 4; i++)
        fail_member(1, i);
    assert_int_equal(status().state, CV_PARTITION_SUSPECT);
    core_add_member(6);
    core_add_member(7);
    core_add_member(8);
    assert_int_equal(status().alive, 2);
    assert_int_equal(status().expected, 5);
    /* Nor when one of them fails, leaves, or comes again. */
    fail_member(1, 7);
    core_message(8, &(struct cv_message_head){.type = CV_MESSAGE_LEAVE, .incarnation = INC}, NULL,
                 NULL);
    core_tell(1, 7, INC + 1, COVEY_NODE_ALIVE, -1);
    core_connected(7, 0);
    assert_int_equal(status().expected, 5);
    assert_true(run_heard(60 * SEC));
    assert_int_equal(status().state, CV_PARTITION_PARTITIONED);
    assert_int_equal(status().alive, 2);
    core_tell(1, 4, INC + 1, COVEY_NODE_ALIVE, -1);
    assert_int_equal(status().expected, 7);
    assert_int_equal(status().alive, 5);
    run_heard(2 * SEC);
    assert_int_equal(status().state, CV_PARTITION_HEALTHY);
    assert_int_equal(status().expected, 7);
    assert_int_equal(status().alive, 5);
    /* Now as ever. */
    core_add_member(9);
    assert_int_equal(status().expected, 8);
}

/* Set by hand, it is for those who come to reach it. */
static void with_a_size_by_hand_all_who_come_count(void **state)
{
    (void)state;
    add_members(1);
    assert_int_equal(expect(5), COVEY_OK);
    assert_int_equal(status().state, CV_PARTITION_SUSPECT);
    core_add_member(2);
    assert_int_equal(status().alive, 3);
    run_heard(2 * SEC);
    assert_int_equal(status().state, CV_PARTITION_HEALTHY);
    assert_int_equal(expect(0), COVEY_OK);
    assert_int_equal(status().expected, 3);
}

/* Members known from before are expected, though none of them was heard yet. */
static void the_known_are_expected(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    core_start_known(&config, 4);
    struct cv_input time = {.type = CV_INPUT_TIME};
    assert_int_equal(core_step(&time), COVEY_OK);
    assert_int_equal(status().expected, 5);
    assert_int_equal(status().state, CV_PARTITION_HEALTHY);
}

/* Who came while there was no quorum counts in the step that brings it back, not after the next. */
static void who_waited_counts_with_the_quorum(void **state)
{
    (void)state;
    add_members(2);
    core_tell(1, 2, INC, COVEY_NODE_SUSPECT, -1);
    core_tell(2, 1, INC, COVEY_NODE_SUSPECT, -1);
    core_add_member(3);
    assert_int_equal(status().expected, 3);
    assert_int_equal(status().alive, 1);
    core_tell(1, 1, INC + 1, COVEY_NODE_ALIVE, 0);
    assert_int_equal(status().expected, 4);
    assert_int_equal(status().alive, 3);
}

/* Before any step, too. */
static void the_size_is_known_from_the_start(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    assert_int_equal(status().state, CV_PARTITION_HEALTHY);
    core_start_known(&config, 4);
    assert_null(partition_event());
    assert_int_equal(status().state, CV_PARTITION_HEALTHY);
    assert_int_equal(status().expected, 5);
    assert_int_equal(status().alive, 5);
    /* Fewer than there should be is news. */
    config.expected_size = 20;
    core_start_known(&config, 4);
    assert_non_null(partition_event());
    assert_int_equal(status().state, CV_PARTITION_SUSPECT);
    core_step(&(struct cv_input){.type = CV_INPUT_TIME});
    assert_null(partition_event());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(alone_is_healthy),
        CORE_TEST(unknown_until_joined),
        CORE_TEST(the_expected_size_follows_joins_and_goodbyes),
        CORE_TEST(hearsay_of_a_goodbye_counts_late),
        CORE_TEST(its_own_word_counts_at_once),
        CORE_TEST(a_failed_member_that_had_left_counts_no_more),
        CORE_TEST(a_forgotten_member_counts_no_more),
        CORE_TEST(each_edge_is_one_event),
        CORE_TEST(a_partitioned_node_may_be_read_only),
        CORE_TEST(suspects_do_not_count),
        CORE_TEST(an_even_split_is_the_lowest_ids),
        CORE_TEST(the_size_can_be_set_by_hand),
        CORE_TEST(who_leaves_tells_of_none),
        CORE_TEST(the_known_are_expected),
        CORE_TEST(who_joins_a_minority_does_not_count_yet),
        CORE_TEST(with_a_size_by_hand_all_who_come_count),
        CORE_TEST(who_waited_counts_with_the_quorum),
        CORE_TEST(the_size_is_known_from_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
