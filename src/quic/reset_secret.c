#include "quic/reset_secret.h"

#include <assert.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

void cv_reset_secret(const char *key_pem, uint8_t out[CV_RESET_SECRET_SIZE])
{
    static const char purpose[] = "covey stateless reset 1";
    int error =
        gnutls_hmac_fast(GNUTLS_MAC_SHA256, key_pem, strlen(key_pem), purpose, sizeof purpose, out);
    assert(error == 0);
    (void)error;
}
