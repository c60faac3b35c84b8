#include "unit/cluster/core_fixture.h"

#include "cluster/membership_internal.h"

#define INC CORE_WALL_MS

static void hearsay_makes_a_member(void **state)
{
    (void)state;
    core_add_member(1);
    assert_int_equal(core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0), COVEY_OK);
    assert_int_equal(core_state(5), COVEY_NODE_ALIVE);
    assert_false(core_member(5)->body_is_direct);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_JOINED), 1);
    /* Ours is the lower id, so we dial. */
    assert_int_equal(core_count(CV_OUTPUT_DIAL), 1);
    /* The same again is no news. */
    assert_int_equal(core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0), COVEY_OK);
    assert_int_equal(core.count, 0);
}

static void who_is_unknown_needs_a_body(void **state)
{
    (void)state;
    core_add_member(1);
    assert_int_equal(core_tell(1, 5, INC, COVEY_NODE_ALIVE, -1), COVEY_OK);
    assert_int_equal(core_tell(1, 6, INC, COVEY_NODE_FAILED, -1), COVEY_OK);
    assert_null(core_member(5));
    assert_null(core_member(6));
}

/* Each way that a member's life can go, with its events. */
static void states_follow_the_news(void **state)
{
    (void)state;
    core_add_member(1);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    core_tell(1, 5, INC, COVEY_NODE_SUSPECT, -1);
    assert_int_equal(core_state(5), COVEY_NODE_SUSPECT);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, -1);
    assert_int_equal(core_state(5), COVEY_NODE_SUSPECT);
    core_tell(1, 5, INC + 1, COVEY_NODE_ALIVE, -1);
    assert_int_equal(core_state(5), COVEY_NODE_ALIVE);
    core_fail(1, 5, INC + 1);
    assert_int_equal(core_state(5), COVEY_NODE_FAILED);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_FAILED), 1);
    core_tell(1, 5, INC + 2, COVEY_NODE_SUSPECT, -1);
    assert_int_equal(core_state(5), COVEY_NODE_SUSPECT);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_RECOVERED), 1);
    core_tell(1, 5, INC + 2, COVEY_NODE_LEFT, -1);
    assert_int_equal(core_state(5), COVEY_NODE_LEFT);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_LEFT), 1);
    core_tell(1, 5, INC + 3, COVEY_NODE_SUSPECT, -1);
    assert_int_equal(core_state(5), COVEY_NODE_LEFT);
    core_tell(1, 5, INC + 3, COVEY_NODE_ALIVE, 0);
    assert_int_equal(core_state(5), COVEY_NODE_ALIVE);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_JOINED), 1);
}

/* M5: it may live on our side of what divided it from the others, so it is at most suspect until it
 * had time to say so. */
static void hearsay_of_failure_is_a_suspicion_first(void **state)
{
    (void)state;
    core_add_member(1);
    core_add_member(2);
    core_tell(1, 2, INC, COVEY_NODE_FAILED, -1);
    assert_int_equal(core_state(2), COVEY_NODE_SUSPECT);
    /* It is told before anything else. */
    const struct cv_update *u = core_update(core_sent(2, CV_MESSAGE_GOSSIP, NULL), 2);
    assert_true(u == NULL || u->status.state == COVEY_NODE_SUSPECT);
    core_tell(1, 2, INC, COVEY_NODE_FAILED, -1);
    assert_int_equal(core_state(2), COVEY_NODE_SUSPECT);
    /* Heard meanwhile: it lives. */
    core_run(1000 * MS);
    core_message(2, &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP}, NULL, NULL);
    core_run(600 * MS);
    core_tell(1, 2, INC, COVEY_NODE_FAILED, -1);
    assert_int_equal(core_state(2), COVEY_NODE_SUSPECT);
    /* Not heard. */
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    core_fail(1, 5, INC);
    assert_int_equal(core_state(5), COVEY_NODE_FAILED);
}

static void accuse(uint32_t from, uint32_t about, enum covey_node_state state)
{
    struct cv_record record = record_of(about, INC, state, NULL);
    record.status.accuser = id_of(from);
    assert_int_equal(core_gossip(from, &record), COVEY_OK);
}

static covey_time time_left(uint32_t number)
{
    return core_member(number)->trouble->alarm.timer.deadline - core.now;
}

/* After a partition all of our side is said to have failed: whom nobody here accuses has the longest
 * time to refute that, however many say so, and what is passed on is what was told. */
static void hearsay_of_failure_is_a_long_suspicion(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 9; i++)
        core_add_member(i);
    core_tell(1, 12, INC, COVEY_NODE_ALIVE, 0);
    core_run(1 * SEC);
    accuse(1, 12, COVEY_NODE_FAILED);
    assert_int_equal(core_state(12), COVEY_NODE_SUSPECT);
    assert_int_equal(time_left(12), 18 * SEC);
    enum covey_node_state passed = COVEY_NODE_ALIVE;
    for (uint32_t i = 1; i <= 9; i++) {
        const struct cv_update *u = core_update(core_sent(i, CV_MESSAGE_GOSSIP, NULL), 12);
        if (u != NULL)
            passed = u->status.state;
    }
    assert_int_equal(passed, COVEY_NODE_FAILED);
    core_run(2 * SEC);
    for (uint32_t i = 2; i <= 6; i++)
        accuse(i, 12, COVEY_NODE_FAILED);
    assert_int_equal(core_state(12), COVEY_NODE_SUSPECT);
    assert_int_equal(time_left(12), 16 * SEC);
    core_run_answering(15900 * MS, 0, CV_MESSAGE_PING, NULL);
    assert_int_equal(core_state(12), COVEY_NODE_SUSPECT);
    core_run_answering(100 * MS, 0, CV_MESSAGE_PING, NULL);
    assert_int_equal(core_state(12), COVEY_NODE_FAILED);
}

/* When somebody accuses it the suspicion begins anew, as any other. */
static void an_accusation_ends_the_long_suspicion(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 9; i++)
        core_add_member(i);
    core_tell(1, 12, INC, COVEY_NODE_ALIVE, 0);
    accuse(1, 12, COVEY_NODE_FAILED);
    core_run(1 * SEC);
    assert_int_equal(time_left(12), 17 * SEC);
    accuse(2, 12, COVEY_NODE_SUSPECT);
    assert_int_equal(time_left(12), 18 * SEC);
    for (uint32_t i = 3; i <= 5; i++)
        accuse(i, 12, COVEY_NODE_SUSPECT);
    assert_int_equal(time_left(12), 3 * SEC);
    core_run(1600 * MS);
    accuse(1, 12, COVEY_NODE_FAILED);
    assert_int_equal(core_state(12), COVEY_NODE_FAILED);
}

static size_t queued(enum cv_priority priority)
{
    const struct cv_gossip_queue *q = &core.m->gossip.queue;
    size_t lists = 0;
    for (size_t i = 0; i < 2; i++)
        lists += (size_t)__builtin_popcountll(q->is_queued[priority][i]);
    return lists;
}

/* What takes an accusation back is told before tags that changed, as the accusation was. */
static void a_refutation_is_as_urgent(void **state)
{
    (void)state;
    core_add_member(1);
    core_tell(1, 12, INC, COVEY_NODE_ALIVE, 0);
    accuse(1, 12, COVEY_NODE_SUSPECT);
    const size_t calm = queued(CV_PRIORITY_HIGH);
    assert_int_equal(queued(CV_PRIORITY_CRITICAL), 1);
    core_tell(1, 12, INC + 1, COVEY_NODE_ALIVE, -1);
    assert_int_equal(core_state(12), COVEY_NODE_ALIVE);
    assert_int_equal(queued(CV_PRIORITY_CRITICAL), 1);
    assert_int_equal(queued(CV_PRIORITY_HIGH), calm);
    core_tell(1, 12, INC + 2, COVEY_NODE_ALIVE, -1);
    assert_int_equal(queued(CV_PRIORITY_CRITICAL), 0);
}

static void too_far_ahead_is_refused(void **state)
{
    (void)state;
    core_add_member(1);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    core_tell(1, 5, INC + (UINT64_C(1) << 40) + 1, COVEY_NODE_SUSPECT, -1);
    assert_int_equal(core_state(5), COVEY_NODE_ALIVE);
    assert_int_equal(core_stats().updates_refused, 1);
    core_tell(1, 5, INC + (UINT64_C(1) << 40), COVEY_NODE_SUSPECT, -1);
    assert_int_equal(core_state(5), COVEY_NODE_SUSPECT);
}

/* D3: what it says itself stays, whatever others say of the same age. */
static void the_owner_is_believed_first(void **state)
{
    (void)state;
    core_add_member(1);
    struct cv_cluster_node *forged = body_of(cv_alloc_default(), 2, INC, 0);
    forged->address = address_of(66);
    struct cv_record record = record_of(2, INC, COVEY_NODE_ALIVE, forged);
    assert_int_equal(core_gossip(1, &record), COVEY_OK);
    struct cv_address address = address_of(66);
    assert_true(cv_address_equal(&core_member(2)->body->address, &address));
    core_add_member(2);
    address = address_of(2);
    assert_true(cv_address_equal(&core_member(2)->body->address, &address));
    assert_true(core_member(2)->body_is_direct);
    assert_int_equal(core_gossip(1, &record), COVEY_OK);
    assert_true(cv_address_equal(&core_member(2)->body->address, &address));
    cv_cluster_node_release(forged);
}

/* Its record must have its certificate's name. */
static void a_false_name_is_refused(void **state)
{
    (void)state;
    struct cv_cluster_node *body;
    struct cv_cluster_node_config config = {.id = id_of(3),
                                            .incarnation = INC,
                                            .address = address_of(3),
                                            .name = cv_slice_text("somebody")};
    assert_int_equal(cv_cluster_node_new(cv_alloc_default(), &config, &body), COVEY_OK);
    struct cv_record record = record_of(3, INC, COVEY_NODE_ALIVE, body);
    assert_int_equal(core_connected(3, 0), COVEY_OK);
    assert_int_equal(
        core_message(3, &(struct cv_message_head){.type = CV_MESSAGE_JOIN}, &record, NULL),
        COVEY_OK);
    assert_null(core_member(3));
    assert_int_equal(core_stats().updates_refused, 1);
    cv_cluster_node_release(body);
}

/* It moved: the connection is of its last life. */
static void a_new_address_ends_the_old_connection(void **state)
{
    (void)state;
    core_add_member(1);
    core_add_member(2);
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 2, INC + 1, 0);
    body->address.port++;
    struct cv_record record = record_of(2, INC + 1, COVEY_NODE_ALIVE, body);
    assert_int_equal(core_gossip(1, &record), COVEY_OK);
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 1);
    assert_int_equal(core_count(CV_OUTPUT_DIAL), 1);
    assert_true(cv_address_equal(&core_find(CV_OUTPUT_DIAL, 0)->dial.address, &body->address));
    cv_cluster_node_release(body);
}

static void tags_are_news_while_it_lives(void **state)
{
    (void)state;
    const struct covey_tag tag = {"k", "v"};
    core_add_member(1);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    struct cv_cluster_node *body = tagged_body(cv_alloc_default(), 5, INC, 1, &tag, 1);
    struct cv_record record = record_of(5, INC, COVEY_NODE_ALIVE, body);
    core_gossip(1, &record);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_TAGS_UPDATED), 1);
    core_gossip(1, &record);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_TAGS_UPDATED), 0);
    cv_cluster_node_release(body);
    /* While it is failed they wait for its recovery (E2). */
    core_fail(1, 5, INC);
    core_tell(1, 5, INC, COVEY_NODE_FAILED, 2);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_TAGS_UPDATED), 0);
    core_tell(1, 5, INC + 1, COVEY_NODE_ALIVE, -1);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_RECOVERED), 1);
    assert_int_equal(core_count_events(COVEY_EVENT_NODE_TAGS_UPDATED), 1);
}

/* M5: hearsay of another goodbye does not undo that it said goodbye itself. */
static void its_own_goodbye_stays_its_own(void **state)
{
    (void)state;
    struct cv_message_head leave = {.type = CV_MESSAGE_LEAVE, .incarnation = INC};
    core_add_member(1);
    core_add_member(2);
    core_message(1, &leave, NULL, NULL);
    core_tell(2, 1, INC + 1, COVEY_NODE_LEFT, -1);
    assert_int_equal(core_member(1)->incarnation, INC + 1);
    core_tell(2, 1, INC + 2, COVEY_NODE_ALIVE, -1);
    assert_int_equal(core_state(1), COVEY_NODE_LEFT);
    core_tell(2, 1, INC + 2, COVEY_NODE_ALIVE, 0);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
}

/* All of them are gone at the same moment: the one that goes just now is not the one to forget. */
static void the_surplus_is_never_the_one_that_changes(void **state)
{
    (void)state;
    cv_membership_free(core.m);
    struct cv_membership_config config = core_config();
    config.members_max = 3;
    core_start(&config);
    core_add_member(1);
    core_add_member(2);
    core_disconnected(2);
    for (uint32_t i = 5; i <= 7; i++)
        core_tell(1, i, INC, COVEY_NODE_FAILED, 0);
    core_fail_now(1, 2, INC, -1);
    assert_int_equal(core_state(2), COVEY_NODE_FAILED);
    assert_int_equal(
        cv_node_registry_count_state(cv_membership_registry(core.m), COVEY_NODE_FAILED), 3);
    assert_null(core_member(5));
}

/* Nor is it we, whose own record is a tombstone while we leave. */
static void the_surplus_is_never_ourselves(void **state)
{
    (void)state;
    cv_membership_free(core.m);
    struct cv_membership_config config = core_config();
    config.members_max = 3;
    core_start(&config);
    core_add_member(1);
    core_add_member(2);
    core_command(CV_COMMAND_LEAVE, NULL, NULL);
    for (uint32_t i = 5; i <= 6; i++) {
        core.now += MS;
        core_tell(1, i, INC, COVEY_NODE_FAILED, 0);
    }
    core.now += MS;
    core_tell(1, 2, INC, COVEY_NODE_LEFT, -1);
    assert_int_equal(core_state(0), COVEY_NODE_LEFT);
    assert_int_equal(core_state(2), COVEY_NODE_LEFT);
    assert_null(core_member(5));
}

/* Two statements in one message: the later one stays, in whatever order they stand. */
static void the_later_body_of_a_message_stays(void **state)
{
    (void)state;
    struct cv_message_head gossip = {.type = CV_MESSAGE_GOSSIP};
    core_add_member(1);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct cv_cluster_node *a = body_of(cv_alloc_default(), 5, INC, 2 + 4 * i + i);
        struct cv_cluster_node *b = body_of(cv_alloc_default(), 5, INC, 3 + 4 * i - i);
        struct cv_record first = record_of(5, INC, COVEY_NODE_ALIVE, a);
        struct cv_record second = record_of(5, INC, COVEY_NODE_ALIVE, b);
        assert_int_equal(core_message(1, &gossip, &first, &second), COVEY_OK);
        assert_int_equal(core_member(5)->body->version, 3 + 4 * i);
        cv_cluster_node_release(a);
        cv_cluster_node_release(b);
    }
}

static void members_max_is_kept(void **state)
{
    (void)state;
    cv_membership_free(core.m);
    struct cv_membership_config config = core_config();
    config.members_max = 3;
    core_start(&config);
    core_add_member(1);
    core_add_member(2);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    assert_null(core_member(5));
    assert_int_equal(core_stats().members_refused, 1);
    core_tell(1, 2, INC, COVEY_NODE_LEFT, -1);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    assert_non_null(core_member(5));
    /* No place for it to come back. */
    core_tell(1, 2, INC + 1, COVEY_NODE_ALIVE, -1);
    assert_int_equal(core_state(2), COVEY_NODE_LEFT);
}

/* Whichever allocation fails: nothing changed, nothing leaks, and again it works. */
static void without_memory_nothing_changes(void **state)
{
    (void)state;
    struct cv_cluster_node *a = body_of(cv_alloc_default(), 5, INC, 0);
    struct cv_cluster_node *b = body_of(cv_alloc_default(), 6, INC, 0);
    struct cv_record five = record_of(5, INC, COVEY_NODE_ALIVE, a);
    struct cv_record six = record_of(6, INC, COVEY_NODE_SUSPECT, b);
    struct cv_message_head gossip = {.type = CV_MESSAGE_GOSSIP};
    core_add_member(1);
    uint64_t version = cv_node_registry_version(cv_membership_registry(core.m));
    for (size_t n = 1;; n++) {
        core.t.fail_at = core.t.calls + n;
        int error = core_message(1, &gossip, &five, &six);
        core.t.fail_at = 0;
        if (error == COVEY_OK)
            break;
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        assert_int_equal(cv_node_registry_version(cv_membership_registry(core.m)), version);
        assert_null(core_member(5));
        assert_true(n < 50);
    }
    assert_int_equal(core_state(5), COVEY_NODE_ALIVE);
    assert_int_equal(core_state(6), COVEY_NODE_SUSPECT);
    cv_cluster_node_release(a);
    cv_cluster_node_release(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(hearsay_makes_a_member),
        CORE_TEST(who_is_unknown_needs_a_body),
        CORE_TEST(states_follow_the_news),
        CORE_TEST(hearsay_of_failure_is_a_suspicion_first),
        CORE_TEST(hearsay_of_failure_is_a_long_suspicion),
        CORE_TEST(an_accusation_ends_the_long_suspicion),
        CORE_TEST(a_refutation_is_as_urgent),
        CORE_TEST(too_far_ahead_is_refused),
        CORE_TEST(the_owner_is_believed_first),
        CORE_TEST(a_false_name_is_refused),
        CORE_TEST(a_new_address_ends_the_old_connection),
        CORE_TEST(tags_are_news_while_it_lives),
        CORE_TEST(the_later_body_of_a_message_stays),
        CORE_TEST(members_max_is_kept),
        CORE_TEST(its_own_goodbye_stays_its_own),
        CORE_TEST(the_surplus_is_never_the_one_that_changes),
        CORE_TEST(the_surplus_is_never_ourselves),
        CORE_TEST(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
