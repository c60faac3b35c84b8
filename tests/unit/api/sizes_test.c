#define _POSIX_C_SOURCE 200809L

/* The largest messages. */
#include "unit/api/scales.h"

static void twelve_megabytes_against_a_limit_are_an_error(void **state)
{
    (void)state;
    const struct sizes usual_server = {64 * MIB, 4 * MIB, 4 * MIB, 64 * MIB};
    struct scales *s = scales_new(&usual_server);
    unsigned char *bytes = bytes_of(12 * MIB);
    struct covey_call_options options = options_within(COVEY_NEVER); /* it must not need one */
    expect_echo_of(s, bytes, 4 * MIB);
    expect_reply(call_with(s->client, "echo", bytes, 12 * MIB, &options),
                 COVEY_STATUS_RESOURCE_EXHAUSTED, "");
    expect_reply(call_with(s->client, "echo", bytes, 4 * MIB + 1, &options),
                 COVEY_STATUS_RESOURCE_EXHAUSTED, "");
    expect_echo_of(s, bytes, 4 * MIB);
    assert_int_equal(client_stats_of(s->client).connections_opened, 1);
    scales_free(s);

    const struct sizes usual_client = {64 * MIB, 64 * MIB, 64 * MIB, 4 * MIB};
    s = scales_new(&usual_client);
    expect_reply(call_with(s->client, "echo", bytes, 12 * MIB, &options),
                 COVEY_STATUS_RESOURCE_EXHAUSTED, "");
    expect_echo_of(s, bytes, 4 * MIB);
    scales_free(s);
    free(bytes);
}

static void small_limits(void **state)
{
    (void)state;
    const struct sizes sizes = {10, 20, 15, 100};
    struct scales *s = scales_new(&sizes);
    unsigned char *bytes = bytes_of(100);
    struct covey_reply reply;
    covey_stream *stream;
    expect_echo_of(s, bytes, 10);
    assert_int_equal(covey_client_call(s->client, "echo", bytes, 11, NULL, &reply),
                     COVEY_ERR_TOO_LARGE);
    assert_int_equal(covey_client_stream(s->client, "keep", bytes, 11, NULL, &stream),
                     COVEY_ERR_TOO_LARGE);
    assert_int_equal(covey_client_stream(s->client, "keep", bytes, 10, NULL, &stream), 0);
    covey_call *call = kept_take(&s->kept);
    assert_int_equal(covey_stream_send(stream, bytes, 11), COVEY_ERR_STATE);
    assert_int_equal(covey_call_send(call, bytes, 15), 0);
    assert_int_equal(covey_call_send(call, bytes, 16), COVEY_ERR_TOO_LARGE);
    expect_message(stream, bytes, 15);
    covey_call_reply(call, bytes, 16); /* what cannot be sent ends it */
    expect_over(stream, COVEY_STATUS_RESOURCE_EXHAUSTED, "too large");
    covey_stream_free(stream);
    assert_int_equal(covey_client_open(s->client, "keep_stream", NULL, &stream), 0);
    assert_int_equal(covey_stream_send(stream, bytes, 11), COVEY_ERR_TOO_LARGE);
    assert_int_equal(covey_stream_send(stream, bytes, 10), 0);
    call = kept_take(&s->kept);
    covey_stream_free(stream);
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    scales_free(s);
    free(bytes);
}

static void sixty_four_megabytes_both_ways(void **state)
{
    (void)state;
    const struct sizes sizes = {64 * MIB, 64 * MIB, 64 * MIB, 64 * MIB};
    struct scales *s = scales_new(&sizes);
    unsigned char *bytes = bytes_of(64 * MIB);
    expect_echo_of(s, bytes, 64 * MIB);
    struct covey_reply reply;
    assert_int_equal(covey_client_call(s->client, "echo", bytes, 64 * MIB + 1, NULL, &reply),
                     COVEY_ERR_TOO_LARGE);
    scales_free(s);
    free(bytes);
}

static void a_limit_is_from_one_byte_to_64_mib(void **state)
{
    (void)state;
    static struct world w;
    struct covey_server_config server;
    struct covey_client_config client;
    covey_server *made_server;
    covey_client *made_client;
    const size_t bad[] = {0, 64 * MIB + 1, SIZE_MAX};
    world_init(&w);
    covey_identity *owl = world_identity(&w, "owl", COVEY_ROLE_MEMBER);
    for (int i = 0; i < 3; i++) {
        server_config_of(&w, owl, &server);
        server.message_send_max = bad[i];
        assert_int_equal(covey_server_new(&server, &made_server), COVEY_ERR_INVALID_ARGUMENT);
        server_config_of(&w, owl, &server);
        server.message_receive_max = bad[i];
        assert_int_equal(covey_server_new(&server, &made_server), COVEY_ERR_INVALID_ARGUMENT);
        client_config_of(&w, owl, "127.0.0.1:1", &client);
        client.message_send_max = bad[i];
        assert_int_equal(covey_client_new(&client, &made_client), COVEY_ERR_INVALID_ARGUMENT);
        client_config_of(&w, owl, "127.0.0.1:1", &client);
        client.message_receive_max = bad[i];
        assert_int_equal(covey_client_new(&client, &made_client), COVEY_ERR_INVALID_ARGUMENT);
    }
    covey_identity_free(owl);
    world_fini(&w);
}

/* ---- slow readers ---- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twelve_megabytes_against_a_limit_are_an_error),
        cmocka_unit_test(small_limits),
        cmocka_unit_test(sixty_four_megabytes_both_ways),
        cmocka_unit_test(a_limit_is_from_one_byte_to_64_mib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
