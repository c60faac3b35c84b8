#ifndef CV_QUIC_RESET_SECRET_H
#define CV_QUIC_RESET_SECRET_H

#include <stdint.h>

#define CV_RESET_SECRET_SIZE 32

/*
 * The secret of Retry and stateless reset tokens that belongs to a private key (PEM): a server that
 * was killed and comes back with its key can tell its old peers that their connections are gone (RFC
 * 9000 section 10.3.2), who else would wait for their timeouts. HMAC-SHA-256 under the key: it says
 * nothing about it.
 */
void cv_reset_secret(const char *key_pem, uint8_t out[CV_RESET_SECRET_SIZE]);

#endif
