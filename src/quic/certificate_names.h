#ifndef CV_QUIC_CERTIFICATE_NAMES_H
#define CV_QUIC_CERTIFICATE_NAMES_H

#include "base/slice.h"

#include <covey/export.h>
#include <covey/types.h>

/*
 * The names in a certificate's subject alternative name, for users who decide by them. covey itself
 * goes by its own URI only (identity.h), which is among them.
 */
enum cv_certificate_name_kind { CV_CERTIFICATE_DNS, CV_CERTIFICATE_IP, CV_CERTIFICATE_URI };

#define CV_CERTIFICATE_NAMES_MAX 16
#define CV_CERTIFICATE_NAME_SIZE 256 /* 255 characters and a NUL */

struct cv_certificate_name {
    enum cv_certificate_name_kind kind;
    char text[CV_CERTIFICATE_NAME_SIZE]; /* visible ASCII; an address as "10.0.0.1" or "fe80::1" */
};

struct cv_certificate_names {
    size_t count;
    size_t left_out; /* of these kinds: too many, too long, or of other characters */
    struct cv_certificate_name names[CV_CERTIFICATE_NAMES_MAX];
};

/*
 * Reads the DNS names, IP addresses and URIs of a DER certificate, in its order; other kinds are
 * passed over. No signature is checked here. 0, or COVEY_ERR_CERTIFICATE with *out unchanged: it
 * cannot be read, is larger than CV_CERTIFICATE_SIZE_MAX or has more than 64 names.
 */
COVEY_MUST_USE int cv_certificate_names_read(struct cv_certificate_names *out, struct cv_slice der);

#endif
