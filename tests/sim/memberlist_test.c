#include "sim/memberlist.h"

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define MS COVEY_MILLISECOND
#define S  COVEY_SECOND

/* One node of the model, its inputs made by hand, its outputs as text. */
struct one {
    struct sim_memberlist_config config;
    struct sim_memberlist *m;
    char text[4096];
    size_t size;
};

static void say(struct one *o, const char *format, ...) COVEY_PRINTF(2, 3);

static void say(struct one *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(o->text + o->size, sizeof(o->text) - o->size, format, args);
    va_end(args);
    assert_true(size >= 0 && o->size + (size_t)size < sizeof(o->text));
    o->size += (size_t)size;
}

static const char *const kinds[] = {"ping",  "indirect", "ack",  "nack", "suspect",
                                    "alive", "dead",     "push", "pull", "record"};
static const char *const states[] = {"unknown", "alive", "suspect", "dead", "left"};

static void say_item(struct one *o, const struct sim_memberlist_item *i)
{
    switch (i->kind) {
    case SIM_MEMBERLIST_SUSPECT_MESSAGE:
    case SIM_MEMBERLIST_DEAD_MESSAGE:
        say(o, " %s %u.%u by %u", kinds[i->kind], i->subject, i->incarnation, i->from);
        break;
    case SIM_MEMBERLIST_ALIVE_MESSAGE:
        say(o, " alive %u.%u", i->subject, i->incarnation);
        break;
    case SIM_MEMBERLIST_RECORD:
        say(o, " %u.%u %s", i->subject, i->incarnation, states[i->state]);
        break;
    case SIM_MEMBERLIST_INDIRECT_PING:
        say(o, " indirect %u", i->subject);
        break;
    default:
        say(o, " %s", kinds[i->kind]);
        break;
    }
}

static void drain(struct one *o)
{
    struct sim_memberlist_output out;
    while (sim_memberlist_poll(o->m, &out)) {
        if (out.type == SIM_MEMBERLIST_OUTPUT_CHANGE) {
            say(o, "%u is %s.%u\n", out.subject, states[out.state], out.incarnation);
            continue;
        }
        say(o, "%s %u:", out.is_stream ? "stream" : "to", out.peer);
        for (size_t i = 0; i < out.count; i++)
            say_item(o, &out.items[i]);
        say(o, "\n");
    }
}

static void step(struct one *o, struct sim_memberlist_input input)
{
    o->size = 0;
    o->text[0] = '\0';
    sim_memberlist_step(o->m, &input);
    drain(o);
}

static void at(struct one *o, covey_time now)
{
    step(o, (struct sim_memberlist_input){.now = now, .type = SIM_MEMBERLIST_INPUT_TIME});
}

static void hear(struct one *o, covey_time now, uint16_t peer, struct sim_memberlist_item item)
{
    step(o, (struct sim_memberlist_input){.now = now,
                                          .type = SIM_MEMBERLIST_INPUT_MESSAGE,
                                          .peer = peer,
                                          .items = &item,
                                          .count = 1});
}

static struct sim_memberlist_item about(enum sim_memberlist_kind kind, uint16_t subject,
                                        uint16_t incarnation, uint16_t from)
{
    return (struct sim_memberlist_item){
        .kind = (uint8_t)kind, .subject = subject, .incarnation = incarnation, .from = from};
}

static struct sim_memberlist_item answer(enum sim_memberlist_kind kind, uint32_t seq)
{
    return (struct sim_memberlist_item){.kind = (uint8_t)kind, .seq = seq};
}

/* Node 0 of `count`, all known. */
static void begin(struct one *o, uint32_t count)
{
    *o = (struct one){.config = sim_memberlist_config_lan(count)};
    o->m = sim_memberlist_new(&o->config, 0, 0, 1);
    sim_memberlist_assume(o->m, count);
}

static void end(struct one *o)
{
    sim_memberlist_free(o->m);
}

/* The peer of the first line, "to 3: ...". */
static uint16_t first_peer(const struct one *o)
{
    unsigned peer = 0;
    assert_int_equal(sscanf(o->text, "to %u:", &peer), 1);
    return (uint16_t)peer;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *found = text; (found = strstr(found, part)) != NULL; found++)
        count++;
    return count;
}

/* Each round probes everybody once, in another order each time. */
static void probes_go_round(void **state)
{
    (void)state;
    struct one o;
    uint16_t orders[4][7];
    begin(&o, 8);
    for (uint32_t round = 0; round < 4; round++) {
        bool seen[8] = {false};
        for (uint32_t i = 0; i < 7; i++) {
            covey_time now = (round * 7 + i + 1) * S;
            assert_int_equal(sim_memberlist_deadline(o.m) <= now, 1);
            at(&o, now);
            uint16_t peer = first_peer(&o);
            assert_true(peer != 0 && !seen[peer]);
            seen[peer] = true;
            orders[round][i] = peer;
            hear(&o, now + MS, peer, answer(SIM_MEMBERLIST_ACK, round * 7 + i + 1));
            assert_string_equal(o.text, "");
        }
    }
    assert_memory_not_equal(orders[1], orders[2], sizeof(orders[1]));
    end(&o);
}

/* No ack: others are asked and a stream is tried after 500 ms; after 1 s it is suspect. */
static void a_probe_that_fails_makes_a_suspect(void **state)
{
    (void)state;
    struct one o;
    char expected[256];
    begin(&o, 5);
    at(&o, S);
    unsigned target = first_peer(&o);
    assert_int_equal(sim_memberlist_deadline(o.m), 1500 * MS);
    at(&o, 1499 * MS);
    assert_string_equal(o.text, "");
    at(&o, 1500 * MS);
    snprintf(expected, sizeof(expected), ": indirect %u\n", target);
    assert_int_equal(count_of(o.text, expected), 3);
    snprintf(expected, sizeof(expected), "stream %u: ping\n", target);
    assert_int_equal(count_of(o.text, expected), 1);
    /* Two of three say that they have no answer: the third may mean that we are ill. */
    hear(&o, 1900 * MS, 1, answer(SIM_MEMBERLIST_NACK, 1));
    hear(&o, 1900 * MS, 2, answer(SIM_MEMBERLIST_NACK, 1));
    at(&o, 2 * S);
    snprintf(expected, sizeof(expected), "%u is suspect.1\n", target);
    assert_int_equal(strncmp(o.text, expected, strlen(expected)), 0);
    snprintf(expected, sizeof(expected), " suspect %u.1 by 0\n", target);
    assert_true(count_of(o.text, expected) >= 1);
    assert_int_equal(sim_memberlist_score(o.m), 1);
    assert_int_equal(sim_memberlist_state(o.m, (uint16_t)target), SIM_MEMBERLIST_SUSPECT);
    end(&o);
}

static void an_ack_ends_a_probe(void **state)
{
    (void)state;
    const bool streams[] = {false, true};
    for (size_t i = 0; i < 2; i++) {
        struct one o;
        begin(&o, 5);
        at(&o, S);
        uint16_t target = first_peer(&o);
        at(&o, 1500 * MS);
        const struct sim_memberlist_item ack = answer(SIM_MEMBERLIST_ACK, 1);
        /* A relay's ack or one over the stream. */
        step(&o, (struct sim_memberlist_input){.now = 1700 * MS,
                                               .type = SIM_MEMBERLIST_INPUT_MESSAGE,
                                               .peer = 2,
                                               .is_stream = streams[i],
                                               .items = &ack,
                                               .count = 1});
        at(&o, 2 * S);
        assert_int_equal(sim_memberlist_state(o.m, target), SIM_MEMBERLIST_ALIVE);
        assert_int_equal(sim_memberlist_score(o.m), 0);
        end(&o);
    }
}

/* A bad score stretches the probe: the ticks meanwhile are one. */
static void a_bad_score_slows_the_probes(void **state)
{
    (void)state;
    struct one o;
    begin(&o, 5);
    for (uint16_t i = 1; i <= 2; i++)
        hear(&o, i * MS, 2, about(SIM_MEMBERLIST_SUSPECT_MESSAGE, 0, i, 2));
    assert_int_equal(sim_memberlist_score(o.m), 2);
    at(&o, S);
    uint16_t target = first_peer(&o);
    at(&o, 1500 * MS);
    assert_int_equal(count_of(o.text, "stream "), 1); /* the timeout is not stretched */
    at(&o, 2 * S);
    at(&o, 3 * S);
    assert_int_equal(sim_memberlist_state(o.m, target), SIM_MEMBERLIST_ALIVE);
    assert_int_equal(count_of(o.text, "ping"), 0);
    at(&o, 4 * S);
    assert_int_equal(sim_memberlist_state(o.m, target), SIM_MEMBERLIST_SUSPECT);
    assert_int_equal(count_of(o.text, ": ping"), 1); /* the next, at once */
    end(&o);
}

static void pings_are_answered_for_others_too(void **state)
{
    (void)state;
    struct one o;
    struct sim_memberlist_item ping = {.kind = SIM_MEMBERLIST_PING, .seq = 9, .subject = 0};
    struct sim_memberlist_item indirect = {
        .kind = SIM_MEMBERLIST_INDIRECT_PING, .seq = 70, .subject = 3};
    begin(&o, 5);
    hear(&o, MS, 4, ping);
    assert_string_equal(o.text, "to 4: ack\n");
    ping.subject = 1;
    hear(&o, MS, 4, ping);
    assert_string_equal(o.text, ""); /* it is for another */
    hear(&o, 2 * MS, 4, indirect);
    assert_string_equal(o.text, "to 3: ping\n");
    hear(&o, 3 * MS, 3, answer(SIM_MEMBERLIST_ACK, 1));
    assert_string_equal(o.text, "to 4: ack\n");
    hear(&o, 10 * MS, 4, indirect);
    at(&o, 510 * MS);
    assert_string_equal(o.text, "to 4: nack\n");
    hear(&o, 511 * MS, 3, answer(SIM_MEMBERLIST_ACK, 2));
    assert_string_equal(o.text, "");
    end(&o);
}

static void suspicion_follows_the_formula(void **state)
{
    (void)state;
    struct sim_memberlist_config c = sim_memberlist_config_lan(10);
    assert_int_equal(sim_memberlist_suspicion_min(&c, 1), 4 * S);
    assert_int_equal(sim_memberlist_suspicion_min(&c, 10), 4 * S);
    assert_int_equal(sim_memberlist_suspicion_min(&c, 50), 6792 * MS); /* log10 50 = 1.698 */
    assert_int_equal(sim_memberlist_suspicion_min(&c, 100), 8 * S);
    assert_int_equal(sim_memberlist_suspicion_min(&c, 10000), 16 * S);
    /* 24 - log 2 / log 3 * 20 = 11.381 */
    assert_int_equal(sim_memberlist_suspicion_length(0, 2, 4 * S, 24 * S), 24 * S);
    assert_int_equal(sim_memberlist_suspicion_length(1, 2, 4 * S, 24 * S), 11381 * MS);
    assert_int_equal(sim_memberlist_suspicion_length(2, 2, 4 * S, 24 * S), 4 * S);
    assert_int_equal(sim_memberlist_suspicion_length(0, 0, 4 * S, 24 * S), 4 * S);
}

/* Each accuser counts once, and only two are asked for. */
static void confirmations_shorten_a_suspicion(void **state)
{
    (void)state;
    struct one o;
    begin(&o, 10);
    hear(&o, 0, 2, about(SIM_MEMBERLIST_SUSPECT_MESSAGE, 1, 1, 2));
    assert_string_equal(o.text, "1 is suspect.1\n");
    hear(&o, 1 * MS, 2, about(SIM_MEMBERLIST_SUSPECT_MESSAGE, 1, 1, 2));
    hear(&o, 2 * MS, 3, about(SIM_MEMBERLIST_SUSPECT_MESSAGE, 1, 1, 3));
    for (covey_time now = 200 * MS; now < 11381 * MS; now += 200 * MS) {
        at(&o, now);
        assert_int_equal(sim_memberlist_state(o.m, 1), SIM_MEMBERLIST_SUSPECT);
    }
    at(&o, 11381 * MS);
    assert_int_equal(sim_memberlist_state(o.m, 1), SIM_MEMBERLIST_DEAD);
    assert_int_equal(count_of(o.text, "1 is dead.1\n"), 1);
    end(&o);

    begin(&o, 10);
    for (uint16_t from = 2; from <= 4; from++)
        hear(&o, from * 100 * MS, 2, about(SIM_MEMBERLIST_SUSPECT_MESSAGE, 1, 1, from));
    at(&o, 4199 * MS);
    assert_int_equal(sim_memberlist_state(o.m, 1), SIM_MEMBERLIST_SUSPECT);
    at(&o, 4200 * MS); /* since the first */
    assert_int_equal(sim_memberlist_state(o.m, 1), SIM_MEMBERLIST_DEAD);
    assert_true(count_of(o.text, "dead 1.1 by 0") >= 1);
    end(&o);
}

static void accusations_are_refuted(void **state)
{
    (void)state;
    struct one o;
    begin(&o, 5);
    hear(&o, 0, 2, about(SIM_MEMBERLIST_SUSPECT_MESSAGE, 0, 1, 2));
    assert_string_equal(o.text, "0 is alive.2\n");
    hear(&o, 1 * MS, 2, about(SIM_MEMBERLIST_DEAD_MESSAGE, 0, 1, 2));
    assert_string_equal(o.text, ""); /* an old story */
    hear(&o, 2 * MS, 2, about(SIM_MEMBERLIST_DEAD_MESSAGE, 0, 7, 2));
    assert_string_equal(o.text, "0 is alive.8\n");
    hear(&o, 3 * MS, 2, about(SIM_MEMBERLIST_ALIVE_MESSAGE, 0, 9, 0));
    assert_string_equal(o.text, "0 is alive.10\n");
    assert_int_equal(sim_memberlist_score(o.m), 3);
    assert_int_equal(sim_memberlist_queued(o.m), 1); /* only the last word counts */
    end(&o);
}

static void incarnations_decide(void **state)
{
    (void)state;
    struct one o;
    begin(&o, 5);
    hear(&o, 0, 2, about(SIM_MEMBERLIST_SUSPECT_MESSAGE, 1, 1, 2));
    hear(&o, 1 * MS, 2, about(SIM_MEMBERLIST_ALIVE_MESSAGE, 1, 1, 1));
    assert_string_equal(o.text, "");
    hear(&o, 2 * MS, 2, about(SIM_MEMBERLIST_ALIVE_MESSAGE, 1, 2, 1));
    assert_string_equal(o.text, "1 is alive.2\n");
    hear(&o, 3 * MS, 2, about(SIM_MEMBERLIST_SUSPECT_MESSAGE, 1, 1, 2));
    assert_string_equal(o.text, "");
    hear(&o, 4 * MS, 2, about(SIM_MEMBERLIST_DEAD_MESSAGE, 1, 2, 2));
    assert_string_equal(o.text, "1 is dead.2\n");
    hear(&o, 5 * MS, 2, about(SIM_MEMBERLIST_SUSPECT_MESSAGE, 1, 3, 2));
    assert_string_equal(o.text, ""); /* the dead are not suspected */
    hear(&o, 6 * MS, 2, about(SIM_MEMBERLIST_ALIVE_MESSAGE, 1, 3, 1));
    assert_string_equal(o.text, "1 is alive.3\n");
    hear(&o, 7 * MS, 2, about(SIM_MEMBERLIST_DEAD_MESSAGE, 1, 3, 1));
    assert_string_equal(o.text, "1 is left.3\n"); /* it said so itself */
    end(&o);
}

/* A broadcast goes to three nodes each 200 ms, mult * ceil(log10(n + 1)) times in all. */
static void broadcasts_end(void **state)
{
    (void)state;
    struct one o;
    size_t sent = 0;
    begin(&o, 12);
    assert_int_equal(sim_memberlist_retransmit_limit(&o.config, 9), 4);
    assert_int_equal(sim_memberlist_retransmit_limit(&o.config, 12), 8);
    assert_int_equal(sim_memberlist_retransmit_limit(&o.config, 99), 8);
    assert_int_equal(sim_memberlist_retransmit_limit(&o.config, 100), 12);
    hear(&o, 0, 2, about(SIM_MEMBERLIST_DEAD_MESSAGE, 1, 1, 2));
    assert_int_equal(sim_memberlist_deadline(o.m), 200 * MS);
    for (covey_time now = 200 * MS; now <= 800 * MS; now += 200 * MS) {
        at(&o, now);
        sent += count_of(o.text, "dead 1.1 by 2\n");
    }
    assert_int_equal(sent, 8);
    assert_int_equal(sim_memberlist_queued(o.m), 0);
    assert_int_equal(sim_memberlist_deadline(o.m), S); /* no tick of gossip without news */
    end(&o);
}

/* Fresh news go first, and on the back of an ack too. */
static void broadcasts_ride_on_acks(void **state)
{
    (void)state;
    struct one o;
    begin(&o, 5);
    const struct sim_memberlist_item ping = {.kind = SIM_MEMBERLIST_PING, .seq = 1};
    hear(&o, 0, 2, about(SIM_MEMBERLIST_DEAD_MESSAGE, 1, 1, 2));
    hear(&o, 1 * MS, 2, ping);
    assert_string_equal(o.text, "to 2: ack dead 1.1 by 2\n");
    hear(&o, 2 * MS, 2, about(SIM_MEMBERLIST_DEAD_MESSAGE, 3, 1, 2));
    hear(&o, 3 * MS, 2, ping);
    assert_string_equal(o.text, "to 2: ack dead 3.1 by 2 dead 1.1 by 2\n");
    end(&o);
}

static void a_packet_holds_what_fits(void **state)
{
    (void)state;
    struct one o;
    begin(&o, 60);
    /* 47 bytes and 2 more each: 28 fit into 1398. */
    for (uint16_t i = 1; i <= 50; i++)
        hear(&o, 0, 2, about(SIM_MEMBERLIST_DEAD_MESSAGE, i, 1, 59));
    at(&o, 200 * MS);
    assert_int_equal(count_of(o.text, "to "), 3);
    assert_int_equal(count_of(o.text, " dead "), 3 * 28);
    end(&o);
}

static void the_dead_of_a_push_pull_are_suspects(void **state)
{
    (void)state;
    struct one o;
    begin(&o, 5);
    struct sim_memberlist_item items[] = {
        {.kind = SIM_MEMBERLIST_PUSH, .seq = 4},
        {.kind = SIM_MEMBERLIST_RECORD,
         .subject = 1,
         .incarnation = 1,
         .state = SIM_MEMBERLIST_DEAD},
        {.kind = SIM_MEMBERLIST_RECORD,
         .subject = 2,
         .incarnation = 1,
         .state = SIM_MEMBERLIST_LEFT},
        {.kind = SIM_MEMBERLIST_RECORD,
         .subject = 3,
         .incarnation = 6,
         .state = SIM_MEMBERLIST_ALIVE},
        {.kind = SIM_MEMBERLIST_RECORD,
         .subject = 0,
         .incarnation = 1,
         .state = SIM_MEMBERLIST_SUSPECT},
    };
    step(&o, (struct sim_memberlist_input){.type = SIM_MEMBERLIST_INPUT_MESSAGE,
                                           .peer = 4,
                                           .is_stream = true,
                                           .items = items,
                                           .count = 5});
    const char *news = strchr(o.text, '\n') + 1;
    assert_int_equal(strncmp(o.text, "stream 4: pull ", 15), 0);
    assert_int_equal(count_of(o.text, ".1 alive"), 5); /* what it knew before */
    assert_string_equal(news, "1 is suspect.1\n2 is left.1\n3 is alive.6\n0 is alive.2\n");
    end(&o);
}

static void push_pulls_slow_down_with_the_nodes(void **state)
{
    (void)state;
    struct sim_memberlist_config c = sim_memberlist_config_lan(10);
    assert_int_equal(sim_memberlist_push_pull_time(&c, 32), 30 * S);
    assert_int_equal(sim_memberlist_push_pull_time(&c, 33), 60 * S);
    assert_int_equal(sim_memberlist_push_pull_time(&c, 64), 60 * S);
    assert_int_equal(sim_memberlist_push_pull_time(&c, 65), 90 * S);
    assert_int_equal(sim_memberlist_push_pull_time(&c, 10000), 300 * S);
}

/* Against messages that were put together by hand: names of 10 bytes. */
static void sizes_are_those_of_the_encoding(void **state)
{
    (void)state;
    struct sim_memberlist_config c = sim_memberlist_config_lan(10);
    const struct {
        enum sim_memberlist_kind kind;
        size_t size;
    } rows[] = {
        {SIM_MEMBERLIST_PING, 79},
        {SIM_MEMBERLIST_INDIRECT_PING, 105},
        {SIM_MEMBERLIST_ACK, 20},
        {SIM_MEMBERLIST_NACK, 11},
        {SIM_MEMBERLIST_SUSPECT_MESSAGE, 47},
        {SIM_MEMBERLIST_DEAD_MESSAGE, 47},
        {SIM_MEMBERLIST_ALIVE_MESSAGE, 66},
        {SIM_MEMBERLIST_RECORD, 72},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct sim_memberlist_item item = {
            .kind = (uint8_t)rows[i].kind, .seq = 300, .incarnation = 1};
        assert_int_equal(sim_memberlist_item_size(&c, &item), rows[i].size);
    }
    c.meta_size = 64;
    const struct sim_memberlist_item alive = {.kind = SIM_MEMBERLIST_ALIVE_MESSAGE,
                                              .incarnation = 1};
    assert_int_equal(sim_memberlist_item_size(&c, &alive), 132);
}

/* This node and the subject confirm nothing: among three there is nobody to wait for. */
static void few_nodes_wait_for_no_confirmation(void **state)
{
    (void)state;
    const uint32_t counts[] = {3, 4};
    for (size_t i = 0; i < 2; i++) {
        struct one o;
        begin(&o, counts[i]);
        hear(&o, 0, 2, about(SIM_MEMBERLIST_SUSPECT_MESSAGE, 1, 1, 2));
        at(&o, 4 * S - 1);
        assert_int_equal(sim_memberlist_state(o.m, 1), SIM_MEMBERLIST_SUSPECT);
        at(&o, 4 * S);
        assert_int_equal(sim_memberlist_state(o.m, 1),
                         counts[i] == 3 ? SIM_MEMBERLIST_DEAD : SIM_MEMBERLIST_SUSPECT);
        end(&o);
    }
}

/* All who were asked say that they have no answer either: it is not us. Nobody to ask: it may be. */
static void nacks_tell_who_is_ill(void **state)
{
    (void)state;
    struct one o;
    begin(&o, 5);
    at(&o, S);
    at(&o, 1500 * MS);
    for (uint16_t i = 0; i < 3; i++)
        hear(&o, 1900 * MS, 1, answer(SIM_MEMBERLIST_NACK, 1));
    at(&o, 2 * S);
    assert_int_equal(sim_memberlist_score(o.m), 0);
    end(&o);
    begin(&o, 5);
    at(&o, S);
    at(&o, 1500 * MS);
    at(&o, 2 * S);
    assert_int_equal(sim_memberlist_score(o.m), 3);
    end(&o);
    begin(&o, 2);
    at(&o, S);
    at(&o, 1500 * MS);
    assert_string_equal(o.text, "stream 1: ping\n");
    at(&o, 2 * S);
    assert_int_equal(sim_memberlist_score(o.m), 1);
    end(&o);
}

/* Gossip goes to the dead for 30 s; they are not probed, and then forgotten. */
static void the_dead_are_forgotten(void **state)
{
    (void)state;
    struct one o;
    size_t gossip_before = 0;
    uint32_t pings = 0; /* a tick may go by in looking at who is not probed */
    begin(&o, 3);
    hear(&o, 0, 2, about(SIM_MEMBERLIST_DEAD_MESSAGE, 1, 1, 2));
    for (uint32_t i = 1; i <= 30; i++) {
        at(&o, i * S);
        gossip_before += count_of(o.text, "to 1: dead");
        assert_int_equal(count_of(o.text, "to 1: ping"), 0);
        pings += (uint32_t)count_of(o.text, "to 2: ping");
        hear(&o, i * S + MS, 2, answer(SIM_MEMBERLIST_ACK, pings));
        assert_int_equal(sim_memberlist_state(o.m, 1), SIM_MEMBERLIST_DEAD);
    }
    assert_true(gossip_before > 0);
    assert_in_range(pings, 15, 30);
    for (uint32_t i = 31; i <= 33; i++) { /* a new round is among them */
        at(&o, i * S);
        pings += (uint32_t)count_of(o.text, "to 2: ping");
        hear(&o, i * S + MS, 2, answer(SIM_MEMBERLIST_ACK, pings));
    }
    assert_int_equal(sim_memberlist_state(o.m, 1), SIM_MEMBERLIST_UNKNOWN);
    assert_int_equal(sim_memberlist_count(o.m), 2);
    /* Whoever says that it lives tells news, whatever the incarnation. */
    hear(&o, 33 * S + MS, 2, about(SIM_MEMBERLIST_ALIVE_MESSAGE, 1, 1, 1));
    assert_int_equal(count_of(o.text, "1 is alive.1\n"), 1);
    end(&o);
}

/* Headers of 28 bytes; several messages 2 and 2 each; gossip alone has a checksum. */
static void packets_are_as_large_as_their_messages(void **state)
{
    (void)state;
    struct one o;
    struct sim_memberlist_output out;
    const struct sim_memberlist_item ping = {.kind = SIM_MEMBERLIST_PING, .seq = 300};
    struct sim_memberlist_input input = {
        .type = SIM_MEMBERLIST_INPUT_MESSAGE, .peer = 2, .items = &ping, .count = 1};
    begin(&o, 5);
    o.config.has_compression = false;
    sim_memberlist_step(o.m, &input);
    assert_true(sim_memberlist_poll(o.m, &out));
    assert_int_equal(out.wire_size, 28 + 20);
    hear(&o, 0, 2, about(SIM_MEMBERLIST_DEAD_MESSAGE, 1, 1, 2));
    sim_memberlist_step(o.m, &input);
    assert_true(sim_memberlist_poll(o.m, &out));
    assert_int_equal(out.wire_size, 28 + 2 + 2 * 2 + 20 + 47);
    input = (struct sim_memberlist_input){.now = 200 * MS};
    sim_memberlist_step(o.m, &input);
    assert_true(sim_memberlist_poll(o.m, &out));
    assert_int_equal(out.wire_size, 28 + 5 + 47);
    drain(&o);
    end(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probes_go_round),
        cmocka_unit_test(a_probe_that_fails_makes_a_suspect),
        cmocka_unit_test(an_ack_ends_a_probe),
        cmocka_unit_test(a_bad_score_slows_the_probes),
        cmocka_unit_test(pings_are_answered_for_others_too),
        cmocka_unit_test(suspicion_follows_the_formula),
        cmocka_unit_test(confirmations_shorten_a_suspicion),
        cmocka_unit_test(accusations_are_refuted),
        cmocka_unit_test(incarnations_decide),
        cmocka_unit_test(broadcasts_end),
        cmocka_unit_test(broadcasts_ride_on_acks),
        cmocka_unit_test(a_packet_holds_what_fits),
        cmocka_unit_test(the_dead_of_a_push_pull_are_suspects),
        cmocka_unit_test(push_pulls_slow_down_with_the_nodes),
        cmocka_unit_test(few_nodes_wait_for_no_confirmation),
        cmocka_unit_test(nacks_tell_who_is_ill),
        cmocka_unit_test(the_dead_are_forgotten),
        cmocka_unit_test(sizes_are_those_of_the_encoding),
        cmocka_unit_test(packets_are_as_large_as_their_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
