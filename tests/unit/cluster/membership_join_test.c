#include "unit/cluster/core_fixture.h"

#include "cluster/membership_internal.h"

static int two_seeds(void **state)
{
    (void)state;
    core_start_joining(2);
    return 0;
}

/* Fails all that the core resolves and dials at this moment. */
static size_t refuse_all(int error)
{
    uint32_t resolves[8];
    size_t count = core_count(CV_OUTPUT_RESOLVE);
    for (size_t i = 0; i < count; i++)
        resolves[i] = core_find(CV_OUTPUT_RESOLVE, i)->resolve.resolve;
    for (size_t i = 0; i < count; i++) {
        struct cv_address address = address_of(7 + (uint32_t)i);
        core_resolved(resolves[i], 0, &address, 1);
        const struct cv_output *dial = core_find(CV_OUTPUT_DIAL, 0);
        assert_non_null(dial);
        core_dial_failed(dial->dial.dial, error);
    }
    return count;
}

/* Connects the seed with this place in the list as node `number`. */
static void reach_seed(uint32_t resolve, uint32_t number)
{
    struct cv_address address = address_of(number);
    core_resolved(resolve, 0, &address, 1);
    const struct cv_output *dial = core_find(CV_OUTPUT_DIAL, 0);
    assert_non_null(dial);
    core_connected(number, dial->dial.dial);
}

static int answer(uint32_t from, uint16_t chunk, uint16_t count, uint32_t about)
{
    struct cv_cluster_node *body = body_of(cv_alloc_default(), about, CORE_WALL_MS, 0);
    struct cv_record record = record_of(about, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    struct cv_message_head head = {
        .type = CV_MESSAGE_JOIN_ACK, .chunk = chunk, .chunk_count = count};
    int error = core_message(from, &head, &record, NULL);
    cv_cluster_node_release(body);
    return error;
}

/* B1: ten attempts, both seeds in each, waits that double within a quarter. */
static void ten_attempts_then_an_error(void **state)
{
    (void)state;
    covey_time sum = 0;
    for (int attempt = 1; attempt <= 10; attempt++) {
        assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINING);
        assert_int_equal(refuse_all(COVEY_ERR_UNREACHABLE), 2);
        if (attempt == 10)
            break;
        covey_time nominal = (100 * MS) << (attempt - 1);
        if (nominal > 10 * SEC)
            nominal = 10 * SEC;
        covey_time before = core.now;
        core_tick();
        covey_time wait = core.now - before;
        assert_in_range(wait, nominal - nominal / 4, nominal + nominal / 4);
        sum += wait;
    }
    assert_in_range(sum, 24500 * MS, 40900 * MS);
    const struct cv_output *output = core_find(CV_OUTPUT_STATE, 0);
    assert_non_null(output);
    assert_int_equal(output->state.state, CV_MEMBERSHIP_JOIN_FAILED);
    assert_int_equal(output->state.error, COVEY_ERR_NO_SEEDS_REACHABLE);
    assert_int_equal(cv_membership_deadline(core.m), COVEY_NEVER);
}

/* B4: the jitter is spread over its whole range, and differs by the seed of the generator. */
static void the_jitter_is_spread(void **state)
{
    (void)state;
    size_t buckets[5] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        cv_membership_free(core.m);
        static const char *const seeds[] = {"a:1"};
        struct cv_membership_config config = core_config();
        config.seeds = seeds;
        config.seed_count = 1;
        config.seed = seed;
        core_start(&config);
        refuse_all(COVEY_ERR_UNREACHABLE);
        covey_time wait = cv_membership_deadline(core.m) - core.now;
        assert_in_range(wait, 75 * MS, 125 * MS);
        buckets[wait == 125 * MS ? 4 : (wait - 75 * MS) / (10 * MS)]++;
    }
    for (size_t i = 0; i < 5; i++)
        assert_in_range(buckets[i], 20, 60);
}

/* B2: refused by all: why; refused by one and not reached by the other: not reached. */
static void a_refusal_of_all_is_told_apart(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        refuse_all(COVEY_ERR_CERTIFICATE_EXPIRED);
        if (i < 9)
            core_tick();
    }
    assert_int_equal(core_find(CV_OUTPUT_STATE, 0)->state.error, COVEY_ERR_CERTIFICATE_EXPIRED);
    /* And again by command. */
    assert_int_equal(core_command(CV_COMMAND_JOIN, NULL, NULL), COVEY_OK);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINING);
    assert_int_equal(core_count(CV_OUTPUT_RESOLVE), 2);
}

static void joined_when_all_chunks_came(void **state)
{
    (void)state;
    uint32_t resolve = core_find(CV_OUTPUT_RESOLVE, 0)->resolve.resolve;
    reach_seed(resolve, 7);
    assert_non_null(core_sent(7, CV_MESSAGE_JOIN, NULL));
    answer(7, 2, 3, 20);
    answer(7, 0, 3, 21);
    answer(7, 0, 3, 21);
    answer(7, 1, 4, 20); /* of another list */
    answer(9, 1, 3, 22); /* of somebody who is not connected */
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINING);
    assert_int_equal(core_state(21), COVEY_NODE_ALIVE);
    answer(7, 1, 3, 22);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
    assert_int_equal(core_state(22), COVEY_NODE_ALIVE);
    /* All are dialled: they may not have heard of us. */
    assert_int_equal(core_count(CV_OUTPUT_DIAL), 1);
}

/* The first that is connected is asked; the second when the first one says nothing. */
static void a_silent_seed_is_given_up(void **state)
{
    (void)state;
    uint32_t first = core_find(CV_OUTPUT_RESOLVE, 0)->resolve.resolve;
    uint32_t second = core_find(CV_OUTPUT_RESOLVE, 1)->resolve.resolve;
    reach_seed(first, 7);
    reach_seed(second, 8);
    assert_null(core_sent(8, CV_MESSAGE_JOIN, NULL));
    covey_time before = core.now;
    while (core_count(CV_OUTPUT_CLOSE) == 0)
        core_tick();
    assert_int_equal(core.now - before, 5 * SEC);
    assert_non_null(core_sent(8, CV_MESSAGE_JOIN, NULL));
    assert_int_equal(answer(8, 0, 1, 8), COVEY_OK);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
}

static void a_lost_seed_is_replaced_at_once(void **state)
{
    (void)state;
    uint32_t first = core_find(CV_OUTPUT_RESOLVE, 0)->resolve.resolve;
    uint32_t second = core_find(CV_OUTPUT_RESOLVE, 1)->resolve.resolve;
    reach_seed(first, 7);
    reach_seed(second, 8);
    core_disconnected(7);
    assert_non_null(core_sent(8, CV_MESSAGE_JOIN, NULL));
}

/* B2: reached, but no list: a time-out. */
static void reached_but_not_answered_is_a_timeout(void **state)
{
    (void)state;
    covey_time begun = core.now;
    uint32_t number = 7;
    while (cv_membership_state(core.m) == CV_MEMBERSHIP_JOINING && core.now - begun < 130 * SEC) {
        const struct cv_output *resolve = core_find(CV_OUTPUT_RESOLVE, 0);
        if (resolve != NULL)
            reach_seed(resolve->resolve.resolve, number);
        core_tick();
    }
    assert_int_equal(core_find(CV_OUTPUT_STATE, 0)->state.error, COVEY_ERR_JOIN_TIMEOUT);
    assert_true(core.now - begun <= 120 * SEC);
}

/* B4: without a bound on the attempts there is none on the time either. */
static void who_never_gives_up_joins_after_an_hour(void **state)
{
    (void)state;
    core_teardown(state);
    static const char *const seed = "s1:4433";
    struct cv_membership_config config = core_config();
    config.seeds = &seed;
    config.seed_count = 1;
    config.join.attempts_max = 0;
    memset(&core, 0, sizeof(core));
    test_alloc_init(&core.t);
    core_start(&config);
    covey_time begun = core.now;
    while (core.now - begun < 3600 * SEC) {
        const struct cv_output *resolve = core_find(CV_OUTPUT_RESOLVE, 0);
        if (resolve != NULL)
            core_resolved(resolve->resolve.resolve, COVEY_ERR_RESOLVE, NULL, 0);
        else
            core_tick();
        assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINING);
    }
    while (core_find(CV_OUTPUT_RESOLVE, 0) == NULL)
        core_tick();
    reach_seed(core_find(CV_OUTPUT_RESOLVE, 0)->resolve.resolve, 7);
    assert_non_null(core_sent(7, CV_MESSAGE_JOIN, NULL));
}

/* One that joins itself answers others. */
static void a_joining_node_answers(void **state)
{
    (void)state;
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 5, CORE_WALL_MS, 0);
    struct cv_record record = record_of(5, CORE_WALL_MS, COVEY_NODE_ALIVE, body);
    core_connected(5, 0);
    core_message(5, &(struct cv_message_head){.type = CV_MESSAGE_JOIN}, &record, NULL);
    const struct cv_message *list = core_sent(5, CV_MESSAGE_JOIN_ACK, NULL);
    assert_non_null(core_update(list, 0));
    assert_non_null(core_update(list, 5));
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINING);
    cv_cluster_node_release(body);
}

/* One that answered while it joined itself told only a part: when it has its own list they compare,
 * once. */
static void who_was_told_a_part_is_compared_with(void **state)
{
    (void)state;
    reach_seed(core_find(CV_OUTPUT_RESOLVE, 0)->resolve.resolve, 7);
    core_add_member(5);
    assert_non_null(core_sent(5, CV_MESSAGE_JOIN_ACK, NULL));
    core_connected(6, 0);
    answer(7, 0, 1, 20);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
    bool is_reliable = false;
    assert_non_null(core_sent(5, CV_MESSAGE_SYNC, &is_reliable));
    assert_true(is_reliable);
    assert_int_equal(core_count_sent(CV_MESSAGE_SYNC), 1);
    /* Who asks from now on is told all. */
    core_add_member(8);
    assert_int_equal(core_count_sent(CV_MESSAGE_SYNC), 0);
}

#define JOIN_TEST(test) cmocka_unit_test_setup_teardown(test, two_seeds, core_teardown)

/* Closed once, and the other seed is asked at once, not when patience is over. */
static void a_seed_that_talks_nonsense_is_given_up(void **state)
{
    (void)state;
    uint32_t first = core_find(CV_OUTPUT_RESOLVE, 0)->resolve.resolve;
    uint32_t second = core_find(CV_OUTPUT_RESOLVE, 1)->resolve.resolve;
    reach_seed(first, 7);
    reach_seed(second, 8);
    for (int i = 0; i < 200 && core_count(CV_OUTPUT_CLOSE) == 0; i++)
        core_bytes(7, cv_slice_text("\x7f"));
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 1);
    assert_non_null(core_sent(8, CV_MESSAGE_JOIN, NULL));
    assert_int_equal(answer(8, 0, 1, 8), COVEY_OK);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
}

/* A chunk that is lost for want of memory, at whatever call, tells nothing: not even of how many
 * it was the first. */
static void a_lost_chunk_tells_nothing(void **state)
{
    (void)state;
    reach_seed(core_find(CV_OUTPUT_RESOLVE, 0)->resolve.resolve, 7);
    core.t.fail_all_after = true;
    for (size_t n = 1;; n++) {
        core.t.fail_at = core.t.calls + n;
        int error = answer(7, 0, 2, 8);
        core.t.fail_at = 0;
        if (error == COVEY_OK)
            break;
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        assert_int_equal(core.m->join.chunk_count, 0);
    }
    assert_int_equal(core.m->join.chunk_count, 2);
    assert_int_equal(core.m->join.chunk_left, 1);
    answer(7, 1, 2, 9);
    assert_int_equal(cv_membership_state(core.m), CV_MEMBERSHIP_JOINED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOIN_TEST(ten_attempts_then_an_error),
        JOIN_TEST(the_jitter_is_spread),
        JOIN_TEST(a_refusal_of_all_is_told_apart),
        JOIN_TEST(joined_when_all_chunks_came),
        JOIN_TEST(a_lost_chunk_tells_nothing),
        JOIN_TEST(a_seed_that_talks_nonsense_is_given_up),
        JOIN_TEST(a_silent_seed_is_given_up),
        JOIN_TEST(a_lost_seed_is_replaced_at_once),
        JOIN_TEST(reached_but_not_answered_is_a_timeout),
        JOIN_TEST(who_never_gives_up_joins_after_an_hour),
        JOIN_TEST(a_joining_node_answers),
        JOIN_TEST(who_was_told_a_part_is_compared_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
