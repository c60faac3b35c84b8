#include "unit/cluster/core_fixture.h"

#include <stdio.h>

/*
 * Node 1 is watched by us. It is what the switches say, by the clock; what we do about it is
 * written down line by line, each with its time in milliseconds since it joined.
 */
static struct subject {
    bool beats;   /* sends a heartbeat each second */
    bool answers; /* pings */
    covey_time begun;
    covey_time beat_at;
    uint32_t number;
    size_t size;
    char trace[8192];
} subject;

static void note(const char *what)
{
    unsigned ms = (unsigned)((core.now - subject.begun) / MS);
    int size = snprintf(subject.trace + subject.size, sizeof(subject.trace) - subject.size,
                        "%u %s\n", ms, what);
    assert_true(size > 0 && subject.size + (size_t)size < sizeof(subject.trace));
    subject.size += (size_t)size;
}

static void clear_trace(void)
{
    subject.size = 0;
    subject.trace[0] = '\0';
}

static void assert_trace(const char *expected)
{
    assert_string_equal(subject.trace, expected);
    clear_trace();
}

static const char *name_of(const struct cv_output *output)
{
    switch (output->send.bytes.data[0]) {
    case CV_MESSAGE_WATCH:
        return "watch";
    case CV_MESSAGE_UNWATCH:
        return "unwatch";
    case CV_MESSAGE_HEARTBEAT:
        return "heartbeat";
    case CV_MESSAGE_PING:
        return output->send.reliable ? "ping on a stream" : "ping";
    case CV_MESSAGE_PING_REQ:
        return "ping request";
    default:
        return NULL;
    }
}

static const char *event_of(const struct cv_output *output)
{
    if (output->event.type == COVEY_EVENT_HEALTH_CHECK_FAILED)
        return "health check failed";
    return output->event.type == COVEY_EVENT_NODE_FAILED ? "failed" : NULL;
}

/* Notes what the last step did; gives the number of a ping to the subject, 0 for none. */
static uint32_t note_outputs(void)
{
    const covey_node_id id = id_of(1);
    uint32_t ping = 0;
    for (size_t i = 0; i < core.count; i++) {
        const struct cv_output *output = &core.outputs[i].output;
        const char *name = NULL;
        if (output->type == CV_OUTPUT_EVENT)
            name = event_of(output);
        else if (output->type == CV_OUTPUT_DIAL)
            name = "dial";
        else if (output->type == CV_OUTPUT_SEND)
            name = name_of(output);
        if (name != NULL)
            note(name);
        if (output->type != CV_OUTPUT_SEND || !id_equal(&output->send.to, &id))
            continue;
        assert_int_equal(cv_message_read(output->send.bytes, &core.read), COVEY_OK);
        if (core.read.head.type == CV_MESSAGE_PING)
            ping = core.read.head.sequence;
    }
    return ping;
}

static void take_outputs(void)
{
    uint32_t ping = note_outputs();
    if (subject.answers && ping != 0) {
        assert_int_equal(core_head(1, CV_MESSAGE_ACK, ping), COVEY_OK);
        note_outputs();
    }
}

static void beat(void)
{
    subject.number++;
    assert_int_equal(core_head(1, CV_MESSAGE_HEARTBEAT, subject.number), COVEY_OK);
    take_outputs();
}

/* Runs the clock, both sides' timers in their order. */
static void run_to(covey_time ms)
{
    covey_time end = subject.begun + ms * MS;
    for (;;) {
        covey_time deadline = cv_membership_deadline(core.m);
        bool beats = subject.beats && subject.beat_at <= deadline;
        covey_time next = beats ? subject.beat_at : deadline;
        if (next > end)
            break;
        core.now = next > core.now ? next : core.now;
        if (beats) {
            subject.beat_at += SEC;
            beat();
        } else {
            struct cv_input time = {.type = CV_INPUT_TIME};
            assert_int_equal(core_step(&time), COVEY_OK);
            take_outputs();
        }
    }
    core.now = end;
}

/* Long protocol periods: what is seen comes from the watch and not from a probe's turn. */
static struct cv_membership_config watch_config(void)
{
    struct cv_membership_config config = core_config();
    config.gossip.protocol_period = 1000 * SEC;
    config.gossip.gossip_interval = 1000 * SEC;
    config.sync_interval = 0;
    return config;
}

static void begin(const struct cv_membership_config *config)
{
    cv_membership_free(core.m);
    core_start(config);
    core_add_member(1);
    subject = (struct subject){.begun = core.now, .beat_at = core.now + SEC, .answers = true};
}

static void begin_as_usual(void)
{
    struct cv_membership_config config = watch_config();
    begin(&config);
}

/* Until the first heartbeat it is asked each interval, then each 30 s. */
static void a_watch_is_asked_for_and_renewed(void **state)
{
    (void)state;
    begin_as_usual();
    run_to(2500);
    assert_trace("0 watch\n1000 watch\n2000 watch\n");
    subject.beats = true;
    subject.beat_at = subject.begun + 3 * SEC;
    run_to(70000);
    assert_trace("32000 watch\n62000 watch\n");
    assert_int_equal(core_stats().heartbeats_received, 68);
    assert_int_equal(core_stats().silences, 0);
}

/* One that never heard of our watch is not accused for its silence. */
static void who_never_beat_is_not_silent(void **state)
{
    (void)state;
    begin_as_usual();
    subject.answers = false;
    run_to(20000);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    assert_int_equal(core_stats().probes_sent, 0);
    assert_int_equal(core_stats().silences, 0);
}

/* Heartbeats each second: phi is 4 at 1.372 s of silence and 8 at 1.561 s. The probe has half a
 * second, so it is what decides. */
static void silence_is_probed_and_then_suspected(void **state)
{
    (void)state;
    begin_as_usual();
    core_add_member(2);
    run_to(100);
    assert_trace("0 watch\n0 watch\n");
    subject.beats = true;
    run_to(10500);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    subject.beats = subject.answers = false;
    run_to(11371);
    clear_trace();
    run_to(11870);
    /* Node 2, which does not beat yet, is asked each second too. */
    assert_trace("11371 watch\n11371 ping\n11371 ping request\n11371 ping on a stream\n");
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    run_to(11990);
    assert_trace("11871 health check failed\n");
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
    assert_int_equal(core_stats().silences, 1);
    run_to(15000);
    assert_int_equal(core_state(1), COVEY_NODE_FAILED);
}

/* A probe that is over early leaves the word to phi. */
static void an_unanswered_probe_alone_does_not_suspect(void **state)
{
    (void)state;
    struct cv_membership_config config = watch_config();
    config.gossip.indirect_timeout = 100 * MS;
    begin(&config);
    subject.beats = true;
    run_to(10500);
    subject.beats = subject.answers = false;
    run_to(11561);
    assert_int_equal(core_stats().probes_failed, 1);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    run_to(11562);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* It answers: its heartbeats are lost, and it is not. It is asked to send them again, and probed by
 * all means every other period. */
static void an_answered_probe_suspects_nobody(void **state)
{
    (void)state;
    struct cv_membership_config config = watch_config();
    config.gossip.protocol_period = 10 * SEC;
    begin(&config);
    subject.beats = true;
    run_to(10500);
    subject.beats = false;
    clear_trace();
    run_to(60000);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    assert_int_equal(core_stats().silences, 0);
    assert_int_equal(core_stats().suspicions, 0);
    size_t count = 0;
    for (const char *at = subject.trace; (at = strstr(at, "ping on a stream")) != NULL; at++)
        count++;
    assert_int_equal(count, 3);
    assert_non_null(strstr(subject.trace, "11371 ping on a stream\n"));
    assert_non_null(strstr(subject.trace, "31371 ping on a stream\n"));
    assert_non_null(strstr(subject.trace, "51371 ping on a stream\n"));
}

/* FD2, FD6: four samples say nothing; the ordinary probes are there for that. */
static void few_samples_say_nothing(void **state)
{
    (void)state;
    struct cv_membership_config config = watch_config();
    begin(&config);
    subject.beats = true;
    run_to(5500); /* five heartbeats, four times between them */
    subject.beats = subject.answers = false;
    run_to(29000);
    assert_int_equal(core_stats().probes_sent, 0);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    config.gossip.protocol_period = SEC;
    begin(&config);
    subject.beats = true;
    run_to(5500);
    subject.beats = subject.answers = false;
    run_to(9500);
    assert_int_equal(core_stats().silences, 0);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* A gap of k numbers is k intervals: lost heartbeats are not late ones. */
static void lost_heartbeats_are_not_late_ones(void **state)
{
    (void)state;
    begin_as_usual();
    subject.beats = true;
    for (covey_time s = 1; s <= 30; s++) {
        run_to(s * 1000);
        if (s > 10 && s % 2 == 1)
            subject.beat_at += SEC, subject.number++;
    }
    /* Half of them were lost: probes, all answered, but the mean is still a second. */
    assert_int_equal(core_stats().silences, 0);
    uint64_t probes = core_stats().probes_sent;
    subject.beats = subject.answers = false;
    covey_time last = subject.beat_at - 2 * SEC - subject.begun;
    run_to(last / MS + 1371 + 1000);
    assert_true(core_stats().probes_sent >= probes);
    run_to(last / MS + 3000);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* A number that comes late, twice, or from far behind tells nothing. */
static void late_numbers_tell_nothing(void **state)
{
    (void)state;
    begin_as_usual();
    subject.beats = true;
    run_to(10100);
    subject.beats = subject.answers = false;
    core.now += 800 * MS;
    assert_int_equal(core_head(1, CV_MESSAGE_HEARTBEAT, subject.number), COVEY_OK);
    assert_int_equal(core_head(1, CV_MESSAGE_HEARTBEAT, subject.number - 1), COVEY_OK);
    assert_int_equal(core_head(1, CV_MESSAGE_HEARTBEAT, subject.number + UINT32_MAX / 2 + 1),
                     COVEY_OK);
    run_to(12000);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* The largest step that counts, and the wrap of the number. */
static void wild_numbers_do_no_harm(void **state)
{
    (void)state;
    begin_as_usual();
    subject.beats = true;
    for (int i = 0; i < 5; i++) {
        run_to((core.now - subject.begun) / MS + 1000);
        subject.number += UINT32_MAX / 2 - 1;
    }
    run_to(12000);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    assert_int_equal(core_stats().silences, 0);
    subject.number = UINT32_MAX - 1;
    assert_int_equal(core_disconnected(1), COVEY_OK);
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    run_to(20500);
    assert_int_equal(core_stats().silences, 0);
    subject.beats = subject.answers = false;
    run_to(22000);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* D11, FD4: our own pause is no silence of its, and what it holds is no sample: heartbeats that
 * waited come all at once, and the next one too early. */
static void our_own_pause_is_no_silence(void **state)
{
    (void)state;
    begin_as_usual();
    subject.beats = true;
    run_to(20000);
    uint64_t probes = core_stats().probes_sent;
    core.now += 10200 * MS;
    for (int i = 0; i < 10; i++) {
        subject.beat_at += SEC;
        beat();
    }
    run_to(60000);
    assert_int_equal(core_stats().silences, 0);
    assert_int_equal(core_stats().probes_sent, probes);
    /* The rhythm is still that of before: silence is seen as soon as ever. */
    subject.beats = subject.answers = false;
    run_to(61371);
    assert_int_equal(core_stats().probes_sent, probes);
    run_to(61373);
    assert_int_equal(core_stats().probes_sent, probes + 1);
    run_to(61900);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* It died while we paused: it gets its full time from now on. */
static void silence_after_a_pause_begins_with_its_end(void **state)
{
    (void)state;
    begin_as_usual();
    subject.beats = true;
    run_to(20100);
    subject.beats = subject.answers = false;
    core.now += 10 * SEC; /* 30.1 s */
    struct cv_input time = {.type = CV_INPUT_TIME};
    assert_int_equal(core_step(&time), COVEY_OK);
    take_outputs();
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    run_to(30100 + 1371);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    run_to(30100 + 1372 + 500);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* A node that was started again counts from 1; its new connection took the place of the old one. */
static void a_new_connection_begins_a_new_count(void **state)
{
    (void)state;
    begin_as_usual();
    subject.beats = true;
    run_to(50000);
    uint64_t probes = core_stats().probes_sent;
    subject.number = 0;
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    assert_non_null(core_sent(1, CV_MESSAGE_WATCH, NULL));
    run_to(100000);
    assert_int_equal(core_stats().probes_sent, probes);
    assert_int_equal(core_stats().silences, 0);
    subject.beats = subject.answers = false;
    run_to(102000);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* A connection seldom ends for nothing: it is dialled and probed at once. */
static void a_lost_connection_is_probed(void **state)
{
    (void)state;
    begin_as_usual();
    subject.beats = true;
    run_to(10000);
    subject.beats = false;
    assert_int_equal(core_disconnected(1), COVEY_OK);
    const struct cv_output *dial = core_find(CV_OUTPUT_DIAL, 0);
    assert_non_null(dial);
    assert_int_equal(core_dial_failed(dial->dial.dial, COVEY_ERR_UNREACHABLE), COVEY_OK);
    core_run(500 * MS);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
    assert_int_equal(core_stats().silences, 0);
}

/* The watch dials by itself, again each interval. */
static void who_is_watched_is_dialled(void **state)
{
    (void)state;
    begin_as_usual();
    run_to(100);
    for (int i = 0; i < 3; i++) {
        core_disconnected(1);
        const struct cv_output *dial = core_find(CV_OUTPUT_DIAL, 0);
        while (dial == NULL) {
            core_tick();
            dial = core_find(CV_OUTPUT_DIAL, 0);
        }
        assert_int_equal(core_connected(1, dial->dial.dial), COVEY_OK);
        assert_non_null(core_sent(1, CV_MESSAGE_WATCH, NULL));
    }
}

/* A probe may take longer than a period: its verdict counts all the same. */
static void a_slow_probe_has_its_verdict(void **state)
{
    (void)state;
    struct cv_membership_config config = watch_config();
    config.gossip.protocol_period = SEC;
    config.gossip.indirect_timeout = 1500 * MS;
    begin(&config);
    subject.beats = true;
    run_to(10500);
    subject.beats = subject.answers = false;
    run_to(12870);
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    run_to(12872);
    assert_int_equal(core_state(1), COVEY_NODE_SUSPECT);
}

/* Neither a heartbeat nor a connection brings a watch back to life. */
static void who_leaves_watches_nobody(void **state)
{
    (void)state;
    struct cv_membership_config config = watch_config();
    config.leave_timeout = 1000 * SEC;
    begin(&config);
    core_add_member(2);
    core_head(1, CV_MESSAGE_WATCH, 0);
    core_head(2, CV_MESSAGE_WATCH, 0);
    subject.beats = true;
    run_to(10500);
    assert_int_equal(core_command(CV_COMMAND_LEAVE, NULL, NULL), COVEY_OK);
    subject.size = 0;
    subject.trace[0] = '\0';
    uint64_t sent = core_stats().heartbeats_sent;
    assert_int_equal(core_head(1, CV_MESSAGE_HEARTBEAT, ++subject.number), COVEY_OK);
    assert_int_equal(core_connected(1, 0), COVEY_OK);
    assert_null(core_sent(1, CV_MESSAGE_WATCH, NULL));
    assert_int_equal(core_disconnected(2), COVEY_OK);
    assert_int_equal(core_count(CV_OUTPUT_DIAL), 0);
    subject.beats = subject.answers = false;
    core_head(1, CV_MESSAGE_WATCH, 0);
    run_to(60000);
    assert_trace("");
    assert_int_equal(core_state(1), COVEY_NODE_ALIVE);
    assert_int_equal(core_stats().heartbeats_sent, sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(a_watch_is_asked_for_and_renewed),
        CORE_TEST(who_never_beat_is_not_silent),
        CORE_TEST(silence_is_probed_and_then_suspected),
        CORE_TEST(an_unanswered_probe_alone_does_not_suspect),
        CORE_TEST(an_answered_probe_suspects_nobody),
        CORE_TEST(few_samples_say_nothing),
        CORE_TEST(lost_heartbeats_are_not_late_ones),
        CORE_TEST(late_numbers_tell_nothing),
        CORE_TEST(wild_numbers_do_no_harm),
        CORE_TEST(our_own_pause_is_no_silence),
        CORE_TEST(silence_after_a_pause_begins_with_its_end),
        CORE_TEST(a_new_connection_begins_a_new_count),
        CORE_TEST(a_lost_connection_is_probed),
        CORE_TEST(who_is_watched_is_dialled),
        CORE_TEST(a_slow_probe_has_its_verdict),
        CORE_TEST(who_leaves_watches_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
