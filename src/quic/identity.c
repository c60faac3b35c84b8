#include "quic/identity.h"

#include <covey/error.h>
#include <gnutls/x509-ext.h>
#include <gnutls/x509.h>
#include <strings.h>

#define SCHEME "covey://"

/* More names or purposes than this in one certificate are not looked at: it is refused. */
#define ENTRIES_MAX 64

static const char *const role_names[] = {
    [CV_ROLE_MEMBER] = "member",
    [CV_ROLE_CLIENT] = "client",
    [CV_ROLE_ADMIN] = "admin",
};
#define ROLE_COUNT (sizeof role_names / sizeof role_names[0])

const char *cv_role_name(enum cv_role role)
{
    return (size_t)role < ROLE_COUNT ? role_names[role] : "?";
}

static bool is_alphanumeric(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_name(struct cv_slice text)
{
    if (text.size == 0 || text.size >= CV_NAME_SIZE || !is_alphanumeric(text.data[0]))
        return false;
    for (size_t i = 1; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (!is_alphanumeric(c) && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

bool cv_name_is_valid(const char *name)
{
    return is_name(cv_slice_text(name));
}

/* Takes the bytes up to the next '/' or the end off the front of *rest. */
static struct cv_slice take_segment(struct cv_slice *rest)
{
    size_t size = 0;
    while (size < rest->size && rest->data[size] != '/')
        size++;
    struct cv_slice segment = cv_slice_of(rest->data, size);
    size_t skip = size < rest->size ? size + 1 : size;
    *rest = cv_slice_of(rest->data + skip, rest->size - skip);
    return segment;
}

static bool find_role(struct cv_slice text, enum cv_role *role)
{
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (cv_slice_equal(text, cv_slice_text(role_names[i]))) {
            *role = (enum cv_role)i;
            return true;
        }
    }
    return false;
}

static void set_name(char name[CV_NAME_SIZE], struct cv_slice text)
{
    memset(name, 0, CV_NAME_SIZE);
    memcpy(name, text.data, text.size);
}

int cv_identity_parse_uri(struct cv_identity *identity, struct cv_slice uri)
{
    size_t scheme_size = sizeof SCHEME - 1;
    if (uri.size <= scheme_size || memcmp(uri.data, SCHEME, scheme_size) != 0)
        return COVEY_ERR_CERTIFICATE;
    struct cv_slice rest = cv_slice_of(uri.data + scheme_size, uri.size - scheme_size);
    struct cv_slice cluster = take_segment(&rest);
    struct cv_slice role_text = take_segment(&rest);
    /* The name is all that is left, so that a fourth segment makes it no name. */
    struct cv_slice name = rest;
    enum cv_role role;
    if (!is_name(cluster) || !find_role(role_text, &role) || !is_name(name))
        return COVEY_ERR_CERTIFICATE;
    identity->role = role;
    set_name(identity->cluster, cluster);
    set_name(identity->name, name);
    return 0;
}

/* True also for COVEY:// and the like, so that a spelling of ours that we do not accept is refused
 * and not overlooked. */
static bool is_our_scheme(const gnutls_datum_t *uri)
{
    static const char scheme[] = "covey:";
    return uri->size >= sizeof scheme - 1 &&
           strncasecmp((const char *)uri->data, scheme, sizeof scheme - 1) == 0;
}

static const char *parse_names(struct cv_identity *identity, gnutls_subject_alt_names_t names)
{
    size_t ours = 0;
    for (unsigned i = 0; i <= ENTRIES_MAX; i++) {
        unsigned type;
        gnutls_datum_t name;
        int result = gnutls_subject_alt_names_get(names, i, &type, &name, NULL);
        if (result == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return ours == 1 ? NULL : "the certificate names no cluster (no covey:// URI)";
        if (result < 0)
            return "the certificate's alternative names cannot be read";
        if (type != GNUTLS_SAN_URI || !is_our_scheme(&name))
            continue;
        if (++ours > 1)
            return "the certificate has more than one covey:// URI";
        if (cv_identity_parse_uri(identity, cv_slice_of(name.data, name.size)) != 0)
            return "the certificate's URI is not covey://CLUSTER/ROLE/NAME";
    }
    return "the certificate has too many alternative names";
}

static const char *read_names(struct cv_identity *identity, gnutls_x509_crt_t cert)
{
    gnutls_datum_t extension = {0};
    gnutls_subject_alt_names_t names = NULL;
    const char *problem = "the certificate names no cluster (no covey:// URI)";
    if (gnutls_x509_crt_get_extension_by_oid2(cert, GNUTLS_X509EXT_OID_SAN, 0, &extension, NULL) <
        0)
        return problem;
    if (gnutls_subject_alt_names_init(&names) < 0 ||
        gnutls_x509_ext_import_subject_alt_names(&extension, names, 0) < 0)
        problem = "the certificate's alternative names cannot be read";
    else
        problem = parse_names(identity, names);
    if (names != NULL)
        gnutls_subject_alt_names_deinit(names);
    gnutls_free(extension.data);
    return problem;
}

struct purposes {
    bool server;
    bool client;
};

static bool read_purposes(struct purposes *purposes, gnutls_x509_crt_t cert)
{
    for (unsigned i = 0; i <= ENTRIES_MAX; i++) {
        char oid[128];
        size_t size = sizeof oid;
        int result = gnutls_x509_crt_get_key_purpose_oid(cert, i, oid, &size, NULL);
        if (result == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return true;
        if (result < 0)
            return false;
        purposes->server = purposes->server || strcmp(oid, GNUTLS_KP_TLS_WWW_SERVER) == 0;
        purposes->client = purposes->client || strcmp(oid, GNUTLS_KP_TLS_WWW_CLIENT) == 0;
    }
    return false;
}

static const char *check_usage(enum cv_role role, gnutls_x509_crt_t cert)
{
    unsigned usage;
    if (gnutls_x509_crt_get_ca_status(cert, NULL) > 0)
        return "the certificate is a CA's, not a node's";
    int result = gnutls_x509_crt_get_key_usage(cert, &usage, NULL);
    if (result < 0 && result != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return "the certificate's key usage cannot be read";
    if (result >= 0 && (usage & GNUTLS_KEY_DIGITAL_SIGNATURE) == 0)
        return "the certificate's key may not be used for signing";
    struct purposes purposes = {0};
    if (!read_purposes(&purposes, cert))
        return "the certificate's extended key usage cannot be read";
    if (!purposes.client)
        return "the certificate lacks the extended key usage clientAuth";
    if (role == CV_ROLE_MEMBER && !purposes.server)
        return "the certificate is a member's but lacks the extended key usage serverAuth";
    return NULL;
}

static const char *read_validity(struct cv_identity *identity, gnutls_x509_crt_t cert)
{
    time_t begin = gnutls_x509_crt_get_activation_time(cert);
    time_t end = gnutls_x509_crt_get_expiration_time(cert);
    if (begin == (time_t)-1 || end < 0)
        return "the certificate's validity cannot be read";
    identity->not_before_ms = begin < 0 ? 0 : (uint64_t)begin * 1000;
    identity->not_after_ms = (uint64_t)end * 1000;
    return NULL;
}

static const char *read_id(struct cv_identity *identity, gnutls_x509_crt_t cert)
{
    uint8_t digest[32];
    size_t size = sizeof digest;
    if (gnutls_x509_crt_get_key_id(cert, GNUTLS_KEYID_USE_SHA256, digest, &size) < 0 ||
        size != sizeof digest)
        return "the certificate's public key cannot be read";
    memcpy(identity->id.bytes, digest, sizeof identity->id.bytes);
    return NULL;
}

static const char *import(gnutls_x509_crt_t cert, struct cv_slice der)
{
    if (der.size > CV_CERTIFICATE_SIZE_MAX)
        return "the certificate is too large";
    /* The library does not write through the datum. */
    gnutls_datum_t datum = {(unsigned char *)(uintptr_t)der.data, (unsigned)der.size};
    if (der.size == 0 || gnutls_x509_crt_import(cert, &datum, GNUTLS_X509_FMT_DER) < 0)
        return "the certificate cannot be read";
    return NULL;
}

/* The text of the problem is NULL when there is none. */
static struct cv_identity_problem read_certificate(struct cv_identity *identity,
                                                   gnutls_x509_crt_t cert, struct cv_slice der)
{
    struct cv_identity_problem problem = {CV_IDENTITY_UNREADABLE, import(cert, der)};
    if (problem.text == NULL)
        problem = (struct cv_identity_problem){CV_IDENTITY_NO_NAME, read_names(identity, cert)};
    if (problem.text == NULL)
        problem = (struct cv_identity_problem){CV_IDENTITY_WRONG_USAGE,
                                               check_usage(identity->role, cert)};
    if (problem.text == NULL)
        problem =
            (struct cv_identity_problem){CV_IDENTITY_UNREADABLE, read_validity(identity, cert)};
    if (problem.text == NULL)
        problem.text = read_id(identity, cert);
    return problem;
}

int cv_identity_explain_der(struct cv_identity *identity, struct cv_slice der,
                            struct cv_identity_problem *problem)
{
    gnutls_x509_crt_t cert;
    struct cv_identity found = {0};
    struct cv_identity_problem met = {CV_IDENTITY_UNREADABLE, "out of memory"};
    if (gnutls_x509_crt_init(&cert) >= 0) {
        met = read_certificate(&found, cert, der);
        gnutls_x509_crt_deinit(cert);
    }
    if (met.text != NULL) {
        *problem = met;
        return COVEY_ERR_CERTIFICATE;
    }
    *identity = found;
    return 0;
}

int cv_identity_from_der(struct cv_identity *identity, struct cv_slice der)
{
    struct cv_identity_problem problem;
    return cv_identity_explain_der(identity, der, &problem);
}
