/* The model of memberlist: what one node sends of news, and how large its messages are. */
#include "memberlist_fixture.h"

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
        cmocka_unit_test(broadcasts_end),
        cmocka_unit_test(broadcasts_ride_on_acks),
        cmocka_unit_test(a_packet_holds_what_fits),
        cmocka_unit_test(the_dead_of_a_push_pull_are_suspects),
        cmocka_unit_test(push_pulls_slow_down_with_the_nodes),
        cmocka_unit_test(the_dead_are_forgotten),
        cmocka_unit_test(sizes_are_those_of_the_encoding),
        cmocka_unit_test(packets_are_as_large_as_their_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
