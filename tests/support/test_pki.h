#ifndef TEST_SUPPORT_TEST_PKI_H
#define TEST_SUPPORT_TEST_PKI_H

#include "base/alloc.h"
#include "quic/pki.h"
#include "quic/tls.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * A CA for a test, and what it signs. Everything is valid from a day before TEST_WALL_MS; the CA
 * for ten years, the certificates for one. Header only, for tests that may include quic. A failure
 * ends the process: these calls prepare a test, they are not what it tests.
 */
#define TEST_WALL_MS UINT64_C(1767225600000) /* 2026-01-01 00:00:00 UTC */
#define TEST_DAY_MS  UINT64_C(86400000)

struct test_pki {
    struct cv_pki_pair ca;
};

static inline void test_pki_must(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "test_pki: %s failed with %d\n", what, error);
    abort();
}

static inline void test_pki_init(struct test_pki *pki, const char *cluster)
{
    struct cv_pki_ca_config config = {
        .cluster = cluster,
        .key_type = CV_KEY_ED25519,
        .not_before_ms = TEST_WALL_MS - TEST_DAY_MS,
        .not_after_ms = TEST_WALL_MS + 3650 * TEST_DAY_MS,
    };
    test_pki_must(cv_pki_make_ca(&config, &pki->ca), "make_ca");
}

/* What test_pki_issue() signs; a test that wants something else changes it and calls cv_pki_issue.
 */
static inline struct cv_pki_issue_config test_pki_issue_config(const struct test_pki *pki,
                                                               const char *name, enum cv_role role)
{
    return (struct cv_pki_issue_config){
        .ca_cert_pem = pki->ca.cert_pem,
        .ca_key_pem = pki->ca.key_pem,
        .name = name,
        .role = role,
        .key_type = CV_KEY_ED25519,
        .not_before_ms = TEST_WALL_MS - TEST_DAY_MS,
        .not_after_ms = TEST_WALL_MS + 365 * TEST_DAY_MS,
    };
}

static inline void test_pki_issue(const struct test_pki *pki, const char *name, enum cv_role role,
                                  struct cv_pki_pair *out)
{
    struct cv_pki_issue_config config = test_pki_issue_config(pki, name, role);
    test_pki_must(cv_pki_issue(&config, out), "issue");
}

/* A context of `alloc` that presents `pair`, trusts `pki` and judges by TEST_WALL_MS. */
static inline void test_pki_tls_of(const struct test_pki *pki, const struct cv_pki_pair *pair,
                                   const struct cv_alloc *alloc, struct cv_tls **out)
{
    char reason[CV_TLS_REASON_SIZE] = "";
    struct cv_tls_config config = {
        .alloc = alloc,
        .ca_pem = cv_slice_text(pki->ca.cert_pem),
        .cert_pem = cv_slice_text(pair->cert_pem),
        .key_pem = cv_slice_text(pair->key_pem),
        .wall_ms = TEST_WALL_MS,
    };
    int error = cv_tls_new(&config, out, reason);
    test_pki_must(error, error == 0 ? "" : reason);
}

/* The same with a fresh certificate and malloc; free it with cv_tls_free(). */
static inline void test_pki_tls(const struct test_pki *pki, const char *name, enum cv_role role,
                                struct cv_tls **out)
{
    struct cv_pki_pair pair;
    test_pki_issue(pki, name, role, &pair);
    test_pki_tls_of(pki, &pair, cv_alloc_default(), out);
}

#endif
