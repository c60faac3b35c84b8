/* Connections retire and end by their age and by their certificates, in virtual time. */
#include "unit/quic/fixture.h"

#define MINUTE     (60 * COVEY_SECOND)
#define HOUR       (60 * MINUTE)
#define KEEP_ALIVE (15 * COVEY_SECOND)
#define STEP       (20 * COVEY_MILLISECOND)

/* A net whose wall clock is the virtual one and a lead. */
struct life {
    struct net n;
    covey_time began;
    int64_t lead_ms;
};

static uint64_t wall_at(const struct life *l, covey_time now)
{
    return TEST_WALL_MS + now / COVEY_MILLISECOND + (uint64_t)l->lead_ms;
}

static void set_wall(struct life *l, covey_time now)
{
    cv_tls_set_wall_ms(l->n.client.tls, wall_at(l, now));
    cv_tls_set_wall_ms(l->n.server.tls, wall_at(l, now));
}

static void run(struct life *l, covey_time duration)
{
    struct test_wire *w = &l->n.wire;
    covey_time limit = w->now + duration;
    bool goes_on = true;
    while (goes_on) {
        test_wire_flush(w);
        covey_time next = test_wire_next(w);
        set_wall(l, next < limit ? next : limit);
        goes_on = test_wire_step(w, limit);
    }
    test_wire_flush(w);
}

/* Runs until the counter moves; how long after the beginning that was, COVEY_NEVER when never. */
static covey_time when(struct life *l, const uint64_t *counter, covey_time limit)
{
    uint64_t before = *counter;
    while (*counter == before && l->n.wire.now - l->began < limit)
        run(l, STEP);
    return *counter == before ? COVEY_NEVER : l->n.wire.now - l->began;
}

static void issue(const char *name, uint64_t life_ms, struct cv_pki_pair *out)
{
    struct cv_pki_issue_config config = test_pki_issue_config(&pki, name, CV_ROLE_MEMBER);
    /* Valid from the moment at which a test's connection is made. */
    config.not_after_ms = TEST_WALL_MS + 1000 + life_ms;
    assert_int_equal(cv_pki_issue(&config, out), 0);
}

/* A connection that is kept alive, made by these certificates and with these ages. */
static void begin(struct life *l, const struct cv_pki_pair *client,
                  const struct cv_pki_pair *server, covey_time client_age, covey_time server_age)
{
    l->lead_ms = 0;
    test_wire_init(&l->n.wire, 1);
    peer_init(&l->n.server, &pki, server, 2);
    peer_init(&l->n.client, &pki, client, 3);
    struct cv_quic_config server_config = peer_config(&l->n.server, true);
    struct cv_quic_config client_config = peer_config(&l->n.client, false);
    server_config.limits.age_max = server_age;
    client_config.limits.age_max = client_age;
    peer_start(&l->n, &l->n.server, &server_config);
    peer_start(&l->n, &l->n.client, &client_config);
    net_dial(&l->n, CV_ALPN_ID_RPC, NULL);
    run(l, 100 * COVEY_MILLISECOND);
    assert_int_equal(l->n.client.ready, 1);
    assert_int_equal(l->n.server.ready, 1);
    l->began = l->n.wire.now;
    cv_quic_conn_set_keep_alive(l->n.client.conn, KEEP_ALIVE);
}

static void an_hour_is_the_age_when_nothing_is_said(void **state)
{
    (void)state;
    struct cv_quic_limits limits;
    cv_quic_limits_init(&limits);
    assert_int_equal(limits.age_max, HOUR);
}

/* Who dialled first, then who accepted, then the end; each once, and nobody counts it as lost. */
static void a_connection_retires_and_ends_at_its_age(void **state)
{
    (void)state;
    struct life l;
    begin(&l, &client_pair, &server_pair, HOUR, HOUR);
    assert_in_range(when(&l, &l.n.client.retiring, HOUR), 40 * MINUTE - COVEY_SECOND, 50 * MINUTE);
    assert_int_equal(l.n.server.retiring, 0);
    assert_in_range(when(&l, &l.n.server.retiring, HOUR), 55 * MINUTE - COVEY_SECOND, 55 * MINUTE);
    assert_non_null(l.n.client.conn);
    assert_in_range(when(&l, &l.n.client.closed, 2 * HOUR), HOUR - COVEY_SECOND, HOUR);
    run(&l, COVEY_SECOND);
    assert_int_equal(l.n.server.closed, 1);
    assert_int_equal(l.n.client.retiring, 1);
    assert_int_equal(l.n.server.retiring, 1);
    const struct peer *peers[2] = {&l.n.client, &l.n.server};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(peers[i]->why.error, COVEY_OK);
        assert_true(peers[i]->why.application);
        assert_int_equal(peers[i]->why.code, CV_QUIC_CODE_AGED);
        assert_int_equal(stats_of(peers[i]).connections_retired, 1);
        assert_int_equal(stats_of(peers[i]).connections_expired, 0);
        assert_int_equal(stats_of(peers[i]).connections_open, 0);
    }
    assert_int_equal(stats_of(&l.n.client).connections_aged +
                         stats_of(&l.n.server).connections_aged,
                     1 + (l.n.client.why.by_peer == l.n.server.why.by_peer));
    net_fini(&l.n);
}

/* Streams go on after retiring, new ones too, and are cut at the end whatever runs. */
static void what_runs_goes_on_until_the_end(void **state)
{
    (void)state;
    struct life l;
    begin(&l, &client_pair, &server_pair, MINUTE, MINUTE);
    l.n.server.echoes = true;
    struct cv_quic_stream *s = open_stream(&l.n.client);
    write_text(s, "coo", false);
    run(&l, COVEY_SECOND);
    assert_int_equal(l.n.client.received, 3);
    assert_int_not_equal(when(&l, &l.n.server.retiring, MINUTE), COVEY_NEVER);
    write_text(s, "coo", false);
    write_text(open_stream(&l.n.client), "coo", true);
    run(&l, COVEY_SECOND);
    assert_int_equal(l.n.client.received, 9);
    assert_int_equal(l.n.client.stream_closed, 1);
    assert_in_range(when(&l, &l.n.client.closed, 2 * MINUTE), MINUTE - COVEY_SECOND, MINUTE);
    assert_int_equal(l.n.client.stream_closed, 2);
    net_fini(&l.n);
}

static void without_a_limit_a_connection_stays(void **state)
{
    (void)state;
    struct life l;
    begin(&l, &client_pair, &server_pair, COVEY_NEVER, COVEY_NEVER);
    run(&l, 3 * HOUR);
    assert_int_equal(l.n.client.retiring + l.n.server.retiring, 0);
    assert_int_equal(l.n.client.closed, 0);
    assert_non_null(l.n.client.conn);
    net_fini(&l.n);
}

/* The earlier end, whoever's certificate it is, is an end for both; each side says why. */
static void nobody_outlives_a_certificate(void **state)
{
    (void)state;
    struct cv_pki_pair brief;
    issue("brief", 2 * 60000, &brief);
    for (int whose = 0; whose < 2; whose++) {
        struct life l;
        begin(&l, whose == 0 ? &brief : &client_pair, whose == 0 ? &server_pair : &brief, HOUR,
              HOUR);
        assert_int_equal(cv_quic_conn_valid_until_ms(l.n.client.conn), TEST_WALL_MS + 121000);
        assert_int_equal(cv_quic_conn_valid_until_ms(l.n.server.conn), TEST_WALL_MS + 121000);
        assert_in_range(when(&l, &l.n.client.retiring, HOUR), 79 * COVEY_SECOND,
                        100 * COVEY_SECOND);
        assert_in_range(when(&l, &l.n.client.closed, HOUR), 119 * COVEY_SECOND, 120 * COVEY_SECOND);
        /* After the end not even a packet is accepted. */
        run(&l, COVEY_SECOND);
        const struct peer *peers[2] = {&l.n.client, &l.n.server};
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(peers[i]->closed, 1);
            assert_int_equal(peers[i]->retiring, 1);
            assert_int_equal(peers[i]->why.error, COVEY_ERR_CERTIFICATE_EXPIRED);
            assert_int_equal(peers[i]->why.code, CV_QUIC_CODE_EXPIRED);
            assert_int_equal(stats_of(peers[i]).connections_aged, 0);
        }
        assert_true(stats_of(&l.n.client).connections_expired +
                        stats_of(&l.n.server).connections_expired >=
                    1);
        net_fini(&l.n);
    }
}

/* The clock is set forward beyond the end: the next turn closes, long before any timer. */
static void a_jump_forward_ends_at_once(void **state)
{
    (void)state;
    struct life l;
    struct cv_pki_pair brief;
    issue("brief", 30 * 60000, &brief);
    begin(&l, &brief, &server_pair, HOUR, HOUR);
    run(&l, MINUTE);
    l.lead_ms = 31 * 60000;
    set_wall(&l, l.n.wire.now);
    assert_int_equal(l.n.client.closed, 0);
    test_wire_flush(&l.n.wire);
    assert_int_equal(l.n.client.closed, 1);
    assert_int_equal(l.n.server.closed, 1);
    assert_int_equal(l.n.client.why.error, COVEY_ERR_CERTIFICATE_EXPIRED);
    net_fini(&l.n);
}

/* Set forward into the margin it retires; set back, it has its time again but stays retiring. */
static void a_jump_is_followed_both_ways(void **state)
{
    (void)state;
    struct life l;
    struct cv_pki_pair brief;
    issue("brief", 30 * 60000, &brief);
    begin(&l, &brief, &server_pair, HOUR, HOUR);
    l.lead_ms = 29 * 60000;
    run(&l, COVEY_SECOND);
    assert_int_equal(l.n.client.retiring, 1);
    assert_int_equal(l.n.server.retiring, 1);
    l.lead_ms = 0;
    run(&l, 2 * MINUTE);
    assert_int_equal(l.n.client.closed, 0);
    assert_in_range(when(&l, &l.n.client.closed, HOUR), 30 * MINUTE - COVEY_SECOND, 30 * MINUTE);
    assert_int_equal(l.n.client.retiring, 1);
    net_fini(&l.n);
}

/* The clock is set back for a year: certificates live longer, age does not. */
static void a_jump_back_does_not_touch_the_age(void **state)
{
    (void)state;
    struct life l;
    begin(&l, &client_pair, &server_pair, HOUR, HOUR);
    l.lead_ms = -(int64_t)(100 * TEST_DAY_MS);
    assert_in_range(when(&l, &l.n.client.closed, 2 * HOUR), HOUR - COVEY_SECOND, HOUR);
    assert_int_equal(l.n.client.why.code, CV_QUIC_CODE_AGED);
    net_fini(&l.n);
}

/* Drift that adds up is no jump but counts like one. */
static void a_clock_that_runs_fast_is_followed(void **state)
{
    (void)state;
    struct life l;
    struct cv_pki_pair brief;
    issue("brief", 10 * 60000, &brief);
    begin(&l, &brief, &server_pair, HOUR, HOUR);
    /* Ten times as fast. */
    while (l.n.client.closed == 0 && l.n.wire.now - l.began < 10 * MINUTE) {
        run(&l, 100 * COVEY_MILLISECOND);
        l.lead_ms += 900;
    }
    assert_in_range(l.n.wire.now - l.began, 59 * COVEY_SECOND, 61 * COVEY_SECOND);
    assert_int_equal(l.n.client.why.error, COVEY_ERR_CERTIFICATE_EXPIRED);
    net_fini(&l.n);
}

/* A server with a shorter age than its client's says so by closing in good order. */
static void the_shorter_age_counts(void **state)
{
    (void)state;
    struct life l;
    begin(&l, &client_pair, &server_pair, HOUR, MINUTE);
    assert_in_range(when(&l, &l.n.server.retiring, HOUR), 54 * COVEY_SECOND, 55 * COVEY_SECOND);
    assert_in_range(when(&l, &l.n.client.closed, HOUR), 59 * COVEY_SECOND, 61 * COVEY_SECOND);
    assert_int_equal(l.n.client.retiring, 0);
    assert_int_equal(l.n.client.why.error, COVEY_OK);
    assert_true(l.n.client.why.by_peer);
    net_fini(&l.n);
}

/* A reload changes what new connections are made with, and nothing about the one that is there. */
static void a_reload_leaves_connections_alone(void **state)
{
    (void)state;
    struct life l;
    struct cv_pki_pair brief;
    char reason[CV_TLS_REASON_SIZE];
    issue("brief", 2 * 60000, &brief);
    begin(&l, &brief, &server_pair, HOUR, HOUR);
    struct cv_pki_issue_config issue_config = test_pki_issue_config(&pki, "brief", CV_ROLE_MEMBER);
    struct cv_pki_pair renewed;
    issue_config.key_pem = brief.key_pem;
    assert_int_equal(cv_pki_issue(&issue_config, &renewed), 0);
    struct cv_tls_config config = {
        .ca_pem = cv_slice_text(pki.ca.cert_pem),
        .cert_pem = cv_slice_text(renewed.cert_pem),
        .key_pem = cv_slice_text(renewed.key_pem),
        .wall_ms = wall_at(&l, l.n.wire.now),
    };
    assert_int_equal(cv_tls_reload(l.n.client.tls, &config, CV_TLS_RENEW, reason), 0);
    const struct cv_quic_conn *old = l.n.client.conn;
    assert_int_equal(cv_quic_conn_valid_until_ms(old), TEST_WALL_MS + 121000);
    assert_int_not_equal(when(&l, &l.n.client.retiring, HOUR), COVEY_NEVER);
    net_dial(&l.n, CV_ALPN_ID_RPC, NULL);
    run(&l, COVEY_SECOND);
    assert_int_equal(l.n.client.ready, 2);
    assert_ptr_not_equal(l.n.client.conn, old);
    assert_int_equal(cv_quic_conn_valid_until_ms(l.n.client.conn), issue_config.not_after_ms);
    cv_quic_conn_set_keep_alive(l.n.client.conn, KEEP_ALIVE);
    run(&l, 10 * MINUTE);
    assert_int_equal(l.n.client.closed, 1);
    assert_non_null(l.n.client.conn);
    net_fini(&l.n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_is_the_age_when_nothing_is_said),
        cmocka_unit_test(a_connection_retires_and_ends_at_its_age),
        cmocka_unit_test(what_runs_goes_on_until_the_end),
        cmocka_unit_test(without_a_limit_a_connection_stays),
        cmocka_unit_test(nobody_outlives_a_certificate),
        cmocka_unit_test(a_jump_forward_ends_at_once),
        cmocka_unit_test(a_jump_is_followed_both_ways),
        cmocka_unit_test(a_jump_back_does_not_touch_the_age),
        cmocka_unit_test(a_clock_that_runs_fast_is_followed),
        cmocka_unit_test(the_shorter_age_counts),
        cmocka_unit_test(a_reload_leaves_connections_alone),
    };
    return cmocka_run_group_tests(tests, make_certificates, NULL);
}
