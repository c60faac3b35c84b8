#include "quic/certificate_names.h"

#include "quic/identity.h"

#include <arpa/inet.h>
#include <covey/error.h>
#include <gnutls/x509.h>

/* As many as an acceptable certificate may have; identity.c. */
#define ENTRIES_MAX 64

/* One more than fits, so that the library's own NUL has room behind the longest. */
#define BUFFER_SIZE (CV_CERTIFICATE_NAME_SIZE + 1)

static bool is_visible(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '!' || text[i] > '~')
            return false;
    }
    return size > 0;
}

static bool take_text(struct cv_certificate_name *name, enum cv_certificate_name_kind kind,
                      const char *text, size_t size)
{
    if (size >= sizeof name->text || !is_visible(text, size))
        return false;
    *name = (struct cv_certificate_name){.kind = kind};
    memcpy(name->text, text, size);
    return true;
}

static bool take_address(struct cv_certificate_name *name, const char *bytes, size_t size)
{
    if (size != 4 && size != 16)
        return false;
    *name = (struct cv_certificate_name){.kind = CV_CERTIFICATE_IP};
    return inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, name->text, sizeof name->text) != NULL;
}

static bool is_wanted(int type)
{
    return type == GNUTLS_SAN_DNSNAME || type == GNUTLS_SAN_URI || type == GNUTLS_SAN_IPADDRESS;
}

static void take(struct cv_certificate_names *out, int type, const char *bytes, size_t size)
{
    struct cv_certificate_name name;
    bool taken =
        type == GNUTLS_SAN_IPADDRESS
            ? take_address(&name, bytes, size)
            : take_text(&name, type == GNUTLS_SAN_URI ? CV_CERTIFICATE_URI : CV_CERTIFICATE_DNS,
                        bytes, size);
    if (taken && out->count < CV_CERTIFICATE_NAMES_MAX)
        out->names[out->count++] = name;
    else
        out->left_out++;
}

static int read_all(struct cv_certificate_names *out, gnutls_x509_crt_t cert)
{
    for (unsigned i = 0; i <= ENTRIES_MAX; i++) {
        char bytes[BUFFER_SIZE];
        size_t size = sizeof bytes;
        int type = gnutls_x509_crt_get_subject_alt_name(cert, i, bytes, &size, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return 0;
        if (type == GNUTLS_E_SHORT_MEMORY_BUFFER)
            out->left_out++;
        else if (type < 0)
            return COVEY_ERR_CERTIFICATE;
        else if (is_wanted(type))
            take(out, type, bytes, size);
    }
    return COVEY_ERR_CERTIFICATE;
}

int cv_certificate_names_read(struct cv_certificate_names *out, struct cv_slice der)
{
    gnutls_x509_crt_t cert;
    struct cv_certificate_names found = {0};
    /* The library does not write through the datum. */
    gnutls_datum_t datum = {(unsigned char *)(uintptr_t)der.data, (unsigned)der.size};
    if (der.size == 0 || der.size > CV_CERTIFICATE_SIZE_MAX || gnutls_x509_crt_init(&cert) < 0)
        return COVEY_ERR_CERTIFICATE;
    int error = gnutls_x509_crt_import(cert, &datum, GNUTLS_X509_FMT_DER) < 0
                    ? COVEY_ERR_CERTIFICATE
                    : read_all(&found, cert);
    gnutls_x509_crt_deinit(cert);
    if (error == 0)
        *out = found;
    return error;
}
