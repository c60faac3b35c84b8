#include "bound.h"
#include "process.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Larger than any body, so that no stream ever waits for its own window. */
#define STREAM_WINDOW     (8u << 20)
#define CONNECTION_WINDOW (64u << 20)
#define BLOCK_SIZE        (256u << 10)

void bound_random(void *bytes, size_t size)
{
    if (getrandom(bytes, size, 0) != (ssize_t)size)
        die("rpc-bound: no randomness");
}

void bound_conn_mark(struct bound_conn *c)
{
    if (c->is_dirty)
        return;
    c->is_dirty = true;
    STAILQ_INSERT_TAIL(&c->bound->dirty, c, dirty_link);
}

/* ---- calls: taken from a pool that only grows ---- */

static void grow_pool(struct bound *b)
{
    size_t size = (sizeof(struct bound_call) + b->options->size + 15) & ~(size_t)15;
    size_t count = size > BLOCK_SIZE ? 1 : BLOCK_SIZE / size;
    unsigned char *block = malloc(count * size);
    void **blocks = realloc(b->blocks, (b->block_count + 1) * sizeof *blocks);
    if (block == NULL || blocks == NULL)
        die("rpc-bound: no memory");
    b->blocks = blocks;
    b->blocks[b->block_count++] = block;
    for (size_t i = 0; i < count; i++) {
        struct bound_call *call = (struct bound_call *)(void *)(block + i * size);
        STAILQ_INSERT_HEAD(&b->free_calls, call, link);
    }
}

struct bound_call *bound_call_new(struct bound *b)
{
    if (STAILQ_EMPTY(&b->free_calls))
        grow_pool(b);
    struct bound_call *call = STAILQ_FIRST(&b->free_calls);
    STAILQ_REMOVE_HEAD(&b->free_calls, link);
    call->lane = NULL;
    call->sent = call->received = 0;
    call->is_wrong = false;
    return call;
}

/* ---- connections ---- */

/* An id of ours names its connection, so no table is needed. */
void bound_conn_make_id(const struct bound_conn *c, ngtcp2_cid *id)
{
    id->datalen = BOUND_ID_SIZE;
    bound_random(id->data, BOUND_ID_SIZE);
    memcpy(id->data, &c->index, sizeof c->index);
}

static ngtcp2_conn *native_of(ngtcp2_crypto_conn_ref *ref)
{
    return ((struct bound_conn *)ref->user_data)->native;
}

static void fill_settings(const struct options *o, ngtcp2_settings *settings,
                          ngtcp2_transport_params *params)
{
    uint64_t streams = o->inflight + 1024u;
    ngtcp2_settings_default(settings);
    settings->initial_ts = now_ns();
    settings->initial_rtt = 10 * NGTCP2_MILLISECONDS;
    settings->max_tx_udp_payload_size = BOUND_PACKET_SIZE;
    settings->ack_thresh = 1;
    settings->handshake_timeout = 10 * NGTCP2_SECONDS;
    ngtcp2_transport_params_default(params);
    params->initial_max_data = CONNECTION_WINDOW;
    params->initial_max_stream_data_bidi_local = STREAM_WINDOW;
    params->initial_max_stream_data_bidi_remote = STREAM_WINDOW;
    params->initial_max_streams_bidi = streams;
    params->max_ack_delay = 1 * NGTCP2_MILLISECONDS;
    params->active_connection_id_limit = 4;
}

static ngtcp2_path path_of(struct bound_socket *s, const struct sockaddr_in *remote)
{
    return (ngtcp2_path){
        .local = {.addr = (ngtcp2_sockaddr *)&s->local, .addrlen = sizeof s->local},
        .remote = {.addr = (ngtcp2_sockaddr *)(uintptr_t)remote, .addrlen = sizeof *remote}};
}

static struct bound_conn *new_conn(struct bound *b, struct bound_socket *s,
                                   const struct sockaddr_in *remote)
{
    struct bound_conn *c = calloc(1, sizeof *c);
    if (c == NULL || b->conn_count == b->options->connections)
        die("rpc-bound: no room for a connection");
    *c = (struct bound_conn){.ref = {.get_conn = native_of, .user_data = c},
                             .bound = b,
                             .socket = s,
                             .remote = *remote,
                             .index = b->conn_count};
    STAILQ_INIT(&c->waiting);
    STAILQ_INIT(&c->sending);
    ngtcp2_path_storage_zero(&c->path);
    b->conns[b->conn_count++] = c;
    return c;
}

static void add_tls(struct bound_conn *c, int error)
{
    if (error != 0)
        die("rpc-bound: connection: %s", ngtcp2_strerror(error));
    c->tls = bound_tls_session(c);
    ngtcp2_conn_set_tls_native_handle(c->native, c->tls);
    bound_conn_mark(c);
}

void bound_connect(struct bound *b, struct bound_socket *s)
{
    struct bound_conn *c = new_conn(b, s, &s->remote);
    ngtcp2_callbacks callbacks = bound_callbacks(false);
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_path path = path_of(s, &c->remote);
    ngtcp2_cid own, other = {.datalen = 2 * BOUND_ID_SIZE};
    s->conn = c;
    fill_settings(b->options, &settings, &params);
    bound_conn_make_id(c, &own);
    bound_random(other.data, other.datalen);
    add_tls(c, ngtcp2_conn_client_new(&c->native, &other, &own, &path, NGTCP2_PROTO_VER_V1,
                                      &callbacks, &settings, &params, NULL, c));
}

static struct bound_conn *accept_conn(struct bound *b, struct bound_socket *s,
                                      const struct sockaddr_in *from, const unsigned char *bytes,
                                      size_t size)
{
    ngtcp2_pkt_hd header;
    ngtcp2_callbacks callbacks = bound_callbacks(true);
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid own;
    if (ngtcp2_accept(&header, bytes, size) != 0)
        return NULL;
    struct bound_conn *c = new_conn(b, s, from);
    ngtcp2_path path = path_of(s, &c->remote);
    fill_settings(b->options, &settings, &params);
    c->first_id = header.dcid;
    params.original_dcid = header.dcid;
#if NGTCP2_VERSION_NUM >= 0x000e00
    params.original_dcid_present = 1;
#endif
    bound_conn_make_id(c, &own);
    add_tls(c, ngtcp2_conn_server_new(&c->native, &header.scid, &own, &path, header.version,
                                      &callbacks, &settings, &params, NULL, c));
    return c;
}

void bound_conn_free(struct bound_conn *c)
{
    ngtcp2_conn_del(c->native);
    gnutls_deinit(c->tls);
    free(c);
}

/* ---- packets ---- */

static struct bound_conn *find_conn(const struct bound *b, const uint8_t *id, size_t size)
{
    uint32_t index;
    if (size == BOUND_ID_SIZE) {
        memcpy(&index, id, sizeof index);
        return index < b->conn_count ? b->conns[index] : NULL;
    }
    for (unsigned i = 0; i < b->conn_count; i++)
        if (b->conns[i]->first_id.datalen == size &&
            memcmp(b->conns[i]->first_id.data, id, size) == 0)
            return b->conns[i];
    return NULL;
}

void bound_packet(struct bound *b, struct bound_socket *s, const struct sockaddr_in *from,
                  const unsigned char *bytes, size_t size, uint64_t now)
{
    struct bound_conn *c = s->conn;
    ngtcp2_pkt_info info = {0};
    if (c == NULL) {
        ngtcp2_version_cid ids;
        if (ngtcp2_pkt_decode_version_cid(&ids, bytes, size, BOUND_ID_SIZE) != 0)
            return;
        c = find_conn(b, ids.dcid, ids.dcidlen);
        if (c == NULL && (c = accept_conn(b, s, from, bytes, size)) == NULL)
            return;
    }
    ngtcp2_path path = path_of(s, &c->remote);
    int error = ngtcp2_conn_read_pkt(c->native, &path, &info, bytes, size, now);
    if (error != 0)
        die("rpc-bound: read: %s", ngtcp2_strerror(error));
    bound_conn_mark(c);
}
