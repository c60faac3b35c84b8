#include "quic/pki.h"

#include "api/identity.h"
#include "io/clock.h"

#include <covey/pki.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS UINT64_C(86400000)

static struct covey_pem ca_of(unsigned days)
{
    struct covey_pem ca;
    assert_int_equal(covey_pki_make_ca("birds", COVEY_KEY_ED25519, days, &ca), 0);
    return ca;
}

static struct covey_issue_config config_of(const char *name)
{
    struct covey_issue_config config;
    covey_issue_config_init(&config);
    config.name = name;
    return config;
}

static struct cv_identity who_is(const struct covey_pem *ca, const struct covey_pem *leaf)
{
    covey_identity *identity;
    char reason[COVEY_REASON_SIZE] = "";
    if (covey_identity_from_pem(ca->cert, leaf->cert, leaf->key, &identity, reason) != 0)
        fail_msg("%s", reason);
    struct cv_identity who = identity->who;
    covey_identity_free(identity);
    return who;
}

static void defaults_make_a_member_for_a_year(void **state)
{
    (void)state;
    struct covey_pem ca = ca_of(3650);
    struct covey_pem leaf;
    struct covey_issue_config config = config_of("robin");
    assert_int_equal(config.size, sizeof config);
    uint64_t before = cv_clock_wall_ms();
    assert_int_equal(covey_pki_issue(ca.cert, ca.key, &config, &leaf), 0);
    uint64_t after = cv_clock_wall_ms();
    struct cv_identity who = who_is(&ca, &leaf);
    assert_int_equal(who.role, CV_ROLE_MEMBER);
    assert_string_equal(who.name, "robin");
    assert_string_equal(who.cluster, "birds");
    assert_in_range(who.not_before_ms, before - 3600000 - 1000, after - 3600000);
    assert_in_range(who.not_after_ms, before + 365 * DAY_MS - 1000, after + 365 * DAY_MS);
    covey_pem_free(&leaf);
    covey_pem_free(&ca);
    assert_null(ca.cert);
    assert_null(ca.key);
    covey_pem_free(&ca);
}

static void every_role_and_key_type(void **state)
{
    (void)state;
    struct covey_pem ca;
    assert_int_equal(covey_pki_make_ca("birds", COVEY_KEY_ECDSA_P256, 10, &ca), 0);
    for (int role = COVEY_ROLE_MEMBER; role <= COVEY_ROLE_ADMIN; role++) {
        struct covey_pem leaf;
        struct covey_issue_config config = config_of("wren");
        config.role = (enum covey_role)role;
        config.key_type = role == COVEY_ROLE_CLIENT ? COVEY_KEY_ED25519 : COVEY_KEY_ECDSA_P256;
        assert_int_equal(covey_pki_issue(ca.cert, ca.key, &config, &leaf), 0);
        assert_int_equal(who_is(&ca, &leaf).role, role);
        covey_pem_free(&leaf);
    }
    covey_pem_free(&ca);
}

static void a_certificate_ends_with_its_ca(void **state)
{
    (void)state;
    struct covey_pem ca = ca_of(1);
    struct covey_pem leaf;
    struct covey_issue_config config = config_of("robin");
    uint64_t begin, end;
    assert_int_equal(cv_pki_ca_period(ca.cert, &begin, &end), 0);
    assert_int_equal(covey_pki_issue(ca.cert, ca.key, &config, &leaf), 0);
    assert_int_equal(who_is(&ca, &leaf).not_after_ms, end);
    covey_pem_free(&leaf);
    covey_pem_free(&ca);
}

static void an_expired_ca_issues_nothing(void **state)
{
    (void)state;
    struct cv_pki_pair ca;
    struct covey_pem leaf = {NULL, NULL};
    uint64_t now = cv_clock_wall_ms();
    struct covey_issue_config config = config_of("robin");
    struct cv_pki_ca_config past = {
        .cluster = "birds", .not_before_ms = now - 2 * DAY_MS, .not_after_ms = now - DAY_MS};
    assert_int_equal(cv_pki_make_ca(&past, &ca), 0);
    assert_int_equal(covey_pki_issue(ca.cert_pem, ca.key_pem, &config, &leaf),
                     COVEY_ERR_CERTIFICATE_EXPIRED);
    struct cv_pki_ca_config future = {
        .cluster = "birds", .not_before_ms = now + DAY_MS, .not_after_ms = now + 2 * DAY_MS};
    assert_int_equal(cv_pki_make_ca(&future, &ca), 0);
    assert_int_equal(covey_pki_issue(ca.cert_pem, ca.key_pem, &config, &leaf),
                     COVEY_ERR_CERTIFICATE_EXPIRED);
    assert_null(leaf.cert);
}

static void arguments_of_a_ca(void **state)
{
    (void)state;
    struct covey_pem ca = {NULL, NULL};
    char name[65];
    memset(name, 'a', sizeof name);
    name[64] = '\0';
    assert_int_equal(covey_pki_make_ca("birds", COVEY_KEY_ED25519, 0, &ca),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_pki_make_ca("birds", COVEY_KEY_ED25519, 36501, &ca),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_pki_make_ca(NULL, COVEY_KEY_ED25519, 1, &ca),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_pki_make_ca("", COVEY_KEY_ED25519, 1, &ca), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_pki_make_ca("a/b", COVEY_KEY_ED25519, 1, &ca),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_pki_make_ca(name, COVEY_KEY_ED25519, 1, &ca),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_pki_make_ca("birds", (enum covey_key_type)2, 1, &ca),
                     COVEY_ERR_INVALID_ARGUMENT);
    assert_null(ca.cert);
    name[63] = '\0';
    assert_int_equal(covey_pki_make_ca(name, COVEY_KEY_ED25519, 36500, &ca), 0);
    covey_pem_free(&ca);
}

static void assert_refused(const struct covey_pem *ca, const struct covey_issue_config *config,
                           int error)
{
    struct covey_pem leaf = {NULL, NULL};
    assert_int_equal(covey_pki_issue(ca->cert, ca->key, config, &leaf), error);
    assert_null(leaf.cert);
    assert_null(leaf.key);
}

static void arguments_of_a_certificate(void **state)
{
    (void)state;
    struct covey_pem ca = ca_of(10);
    struct covey_pem other = ca_of(10);
    struct covey_pem mixed = {.cert = ca.cert, .key = other.key};
    struct covey_pem garbage = {.cert = other.key, .key = ca.key};
    struct covey_pem nothing = {NULL, NULL};
    const char *const hosts[] = {"not a host"};
    struct covey_issue_config config = config_of("robin");
    assert_refused(&mixed, &config, COVEY_ERR_KEY);
    assert_refused(&garbage, &config, COVEY_ERR_CERTIFICATE);
    assert_refused(&nothing, &config, COVEY_ERR_INVALID_ARGUMENT);
    config.name = NULL;
    assert_refused(&ca, &config, COVEY_ERR_INVALID_ARGUMENT);
    config.name = "no spaces";
    assert_refused(&ca, &config, COVEY_ERR_INVALID_ARGUMENT);
    config = config_of("robin");
    config.days = 0;
    assert_refused(&ca, &config, COVEY_ERR_INVALID_ARGUMENT);
    config.days = 36501;
    assert_refused(&ca, &config, COVEY_ERR_INVALID_ARGUMENT);
    config = config_of("robin");
    config.host_count = 1;
    assert_refused(&ca, &config, COVEY_ERR_INVALID_ARGUMENT);
    config.hosts = hosts;
    assert_refused(&ca, &config, COVEY_ERR_INVALID_ARGUMENT);
    config = config_of("robin");
    config.role = (enum covey_role)3;
    assert_refused(&ca, &config, COVEY_ERR_INVALID_ARGUMENT);
    covey_pem_free(&ca);
    covey_pem_free(&other);
}

static void hosts_are_taken(void **state)
{
    (void)state;
    struct covey_pem ca = ca_of(10);
    struct covey_pem leaf;
    const char *const hosts[] = {"db.example.org", "192.0.2.1", "2001:db8::1"};
    struct covey_issue_config config = config_of("robin");
    config.hosts = hosts;
    config.host_count = 3;
    assert_int_equal(covey_pki_issue(ca.cert, ca.key, &config, &leaf), 0);
    assert_string_equal(who_is(&ca, &leaf).name, "robin");
    covey_pem_free(&leaf);
    covey_pem_free(&ca);
}

/* A renewed certificate keeps the key, and so the node keeps its id. */
static void a_certificate_is_renewed(void **state)
{
    (void)state;
    struct covey_pem ca = ca_of(10);
    struct covey_pem leaf, renewed;
    struct covey_issue_config config = config_of("robin");
    config.days = 1;
    assert_int_equal(covey_pki_issue(ca.cert, ca.key, &config, &leaf), 0);
    config.days = 5;
    config.key = leaf.key;
    assert_int_equal(covey_pki_issue(ca.cert, ca.key, &config, &renewed), 0);
    struct cv_identity before = who_is(&ca, &leaf);
    struct cv_identity after = who_is(&ca, &renewed);
    assert_memory_equal(&before.id, &after.id, sizeof before.id);
    assert_true(after.not_after_ms > before.not_after_ms);
    covey_pem_free(&renewed);
    config.key = "no key";
    assert_int_equal(covey_pki_issue(ca.cert, ca.key, &config, &renewed), COVEY_ERR_KEY);
    covey_pem_free(&leaf);
    covey_pem_free(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_make_a_member_for_a_year),
        cmocka_unit_test(every_role_and_key_type),
        cmocka_unit_test(a_certificate_ends_with_its_ca),
        cmocka_unit_test(an_expired_ca_issues_nothing),
        cmocka_unit_test(arguments_of_a_ca),
        cmocka_unit_test(arguments_of_a_certificate),
        cmocka_unit_test(hosts_are_taken),
        cmocka_unit_test(a_certificate_is_renewed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
