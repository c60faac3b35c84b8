#include "quic/pki.h"

#include <arpa/inet.h>
#include <covey/error.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>

#define SERIAL_SIZE 16
#define KEY_ID_SIZE 20
#define URI_SIZE    (sizeof "covey://" + CV_NAME_SIZE + sizeof "/member/" + CV_NAME_SIZE)
#define DNS_MAX     253

/* 9999-12-31 23:59:59, the last second that a certificate can say. */
#define TIME_MAX_MS UINT64_C(253402300799000)

/* A certificate and its key: the CA's, or one in the making. */
struct pair {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
};

static int map_error(int result)
{
    if (result >= 0)
        return 0;
    return result == GNUTLS_E_MEMORY_ERROR ? COVEY_ERR_NO_MEMORY : COVEY_ERR_SYSTEM;
}

static int generate_key(gnutls_x509_privkey_t key, enum cv_key_type type)
{
    if (type == CV_KEY_ED25519)
        return gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519,
                                            GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519), 0);
    return gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                        GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
}

static int set_serial(gnutls_x509_crt_t cert)
{
    uint8_t serial[SERIAL_SIZE];
    int result = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    if (result < 0)
        return result;
    /* Positive, and never with a leading zero byte. */
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
    return gnutls_x509_crt_set_serial(cert, serial, sizeof serial);
}

static int set_period(gnutls_x509_crt_t cert, uint64_t not_before_ms, uint64_t not_after_ms)
{
    int result = gnutls_x509_crt_set_activation_time(cert, (time_t)(not_before_ms / 1000));
    if (result < 0)
        return result;
    return gnutls_x509_crt_set_expiration_time(cert, (time_t)(not_after_ms / 1000));
}

static int get_key_id(gnutls_x509_crt_t cert, uint8_t id[KEY_ID_SIZE])
{
    uint8_t digest[32];
    size_t size = sizeof digest;
    int result = gnutls_x509_crt_get_key_id(cert, GNUTLS_KEYID_USE_SHA256, digest, &size);
    if (result >= 0)
        memcpy(id, digest, KEY_ID_SIZE);
    return result;
}

static int set_own_key_id(gnutls_x509_crt_t cert)
{
    uint8_t id[KEY_ID_SIZE];
    int result = get_key_id(cert, id);
    return result < 0 ? result : gnutls_x509_crt_set_subject_key_id(cert, id, sizeof id);
}

/* What the CA's certificate calls its key, else the id that we would have given it. */
static int set_issuer_key_id(gnutls_x509_crt_t cert, gnutls_x509_crt_t issuer)
{
    uint8_t id[64];
    size_t size = sizeof id;
    int result = gnutls_x509_crt_get_subject_key_id(issuer, id, &size, NULL);
    if (result < 0) {
        size = KEY_ID_SIZE;
        result = get_key_id(issuer, id);
    }
    return result < 0 ? result : gnutls_x509_crt_set_authority_key_id(cert, id, size);
}

static int add_name(gnutls_x509_crt_t cert, gnutls_x509_subject_alt_name_t type, const void *data,
                    size_t size)
{
    return gnutls_x509_crt_set_subject_alt_name(cert, type, data, (unsigned)size,
                                                GNUTLS_FSAN_APPEND);
}

static int add_uri(gnutls_x509_crt_t cert, const char *uri)
{
    return add_name(cert, GNUTLS_SAN_URI, uri, strlen(uri));
}

static int set_common_name(gnutls_x509_crt_t cert, const char *name)
{
    return gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                         (unsigned)strlen(name));
}

static void pair_fini(struct pair *d)
{
    if (d->key != NULL)
        gnutls_x509_privkey_deinit(d->key);
    if (d->cert != NULL)
        gnutls_x509_crt_deinit(d->cert);
}

static gnutls_datum_t datum_of(const char *text)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

static int import_key(gnutls_x509_privkey_t key, const char *key_pem)
{
    gnutls_datum_t pem = datum_of(key_pem);
    return gnutls_x509_privkey_import2(key, &pem, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
}

/* A key, a fresh one without `key_pem`, and what every certificate of ours says. */
static int start_pair(struct pair *d, enum cv_key_type type, const char *key_pem,
                      const char *common_name)
{
    int result;
    *d = (struct pair){0};
    if ((result = gnutls_x509_privkey_init(&d->key)) < 0 ||
        (result = gnutls_x509_crt_init(&d->cert)) < 0 ||
        (result = key_pem != NULL ? import_key(d->key, key_pem) : generate_key(d->key, type)) < 0 ||
        (result = gnutls_x509_crt_set_version(d->cert, 3)) < 0 ||
        (result = set_serial(d->cert)) < 0 ||
        (result = set_common_name(d->cert, common_name)) < 0 ||
        (result = gnutls_x509_crt_set_key(d->cert, d->key)) < 0)
        return result;
    return set_own_key_id(d->cert);
}

static void copy_pem(char pem[CV_PEM_SIZE_MAX], const gnutls_datum_t *text)
{
    memcpy(pem, text->data, text->size);
    pem[text->size] = '\0';
}

static void free_secret(gnutls_datum_t *secret)
{
    if (secret->data != NULL)
        gnutls_memset(secret->data, 0, secret->size);
    gnutls_free(secret->data);
}

static int export_pair(const struct pair *d, struct cv_pki_pair *out)
{
    gnutls_datum_t cert = {0};
    gnutls_datum_t key = {0};
    int error = map_error(gnutls_x509_crt_export2(d->cert, GNUTLS_X509_FMT_PEM, &cert));
    if (error == 0)
        error = map_error(gnutls_x509_privkey_export2_pkcs8(d->key, GNUTLS_X509_FMT_PEM, NULL,
                                                            GNUTLS_PKCS_PLAIN, &key));
    if (error == 0 && (cert.size >= CV_PEM_SIZE_MAX || key.size >= CV_PEM_SIZE_MAX))
        error = COVEY_ERR_TOO_LARGE;
    if (error == 0) {
        copy_pem(out->cert_pem, &cert);
        copy_pem(out->key_pem, &key);
    }
    gnutls_free(cert.data);
    free_secret(&key);
    return error;
}

static bool is_period(uint64_t not_before_ms, uint64_t not_after_ms)
{
    return not_before_ms < not_after_ms && not_after_ms <= TIME_MAX_MS;
}

static bool is_key_type(enum cv_key_type type)
{
    return type == CV_KEY_ED25519 || type == CV_KEY_ECDSA_P256;
}

static int fill_ca(struct pair *d, const struct cv_pki_ca_config *config)
{
    char uri[URI_SIZE];
    snprintf(uri, sizeof uri, "covey://%s", config->cluster);
    int result = set_period(d->cert, config->not_before_ms, config->not_after_ms);
    if (result < 0 || (result = gnutls_x509_crt_set_basic_constraints(d->cert, 1, 0)) < 0 ||
        (result = gnutls_x509_crt_set_key_usage(d->cert, GNUTLS_KEY_KEY_CERT_SIGN)) < 0 ||
        (result = add_uri(d->cert, uri)) < 0)
        return result;
    return gnutls_x509_crt_sign2(d->cert, d->cert, d->key, GNUTLS_DIG_UNKNOWN, 0);
}

int cv_pki_make_ca(const struct cv_pki_ca_config *config, struct cv_pki_pair *out)
{
    if (!cv_name_is_valid(config->cluster) || !is_key_type(config->key_type) ||
        !is_period(config->not_before_ms, config->not_after_ms))
        return COVEY_ERR_INVALID_ARGUMENT;
    /* X.520 allows a common name of 64 characters; a long one loses its end. */
    char common_name[65];
    snprintf(common_name, sizeof common_name, "%.54s covey CA", config->cluster);
    struct pair d;
    int result = start_pair(&d, config->key_type, NULL, common_name);
    if (result >= 0)
        result = fill_ca(&d, config);
    int error = map_error(result);
    if (error == 0)
        error = export_pair(&d, out);
    pair_fini(&d);
    return error;
}

static bool key_fits(const struct pair *ca)
{
    uint8_t of_cert[32];
    uint8_t of_key[32];
    size_t cert_size = sizeof of_cert;
    size_t key_size = sizeof of_key;
    return gnutls_x509_crt_get_key_id(ca->cert, GNUTLS_KEYID_USE_SHA256, of_cert, &cert_size) >=
               0 &&
           gnutls_x509_privkey_get_key_id(ca->key, GNUTLS_KEYID_USE_SHA256, of_key, &key_size) >=
               0 &&
           cert_size == key_size && memcmp(of_cert, of_key, cert_size) == 0;
}

static bool import_ca(gnutls_x509_crt_t cert, const gnutls_datum_t *pem)
{
    return gnutls_x509_crt_import(cert, pem, GNUTLS_X509_FMT_PEM) >= 0 &&
           gnutls_x509_crt_get_ca_status(cert, NULL) > 0;
}

static int load_ca(struct pair *ca, const struct cv_pki_issue_config *config)
{
    *ca = (struct pair){0};
    gnutls_datum_t cert = datum_of(config->ca_cert_pem);
    if (gnutls_x509_crt_init(&ca->cert) < 0 || gnutls_x509_privkey_init(&ca->key) < 0)
        return COVEY_ERR_NO_MEMORY;
    if (!import_ca(ca->cert, &cert))
        return COVEY_ERR_CERTIFICATE;
    if (import_key(ca->key, config->ca_key_pem) < 0 || !key_fits(ca))
        return COVEY_ERR_KEY;
    return 0;
}

int cv_pki_ca_period(const char *ca_cert_pem, uint64_t *not_before_ms, uint64_t *not_after_ms)
{
    gnutls_x509_crt_t cert;
    gnutls_datum_t pem = datum_of(ca_cert_pem);
    if (gnutls_x509_crt_init(&cert) < 0)
        return COVEY_ERR_NO_MEMORY;
    int error = import_ca(cert, &pem) ? 0 : COVEY_ERR_CERTIFICATE;
    time_t begin = error == 0 ? gnutls_x509_crt_get_activation_time(cert) : 0;
    time_t end = error == 0 ? gnutls_x509_crt_get_expiration_time(cert) : 0;
    gnutls_x509_crt_deinit(cert);
    if (error != 0 || begin < 0 || end < 0)
        return COVEY_ERR_CERTIFICATE;
    *not_before_ms = (uint64_t)begin * 1000;
    *not_after_ms = (uint64_t)end * 1000;
    return 0;
}

/* The cluster of the CA's covey://CLUSTER; the first such name counts. */
static int read_cluster(const struct pair *ca, char cluster[CV_NAME_SIZE])
{
    static const char scheme[] = "covey://";
    for (unsigned i = 0;; i++) {
        char uri[URI_SIZE];
        size_t size = sizeof uri;
        int type = gnutls_x509_crt_get_subject_alt_name(ca->cert, i, uri, &size, NULL);
        if (type == GNUTLS_E_SHORT_MEMORY_BUFFER)
            continue;
        if (type < 0)
            return COVEY_ERR_CERTIFICATE;
        if (type != GNUTLS_SAN_URI || strncmp(uri, scheme, sizeof scheme - 1) != 0)
            continue;
        const char *name = uri + sizeof scheme - 1;
        if (strlen(uri) != size || !cv_name_is_valid(name))
            return COVEY_ERR_CERTIFICATE;
        memcpy(cluster, name, strlen(name) + 1);
        return 0;
    }
}

static bool is_dns_name(const char *host)
{
    size_t size = strlen(host);
    if (size == 0 || size > DNS_MAX || host[0] == '.' || host[0] == '-')
        return false;
    return strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
           size;
}

struct host {
    gnutls_x509_subject_alt_name_t type;
    const void *data;
    size_t size;
    uint8_t address[16];
};

static bool read_host(struct host *host, const char *text)
{
    *host = (struct host){.type = GNUTLS_SAN_IPADDRESS, .data = host->address};
    if (inet_pton(AF_INET, text, host->address) == 1)
        host->size = 4;
    else if (inet_pton(AF_INET6, text, host->address) == 1)
        host->size = 16;
    else if (is_dns_name(text))
        *host = (struct host){.type = GNUTLS_SAN_DNSNAME, .data = text, .size = strlen(text)};
    return host->size > 0;
}

static bool are_hosts(const char *const *hosts, size_t count)
{
    if (count > CV_PKI_HOSTS_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct host host;
        if (!read_host(&host, hosts[i]))
            return false;
    }
    return true;
}

static int add_hosts(gnutls_x509_crt_t cert, const char *const *hosts, size_t count)
{
    int result = 0;
    for (size_t i = 0; i < count && result >= 0; i++) {
        struct host host;
        if (read_host(&host, hosts[i]))
            result = add_name(cert, host.type, host.data, host.size);
    }
    return result;
}

static int set_purposes(gnutls_x509_crt_t cert, enum cv_role role)
{
    int result = gnutls_x509_crt_set_key_purpose_oid(cert, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    if (result >= 0 && role == CV_ROLE_MEMBER)
        result = gnutls_x509_crt_set_key_purpose_oid(cert, GNUTLS_KP_TLS_WWW_SERVER, 0);
    return result;
}

static int fill_leaf(struct pair *d, const struct cv_pki_issue_config *config,
                     const struct pair *ca, const char *cluster)
{
    char uri[URI_SIZE];
    snprintf(uri, sizeof uri, "covey://%s/%s/%s", cluster, cv_role_name(config->role),
             config->name);
    int result = set_period(d->cert, config->not_before_ms, config->not_after_ms);
    if (result < 0 || (result = gnutls_x509_crt_set_basic_constraints(d->cert, 0, -1)) < 0 ||
        (result = gnutls_x509_crt_set_key_usage(d->cert, GNUTLS_KEY_DIGITAL_SIGNATURE)) < 0 ||
        (result = set_purposes(d->cert, config->role)) < 0 ||
        (result = add_uri(d->cert, uri)) < 0 ||
        (result = add_hosts(d->cert, config->hosts, config->host_count)) < 0 ||
        (result = set_issuer_key_id(d->cert, ca->cert)) < 0)
        return result;
    return gnutls_x509_crt_sign2(d->cert, ca->cert, ca->key, GNUTLS_DIG_UNKNOWN, 0);
}

static bool is_within(const struct cv_pki_issue_config *config, const struct pair *ca)
{
    time_t end = gnutls_x509_crt_get_expiration_time(ca->cert);
    return end >= 0 && config->not_after_ms / 1000 <= (uint64_t)end;
}

static bool is_key(const char *key_pem)
{
    gnutls_x509_privkey_t key;
    if (gnutls_x509_privkey_init(&key) < 0)
        return false;
    bool is_read = import_key(key, key_pem) >= 0;
    gnutls_x509_privkey_deinit(key);
    return is_read;
}

static int issue(const struct cv_pki_issue_config *config, const struct pair *ca,
                 const char *cluster, struct cv_pki_pair *out)
{
    struct pair d;
    if (config->key_pem != NULL && !is_key(config->key_pem))
        return COVEY_ERR_KEY;
    int result = start_pair(&d, config->key_type, config->key_pem, config->name);
    if (result >= 0)
        result = fill_leaf(&d, config, ca, cluster);
    int error = map_error(result);
    if (error == 0)
        error = export_pair(&d, out);
    pair_fini(&d);
    return error;
}

static bool is_issue_config(const struct cv_pki_issue_config *config)
{
    return cv_name_is_valid(config->name) &&
           (config->cluster == NULL || cv_name_is_valid(config->cluster)) &&
           config->role >= CV_ROLE_MEMBER && config->role <= CV_ROLE_ADMIN &&
           is_key_type(config->key_type) &&
           is_period(config->not_before_ms, config->not_after_ms) &&
           are_hosts(config->hosts, config->host_count);
}

int cv_pki_issue(const struct cv_pki_issue_config *config, struct cv_pki_pair *out)
{
    if (!is_issue_config(config))
        return COVEY_ERR_INVALID_ARGUMENT;
    struct pair ca;
    char cluster[CV_NAME_SIZE] = "";
    int error = load_ca(&ca, config);
    if (error == 0 && config->cluster != NULL)
        snprintf(cluster, sizeof cluster, "%s", config->cluster);
    else if (error == 0)
        error = read_cluster(&ca, cluster);
    if (error == 0 && !is_within(config, &ca))
        error = COVEY_ERR_INVALID_ARGUMENT;
    if (error == 0)
        error = issue(config, &ca, cluster, out);
    pair_fini(&ca);
    return error;
}
