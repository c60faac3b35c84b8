#ifndef CV_QUIC_QCOMPAT_H
#define CV_QUIC_QCOMPAT_H

/*
 * The one place that knows versions of ngtcp2: everything that differs between 0.12.1 (Debian 12)
 * and 1.x. The rest of this folder is written against the names below.
 */

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <string.h>

#include <covey/types.h>
#include <stdbool.h>

/* True when the library itself survives a repeated NEW_CONNECTION_ID frame; below 1.4 it aborts the
 * process (frame_guard.h). */
#define CV_NGTCP2_GUARDS_IDS (NGTCP2_VERSION_NUM >= 0x010400)

/* Why a connection is closed. */
#if NGTCP2_VERSION_NUM < 0x000f00
typedef ngtcp2_connection_close_error cv_ngtcp2_close;
#define CV_NGTCP2_CLOSE_APPLICATION NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION
#define cv_ngtcp2_close_set_transport(close, code)                                                 \
    ngtcp2_connection_close_error_set_transport_error(close, code, NULL, 0)
#define cv_ngtcp2_close_set_application(close, code)                                               \
    ngtcp2_connection_close_error_set_application_error(close, code, NULL, 0)
static inline cv_ngtcp2_close cv_ngtcp2_close_received(ngtcp2_conn *conn)
{
    cv_ngtcp2_close close;
    ngtcp2_conn_get_connection_close_error(conn, &close);
    return close;
}
#else
typedef ngtcp2_ccerr cv_ngtcp2_close;
#define CV_NGTCP2_CLOSE_APPLICATION NGTCP2_CCERR_TYPE_APPLICATION
#define cv_ngtcp2_close_set_transport(close, code)                                                 \
    ngtcp2_ccerr_set_transport_error(close, code, NULL, 0)
#define cv_ngtcp2_close_set_application(close, code)                                               \
    ngtcp2_ccerr_set_application_error(close, code, NULL, 0)
static inline cv_ngtcp2_close cv_ngtcp2_close_received(ngtcp2_conn *conn)
{
    return *ngtcp2_conn_get_ccerr(conn);
}
#endif

/* Which keys CRYPTO frames came under. */
#if NGTCP2_VERSION_NUM < 0x000f00
typedef ngtcp2_crypto_level cv_ngtcp2_level;
#else
typedef ngtcp2_encryption_level cv_ngtcp2_level;
#endif

/* The token of an Initial packet. */
static inline const uint8_t *cv_ngtcp2_token(const ngtcp2_pkt_hd *header, size_t *size)
{
#if NGTCP2_VERSION_NUM < 0x000d00
    *size = header->token.len;
    return header->token.base;
#else
    *size = header->tokenlen;
    return header->token;
#endif
}

/* The peer's address was validated by the Retry token of `header`. Without this call the library
 * limits what a server sends to three times what it received. */
static inline void cv_ngtcp2_set_validated(ngtcp2_settings *settings, const ngtcp2_pkt_hd *header)
{
#if NGTCP2_VERSION_NUM < 0x000d00
    settings->token = header->token;
#else
    settings->token = header->token;
    settings->tokenlen = header->tokenlen;
#if NGTCP2_VERSION_NUM >= 0x001300
    settings->token_type = NGTCP2_TOKEN_TYPE_RETRY;
#endif
#endif
}

static inline void cv_ngtcp2_set_original_dcid(ngtcp2_transport_params *params,
                                               const ngtcp2_cid *original)
{
    params->original_dcid = *original;
#if NGTCP2_VERSION_NUM >= 0x000e00
    params->original_dcid_present = 1;
#endif
}

static inline bool cv_ngtcp2_has_preferred_address(const ngtcp2_transport_params *params)
{
#if NGTCP2_VERSION_NUM < 0x001000
    return params->preferred_address_present != 0;
#else
    return params->preferred_addr_present != 0;
#endif
}

#if NGTCP2_VERSION_NUM < 0x000f00
typedef int cv_ngtcp2_cid_status;
#else
typedef ngtcp2_connection_id_status_type cv_ngtcp2_cid_status;
#endif

#if NGTCP2_VERSION_NUM < 0x001000
#define cv_ngtcp2_shutdown_write(conn, id, code) ngtcp2_conn_shutdown_stream_write(conn, id, code)
#define cv_ngtcp2_shutdown_read(conn, id, code)  ngtcp2_conn_shutdown_stream_read(conn, id, code)
#else
#define cv_ngtcp2_shutdown_write(conn, id, code)                                                   \
    ngtcp2_conn_shutdown_stream_write(conn, 0, id, code)
#define cv_ngtcp2_shutdown_read(conn, id, code) ngtcp2_conn_shutdown_stream_read(conn, 0, id, code)
#endif

static inline void cv_ngtcp2_set_keep_alive(ngtcp2_conn *conn, covey_time interval)
{
#if NGTCP2_VERSION_NUM >= 0x001100
    if (interval == 0)
        interval = UINT64_MAX;
#endif
    ngtcp2_conn_set_keep_alive_timeout(conn, interval);
}

static inline uint64_t cv_ngtcp2_bytes_in_flight(ngtcp2_conn *conn)
{
#if NGTCP2_VERSION_NUM < 0x000e00
    ngtcp2_conn_stat stat;
    ngtcp2_conn_get_conn_stat(conn, &stat);
#else
    ngtcp2_conn_info stat;
    ngtcp2_conn_get_conn_info(conn, &stat);
#endif
    return stat.bytes_in_flight;
}

static inline void cv_ngtcp2_set_ecn(ngtcp2_pkt_info *info, uint8_t ecn)
{
    *info = (ngtcp2_pkt_info){0};
    info->ecn = ecn;
}

#endif
