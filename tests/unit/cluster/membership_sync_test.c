#include "unit/cluster/core_fixture.h"

#include "cluster/membership_internal.h"

#define INC CORE_WALL_MS

/* What another node would know: our own digest, and that of a registry with other records. */
static struct cv_digest digest;

static void own_root(uint8_t root[CV_DIGEST_ROOT_SIZE])
{
    cv_membership_digest(core.m, root);
}

static int sync_root(uint32_t from, const uint8_t root[CV_DIGEST_ROOT_SIZE])
{
    struct cv_message_head head = {.type = CV_MESSAGE_SYNC,
                                   .digest = cv_slice_of(root, CV_DIGEST_ROOT_SIZE)};
    return core_message(from, &head, NULL, NULL);
}

/* The sums of the members `first` to `last` as the fixture makes them. */
static void learn(uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++) {
        struct cv_cluster_node *body = body_of(cv_alloc_default(), i, INC, 0);
        cv_digest_add(&digest, body, INC);
        cv_cluster_node_release(body);
    }
}

static int sync_buckets(uint32_t from)
{
    uint8_t bytes[CV_DIGEST_BUCKETS_SIZE];
    cv_digest_write(&digest, bytes);
    struct cv_message_head head = {.type = CV_MESSAGE_SYNC_BUCKETS,
                                   .digest = cv_slice_of(bytes, sizeof(bytes))};
    return core_message(from, &head, NULL, NULL);
}

static int sync_records(uint32_t from, enum cv_message_type type, const struct cv_bucket_set *set,
                        uint16_t chunk, uint16_t count, const struct cv_record *a,
                        const struct cv_record *b)
{
    struct cv_message_head head = {.type = type,
                                   .chunk = chunk,
                                   .chunk_count = count,
                                   .digest = cv_slice_of(set->bits, sizeof(set->bits))};
    return core_message(from, &head, a, b);
}

/* How many records the last step told `to` in messages of this type, each with its body. */
static size_t count_records(uint32_t to, enum cv_message_type type, struct cv_bucket_set *set)
{
    const covey_node_id id = id_of(to);
    size_t count = 0;
    for (size_t i = 0; i < core.count; i++) {
        const struct cv_output *output = &core.outputs[i].output;
        if (output->type != CV_OUTPUT_SEND || !id_equal(&output->send.to, &id) ||
            output->send.bytes.data[0] != type)
            continue;
        assert_true(output->send.reliable);
        assert_int_equal(cv_message_read(output->send.bytes, &core.read), COVEY_OK);
        memcpy(set->bits, core.read.head.digest.data, sizeof(set->bits));
        for (size_t k = 0; k < core.read.update_count; k++) {
            assert_true(core.read.updates[k].has_body);
            assert_true(cv_bucket_set_has(set, &core.read.updates[k].id));
        }
        count += core.read.update_count;
    }
    return count;
}

static int setup(void **state)
{
    memset(&digest, 0, sizeof(digest));
    return core_setup(state);
}

/* A newcomer compares within 3 s, then after waits that double from 1.5 s to 30, a quarter more or
 * less; on a stream, with its root. */
static void a_member_is_asked_now_and_then(void **state)
{
    (void)state;
    bool reliable = false;
    uint8_t root[CV_DIGEST_ROOT_SIZE];
    size_t asked = 0;
    covey_time last = core.now, wait = 1500 * MS;
    core_add_member(1);
    while (asked < 10) {
        core_tick();
        const struct cv_message *sync = core_sent(1, CV_MESSAGE_SYNC, &reliable);
        if (sync != NULL) {
            assert_true(reliable);
            own_root(root);
            assert_memory_equal(sync->head.digest.data, root, sizeof(root));
            if (asked == 0)
                assert_true(core.now - last <= 3 * SEC);
            else
                assert_in_range(core.now - last, wait * 3 / 4, wait * 5 / 4);
            if (asked > 0)
                wait = wait < 15 * SEC ? 2 * wait : 30 * SEC;
            last = core.now;
            asked++;
        }
        const struct cv_message *ping = core_sent(1, CV_MESSAGE_PING, NULL);
        if (ping != NULL)
            core_head(1, CV_MESSAGE_ACK, ping->head.sequence);
    }
    assert_int_equal(wait, 30 * SEC);
    assert_int_equal(core_stats().syncs_sent, 10);
}

static covey_time time_to_next_sync(void)
{
    const covey_time begun = core.now;
    const uint64_t sent = core_stats().syncs_sent;
    while (core_stats().syncs_sent == sent)
        core_run_answering(10 * MS, 0, CV_MESSAGE_PING, NULL);
    return core.now - begun;
}

/* Where there was one difference there is likely to be another: the next comparison is soon,
 * whichever side began the one that found it, and the waits double again. */
static void a_difference_has_the_next_one_soon(void **state)
{
    (void)state;
    uint8_t bytes[CV_DIGEST_BUCKETS_SIZE] = {0};
    core_add_member(1);
    for (int side = 0; side < 2; side++) {
        core_run_answering(200 * SEC, 0, CV_MESSAGE_PING, NULL);
        while (time_to_next_sync() < 20 * SEC)
            ;
        core_message(1,
                     &(struct cv_message_head){
                         .type = side == 0 ? CV_MESSAGE_SYNC : CV_MESSAGE_SYNC_BUCKETS,
                         .digest = cv_slice_of(bytes, side == 0 ? CV_DIGEST_ROOT_SIZE
                                                                : CV_DIGEST_BUCKETS_SIZE)},
                     NULL, NULL);
        assert_in_range(time_to_next_sync(), 1125 * MS, 1885 * MS);
        assert_in_range(time_to_next_sync(), 1115 * MS, 1885 * MS);
        assert_in_range(time_to_next_sync(), 2240 * MS, 3760 * MS);
    }
}

static void nobody_is_asked_when_there_is_nobody(void **state)
{
    (void)state;
    core_run(300 * SEC);
    assert_int_equal(core_stats().syncs_sent, 0);
    cv_membership_free(core.m);
    struct cv_membership_config config = core_config();
    config.sync_interval = 0;
    core_start(&config);
    core_add_member(1);
    core_run_answering(300 * SEC, 0, CV_MESSAGE_PING, NULL);
    assert_int_equal(core_stats().syncs_sent, 0);
}

static void equal_roots_are_the_end(void **state)
{
    (void)state;
    uint8_t root[CV_DIGEST_ROOT_SIZE];
    core_add_member(1);
    own_root(root);
    assert_int_equal(sync_root(1, root), COVEY_OK);
    assert_int_equal(core_count(CV_OUTPUT_SEND), 0);
    assert_int_equal(core_stats().syncs_differing, 0);
    root[31] ^= 1;
    bool reliable = false;
    assert_int_equal(sync_root(1, root), COVEY_OK);
    assert_non_null(core_sent(1, CV_MESSAGE_SYNC_BUCKETS, &reliable));
    assert_true(reliable);
    assert_int_equal(core_stats().syncs_differing, 1);
}

/* The root is of who is alive: what others hold a node for does not count, what it says does. */
static void the_root_is_of_what_nodes_say(void **state)
{
    (void)state;
    uint8_t before[CV_DIGEST_ROOT_SIZE], after[CV_DIGEST_ROOT_SIZE];
    core_add_member(1);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    own_root(before);
    core_tell(1, 5, INC, COVEY_NODE_SUSPECT, -1);
    own_root(after);
    assert_memory_equal(before, after, sizeof(before));
    core_fail(1, 5, INC);
    own_root(after);
    assert_memory_not_equal(before, after, sizeof(before));
    core_tell(1, 5, INC + 1, COVEY_NODE_ALIVE, -1);
    own_root(after);
    assert_memory_not_equal(before, after, sizeof(before));
    core_command(CV_COMMAND_TAG_SET, "k", "v");
    own_root(before);
    assert_memory_not_equal(before, after, sizeof(before));
}

/* Only the records of buckets that differ, the gone ones too. */
static void records_of_differing_buckets_are_told(void **state)
{
    (void)state;
    struct cv_bucket_set set;
    core_add_member(1);
    core_tell(1, 300, INC, COVEY_NODE_ALIVE, 0); /* bucket 1 */
    core_tell(1, 301, INC, COVEY_NODE_FAILED, 0);
    core_tell(1, 600, INC, COVEY_NODE_ALIVE, 0); /* bucket 2 */
    learn(1, 1);
    learn(600, 600);
    struct cv_record own = cv_member_record(core_member(0));
    cv_digest_add(&digest, own.body, own.status.incarnation);
    assert_int_equal(sync_buckets(1), COVEY_OK);
    assert_int_equal(count_records(1, CV_MESSAGE_SYNC_RECORDS, &set), 2);
    assert_int_equal(set.bits[0], 2);
    /* No difference: the end. */
    learn(300, 300);
    assert_int_equal(sync_buckets(1), COVEY_OK);
    assert_int_equal(core_count(CV_OUTPUT_SEND), 0);
}

/* After the last chunk, whatever came before it, we tell our own; an answer is not answered. */
static void records_are_answered_and_answers_are_not(void **state)
{
    (void)state;
    struct cv_bucket_set set = {.bits = {2}};
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 302, INC, 0);
    struct cv_record record = record_of(302, INC, COVEY_NODE_ALIVE, body);
    core_add_member(1);
    core_tell(1, 300, INC, COVEY_NODE_ALIVE, 0);
    assert_int_equal(sync_records(1, CV_MESSAGE_SYNC_RECORDS, &set, 0, 2, &record, NULL), COVEY_OK);
    assert_int_equal(core_state(302), COVEY_NODE_ALIVE);
    assert_int_equal(core_count_sent(CV_MESSAGE_SYNC_ANSWER), 0);
    assert_int_equal(sync_records(1, CV_MESSAGE_SYNC_RECORDS, &set, 1, 2, NULL, NULL), COVEY_OK);
    assert_int_equal(count_records(1, CV_MESSAGE_SYNC_ANSWER, &set), 2);
    assert_int_equal(set.bits[0], 2);
    assert_int_equal(sync_records(1, CV_MESSAGE_SYNC_ANSWER, &set, 0, 1, &record, NULL), COVEY_OK);
    assert_int_equal(core_count_sent(CV_MESSAGE_SYNC_ANSWER), 0);
    assert_int_equal(core_count_sent(CV_MESSAGE_SYNC_RECORDS), 0);
    /* Of no bucket at all. */
    memset(&set, 0, sizeof(set));
    assert_int_equal(sync_records(1, CV_MESSAGE_SYNC_RECORDS, &set, 0, 1, NULL, NULL), COVEY_OK);
    assert_int_equal(count_records(1, CV_MESSAGE_SYNC_ANSWER, &set), 0);
    cv_cluster_node_release(body);
}

/* What they know better is learnt, and told on without haste. */
static void later_records_are_merged(void **state)
{
    (void)state;
    const struct cv_bucket_set set = {.bits = {1}};
    core_add_member(1);
    core_add_member(2);
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 5, INC + 3, 0);
    struct cv_record record = record_of(5, INC + 3, COVEY_NODE_ALIVE, body);
    assert_int_equal(sync_records(1, CV_MESSAGE_SYNC_ANSWER, &set, 0, 1, &record, NULL), COVEY_OK);
    assert_int_equal(core_member(5)->incarnation, INC + 3);
    cv_cluster_node_release(body);
}

/* The gone that we do not know we forgot in good time; those that we know are gone are learnt. */
static void the_forgotten_do_not_come_back(void **state)
{
    (void)state;
    const struct cv_bucket_set set = {.bits = {1}};
    struct cv_cluster_node *five = body_of(cv_alloc_default(), 5, INC, 0);
    struct cv_cluster_node *six = body_of(cv_alloc_default(), 6, INC, 0);
    struct cv_record failed = record_of(5, INC, COVEY_NODE_FAILED, five);
    struct cv_record left = record_of(6, INC, COVEY_NODE_LEFT, six);
    core_add_member(1);
    for (int type = CV_MESSAGE_SYNC_RECORDS; type <= CV_MESSAGE_SYNC_ANSWER; type++) {
        assert_int_equal(sync_records(1, (enum cv_message_type)type, &set, 0, 1, &failed, &left),
                         COVEY_OK);
        assert_null(core_member(5));
        assert_null(core_member(6));
    }
    core_tell(1, 5, INC, COVEY_NODE_ALIVE, 0);
    core_tell(1, 6, INC, COVEY_NODE_ALIVE, 0);
    sync_records(1, CV_MESSAGE_SYNC_ANSWER, &set, 0, 1, &failed, &left);
    assert_int_equal(core_state(5), COVEY_NODE_SUSPECT);
    assert_int_equal(core_state(6), COVEY_NODE_LEFT);
    cv_cluster_node_release(five);
    cv_cluster_node_release(six);
}

/* One that holds our last life for failed, or at a later incarnation, finds us past it. */
static void what_they_say_of_us_is_gone_past(void **state)
{
    (void)state;
    const struct cv_bucket_set set = {.bits = {1}};
    struct cv_record record = record_of(0, INC + 9, COVEY_NODE_FAILED, NULL);
    core_add_member(1);
    core_run(SEC);
    assert_int_equal(sync_records(1, CV_MESSAGE_SYNC_ANSWER, &set, 0, 1, &record, NULL), COVEY_OK);
    assert_int_equal(core_member(0)->incarnation, INC + 10);
    assert_int_equal(core_member(0)->body->incarnation, INC + 10);
}

/* Not a member, not connected any more: nothing is told. */
static void strangers_are_told_nothing(void **state)
{
    (void)state;
    core_connected(9, 0);
    assert_int_equal(sync_buckets(9), COVEY_OK);
    assert_int_equal(core_count(CV_OUTPUT_SEND), 0);
    core_disconnected(9);
    assert_int_equal(sync_buckets(9), COVEY_OK);
    assert_int_equal(core_count(CV_OUTPUT_SEND), 0);
}

/* A list is dear: who asks for too many is closed, and its last request is not answered. */
static void who_asks_too_often_is_closed(void **state)
{
    (void)state;
    size_t answered = 0;
    core_add_member(1);
    for (int i = 0; i < 200 && core_count(CV_OUTPUT_CLOSE) == 0; i++) {
        assert_int_equal(sync_buckets(1), COVEY_OK);
        answered += core_count_sent(CV_MESSAGE_SYNC_RECORDS);
    }
    assert_int_equal(core_count(CV_OUTPUT_CLOSE), 1);
    assert_int_equal(core_count(CV_OUTPUT_SEND), 0);
    assert_true(answered >= 90 && answered <= 100);
}

static void malformed_ones_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[64] = {CV_MESSAGE_SYNC, 7, 31};
    core_add_member(1);
    assert_int_equal(core_bytes(1, cv_slice_of(bytes, 3 + 31)), COVEY_ERR_MALFORMED);
    bytes[2] = 33;
    assert_int_equal(core_bytes(1, cv_slice_of(bytes, 3 + 33)), COVEY_ERR_MALFORMED);
    assert_int_equal(core_count(CV_OUTPUT_SEND), 0);
}

/* --- connections --- */

/* What the last step did with connections, as the rest of the world carries it out: dials succeed,
 * pings are answered. */
static struct world {
    uint32_t subject; /* whom we watch */
    bool is_open[128];
    size_t compared;
    size_t closed;
} world;

static void answer(const struct core_output *kept)
{
    const struct cv_output *output = &kept->output;
    uint32_t to = 0;
    switch (output->type) {
    case CV_OUTPUT_DIAL:
        to = core_number(&output->dial.expected);
        assert_false(world.is_open[to]);
        world.is_open[to] = true;
        core_connected(to, output->dial.dial);
        break;
    case CV_OUTPUT_CLOSE:
        to = core_number(&output->close.peer);
        assert_true(world.is_open[to]);
        world.is_open[to] = false;
        world.closed++;
        core.count = 0;
        break;
    case CV_OUTPUT_SEND:
        to = core_number(&output->send.to);
        assert_true(world.is_open[to]);
        assert_int_equal(
            cv_message_read(cv_slice_of(kept->bytes, output->send.bytes.size), &core.read),
            COVEY_OK);
        if (core.read.head.type == CV_MESSAGE_WATCH)
            world.subject = to;
        world.compared += core.read.head.type == CV_MESSAGE_SYNC;
        core.count = 0;
        if (core.read.head.type == CV_MESSAGE_PING)
            core_head(to, CV_MESSAGE_ACK, core.read.head.sequence);
        break;
    default:
        core.count = 0;
        break;
    }
}

/* Carries out the outputs of the last step, and those of the steps that this takes. */
static void answer_all(void)
{
    static struct core_output waiting[1024];
    size_t count = core.count;
    memcpy(waiting, core.outputs, count * sizeof(waiting[0]));
    for (size_t i = 0; i < count; i++) {
        answer(&waiting[i]);
        assert_true(count + core.count <= 1024);
        memcpy(&waiting[count], core.outputs, core.count * sizeof(waiting[0]));
        count += core.count;
    }
    core.count = 0;
}

/* In a large cluster the partner is mostly nobody's neighbour: it is dialled, which probes it too,
 * compared with, and closed when it was silent for half an interval. */
static void a_cold_partner_is_dialled_and_closed_again(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    config.gossip.watch_count = 1;
    core_start_known(&config, 60);
    for (uint32_t dial = 1; dial <= 49; dial++)
        core_dial_failed(dial, COVEY_ERR_UNREACHABLE);
    world = (struct world){.subject = 0};
    covey_time end = core.now + 310 * SEC;
    while (core.now < end) {
        core_tick();
        answer_all();
    }
    size_t open = 0;
    for (size_t i = 0; i < 128; i++)
        open += world.is_open[i];
    assert_true(world.is_open[world.subject]);
    /* With somebody each interval, and a few times more at the start with one that is connected. */
    assert_in_range(world.compared, 9, 18);
    assert_in_range(world.closed, 6, world.compared);
    assert_true(open <= 3); /* the subject, the last partner and perhaps the one before */
    assert_int_equal(core_stats().suspicions, 0);
}

/* Questions are small and their answers are not: one peer cannot have us send more than so many bytes,
 * however it asks; others still can. */
static void the_answers_to_one_peer_are_bounded(void **state)
{
    (void)state;
    uint8_t bytes[CV_DIGEST_BUCKETS_SIZE] = {1};
    size_t sent[3] = {0};
    core_add_member(1);
    core_add_member(2);
    const covey_time end = core.now + 60 * SEC;
    while (core.now < end) {
        core.now += 5 * MS;
        core_message(1,
                     &(struct cv_message_head){.type = CV_MESSAGE_SYNC,
                                               .digest = cv_slice_of(bytes, CV_DIGEST_ROOT_SIZE)},
                     NULL, NULL);
        sent[1] += core_count_sent(CV_MESSAGE_SYNC_BUCKETS);
    }
    assert_in_range(sent[1] * CV_DIGEST_BUCKETS_SIZE, 8u << 20, (4u << 20) + 60 * (128u << 10));
    assert_true(core_stats().answers_shed > 5000);
    core_message(2,
                 &(struct cv_message_head){.type = CV_MESSAGE_SYNC,
                                           .digest = cv_slice_of(bytes, CV_DIGEST_ROOT_SIZE)},
                 NULL, NULL);
    assert_int_equal(core_count_sent(CV_MESSAGE_SYNC_BUCKETS), 1);
    /* No list either, until there is something of the bound again. */
    const uint64_t shed = core_stats().answers_shed;
    core_message(1,
                 &(struct cv_message_head){.type = CV_MESSAGE_SYNC_BUCKETS,
                                           .digest = cv_slice_of(bytes, sizeof(bytes))},
                 NULL, NULL);
    assert_int_equal(core_count_sent(CV_MESSAGE_SYNC_RECORDS), 0);
    assert_int_equal(core_stats().answers_shed, shed + 1);
    core.now += 1 * SEC;
    core_message(1,
                 &(struct cv_message_head){.type = CV_MESSAGE_SYNC_BUCKETS,
                                           .digest = cv_slice_of(bytes, sizeof(bytes))},
                 NULL, NULL);
    assert_true(core_count_sent(CV_MESSAGE_SYNC_RECORDS) > 0);
}

/* --- memory --- */

static void without_memory_nothing_is_answered(void **state)
{
    (void)state;
    struct cv_bucket_set set = {.bits = {2}};
    core_add_member(1);
    core_tell(1, 300, INC, COVEY_NODE_ALIVE, 0);
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 302, INC, 0);
    struct cv_record record = record_of(302, INC, COVEY_NODE_ALIVE, body);
    for (int type = CV_MESSAGE_SYNC_BUCKETS; type <= CV_MESSAGE_SYNC_RECORDS; type++) {
        for (size_t n = 1;; n++) {
            core.t.fail_at = core.t.calls + n;
            int error = type == CV_MESSAGE_SYNC_BUCKETS
                            ? sync_buckets(1)
                            : sync_records(1, CV_MESSAGE_SYNC_RECORDS, &set, 0, 1, &record, NULL);
            core.t.fail_at = 0;
            if (error == COVEY_OK)
                break;
            assert_int_equal(error, COVEY_ERR_NO_MEMORY);
            assert_null(core_member(302));
            assert_int_equal(core_count(CV_OUTPUT_SEND), 0);
            assert_true(n < 50);
        }
    }
    assert_true(count_records(1, CV_MESSAGE_SYNC_ANSWER, &set) > 0);
    cv_cluster_node_release(body);
}

#define SYNC_TEST(test) cmocka_unit_test_setup_teardown(test, setup, core_teardown)

/* A member has us dial many others by asking for pings; nobody uses these connections. */
static void many_cold_connections_are_closed_bit_by_bit(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    config.gossip.protocol_period = 1000 * SEC;
    config.gossip.watch_count = 1;
    core_start_known(&config, 250);
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    for (uint32_t i = 2; i <= 250; i++) {
        struct cv_message_head request = {.type = CV_MESSAGE_PING_REQ,
                                          .sequence = i,
                                          .target = id_of(i),
                                          .address = address_of(i)};
        cv_relay_share_init(&core.m->gossip.relays, SEC,
                            core.now); /* the next dial for another may be made */
        core_message(1, &request, NULL, NULL);
        const struct cv_output *dial = core_find(CV_OUTPUT_DIAL, 0);
        if (dial != NULL)
            core_connected(i, dial->dial.dial);
        core_run(30 * MS); /* so that no more acks are owed to it than may be */
    }
    size_t connected = cv_links_count(&core.m->gossip.links);
    assert_true(connected > 150);
    core_run(50 * SEC);
    assert_true(cv_links_count(&core.m->gossip.links) < connected);
    core_run(300 * SEC);
    assert_true(cv_links_count(&core.m->gossip.links) < 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYNC_TEST(a_member_is_asked_now_and_then),
        SYNC_TEST(a_difference_has_the_next_one_soon),
        SYNC_TEST(nobody_is_asked_when_there_is_nobody),
        SYNC_TEST(equal_roots_are_the_end),
        SYNC_TEST(the_root_is_of_what_nodes_say),
        SYNC_TEST(records_of_differing_buckets_are_told),
        SYNC_TEST(records_are_answered_and_answers_are_not),
        SYNC_TEST(later_records_are_merged),
        SYNC_TEST(the_forgotten_do_not_come_back),
        SYNC_TEST(the_answers_to_one_peer_are_bounded),
        SYNC_TEST(what_they_say_of_us_is_gone_past),
        SYNC_TEST(strangers_are_told_nothing),
        SYNC_TEST(who_asks_too_often_is_closed),
        SYNC_TEST(malformed_ones_are_refused),
        SYNC_TEST(a_cold_partner_is_dialled_and_closed_again),
        SYNC_TEST(without_memory_nothing_is_answered),
        SYNC_TEST(many_cold_connections_are_closed_bit_by_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
