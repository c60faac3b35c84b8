/* Many calls on one connection: each has its own outcome, in its own time. */
#include "conformance/pair.h"

#include <stdio.h>
#include <stdlib.h>

static struct pair p;

/* ---- some fail ---- */

static void every_second_fails(struct record *r, const struct cv_rpc_output *event)
{
    if (r->is_client || event->type != CV_RPC_EVENT_END)
        return;
    char text[32];
    snprintf(text, sizeof text, "no %zu", r->number);
    if (r->number % 2 == 0) {
        assert_int_equal(record_finish(r, COVEY_STATUS_NOT_FOUND, text), 0);
        return;
    }
    assert_int_equal(record_send(r, r->last, r->last_size, false), 0);
    assert_int_equal(record_finish(r, COVEY_STATUS_OK, ""), 0);
}

static void of_twenty_exactly_ten_fail(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        pair_init(&p, seed, every_second_fails);
        struct record *r[20];
        for (size_t i = 0; i < 20; i++) {
            r[i] = pair_call(&p, CLIENT, "half", 10 * COVEY_SECOND);
            assert_int_equal(record_send(r[i], &i, sizeof i, true), 0);
        }
        pair_wait(&p, &p.statuses, 20);
        size_t failed = 0;
        for (size_t i = 0; i < 20; i++) {
            char text[32];
            snprintf(text, sizeof text, "no %zu", i);
            failed += r[i]->code != COVEY_STATUS_OK;
            assert_int_equal(r[i]->code, i % 2 == 0 ? COVEY_STATUS_NOT_FOUND : COVEY_STATUS_OK);
            assert_string_equal(r[i]->text, i % 2 == 0 ? text : "");
            assert_int_equal(r[i]->messages, i % 2);
            if (i % 2 == 1)
                assert_memory_equal(r[i]->last, &i, sizeof i);
        }
        assert_int_equal(failed, 10);
        pair_fini(&p);
    }
}

/* ---- the last is answered first ---- */

static size_t order[64], ordered;

static void note_the_order(struct record *r, const struct cv_rpc_output *event)
{
    if (r->is_client && event->type == CV_RPC_EVENT_STATUS)
        order[ordered++] = r->number;
}

static void answers_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        ordered = 0;
        pair_init(&p, seed, note_the_order);
        for (size_t i = 0; i < 50; i++)
            assert_int_equal(record_end(pair_call(&p, CLIENT, "held", COVEY_NEVER)), 0);
        pair_wait(&p, &p.ends, 50);
        assert_int_equal(p.statuses, 0);
        for (size_t i = 50; i-- > 0;) {
            struct record *server = pair_other(p.records[CLIENT][i]);
            assert_int_equal(record_finish(server, COVEY_STATUS_OK, ""), 0);
            pair_wait(&p, &p.statuses, 50 - i);
        }
        for (size_t i = 0; i < 50; i++)
            assert_int_equal(order[i], 49 - i);
        pair_fini(&p);
    }
}

/* ---- ten thousand at once ---- */

#define MANY 10000

static void hold(struct record *r, const struct cv_rpc_output *event)
{
    (void)r;
    (void)event;
}

static void ten_thousand_are_open_at_once(void **state)
{
    (void)state;
    struct pair_config config;
    pair_config_init(&config, 1);
    config.streams_max = MANY;
    config.limits[SERVER].calls_max = MANY;
    pair_init_with(&p, &config, hold);
    for (size_t i = 0; i < MANY; i++) {
        struct record *r = pair_call(&p, CLIENT, "held", COVEY_NEVER);
        assert_int_equal(record_send(r, &i, sizeof i, true), 0);
    }
    pair_wait(&p, &p.ends, MANY);
    assert_int_equal(p.calls, MANY);
    assert_int_equal(p.messages[SERVER], MANY);
    assert_int_equal(p.statuses, 0);
    assert_int_equal(transport_count(p.transport, CLIENT), MANY);
    assert_int_equal(transport_count(p.transport, SERVER), MANY);
    for (size_t i = 0; i < MANY; i++) {
        struct record *r = p.records[SERVER][i];
        assert_int_equal(record_send(r, r->last, r->last_size, false), 0);
        assert_int_equal(record_finish(r, COVEY_STATUS_OK, ""), 0);
    }
    pair_wait(&p, &p.statuses, MANY);
    for (size_t i = 0; i < MANY; i++) {
        const struct record *r = p.records[CLIENT][i];
        assert_int_equal(r->code, COVEY_STATUS_OK);
        assert_int_equal(r->messages, 1);
        assert_memory_equal(r->last, &i, sizeof i);
    }
    pair_fini(&p);
}

/* Above the peer's streams calls wait their turn; above its limit of calls they are refused. */
static void more_than_the_peer_allows(void **state)
{
    (void)state;
    struct pair_config config;
    pair_config_init(&config, 1);
    config.streams_max = 20;
    config.limits[SERVER].calls_max = 10;
    pair_init_with(&p, &config, hold);
    for (size_t i = 0; i < 30; i++)
        assert_int_equal(record_end(pair_call(&p, CLIENT, "held", COVEY_NEVER)), 0);
    /* Those that are refused make room for those that wait. */
    pair_wait(&p, &p.statuses, 20);
    pair_run(&p, COVEY_SECOND);
    assert_int_equal(p.calls, 10);
    assert_int_equal(p.statuses, 20);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(record_finish(p.records[SERVER][i], COVEY_STATUS_OK, ""), 0);
    pair_wait(&p, &p.statuses, 30);
    for (size_t i = 0; i < 30; i++) {
        const struct record *r = p.records[CLIENT][i];
        bool served = pair_other(r) != NULL;
        assert_int_equal(r->code, served ? COVEY_STATUS_OK : COVEY_STATUS_RESOURCE_EXHAUSTED);
        assert_true(r->by_peer && !r->not_started);
    }
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_twenty_exactly_ten_fail),
        cmocka_unit_test(answers_in_any_order),
        cmocka_unit_test(ten_thousand_are_open_at_once),
        cmocka_unit_test(more_than_the_peer_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
