#include "api/identity.h"

#include "base/alloc.h"
#include "io/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* PEM texts are a few KiB; more than this is some other file. */
#define FILE_SIZE_MAX ((size_t)1 << 20)

static_assert((int)COVEY_ROLE_MEMBER == (int)CV_ROLE_MEMBER, "roles have the same numbers");
static_assert((int)COVEY_ROLE_CLIENT == (int)CV_ROLE_CLIENT, "roles have the same numbers");
static_assert((int)COVEY_ROLE_ADMIN == (int)CV_ROLE_ADMIN, "roles have the same numbers");
static_assert(COVEY_REASON_SIZE > CV_TLS_REASON_SIZE, "a sentence fits behind a file's name");

const char *covey_role_name(enum covey_role role)
{
    switch (role) {
    case COVEY_ROLE_MEMBER:
    case COVEY_ROLE_CLIENT:
    case COVEY_ROLE_ADMIN:
        return cv_role_name((enum cv_role)role);
    }
    return "?";
}

/* Writes the sentence, if one is wanted, and returns `error`. */
static int fail(char *reason, int error, const char *format, ...) COVEY_PRINTF(3, 4);

static int fail(char *reason, int error, const char *format, ...)
{
    if (reason == NULL)
        return error;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, COVEY_REASON_SIZE, format, arguments);
    va_end(arguments);
    return error;
}

/* ---- from memory ---- */

static struct cv_tls_config tls_config(const covey_identity *identity, const struct cv_alloc *alloc)
{
    return (struct cv_tls_config){
        .alloc = alloc,
        .ca_pem = cv_slice_text(identity->ca_pem),
        .cert_pem = cv_slice_text(identity->cert_pem),
        .key_pem = cv_slice_text(identity->key_pem),
        .wall_ms = cv_clock_wall_ms(),
    };
}

static int make_tls(const covey_identity *identity, const struct cv_alloc *alloc,
                    struct cv_tls **out, char why[CV_TLS_REASON_SIZE])
{
    struct cv_tls_config config = tls_config(identity, alloc);
    return cv_tls_new(&config, out, why);
}

int cv_identity_make_tls(const covey_identity *identity, const struct cv_alloc *alloc,
                         struct cv_tls **out)
{
    char why[CV_TLS_REASON_SIZE];
    return make_tls(identity, alloc, out, why);
}

int cv_identity_reload_tls(const covey_identity *identity, struct cv_tls *tls,
                           enum cv_tls_change change, char *reason)
{
    char why[CV_TLS_REASON_SIZE] = "";
    struct cv_tls_config config = tls_config(identity, NULL);
    int error = cv_tls_reload(tls, &config, change, why);
    return error == 0 ? 0 : fail(reason, error, "%s", why);
}

/* Judges the texts and fills in who they say we are. */
static int examine(covey_identity *identity, char *reason)
{
    char why[CV_TLS_REASON_SIZE] = "";
    struct cv_tls *tls;
    int error = make_tls(identity, cv_alloc_default(), &tls, why);
    if (error != 0)
        return fail(reason, error, "%s", why);
    identity->who = *cv_tls_identity(tls);
    cv_tls_free(tls);
    return 0;
}

static char *copy_of(const char *text)
{
    return cv_copy_text(cv_alloc_default(), text, strlen(text));
}

int covey_identity_from_pem(const char *ca, const char *cert, const char *key, covey_identity **out,
                            char *reason)
{
    if (ca == NULL || cert == NULL || key == NULL)
        return fail(reason, COVEY_ERR_INVALID_ARGUMENT, "a PEM text is missing");
    covey_identity *identity = cv_allocate_zeroed(cv_alloc_default(), 1, sizeof *identity);
    if (identity == NULL)
        return fail(reason, COVEY_ERR_NO_MEMORY, "out of memory");
    identity->ca_pem = copy_of(ca);
    identity->cert_pem = copy_of(cert);
    identity->key_pem = copy_of(key);
    bool copied =
        identity->ca_pem != NULL && identity->cert_pem != NULL && identity->key_pem != NULL;
    int error =
        copied ? examine(identity, reason) : fail(reason, COVEY_ERR_NO_MEMORY, "out of memory");
    if (error != 0) {
        covey_identity_free(identity);
        return error;
    }
    *out = identity;
    return 0;
}

/* A private key does not stay behind in freed memory. */
static void release_secret(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    cv_release(cv_alloc_default(), text);
}

void covey_identity_free(covey_identity *identity)
{
    if (identity == NULL)
        return;
    cv_release(cv_alloc_default(), identity->ca_pem);
    cv_release(cv_alloc_default(), identity->cert_pem);
    release_secret(identity->key_pem);
    cv_release(cv_alloc_default(), identity);
}

/* ---- from files ---- */

struct files {
    char *ca;
    char *cert;
    char *key;
};

static int fail_system(char *reason, int error, const char *path, int number)
{
    char text[64];
    return fail(reason, error, "%s: %s", path, strerror_r(number, text, sizeof text));
}

static int read_text(FILE *file, const char *path, char **out, char *reason)
{
    char *text = cv_allocate(cv_alloc_default(), FILE_SIZE_MAX + 1);
    if (text == NULL)
        return fail(reason, COVEY_ERR_NO_MEMORY, "out of memory");
    size_t size = fread(text, 1, FILE_SIZE_MAX + 1, file);
    int error = 0;
    if (ferror(file))
        error = fail_system(reason, COVEY_ERR_SYSTEM, path, errno);
    else if (size > FILE_SIZE_MAX)
        error = fail(reason, COVEY_ERR_SYSTEM, "%s: larger than 1 MiB", path);
    else if ((*out = cv_copy_text(cv_alloc_default(), text, size)) == NULL)
        error = fail(reason, COVEY_ERR_NO_MEMORY, "out of memory");
    explicit_bzero(text, size);
    cv_release(cv_alloc_default(), text);
    return error;
}

static int read_file(const char *directory, const char *name, char **out, char *reason)
{
    char path[4096];
    int size = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (size < 0 || (size_t)size >= sizeof path)
        return fail(reason, COVEY_ERR_NOT_FOUND, "the path of %s is too long", name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return fail_system(reason, errno == ENOENT ? COVEY_ERR_NOT_FOUND : COVEY_ERR_SYSTEM, path,
                           errno);
    /* Without a buffer of its own: the key would stay behind in it. */
    setvbuf(file, NULL, _IONBF, 0);
    int error = read_text(file, path, out, reason);
    fclose(file);
    return error;
}

static int read_files(const char *directory, struct files *files, char *reason)
{
    int error = read_file(directory, "ca.pem", &files->ca, reason);
    if (error == 0)
        error = read_file(directory, "cert.pem", &files->cert, reason);
    if (error == 0)
        error = read_file(directory, "key.pem", &files->key, reason);
    return error;
}

/* What the sentence is about: the CA's file when it is the one that speaks of the CA. */
static const char *file_of(int error, const char *why)
{
    if (error == COVEY_ERR_KEY)
        return "/key.pem";
    if (error == COVEY_ERR_CERTIFICATE || error == COVEY_ERR_CERTIFICATE_EXPIRED)
        return strncmp(why, "the CA", strlen("the CA")) == 0 ? "/ca.pem" : "/cert.pem";
    return "";
}

int covey_identity_load(const char *directory, covey_identity **out, char *reason)
{
    if (directory == NULL)
        return fail(reason, COVEY_ERR_INVALID_ARGUMENT, "no directory is given");
    struct files files = {0};
    char why[COVEY_REASON_SIZE] = "";
    int error = read_files(directory, &files, reason);
    if (error == 0) {
        error = covey_identity_from_pem(files.ca, files.cert, files.key, out, why);
        if (error != 0)
            error = fail(reason, error, "%.250s%s: %.250s", directory, file_of(error, why), why);
    }
    cv_release(cv_alloc_default(), files.ca);
    cv_release(cv_alloc_default(), files.cert);
    release_secret(files.key);
    return error;
}

/* ---- what it says ---- */

covey_node_id covey_identity_id(const covey_identity *identity)
{
    return identity->who.id;
}

enum covey_role covey_identity_role(const covey_identity *identity)
{
    return (enum covey_role)identity->who.role;
}

const char *covey_identity_name(const covey_identity *identity)
{
    return identity->who.name;
}

const char *covey_identity_cluster(const covey_identity *identity)
{
    return identity->who.cluster;
}
