#include "unit/cluster/core_fixture.h"

#include "cluster/membership_internal.h"

#include <stdio.h>

#define INC        CORE_WALL_MS
#define NUMBERS    128
#define NOBODY     0 /* as the dead one */
#define SEEDS_MAX_ 64

static size_t count_of(const bool *set)
{
    size_t count = 0;
    for (size_t i = 0; i < NUMBERS; i++)
        count += set[i];
    return count;
}

/* Whom probes go to, in as many periods as two rounds over everybody would take. */
static void probed(bool *pinged)
{
    memset(pinged, 0, NUMBERS * sizeof(*pinged));
    core_run_answering(2 * NUMBERS * SEC, NOBODY, CV_MESSAGE_PING, pinged);
}

/* Whom we watch: they get a WATCH in each time of a renewal at the latest, since nobody sends a heartbeat here. */
static void watched(bool *subjects)
{
    memset(subjects, 0, NUMBERS * sizeof(*subjects));
    core_run_answering(CV_WATCH_RENEWAL + 1500 * MS, NOBODY, CV_MESSAGE_WATCH, subjects);
}

/* A cluster of us and `count` others, all of them connected. */
static void begin(uint32_t count, uint32_t watch_count)
{
    struct cv_membership_config config = core_config();
    config.gossip.watch_count = watch_count;
    config.sync_interval = 0;
    core_start_known(&config, count);
    for (uint32_t i = 1; i <= count; i++)
        assert_int_equal(core_connected(i, 0), COVEY_OK);
}

static void a_small_cluster_probes_everybody(void **state)
{
    (void)state;
    bool pinged[NUMBERS];
    begin(49, 5);
    probed(pinged);
    assert_int_equal(count_of(pinged), 49);
}

/* Past the pool's size only ring neighbours are probed: those that we watch, and our watchers. */
static void a_large_one_probes_its_neighbours(void **state)
{
    (void)state;
    bool pinged[NUMBERS], subjects[NUMBERS];
    begin(60, 5);
    watched(subjects);
    assert_int_equal(count_of(subjects), 5);
    probed(pinged);
    assert_memory_equal(pinged, subjects, sizeof(pinged));
    uint32_t watcher = 1;
    while (subjects[watcher])
        watcher++;
    assert_int_equal(core_head(watcher, CV_MESSAGE_WATCH, 0), COVEY_OK);
    memset(pinged, 0, sizeof(pinged));
    core_run_answering(60 * SEC, NOBODY, CV_MESSAGE_PING, pinged);
    subjects[watcher] = true;
    assert_memory_equal(pinged, subjects, sizeof(pinged));
    /* Its time is over. */
    core_run_answering(60 * SEC, NOBODY, CV_MESSAGE_PING, NULL);
    probed(pinged);
    subjects[watcher] = false;
    assert_memory_equal(pinged, subjects, sizeof(pinged));
}

static void says_goodbye(uint32_t number)
{
    const struct cv_message_head leave = {.type = CV_MESSAGE_LEAVE, .incarnation = INC};
    assert_int_equal(core_message(number, &leave, NULL, NULL), COVEY_OK);
}

/* Out at 51 members, and in again at 40: between them it stays as it was. */
static void the_bound_is_crossed_both_ways(void **state)
{
    (void)state;
    bool pinged[NUMBERS], subjects[NUMBERS];
    begin(49, 5);
    core_add_member(50);
    watched(subjects);
    probed(pinged);
    assert_memory_equal(pinged, subjects, sizeof(pinged));
    for (uint32_t i = 50; i > 40; i--)
        says_goodbye(i);
    watched(subjects);
    probed(pinged);
    assert_memory_equal(pinged, subjects, sizeof(pinged));
    says_goodbye(40);
    probed(pinged);
    assert_int_equal(count_of(pinged), 39);
    assert_false(pinged[40]);
    for (uint32_t i = 70; i < 80; i++)
        core_add_member(i);
    probed(pinged);
    assert_int_equal(count_of(pinged), 49);
    core_tell(1, 51, INC, COVEY_NODE_ALIVE, 0);
    watched(subjects);
    probed(pinged);
    subjects[51] = pinged[51]; /* may be watched, and is not connected */
    assert_memory_equal(pinged, subjects, sizeof(pinged));
}

/* One more and one less in the same message: that is once too many, and the neighbours are right. */
static void the_bound_is_touched_within_a_step(void **state)
{
    (void)state;
    bool pinged[NUMBERS], subjects[NUMBERS];
    begin(49, 5);
    struct cv_cluster_node *body = body_of(cv_alloc_default(), 60, INC, 0);
    struct cv_record came = record_of(60, INC, COVEY_NODE_ALIVE, body);
    struct cv_record left = record_of(49, INC, COVEY_NODE_LEFT, NULL);
    assert_int_equal(core_connected(60, 0), COVEY_OK);
    assert_int_equal(
        core_message(1, &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP}, &came, &left),
        COVEY_OK);
    watched(subjects);
    assert_int_equal(count_of(subjects), 5);
    probed(pinged);
    assert_memory_equal(pinged, subjects, sizeof(pinged));
    cv_cluster_node_release(body);
}

/* How many of the first 39 are connected, or dialled. */
static size_t sought(void)
{
    size_t count = 0;
    for (uint32_t i = 1; i < 40; i++)
        count += core_member(i)->link != CV_LINK_NONE;
    return count;
}

/* Back in a full mesh everybody is dialled whose id is above ours: a few at once, and as many in each period. */
static void a_cluster_that_shrinks_is_connected_again(void **state)
{
    (void)state;
    begin(50, 5);
    for (uint32_t i = 50; i > 40; i--)
        says_goodbye(i);
    for (uint32_t i = 10; i < 40; i++)
        core_disconnected(i);
    const size_t before = sought();
    assert_in_range(before, 9, 9 + 10); /* the neighbours among them are dialled already */
    says_goodbye(40);
    assert_int_equal(sought(), before + CV_MESH_DIALS);
    assert_int_equal(core_count(CV_OUTPUT_DIAL), CV_MESH_DIALS);
    core_run(10 * SEC);
    assert_int_equal(sought(), 39);
}

/* Who joins a small cluster dials its neighbours and a few others, not all: they may dial him, or be too many soon. */
static void a_newcomer_dials_a_few_at_once(void **state)
{
    (void)state;
    struct cv_membership_config config = core_config();
    config.gossip.watch_count = 5;
    config.sync_interval = 0;
    core_start_known(&config, 39);
    struct cv_input time = {.type = CV_INPUT_TIME};
    assert_int_equal(core_step(&time), COVEY_OK);
    assert_int_equal(sought(), 5 + CV_MESH_DIALS);
    core_run(SEC - 1);
    assert_in_range(sought(), 5 + 2 * CV_MESH_DIALS - 1, 5 + 2 * CV_MESH_DIALS + 1); /* a probe's */
    core_run(10 * SEC);
    assert_int_equal(sought(), 39);
}

/* A small cluster that is known from before, with us, `self`, among it. */
static void begin_known(uint32_t self, uint32_t count, uint32_t watch_count)
{
    struct cv_membership_config config = core_config();
    config.id = id_of(self);
    config.gossip.watch_count = watch_count;
    config.sync_interval = 0;
    core_start_known(&config, count);
}

/* Notes who was dialled in the last step, and has the dials of those fail who refuse. */
static void refuse_dials(const bool *refuse, bool *dialled)
{
    static uint32_t dials[CORE_OUTPUTS_MAX];
    size_t failed = 0;
    const struct cv_output *output;
    for (size_t i = 0; (output = core_find(CV_OUTPUT_DIAL, i)) != NULL; i++) {
        uint32_t number = core_number(&output->dial.expected);
        dialled[number] = true;
        if (refuse[number])
            dials[failed++] = output->dial.dial;
    }
    while (failed-- > 0)
        assert_int_equal(core_dial_failed(dials[failed], COVEY_ERR_UNREACHABLE), COVEY_OK);
}

/* The members that were dialled at the start refuse. */
static void first_refuse(bool *refuse, bool *dialled)
{
    memset(refuse, 0, NUMBERS * sizeof(*refuse));
    for (size_t i = 0; i < CV_MESH_DIALS; i++)
        refuse[core_number(&core_find(CV_OUTPUT_DIAL, i)->dial.expected)] = true;
    memset(dialled, 0, NUMBERS * sizeof(*dialled));
    refuse_dials(refuse, dialled);
    assert_int_equal(count_of(dialled), CV_MESH_DIALS);
}

/* Members that cannot be reached cost a dial each, and those behind them have their turn. */
static void those_behind_who_refuse_are_dialled(void **state)
{
    (void)state;
    bool refuse[NUMBERS], dialled[NUMBERS];
    begin_known(0, 39, 0);
    first_refuse(refuse, dialled);
    size_t dials = 0;
    const covey_time end = core.now + 39 / CV_MESH_DIALS * SEC;
    while (cv_membership_deadline(core.m) <= end) {
        core_tick();
        dials += core_count(CV_OUTPUT_DIAL);
        refuse_dials(refuse, dialled);
    }
    assert_int_equal(count_of(dialled), 39);
    /* A probe each period may have dialled one of those who refuse again. */
    assert_in_range(dials, 39 - CV_MESH_DIALS, 39 - CV_MESH_DIALS + 39 / CV_MESH_DIALS);
}

/* Those that are kept out are no dials. */
static void those_who_are_banished_take_no_turn(void **state)
{
    (void)state;
    begin_known(0, 39, 0);
    uint32_t next = core_number(&core_find(CV_OUTPUT_DIAL, CV_MESH_DIALS - 1)->dial.expected);
    for (int i = 0; i < CV_MESH_DIALS; i++) {
        next = next % 39 + 1;
        assert_int_equal(core_member(next)->link, CV_LINK_NONE);
        covey_node_id id = id_of(next);
        cv_links_banish(&core.m->gossip.links, &id, core.now);
    }
    assert_int_equal(sought(), CV_MESH_DIALS);
    core_run(SEC);
    assert_in_range(sought(), 2 * CV_MESH_DIALS, 2 * CV_MESH_DIALS + 2); /* and probes' */
}

/* The neighbours wait for nobody's turn, and the others' turns are not theirs. */
static void neighbours_are_dialled_at_once(void **state)
{
    (void)state;
    for (uint32_t count = 10; count < 40; count++) {
        begin_known(0, count, 5);
        const struct cv_gossip_protocol *g = &core.m->gossip;
        assert_int_equal(g->rings.chosen_count, 5);
        for (size_t i = 0; i < g->rings.chosen_count; i++)
            assert_int_equal(core_member(core_number(&g->rings.chosen[i]))->link, CV_LINK_DIALLING);
        assert_int_equal(core_count(CV_OUTPUT_DIAL), 5 + CV_MESH_DIALS);
    }
}

/* The others may not have heard of a newcomer, so it dials even those that have the lower ids; probes alone would
 * take 39 periods. Later it is for them to dial. */
static void a_newcomer_dials_whatever_its_id(void **state)
{
    (void)state;
    begin_known(100, 39, 0);
    assert_int_equal(sought(), CV_MESH_DIALS);
    core_run(39 / CV_MESH_DIALS * SEC);
    assert_int_equal(sought(), 39);
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    core_run(10 * SEC); /* the bucket is full */
    core_tell(1, 50, INC, COVEY_NODE_ALIVE, 0);
    assert_int_equal(core_count(CV_OUTPUT_DIAL), 0);
    assert_int_equal(core_member(50)->link, CV_LINK_NONE);
}

/* One that is back in each period, and so changes the cluster, does not have the pass begin again and again. */
static void a_pass_goes_on_while_others_come(void **state)
{
    (void)state;
    bool refuse[NUMBERS], dialled[NUMBERS];
    begin_known(0, 39, 0);
    first_refuse(refuse, dialled);
    uint32_t teller = 1;
    while (refuse[teller])
        teller++;
    uint32_t comer = teller + 1;
    while (refuse[comer])
        comer++;
    refuse[comer] = true;
    assert_int_equal(core_connected(teller, 0), COVEY_OK);
    for (uint32_t i = 0; i < 39 / CV_MESH_DIALS; i++) {
        const covey_time end = core.now + SEC;
        while (cv_membership_deadline(core.m) <= end) {
            core_tick();
            refuse_dials(refuse, dialled);
        }
        core.now = end;
        core_disconnected(comer);
        core_fail_now(teller, comer, INC + i, -1);
        core_tell(teller, comer, INC + i + 1, COVEY_NODE_ALIVE, -1);
        assert_int_equal(core_state(comer), COVEY_NODE_ALIVE);
        refuse_dials(refuse, dialled);
    }
    dialled[teller] = true;
    assert_int_equal(count_of(dialled), 39);
}

/* Without watches there are no neighbours: whatever the size, everybody has a turn. */
static void without_watches_everybody_is_probed(void **state)
{
    (void)state;
    bool pinged[NUMBERS];
    begin(60, 0);
    probed(pinged);
    assert_int_equal(count_of(pinged), 60);
}

/* Failed and alive again in one message: a neighbour is still a neighbour. */
static void a_neighbour_that_returns_is_probed_again(void **state)
{
    (void)state;
    bool pinged[NUMBERS], subjects[NUMBERS];
    begin(60, 5);
    watched(subjects);
    uint32_t subject = 1, teller = 1;
    while (!subjects[subject])
        subject++;
    teller += subject == 1;
    assert_int_equal(core_disconnected(subject), COVEY_OK);
    core_tell(teller, subject, INC, COVEY_NODE_SUSPECT, -1);
    core_run_answering(1600 * MS, NOBODY, CV_MESSAGE_PING, NULL);
    struct cv_record failed = record_of(subject, INC, COVEY_NODE_FAILED, NULL);
    struct cv_record alive = record_of(subject, INC + 1, COVEY_NODE_ALIVE, NULL);
    assert_int_equal(
        core_message(teller, &(struct cv_message_head){.type = CV_MESSAGE_GOSSIP}, &failed, &alive),
        COVEY_OK);
    assert_int_equal(core_state(subject), COVEY_NODE_ALIVE);
    assert_int_equal(core_connected(subject, 0), COVEY_OK);
    probed(pinged);
    assert_memory_equal(pinged, subjects, sizeof(pinged));
}

/* The most that one step asks for: all seeds are to be found again, and the cluster has just become
 * so small that its members are dialled. */
static void a_step_has_room_for_all_dials_and_seeds(void **state)
{
    (void)state;
    static char names[SEEDS_MAX_][16];
    const char *seeds[SEEDS_MAX_];
    for (int i = 0; i < SEEDS_MAX_; i++) {
        snprintf(names[i], sizeof(names[i]), "s%d:4433", i);
        seeds[i] = names[i];
    }
    struct cv_membership_config config = core_config();
    config.seeds = seeds;
    config.seed_count = SEEDS_MAX_;
    config.sync_interval = 0;
    config.gossip.watch_count = 1;
    config.gossip.protocol_period = 1000 * SEC;
    core_start_known(&config, 50);
    covey_time begun = core.now;
    /* The dials at the start fail; nobody is connected but three, and ten leave. */
    for (uint32_t dial = 1; dial <= 49; dial++)
        assert_int_equal(core_dial_failed(dial, COVEY_ERR_UNREACHABLE), COVEY_OK);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(core_connected(i, 0), COVEY_OK);
    for (uint32_t i = 50; i > 40; i--)
        core_tell(1, i, INC, COVEY_NODE_LEFT, -1);
    core_run(6900 * MS);
    for (uint32_t i = 1; i <= 4; i++) {
        struct cv_record record = record_of(40, INC, COVEY_NODE_SUSPECT, NULL);
        record.status.accuser = id_of(i);
        core_gossip(1, &record);
    }
    assert_int_equal(core.now - begun, 6900 * MS);
    cv_heap_set(&core.m->gossip.heap, &core.m->reconnect.timer, begun + 10 * SEC);
    core_run(2950 * MS);
    assert_int_equal(core_state(40), COVEY_NODE_SUSPECT);
    struct cv_input time = {.type = CV_INPUT_TIME};
    core.now = begun + 10 * SEC;
    assert_int_equal(core_step(&time), COVEY_OK);
    assert_int_equal(core_state(40), COVEY_NODE_FAILED);
    assert_int_equal(core_count(CV_OUTPUT_RESOLVE), SEEDS_MAX_);
    /* And 40 as the failed one. */
    assert_int_equal(core_count(CV_OUTPUT_DIAL), CV_MESH_DIALS + 1);
}

/* The last neighbour fails, the next probe is due, and only then is another neighbour chosen: all in
 * one step. */
static void probes_go_on_after_the_last_neighbour(void **state)
{
    (void)state;
    struct cv_input time = {.type = CV_INPUT_TIME};
    struct cv_membership_config config = core_config();
    config.gossip.protocol_period = 1000 * SEC;
    config.gossip.watch_count = 1;
    config.sync_interval = 0;
    core_start_known(&config, 60);
    core_step(&time);
    struct cv_gossip_protocol *g = &core.m->gossip;
    uint32_t last = core_number(&g->rings.chosen[0]);
    uint32_t teller = last == 1 ? 2 : 1;
    core_connected(teller, 0);
    core_tell(teller, last, INC, COVEY_NODE_SUSPECT, -1);
    assert_int_equal(core_state(last), COVEY_NODE_SUSPECT);
    covey_time end = core_member(last)->trouble->alarm.timer.deadline;
    core_run(end - core.now - 1);
    cv_heap_set(&g->heap, &g->tick.timer, end + 1 * MS);
    core.now = end + 2 * MS;
    core_step(&time);
    assert_int_equal(core_state(last), COVEY_NODE_FAILED);
    assert_int_equal(g->order.count, 1);
    assert_true(cv_timer_is_set(&g->tick.timer));
}

/* A few changes of the neighbours are followed at once; when many come, all that came within a period
 * are looked at together, so most of them cost no handshake. */
static void many_that_come_are_looked_at_together(void **state)
{
    (void)state;
    begin(0, 5);
    size_t dials = 0;
    struct cv_gossip_protocol *g = &core.m->gossip;
    core_add_member(1000);
    for (uint32_t i = 1; i <= 60; i++) {
        core_tell(1000, i, INC, COVEY_NODE_ALIVE, 0);
        dials += core_count(CV_OUTPUT_DIAL);
    }
    assert_int_equal(dials, 3); /* the first change was the one who told us */
    core_run(999 * MS);
    assert_int_equal(g->rings.chosen_count, 4);
    core_tick();
    assert_int_equal(g->rings.chosen_count, 5);
}

/* Gone and back before the rings were looked at again: its watch goes on. */
static void a_watch_outlives_a_short_absence(void **state)
{
    (void)state;
    begin(0, 5);
    struct cv_gossip_protocol *g = &core.m->gossip;
    for (uint32_t i = 1; i <= 3; i++)
        core_add_member(i);
    core_tick();
    covey_node_id id = id_of(2);
    struct cv_watch *watch = cv_watches_subject(&g->watches, &id);
    assert_non_null(watch);
    cv_bucket_init(&g->settles, 1, SEC, core.now);
    assert_true(cv_bucket_take(&g->settles, 1, core.now));
    core_fail_now(1, 2, INC, -1);
    assert_int_equal(core_state(2), COVEY_NODE_FAILED);
    cv_heap_clear(&g->heap, &watch->alarm.timer); /* it came and found nobody */
    core_tell(1, 2, INC + 1, COVEY_NODE_ALIVE, -1);
    core_run(2 * SEC);
    assert_true(watch->is_used);
    assert_true(cv_timer_is_set(&watch->alarm.timer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(a_small_cluster_probes_everybody),
        CORE_TEST(a_large_one_probes_its_neighbours),
        CORE_TEST(the_bound_is_crossed_both_ways),
        CORE_TEST(the_bound_is_touched_within_a_step),
        CORE_TEST(a_cluster_that_shrinks_is_connected_again),
        CORE_TEST(a_newcomer_dials_a_few_at_once),
        CORE_TEST(those_behind_who_refuse_are_dialled),
        CORE_TEST(those_who_are_banished_take_no_turn),
        CORE_TEST(neighbours_are_dialled_at_once),
        CORE_TEST(a_newcomer_dials_whatever_its_id),
        CORE_TEST(a_pass_goes_on_while_others_come),
        CORE_TEST(without_watches_everybody_is_probed),
        CORE_TEST(a_neighbour_that_returns_is_probed_again),
        CORE_TEST(a_step_has_room_for_all_dials_and_seeds),
        CORE_TEST(probes_go_on_after_the_last_neighbour),
        CORE_TEST(many_that_come_are_looked_at_together),
        CORE_TEST(a_watch_outlives_a_short_absence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
