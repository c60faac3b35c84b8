#define _POSIX_C_SOURCE 200809L /* mkdtemp */

#include "api/identity.h"

#include "io/clock.h"
#include "quic/pki.h"
#include "support/test_alloc.h"

#include <covey/pki.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY_MS UINT64_C(86400000)

/* A directory with the three files of a member. */
struct fixture {
    struct covey_pem ca;
    struct covey_pem leaf;
    char directory[64];
};

static const char *path_of(const struct fixture *f, const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", f->directory, name);
    return path;
}

static void write_file(const struct fixture *f, const char *name, const char *text, size_t size)
{
    FILE *file = fopen(path_of(f, name), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const struct fixture *f, const char *name, const char *text)
{
    write_file(f, name, text, strlen(text));
}

static struct covey_pem leaf_of(const struct covey_pem *ca, enum covey_role role)
{
    struct covey_pem leaf;
    struct covey_issue_config config;
    covey_issue_config_init(&config);
    config.name = "robin";
    config.role = role;
    assert_int_equal(covey_pki_issue(ca->cert, ca->key, &config, &leaf), 0);
    return leaf;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL || covey_pki_make_ca("birds", COVEY_KEY_ED25519, 10, &f->ca) != 0)
        return -1;
    f->leaf = leaf_of(&f->ca, COVEY_ROLE_MEMBER);
    const char *temporary = getenv("TMPDIR");
    snprintf(f->directory, sizeof f->directory, "%.40s/covey-XXXXXX",
             temporary == NULL ? "/tmp" : temporary);
    if (mkdtemp(f->directory) == NULL)
        return -1;
    write_text(f, "ca.pem", f->ca.cert);
    write_text(f, "cert.pem", f->leaf.cert);
    write_text(f, "key.pem", f->leaf.key);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(path_of(f, "ca.pem"));
    unlink(path_of(f, "cert.pem"));
    unlink(path_of(f, "key.pem"));
    rmdir(f->directory);
    covey_pem_free(&f->ca);
    covey_pem_free(&f->leaf);
    free(f);
    return 0;
}

/* Loading fails, with a sentence that names the file. */
static void assert_refused(const struct fixture *f, int error, const char *file)
{
    char reason[COVEY_REASON_SIZE] = "";
    covey_identity *identity = NULL;
    assert_int_equal(covey_identity_load(f->directory, &identity, reason), error);
    assert_null(identity);
    const char *path = path_of(f, file);
    assert_int_equal(strncmp(reason, path, strlen(path)), 0);
    assert_int_equal(strncmp(reason + strlen(path), ": ", 2), 0);
    assert_true(strlen(reason) > strlen(path) + 5);
    assert_int_equal(covey_identity_load(f->directory, &identity, NULL), error);
}

static void load_says_who_it_is(void **state)
{
    struct fixture *f = *state;
    char reason[COVEY_REASON_SIZE] = "";
    covey_identity *loaded, *copied;
    assert_int_equal(covey_identity_load(f->directory, &loaded, reason), 0);
    assert_int_equal(covey_identity_from_pem(f->ca.cert, f->leaf.cert, f->leaf.key, &copied, NULL),
                     0);
    covey_node_id a = covey_identity_id(loaded);
    covey_node_id b = covey_identity_id(copied);
    assert_int_equal(covey_node_id_compare(&a, &b), 0);
    assert_int_equal(covey_identity_role(loaded), COVEY_ROLE_MEMBER);
    assert_string_equal(covey_identity_name(loaded), "robin");
    assert_string_equal(covey_identity_cluster(loaded), "birds");
    covey_identity_free(loaded);
    covey_identity_free(copied);
    covey_identity_free(NULL);
}

static void every_role(void **state)
{
    struct fixture *f = *state;
    for (int role = COVEY_ROLE_MEMBER; role <= COVEY_ROLE_ADMIN; role++) {
        struct covey_pem leaf = leaf_of(&f->ca, (enum covey_role)role);
        covey_identity *identity;
        assert_int_equal(covey_identity_from_pem(f->ca.cert, leaf.cert, leaf.key, &identity, NULL),
                         0);
        assert_int_equal(covey_identity_role(identity), role);
        covey_identity_free(identity);
        covey_pem_free(&leaf);
    }
    assert_string_equal(covey_role_name(COVEY_ROLE_MEMBER), "member");
    assert_string_equal(covey_role_name(COVEY_ROLE_CLIENT), "client");
    assert_string_equal(covey_role_name(COVEY_ROLE_ADMIN), "admin");
    assert_string_equal(covey_role_name((enum covey_role)3), "?");
}

static void a_missing_file_is_named(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"key.pem", "cert.pem", "ca.pem"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(unlink(path_of(f, names[i])), 0);
        assert_refused(f, COVEY_ERR_NOT_FOUND, names[i]);
    }
}

static void a_file_that_is_too_large_is_not_read(void **state)
{
    struct fixture *f = *state;
    size_t size = ((size_t)1 << 20) + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, '\n', size);
    write_file(f, "cert.pem", text, size);
    free(text);
    assert_refused(f, COVEY_ERR_SYSTEM, "cert.pem");
}

static void a_file_of_no_pem_is_named(void **state)
{
    struct fixture *f = *state;
    write_text(f, "key.pem", "");
    assert_refused(f, COVEY_ERR_KEY, "key.pem");
    write_text(f, "cert.pem", "no PEM");
    assert_refused(f, COVEY_ERR_CERTIFICATE, "cert.pem");
    write_text(f, "ca.pem", "no PEM");
    assert_refused(f, COVEY_ERR_CERTIFICATE, "ca.pem");
}

static void files_must_fit_together(void **state)
{
    struct fixture *f = *state;
    struct covey_pem other_ca;
    assert_int_equal(covey_pki_make_ca("birds", COVEY_KEY_ED25519, 10, &other_ca), 0);
    struct covey_pem other = leaf_of(&f->ca, COVEY_ROLE_MEMBER);
    write_text(f, "key.pem", other.key);
    assert_refused(f, COVEY_ERR_KEY, "key.pem");
    write_text(f, "key.pem", f->leaf.key);
    write_text(f, "ca.pem", other_ca.cert);
    assert_refused(f, COVEY_ERR_CERTIFICATE, "cert.pem");
    covey_pem_free(&other_ca);
    covey_pem_free(&other);
}

static void an_expired_certificate_is_refused(void **state)
{
    struct fixture *f = *state;
    struct cv_pki_pair ca, leaf;
    uint64_t now = cv_clock_wall_ms();
    struct cv_pki_ca_config ca_config = {
        .cluster = "birds", .not_before_ms = now - 9 * DAY_MS, .not_after_ms = now + DAY_MS};
    assert_int_equal(cv_pki_make_ca(&ca_config, &ca), 0);
    struct cv_pki_issue_config config = {
        .ca_cert_pem = ca.cert_pem,
        .ca_key_pem = ca.key_pem,
        .name = "robin",
        .not_before_ms = now - 2 * DAY_MS,
        .not_after_ms = now - DAY_MS,
    };
    assert_int_equal(cv_pki_issue(&config, &leaf), 0);
    write_text(f, "ca.pem", ca.cert_pem);
    write_text(f, "cert.pem", leaf.cert_pem);
    write_text(f, "key.pem", leaf.key_pem);
    assert_refused(f, COVEY_ERR_CERTIFICATE_EXPIRED, "cert.pem");
}

static void arguments_are_checked(void **state)
{
    struct fixture *f = *state;
    char reason[COVEY_REASON_SIZE] = "";
    char path[5000];
    covey_identity *identity = NULL;
    assert_int_equal(covey_identity_load(NULL, &identity, reason), COVEY_ERR_INVALID_ARGUMENT);
    assert_true(strlen(reason) > 5);
    assert_int_equal(covey_identity_from_pem(f->ca.cert, f->leaf.cert, NULL, &identity, NULL),
                     COVEY_ERR_INVALID_ARGUMENT);
    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_int_equal(covey_identity_load(path, &identity, reason), COVEY_ERR_NOT_FOUND);
    assert_null(identity);
}

static void each_loop_gets_a_context(void **state)
{
    struct fixture *f = *state;
    covey_identity *identity;
    struct test_alloc memory;
    struct cv_tls *a, *b;
    test_alloc_init(&memory);
    assert_int_equal(
        covey_identity_from_pem(f->ca.cert, f->leaf.cert, f->leaf.key, &identity, NULL), 0);
    assert_int_equal(cv_identity_make_tls(identity, &memory.alloc, &a), 0);
    assert_int_equal(cv_identity_make_tls(identity, &memory.alloc, &b), 0);
    covey_identity_free(identity);
    assert_string_equal(cv_tls_identity(a)->name, "robin");
    assert_string_equal(cv_tls_identity(b)->name, "robin");
    cv_tls_free(a);
    cv_tls_free(b);
    test_alloc_assert_empty(&memory);
}

/* What fits is taken; what does not is explained and changes nothing. */
static void a_context_is_reloaded(void **state)
{
    struct fixture *f = *state;
    covey_identity *identity, *other;
    struct covey_pem leaf = leaf_of(&f->ca, COVEY_ROLE_MEMBER);
    struct cv_tls *tls;
    char reason[COVEY_REASON_SIZE] = "";
    assert_int_equal(
        covey_identity_from_pem(f->ca.cert, f->leaf.cert, f->leaf.key, &identity, NULL), 0);
    assert_int_equal(covey_identity_from_pem(f->ca.cert, leaf.cert, leaf.key, &other, NULL), 0);
    assert_int_equal(cv_identity_make_tls(identity, cv_alloc_default(), &tls), 0);
    assert_int_equal(cv_identity_reload_tls(identity, tls, CV_TLS_RENEW, reason), 0);
    assert_string_equal(reason, "");
    assert_int_equal(cv_identity_reload_tls(other, tls, CV_TLS_RENEW, NULL),
                     COVEY_ERR_WRONG_IDENTITY);
    assert_int_equal(cv_identity_reload_tls(other, tls, CV_TLS_RENEW, reason),
                     COVEY_ERR_WRONG_IDENTITY);
    assert_string_equal(reason,
                        "the certificate's key is not the old one's: it would be another node");
    assert_memory_equal(&cv_tls_identity(tls)->id, &identity->who.id, sizeof identity->who.id);
    assert_int_equal(cv_identity_reload_tls(other, tls, CV_TLS_REKEY, reason), 0);
    assert_memory_equal(&cv_tls_identity(tls)->id, &other->who.id, sizeof other->who.id);
    covey_pem_free(&leaf);
    covey_identity_free(identity);
    covey_identity_free(other);
    cv_tls_free(tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(load_says_who_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(every_role, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_file_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_too_large_is_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_of_no_pem_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(files_must_fit_together, setup, teardown),
        cmocka_unit_test_setup_teardown(an_expired_certificate_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(arguments_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(each_loop_gets_a_context, setup, teardown),
        cmocka_unit_test_setup_teardown(a_context_is_reloaded, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
