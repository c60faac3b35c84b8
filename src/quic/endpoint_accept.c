#include "quic/endpoint_internal.h"

#include <covey/error.h>

/*
 * Datagrams that belong to no connection: a new one, or a stranger to be turned away. What is sent
 * to strangers is smaller than what they sent, or goes to an address that proved itself by a token.
 */

/* How long a Retry token may travel. */
#define RETRY_TIMEOUT (10 * NGTCP2_SECONDS)

static void drop(struct cv_quic_endpoint *e)
{
    e->stats.packets_dropped++;
}

static struct cv_reply *new_reply(struct cv_quic_endpoint *e, const struct cv_datagram *d)
{
    struct cv_reply *reply = cv_ring_push(&e->replies);
    if (reply == NULL) {
        drop(e);
        return NULL;
    }
    reply->local = d->local;
    reply->remote = d->remote;
    return reply;
}

static void queue_reply(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                        const uint8_t *packet, size_t size, uint64_t *counter)
{
    struct cv_reply *reply = new_reply(e, d);
    if (reply == NULL)
        return;
    memcpy(reply->bytes, packet, size);
    reply->size = size;
    *counter += 1;
}

void cv_endpoint_negotiate_version(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                                   const ngtcp2_version_cid *ids)
{
    /* The second one exists nowhere: it keeps peers from relying on the list (RFC 9287). */
    static const uint32_t versions[] = {NGTCP2_PROTO_VER_V1, 0x0a1a2a3a};
    uint8_t packet[CV_REPLY_SIZE_MAX];
    uint8_t noise;
    /* Version 0 is a negotiation itself. */
    if (!e->config.accept || ids->version == 0 || d->bytes.size < NGTCP2_MAX_UDP_PAYLOAD_SIZE) {
        drop(e);
        return;
    }
    cv_endpoint_random(e, &noise, sizeof(noise));
    ngtcp2_ssize n = ngtcp2_pkt_write_version_negotiation(
        packet, sizeof(packet), noise, ids->scid, ids->scidlen, ids->dcid, ids->dcidlen, versions,
        sizeof(versions) / sizeof(versions[0]));
    if (n <= 0)
        drop(e);
    else
        queue_reply(e, d, packet, (size_t)n, &e->stats.version_negotiations_sent);
}

void cv_endpoint_reset_stranger(struct cv_quic_endpoint *e, const struct cv_datagram *d)
{
    uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN];
    uint8_t noise[CV_RESET_SIZE - NGTCP2_STATELESS_RESET_TOKENLEN];
    uint8_t packet[CV_RESET_SIZE];
    ngtcp2_cid id;
    drop(e);
    if (!e->config.accept || d->bytes.size < CV_RESET_TRIGGER_SIZE ||
        !cv_bucket_take(&e->resets, 1, e->now))
        return;
    ngtcp2_cid_init(&id, d->bytes.data + 1, CV_QUIC_CID_SIZE);
    if (ngtcp2_crypto_generate_stateless_reset_token(token, e->config.secret,
                                                     sizeof(e->config.secret), &id) != 0)
        return;
    cv_endpoint_random(e, noise, sizeof(noise));
    ngtcp2_ssize n =
        ngtcp2_pkt_write_stateless_reset(packet, sizeof(packet), token, noise, sizeof(noise));
    if (n > 0)
        queue_reply(e, d, packet, (size_t)n, &e->stats.resets_sent);
}

static const ngtcp2_addr *remote_of(struct cv_path *path, const struct cv_datagram *d)
{
    cv_path_init(path, &d->local, &d->remote);
    return &path->path.remote;
}

void cv_endpoint_retry(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                       const ngtcp2_pkt_hd *header)
{
    uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN];
    uint8_t packet[CV_REPLY_SIZE_MAX];
    struct cv_path path;
    ngtcp2_cid source;
    const ngtcp2_addr *remote = remote_of(&path, d);
    cv_endpoint_make_id(e, &source);
    ngtcp2_ssize token_size = ngtcp2_crypto_generate_retry_token(
        token, e->config.secret, sizeof(e->config.secret), header->version, remote->addr,
        remote->addrlen, &source, &header->dcid, e->now);
    ngtcp2_ssize n =
        token_size < 0
            ? token_size
            : ngtcp2_crypto_write_retry(packet, sizeof(packet), header->version, &header->scid,
                                        &source, &header->dcid, token, (size_t)token_size);
    if (n <= 0)
        drop(e);
    else
        queue_reply(e, d, packet, (size_t)n, &e->stats.retries_sent);
}

enum token_verdict { TOKEN_NONE, TOKEN_VALID, TOKEN_INVALID };

/* A token of another kind than Retry's is not ours and counts as none. */
static enum token_verdict check_token(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                                      const ngtcp2_pkt_hd *header, ngtcp2_cid *original)
{
    size_t size;
    const uint8_t *token = cv_ngtcp2_token(header, &size);
    struct cv_path path;
    if (size == 0 || token[0] != NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY)
        return TOKEN_NONE;
    const ngtcp2_addr *remote = remote_of(&path, d);
    int rv = ngtcp2_crypto_verify_retry_token(
        original, token, size, e->config.secret, sizeof(e->config.secret), header->version,
        remote->addr, remote->addrlen, &header->dcid, RETRY_TIMEOUT, e->now);
    return rv == 0 ? TOKEN_VALID : TOKEN_INVALID;
}

static void accept_conn(struct cv_quic_endpoint *e, const struct cv_datagram *d,
                        const ngtcp2_pkt_hd *header, const ngtcp2_cid *original, bool is_validated)
{
    struct cv_quic_conn *c;
    if (cv_conn_new_server(e, d, header, original, is_validated, &c) != COVEY_OK) {
        drop(e);
        return;
    }
    /* Counted before the first packet is read: its callbacks may already count it out. */
    e->accepted++;
    e->stats.connections_accepted++;
    e->stats.connections_open++;
    e->stats.handshakes_open++;
    int rv = cv_conn_read(c, d);
    if (rv != NGTCP2_ERR_DROP_CONN && rv != NGTCP2_ERR_RETRY) {
        if (rv != 0)
            cv_conn_fail(c, rv);
        return;
    }
    /* It was not a client's first flight after all. */
    e->accepted--;
    e->stats.connections_accepted--;
    e->stats.connections_open--;
    e->stats.handshakes_open--;
    cv_conn_free(c);
    if (rv == NGTCP2_ERR_RETRY)
        cv_endpoint_retry(e, d, header);
    else
        drop(e);
}

void cv_endpoint_accept(struct cv_quic_endpoint *e, const struct cv_datagram *d)
{
    const struct cv_quic_limits *limits = &e->config.limits;
    ngtcp2_pkt_hd header;
    /* The library lets an Initial with any token have a destination id of any size. */
    if (!e->config.accept || ngtcp2_accept(&header, d->bytes.data, d->bytes.size) != 0 ||
        header.dcid.datalen < NGTCP2_MIN_INITIAL_DCIDLEN ||
        e->stats.handshakes_open >= limits->handshakes_max ||
        e->accepted >= limits->connections_max) {
        drop(e);
        return;
    }
    if (e->config.is_in_vain != NULL &&
        e->config.is_in_vain(e->config.is_in_vain_user, &d->remote)) {
        e->stats.handshakes_spared++;
        drop(e);
        return;
    }
    ngtcp2_cid original = header.dcid;
    enum token_verdict verdict = check_token(e, d, &header, &original);
    if (verdict == TOKEN_INVALID)
        drop(e);
    else if (verdict == TOKEN_NONE && e->stats.handshakes_open >= limits->handshakes_retry)
        cv_endpoint_retry(e, d, &header);
    else
        accept_conn(e, d, &header, &original, verdict == TOKEN_VALID);
}
