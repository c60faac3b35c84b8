#ifndef TEST_SUPPORT_TEST_QUIC_PAIR_H
#define TEST_SUPPORT_TEST_QUIC_PAIR_H

#include "quic/qcompat.h"
#include "quic/tls.h"

#include <gnutls/gnutls.h>

/*
 * Whole handshakes between two TLS sessions, each under a bare QUIC connection; packets go from one
 * to the other in memory, without loss, and time stands still. Header only, for cmocka tests of
 * quic.
 */
#define TEST_CRYPTO_ERROR 0x100
#define TEST_NOW          (1000 * COVEY_SECOND)
#define TEST_ROUNDS_MAX   32

struct test_side {
    ngtcp2_conn *quic;
    ngtcp2_crypto_conn_ref ref;
    struct cv_tls_session *session;
    gnutls_session_t foreign; /* in place of `session`: another program's client */
    bool broken;
    bool closed;
    uint64_t close_code; /* what the other side said when it closed */
};

struct test_pair {
    struct test_side client;
    struct test_side server;
};

static inline ngtcp2_conn *test_side_conn(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct test_side *)ref->user_data)->quic;
}

static inline void test_pair_fill_rand(uint8_t *bytes, size_t size, const ngtcp2_rand_ctx *context)
{
    (void)context;
    memset(bytes, 7, size);
}

static inline int test_pair_new_cid(ngtcp2_conn *quic, ngtcp2_cid *cid, uint8_t *token, size_t size,
                                    void *user)
{
    static uint8_t next = 16; /* past the ids that a connection begins with */
    (void)quic;
    (void)user;
    cid->datalen = size;
    memset(cid->data, ++next, size);
    memset(token, next, NGTCP2_STATELESS_RESET_TOKENLEN);
    return 0;
}

static inline ngtcp2_callbacks test_pair_make_callbacks(void)
{
    return (ngtcp2_callbacks){
        .client_initial = ngtcp2_crypto_client_initial_cb,
        .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_retry = ngtcp2_crypto_recv_retry_cb,
        .rand = test_pair_fill_rand,
        .get_new_connection_id = test_pair_new_cid,
        .update_key = ngtcp2_crypto_update_key_cb,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    };
}

static inline ngtcp2_path test_pair_the_path(void)
{
    static struct sockaddr_in address = {.sin_family = AF_INET};
    ngtcp2_addr end = {.addr = (ngtcp2_sockaddr *)&address, .addrlen = sizeof address};
    return (ngtcp2_path){.local = end, .remote = end};
}

static inline void test_side_start_quic(struct test_side *side, bool is_server)
{
    static const ngtcp2_cid of_client = {8, {1, 1, 1, 1, 1, 1, 1, 1}};
    static const ngtcp2_cid of_server = {8, {2, 2, 2, 2, 2, 2, 2, 2}};
    static const ngtcp2_cid first = {8, {3, 3, 3, 3, 3, 3, 3, 3}};
    ngtcp2_callbacks callbacks = test_pair_make_callbacks();
    ngtcp2_path path = test_pair_the_path();
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_settings_default(&settings);
    ngtcp2_transport_params_default(&params);
    settings.initial_ts = TEST_NOW;
    int result;
    if (is_server) {
        cv_ngtcp2_set_original_dcid(&params, &first);
        result =
            ngtcp2_conn_server_new(&side->quic, &of_client, &of_server, &path, NGTCP2_PROTO_VER_V1,
                                   &callbacks, &settings, &params, NULL, side);
    } else {
        result = ngtcp2_conn_client_new(&side->quic, &first, &of_client, &path, NGTCP2_PROTO_VER_V1,
                                        &callbacks, &settings, &params, NULL, side);
    }
    assert_int_equal(result, 0);
}

static inline void test_side_start(struct test_side *side, struct cv_tls *tls, bool is_server,
                                   enum cv_alpn alpn, const covey_node_id *expected)
{
    *side = (struct test_side){.ref = {.get_conn = test_side_conn, .user_data = side}};
    test_side_start_quic(side, is_server);
    struct cv_tls_session_config config = {
        .tls = tls,
        .is_server = is_server,
        .alpn = alpn,
        .expected = expected,
        .conn_ref = &side->ref,
    };
    assert_int_equal(cv_tls_session_new(&config, &side->session), 0);
    ngtcp2_conn_set_tls_native_handle(side->quic, cv_tls_session_native(side->session));
}

static inline void test_pair_start(struct test_pair *pair, struct cv_tls *client,
                                   struct cv_tls *server, enum cv_alpn alpn)
{
    test_side_start(&pair->client, client, false, alpn, NULL);
    test_side_start(&pair->server, server, true, CV_ALPN_ID_CLUSTER, NULL);
}

static inline void test_side_stop(struct test_side *side)
{
    ngtcp2_conn_del(side->quic);
    cv_tls_session_free(side->session);
    if (side->foreign != NULL)
        gnutls_deinit(side->foreign);
}

static inline void test_pair_stop(struct test_pair *pair)
{
    test_side_stop(&pair->client);
    test_side_stop(&pair->server);
}

static inline size_t test_pair_write_close(struct test_side *side, uint8_t *packet, size_t size)
{
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info;
    cv_ngtcp2_close why;
    ngtcp2_path_storage_zero(&path);
    cv_ngtcp2_close_set_transport(&why, TEST_CRYPTO_ERROR | ngtcp2_conn_get_tls_alert(side->quic));
    ngtcp2_ssize written = ngtcp2_conn_write_connection_close(side->quic, &path.path, &info, packet,
                                                              size, &why, TEST_NOW);
    assert_true(written > 0);
    side->closed = true;
    return (size_t)written;
}

/* The next packet of a side; 0 when it has nothing to say. */
static inline size_t test_pair_write_packet(struct test_side *side, uint8_t *packet, size_t size)
{
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info;
    if (side->closed)
        return 0;
    if (side->broken)
        return test_pair_write_close(side, packet, size);
    ngtcp2_path_storage_zero(&path);
    ngtcp2_ssize written =
        ngtcp2_conn_write_pkt(side->quic, &path.path, &info, packet, size, TEST_NOW);
    assert_true(written >= 0);
    return (size_t)written;
}

static inline void test_pair_read_packet(struct test_side *side, const uint8_t *packet, size_t size)
{
    ngtcp2_path path = test_pair_the_path();
    ngtcp2_pkt_info info = {0};
    if (side->closed || side->broken)
        return;
    int result = ngtcp2_conn_read_pkt(side->quic, &path, &info, packet, size, TEST_NOW);
    if (result == NGTCP2_ERR_DRAINING) {
        side->closed = true;
        side->close_code = cv_ngtcp2_close_received(side->quic).error_code;
    } else if (result != 0) {
        assert_int_equal(result, NGTCP2_ERR_CRYPTO);
        side->broken = true;
    }
}

static inline bool test_pair_carry(struct test_side *from, struct test_side *to)
{
    uint8_t packet[1500];
    bool any = false;
    size_t size;
    while ((size = test_pair_write_packet(from, packet, sizeof packet)) > 0) {
        test_pair_read_packet(to, packet, size);
        any = true;
    }
    return any;
}

static inline void test_pair_run(struct test_pair *pair)
{
    for (int i = 0; i < TEST_ROUNDS_MAX; i++) {
        bool any = test_pair_carry(&pair->client, &pair->server);
        any = test_pair_carry(&pair->server, &pair->client) || any;
        if (!any)
            return;
    }
    fail_msg("the handshake does not come to an end");
}

#endif
