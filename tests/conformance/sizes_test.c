/* What is sent arrives, byte by byte, up to the limit; above it there is an error at once. */
#include "conformance/pair.h"

#define MIB ((size_t)1 << 20)

static uint8_t large[12000000];
static struct pair p;

static void every_byte_value(void **state)
{
    (void)state;
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    pair_init(&p, 1, pair_echo);
    struct record *r = pair_call(&p, CLIENT, "echo", COVEY_NEVER);
    for (size_t i = 0; i < sizeof bytes; i++)
        assert_int_equal(record_send(r, &bytes[i], 1, false), 0);
    assert_int_equal(record_send(r, bytes, sizeof bytes, true), 0);
    pair_wait(&p, &p.statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_OK);
    assert_int_equal(r->messages, 257);
    assert_int_equal(r->last_size, 256);
    assert_memory_equal(r->last, bytes, sizeof r->last);
    assert_true(r->hash == r->sent_hash);
    record_assert_received_all(r);
    record_assert_received_all(pair_other(r));
    pair_fini(&p);
}

static void every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,     1,     15,    16,  63,      64,      65,
                                   16383, 16384, 16385, MIB, MIB + 1, 4 * MIB, 3};
    for (uint64_t seed = 2; seed < 4; seed++) {
        pair_init(&p, seed, pair_echo);
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            if (seed == 3 && sizes[i] > MIB) /* in pieces of some bytes: it would take long */
                continue;
            struct record *r = pair_call(&p, CLIENT, "echo", COVEY_NEVER);
            assert_int_equal(record_send(r, large + i, sizes[i], true), 0);
            pair_wait(&p, &r->statuses, 1);
            assert_int_equal(r->code, COVEY_STATUS_OK);
            assert_int_equal(r->messages, 1);
            assert_int_equal(r->last_size, sizes[i]);
            assert_true(r->hash == r->sent_hash);
        }
        pair_fini(&p);
    }
}

/* Messages next to each other stay apart, whatever pieces they travel in. */
static void sizes_in_one_stream(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 4; seed++) {
        pair_init(&p, seed, pair_echo);
        struct record *r = pair_call(&p, CLIENT, "echo", COVEY_NEVER);
        for (size_t size = 0; size < 300; size++)
            assert_int_equal(record_send(r, large, size, false), 0);
        assert_int_equal(record_end(r), 0);
        pair_wait(&p, &r->statuses, 1);
        assert_int_equal(r->messages, 300);
        assert_true(r->hash == r->sent_hash);
        pair_fini(&p);
    }
}

static void above_the_senders_limit(void **state)
{
    (void)state;
    pair_init(&p, 1, pair_echo);
    struct record *r = pair_call(&p, CLIENT, "echo", COVEY_NEVER);
    assert_int_equal(record_send(r, large, 4 * MIB + 1, true), COVEY_ERR_TOO_LARGE);
    assert_int_equal(record_send(r, "ok", 2, true), 0);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_OK);
    assert_int_equal(r->messages, 1);
    pair_fini(&p);
}

/* The answer to a request "big" is one; sent when the call is writable. */
static void answer_large(struct record *r, const struct cv_rpc_output *event)
{
    if (strcmp(r->name, "big") != 0) {
        pair_echo(r, event);
        return;
    }
    if (!r->is_client && event->type == CV_RPC_EVENT_END)
        assert_int_equal(record_send(r, large, sizeof large, false), 0);
}

/* Judged by the receiver before the message is there: no time-out, and other calls go on. */
static void above_the_receivers_limit(void **state)
{
    (void)state;
    static const struct {
        size_t size, receive_max;
    } cases[] = {{sizeof large, 4 * MIB}, {4 * MIB + 1, 4 * MIB}, {101, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair_config config;
        pair_config_init(&config, 1);
        config.limits[CLIENT].message_send_max = 16 * MIB;
        config.limits[SERVER].message_receive_max = (uint32_t)cases[i].receive_max;
        pair_init_with(&p, &config, pair_echo);
        struct record *other = pair_call(&p, CLIENT, "echo", COVEY_NEVER);
        assert_int_equal(record_send(other, "a", 1, false), 0);
        pair_wait(&p, &other->messages, 1);

        covey_time before = transport_now(p.transport);
        struct record *r = pair_call(&p, CLIENT, "echo", 30 * COVEY_SECOND);
        assert_int_equal(record_send(r, large, cases[i].size, true), 0);
        pair_wait(&p, &r->statuses, 1);
        assert_int_equal(r->code, COVEY_STATUS_RESOURCE_EXHAUSTED);
        assert_true(r->by_peer);
        assert_true(transport_now(p.transport) - before < 5 * COVEY_SECOND);
        assert_int_equal(pair_other(r)->messages, 0);
        assert_int_equal(pair_other(r)->cancels, 1);
        assert_true(transport_memory_peak(p.transport, SERVER) < 3 * MIB);

        assert_int_equal(record_send(other, large, 100, true), 0);
        pair_wait(&p, &other->statuses, 1);
        assert_int_equal(other->code, COVEY_STATUS_OK);
        pair_fini(&p);
    }
}

static void an_answer_above_the_clients_limit(void **state)
{
    (void)state;
    struct pair_config config;
    pair_config_init(&config, 1);
    config.limits[SERVER].message_send_max = 16 * MIB;
    pair_init_with(&p, &config, answer_large);
    covey_time before = transport_now(p.transport);
    struct record *r = pair_call(&p, CLIENT, "big", 30 * COVEY_SECOND);
    assert_int_equal(record_end(r), 0);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_RESOURCE_EXHAUSTED);
    assert_false(r->by_peer || r->not_started);
    assert_true(transport_now(p.transport) - before < 5 * COVEY_SECOND);
    assert_true(transport_memory_peak(p.transport, CLIENT) < 3 * MIB);
    pair_wait(&p, &p.cancels, 1);

    r = pair_call(&p, CLIENT, "echo", COVEY_NEVER);
    assert_int_equal(record_send(r, "ok", 2, true), 0);
    pair_wait(&p, &r->statuses, 1);
    assert_int_equal(r->code, COVEY_STATUS_OK);
    pair_fini(&p);
}

int main(void)
{
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 31 >> 4);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_value),
        cmocka_unit_test(every_size),
        cmocka_unit_test(sizes_in_one_stream),
        cmocka_unit_test(above_the_senders_limit),
        cmocka_unit_test(above_the_receivers_limit),
        cmocka_unit_test(an_answer_above_the_clients_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
