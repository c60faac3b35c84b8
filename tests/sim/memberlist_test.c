/* The model of memberlist: how one node probes, suspects and refutes. */
#include "memberlist_fixture.h"

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
        cmocka_unit_test(few_nodes_wait_for_no_confirmation),
        cmocka_unit_test(nacks_tell_who_is_ill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
