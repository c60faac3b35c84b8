#include "quic/endpoint_internal.h"

#include <assert.h>
#include <covey/error.h>

/* One more connection id each half minute: a client behind a restless NAT stays, a peer that
 * retires ids without end goes. The library (below 1.1) keeps every NEW_CONNECTION_ID that is not
 * acknowledged. */
#define IDS_INTERVAL (30 * COVEY_SECOND)

/* Frames that carry nothing for the application: about path, ids, tokens (RELIABILITY: glitches).
 */
#define CONTROL_FRAMES_BURST    1000
#define CONTROL_FRAMES_INTERVAL (COVEY_SECOND / 33)

/* Ids of the peer that we keep; each costs it one of ours in return. */
#define PEER_IDS_MAX 4

static ngtcp2_conn *native_of_ref(ngtcp2_crypto_conn_ref *ref)
{
    struct cv_quic_conn *c = ref->user_data;
    return c->native;
}

static struct cv_quic_conn *new_conn(struct cv_quic_endpoint *e)
{
    uint64_t multiplier;
    if (cv_heap_reserve(&e->timers, e->conn_count + 1) != COVEY_OK)
        return NULL;
    struct cv_quic_conn *c = cv_allocate_zeroed(e->alloc, 1, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->endpoint = e;
    c->ref = (ngtcp2_crypto_conn_ref){.get_conn = native_of_ref, .user_data = c};
    cv_endpoint_random(e, &multiplier, sizeof(multiplier));
    cv_stream_table_init(&c->table, e->alloc, multiplier);
    cv_frame_guard_init(&c->guard);
    c->packet_size_max = CV_QUIC_PACKET_SIZE_MAX;
    c->probe_at = COVEY_NEVER;
    c->life_at = e->now + e->config.limits.handshake_timeout;
    cv_bucket_init(&c->ids_issued, e->config.limits.connection_ids_max, IDS_INTERVAL, e->now);
    cv_bucket_init(&c->control_frames, CONTROL_FRAMES_BURST, CONTROL_FRAMES_INTERVAL, e->now);
    cv_ring_init(&c->datagrams, e->alloc, sizeof(struct cv_queued_datagram),
                 e->config.limits.datagrams_max);
    TAILQ_INIT(&c->streams);
    TAILQ_INIT(&c->sending);
    TAILQ_INIT(&c->pending);
    TAILQ_INIT(&c->stopped);
    TAILQ_INIT(&c->waiting);
    TAILQ_INSERT_TAIL(&e->conns, c, link);
    e->conn_count++;
    return c;
}

static void fill_settings(const struct cv_quic_endpoint *e, ngtcp2_settings *settings,
                          ngtcp2_transport_params *params)
{
    const struct cv_quic_limits *limits = &e->config.limits;
    ngtcp2_settings_default(settings);
    settings->cc_algo = NGTCP2_CC_ALGO_CUBIC; /* BBR aborts in 0.12.1 */
    settings->initial_ts = e->now;
    settings->initial_rtt = limits->initial_rtt;
    /* conn_life.c has its own, mostly a shorter one */
    settings->handshake_timeout = CV_HEARD_PATIENCE * limits->handshake_timeout;
    settings->max_tx_udp_payload_size = CV_QUIC_PACKET_SIZE_MAX;
    settings->ack_thresh = 1; /* the acknowledgement rides on the answer */
    settings->rand_ctx.native_handle = (void *)(uintptr_t)e;

    ngtcp2_transport_params_default(params);
    params->initial_max_data = limits->connection_window;
    params->initial_max_stream_data_bidi_local = limits->stream_window;
    params->initial_max_stream_data_bidi_remote = limits->stream_window;
    params->initial_max_streams_bidi = limits->streams_max;
    params->initial_max_streams_uni = 0; /* never closed by 0.12.1 */
    params->max_idle_timeout = limits->idle_timeout;
    params->max_ack_delay = CV_ACK_DELAY;
    params->active_connection_id_limit = PEER_IDS_MAX;
    params->max_datagram_frame_size = CV_DATAGRAM_SIZE_MAX;
}

static int start_tls(struct cv_quic_conn *c, const covey_node_id *expected)
{
    struct cv_tls_session_config config = {.tls = c->endpoint->config.tls,
                                           .is_server = c->is_accepted,
                                           .alpn = c->alpn,
                                           .rpc_only = !cv_endpoint_serves_cluster(c->endpoint),
                                           .expected = expected,
                                           .conn_ref = &c->ref};
    int error = cv_tls_session_new(&config, &c->tls);
    if (error == COVEY_OK)
        ngtcp2_conn_set_tls_native_handle(c->native, cv_tls_session_native(c->tls));
    return error;
}

/* A destination id is also what a server's kernel filter routes by, before ALPN is known: gossip
 * belongs to loop 0, calls to the others. */
static void make_first_destination(struct cv_quic_endpoint *e, enum cv_alpn alpn, ngtcp2_cid *id)
{
    id->datalen = CV_QUIC_CID_SIZE;
    cv_endpoint_random(e, id->data, id->datalen);
    if (alpn == CV_ALPN_ID_CLUSTER) {
        id->data[0] = 0;
    } else {
        uint16_t number;
        cv_endpoint_random(e, &number, sizeof(number));
        id->data[0] = (uint8_t)(1 + number % 255);
    }
}

static int connect_native(struct cv_quic_conn *c, const covey_node_id *expected)
{
    struct cv_quic_endpoint *e = c->endpoint;
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid destination;
    ngtcp2_cid source;
    struct cv_path path;
    fill_settings(e, &settings, &params);
    make_first_destination(e, c->alpn, &destination);
    cv_endpoint_make_id(e, &source);
    cv_path_init(&path, &c->local, &c->remote);
    /* On failure the library leaves a dead pointer behind. */
    ngtcp2_conn *native;
    if (ngtcp2_conn_client_new(&native, &destination, &source, &path.path, NGTCP2_PROTO_VER_V1,
                               &cv_conn_client_callbacks, &settings, &params, &e->memory, c) != 0)
        return COVEY_ERR_NO_MEMORY;
    c->native = native;
    int error = cv_conn_add_id(c, source.data, source.datalen);
    return error == COVEY_OK ? start_tls(c, expected) : error;
}

int cv_conn_new_client(struct cv_quic_endpoint *e, const struct cv_quic_dial *dial,
                       struct cv_quic_conn **out)
{
    struct cv_quic_conn *c = new_conn(e);
    if (c == NULL)
        return COVEY_ERR_NO_MEMORY;
    c->alpn = dial->alpn;
    c->user = dial->user;
    c->local = dial->local;
    c->remote = dial->remote;
    if (connect_native(c, dial->expected) != COVEY_OK) {
        cv_conn_free(c);
        return COVEY_ERR_NO_MEMORY;
    }
    *out = c;
    return COVEY_OK;
}

static int accept_native(struct cv_quic_conn *c, const ngtcp2_pkt_hd *header,
                         const ngtcp2_cid *original, bool is_validated)
{
    struct cv_quic_endpoint *e = c->endpoint;
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid source;
    struct cv_path path;
    fill_settings(e, &settings, &params);
    cv_endpoint_make_id(e, &source);
    cv_ngtcp2_set_original_dcid(&params, original);
    if (is_validated) {
        params.retry_scid = header->dcid;
        params.retry_scid_present = 1;
        cv_ngtcp2_set_validated(&settings, header);
    }
    params.stateless_reset_token_present = 1;
    if (ngtcp2_crypto_generate_stateless_reset_token(params.stateless_reset_token, e->config.secret,
                                                     sizeof(e->config.secret), &source) != 0)
        return COVEY_ERR_NO_MEMORY;
    cv_path_init(&path, &c->local, &c->remote);
    ngtcp2_conn *native;
    if (ngtcp2_conn_server_new(&native, &header->scid, &source, &path.path, header->version,
                               &cv_conn_server_callbacks, &settings, &params, &e->memory, c) != 0)
        return COVEY_ERR_NO_MEMORY;
    c->native = native;
    int error = cv_conn_add_id(c, source.data, source.datalen);
    if (error == COVEY_OK)
        error = cv_conn_add_id(c, header->dcid.data, header->dcid.datalen);
    return error == COVEY_OK ? start_tls(c, NULL) : error;
}

int cv_conn_new_server(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                       const ngtcp2_pkt_hd *header, const ngtcp2_cid *original, bool is_validated,
                       struct cv_quic_conn **out)
{
    struct cv_quic_conn *c = new_conn(e);
    if (c == NULL)
        return COVEY_ERR_NO_MEMORY;
    c->is_accepted = true;
    c->local = d->local;
    c->remote = d->remote;
    int error = accept_native(c, header, original, is_validated);
    if (error != COVEY_OK) {
        cv_conn_free(c);
        return error;
    }
    *out = c;
    return COVEY_OK;
}

void cv_conn_drop_datagrams(struct cv_quic_conn *c)
{
    const struct cv_queued_datagram *queued;
    while ((queued = cv_ring_front(&c->datagrams)) != NULL) {
        cv_release(c->endpoint->alloc, queued->bytes);
        cv_ring_pop(&c->datagrams);
    }
}

void cv_conn_release_native(struct cv_quic_conn *c)
{
    struct cv_quic_stream *s;
    while ((s = TAILQ_FIRST(&c->streams)) != NULL)
        cv_stream_release(s);
    cv_conn_drop_datagrams(c);
    ngtcp2_conn_del(c->native);
    c->native = NULL;
    cv_tls_session_free(c->tls);
    c->tls = NULL;
}

void cv_conn_free(struct cv_quic_conn *c)
{
    struct cv_quic_endpoint *e = c->endpoint;
    cv_conn_release_native(c);
    cv_stream_table_fini(&c->table);
    cv_ring_fini(&c->datagrams);
    for (size_t i = 0; i < CV_CONN_IDS_MAX; i++) {
        if (c->ids[i].size > 0)
            cv_conn_remove_id(c, c->ids[i].bytes, c->ids[i].size);
    }
    for (size_t i = 0; i < CV_CONN_TOKENS_MAX; i++) {
        if (c->tokens[i].used)
            cv_conn_remove_token(c, c->tokens[i].sequence);
    }
    cv_heap_clear(&e->timers, &c->timer);
    if (c->is_dirty)
        TAILQ_REMOVE(&e->dirty, c, dirty_link);
    TAILQ_REMOVE(&e->conns, c, link);
    e->conn_count--;
    cv_release(e->alloc, c->last_words);
    cv_release(e->alloc, c);
}

void cv_conn_mark_dirty(struct cv_quic_conn *c)
{
    if (c->is_dirty)
        return;
    c->is_dirty = true;
    TAILQ_INSERT_TAIL(&c->endpoint->dirty, c, dirty_link);
}

void cv_conn_become_ready(struct cv_quic_conn *c)
{
    struct cv_quic_endpoint *e = c->endpoint;
    if (c->state != CV_CONN_OPENING)
        return;
    assert(cv_tls_session_peer(c->tls) != NULL);
    c->alpn = cv_tls_session_alpn(c->tls);
    c->state = CV_CONN_READY;
    c->was_ready = true;
    if (c->is_accepted)
        e->stats.handshakes_open--;
    cv_conn_begin_life(c);
    cv_conn_mark_dirty(c);
    e->config.events.conn_ready(e->config.events_user, c);
}

static struct cv_conn_id *find_id(struct cv_quic_conn *c, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < CV_CONN_IDS_MAX; i++) {
        struct cv_conn_id *id = &c->ids[i];
        if (id->size == size && memcmp(id->bytes, bytes, size) == 0)
            return id;
    }
    return NULL;
}

int cv_conn_add_id(struct cv_quic_conn *c, const uint8_t *bytes, size_t size)
{
    static const uint8_t none[1];
    struct cv_conn_id *id = find_id(c, none, 0);
    assert(size > 0 && size <= sizeof(id->bytes));
    if (id == NULL)
        return COVEY_ERR_LIMIT;
    memcpy(id->bytes, bytes, size);
    int error = cv_map_put(&c->endpoint->ids, cv_slice_of(id->bytes, size), c);
    if (error == COVEY_OK)
        id->size = (uint8_t)size;
    return error;
}

void cv_conn_remove_id(struct cv_quic_conn *c, const uint8_t *bytes, size_t size)
{
    struct cv_conn_id *id = find_id(c, bytes, size);
    if (id == NULL)
        return;
    (void)cv_map_remove(&c->endpoint->ids, cv_slice_of(id->bytes, id->size));
    id->size = 0;
    if (c->endpoint->recent == c)
        c->endpoint->recent = NULL;
}

void cv_conn_add_token(struct cv_quic_conn *c, uint64_t sequence, const uint8_t *bytes)
{
    for (size_t i = 0; i < CV_CONN_TOKENS_MAX; i++) {
        struct cv_conn_token *token = &c->tokens[i];
        if (token->used)
            continue;
        memcpy(token->bytes, bytes, sizeof(token->bytes));
        token->sequence = sequence;
        /* Without memory, or for a token that is there already, a reset is not recognised and the
         * connection ends by its idle timeout. */
        token->used = cv_map_put(&c->endpoint->tokens,
                                 cv_slice_of(token->bytes, sizeof(token->bytes)), c) == COVEY_OK;
        return;
    }
}

void cv_conn_remove_token(struct cv_quic_conn *c, uint64_t sequence)
{
    for (size_t i = 0; i < CV_CONN_TOKENS_MAX; i++) {
        struct cv_conn_token *token = &c->tokens[i];
        if (!token->used || token->sequence != sequence)
            continue;
        (void)cv_map_remove(&c->endpoint->tokens, cv_slice_of(token->bytes, sizeof(token->bytes)));
        token->used = false;
    }
}
