#define _POSIX_C_SOURCE 200809L

/* Who is not believed, and what a client says about it: each its own text. */
#include "api/identity.h"

#include "support/test_cert.h"
#include "unit/api/calling.h"

#include "io/clock.h"

/* ---- identities that are not as they should be ---- */

static covey_identity *identity_of(const char *ca, const struct cv_pki_pair *pair)
{
    covey_identity *identity;
    char reason[COVEY_REASON_SIZE];
    if (covey_identity_from_pem(ca, pair->cert_pem, pair->key_pem, &identity, reason) != 0)
        fail_msg("%s", reason);
    return identity;
}

struct trust {
    struct world world;
    struct test_pki pki; /* the same CA for the helpers of the tests of TLS */
    struct kept kept;
};

static int setup(void **state)
{
    struct trust *t = calloc(1, sizeof *t);
    assert_non_null(t);
    world_init(&t->world);
    snprintf(t->pki.ca.cert_pem, sizeof t->pki.ca.cert_pem, "%s", t->world.ca.cert);
    snprintf(t->pki.ca.key_pem, sizeof t->pki.ca.key_pem, "%s", t->world.ca.key);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct trust *t = *state;
    world_fini(&t->world);
    free(t);
    return 0;
}

static struct test_cert_config valid_for(const struct trust *t, uint64_t from_ms, uint64_t to_ms)
{
    struct test_cert_config config = test_cert_member(&t->pki);
    config.not_before_ms = from_ms;
    config.not_after_ms = to_ms;
    return config;
}

#define HOUR_MS UINT64_C(3600000)

static void our_own_certificate_is_of_today(void **state)
{
    struct trust *t = *state;
    static struct cv_pki_pair pair;
    char reason[COVEY_REASON_SIZE];
    covey_identity *identity;
    uint64_t now = cv_clock_wall_ms();
    struct test_cert_config old = valid_for(t, now - 2 * HOUR_MS, now - HOUR_MS);
    test_cert_make(&old, NULL, &pair);
    assert_int_equal(
        covey_identity_from_pem(t->world.ca.cert, pair.cert_pem, pair.key_pem, &identity, reason),
        COVEY_ERR_CERTIFICATE_EXPIRED);
    assert_non_null(strstr(reason, "expired"));
    struct test_cert_config young = valid_for(t, now + HOUR_MS, now + 2 * HOUR_MS);
    test_cert_make(&young, NULL, &pair);
    assert_int_equal(
        covey_identity_from_pem(t->world.ca.cert, pair.cert_pem, pair.key_pem, &identity, reason),
        COVEY_ERR_CERTIFICATE_EXPIRED);
    assert_non_null(strstr(reason, "is not valid before"));
}

/* A server whose certificate ran out, and a client whose did: what was good once is not for ever. */
static void a_certificate_that_ran_out_is_no_more_believed(void **state)
{
    struct trust *t = *state;
    static struct cv_pki_pair pair;
    struct covey_server_config server_config;
    struct covey_client_config client_config;
    covey_server *server, *expired_server;
    covey_client *client, *expired_client, *late;
    uint64_t end = cv_clock_wall_ms() / 1000 * 1000 + 2000;
    struct test_cert_config brief = valid_for(t, end - HOUR_MS, end);
    test_cert_make(&brief, NULL, &pair);
    covey_identity *ends_soon = identity_of(t->world.ca.cert, &pair);
    server_config_of(&t->world, ends_soon, &server_config);
    assert_int_equal(covey_server_new(&server_config, &expired_server), 0);
    serve(expired_server, "echo", echo, NULL);
    assert_int_equal(covey_server_start(expired_server), 0);
    server = world_server(&t->world, "owl");
    serve(server, "echo", echo, NULL);
    assert_int_equal(covey_server_start(server), 0);
    client_config_of(&t->world, ends_soon, covey_server_address(server), &client_config);
    assert_int_equal(covey_client_new(&client_config, &expired_client), 0);
    AWAIT(cv_clock_wall_ms() > end + 1000);
    client = world_client(&t->world, covey_server_address(expired_server), COVEY_ROLE_CLIENT);
    expect_call(client, "echo", COVEY_STATUS_UNAVAILABLE,
                "the certificate is expired or not yet valid");
    expect_call(expired_client, "echo", COVEY_STATUS_UNAVAILABLE, "");
    assert_int_equal(covey_client_new(&client_config, &late), COVEY_ERR_CERTIFICATE_EXPIRED);
    assert_int_equal(covey_server_new(&server_config, &server), COVEY_ERR_CERTIFICATE_EXPIRED);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_client_free(expired_client), 0);
    assert_int_equal(covey_server_free(expired_server), 0);
    assert_int_equal(covey_server_free(server), 0);
    covey_identity_free(ends_soon);
}

/* ---- other clusters, other CAs ---- */

/* A call of `client` that must fail with this. */
static void expect_refused(struct world *w, covey_identity *server_of, covey_identity *client_of,
                           const char *text)
{
    struct covey_server_config server_config;
    struct covey_client_config client_config;
    covey_server *server;
    covey_client *client;
    server_config_of(w, server_of, &server_config);
    assert_int_equal(covey_server_new(&server_config, &server), 0);
    serve(server, "echo", echo, NULL);
    assert_int_equal(covey_server_start(server), 0);
    client_config_of(w, client_of, covey_server_address(server), &client_config);
    assert_int_equal(covey_client_new(&client_config, &client), 0);
    expect_call(client, "echo", COVEY_STATUS_UNAVAILABLE, text);
    assert_int_equal(stats_of(server).calls_begun, 0);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_server_free(server), 0);
}

static void an_unknown_ca_is_not_believed(void **state)
{
    struct trust *t = *state;
    static struct world other;
    world_init(&other); /* the same cluster's name, another CA */
    covey_identity *ours = world_identity(&t->world, "owl", COVEY_ROLE_MEMBER);
    covey_identity *theirs = world_identity(&other, "owl", COVEY_ROLE_MEMBER);
    expect_refused(&t->world, ours, theirs, "the certificate is not acceptable");
    expect_refused(&t->world, theirs, ours, "the certificate is not acceptable");
    covey_identity_free(ours);
    covey_identity_free(theirs);
    world_fini(&other);
}

/* One CA may serve several clusters; their members keep apart. */
static void another_cluster_is_not_ours(void **state)
{
    struct trust *t = *state;
    static struct cv_pki_pair pair;
    uint64_t now = cv_clock_wall_ms();
    struct test_cert_config config = valid_for(t, now - HOUR_MS, now + HOUR_MS);
    config.uris[0] = cv_slice_text("covey://herd/member/one");
    test_cert_make(&config, NULL, &pair);
    covey_identity *ours = world_identity(&t->world, "owl", COVEY_ROLE_MEMBER);
    covey_identity *theirs = identity_of(t->world.ca.cert, &pair);
    expect_refused(&t->world, theirs, ours, "the certificate belongs to another cluster");
    expect_refused(&t->world, ours, theirs, "the certificate belongs to another cluster");
    covey_identity_free(ours);
    covey_identity_free(theirs);
}

/* A client that trusts a server which does not trust it hears that it was refused. */
static void a_client_that_is_refused_hears_it(void **state)
{
    struct trust *t = *state;
    static struct world other;
    world_init(&other);
    static struct cv_pki_pair pair;
    covey_identity *theirs;
    covey_identity *ours = world_identity(&t->world, "owl", COVEY_ROLE_MEMBER);
    struct covey_pem pem;
    struct covey_issue_config config;
    covey_issue_config_init(&config);
    config.name = "robin";
    config.role = COVEY_ROLE_CLIENT;
    config.days = 5;
    assert_int_equal(covey_pki_issue(other.ca.cert, other.ca.key, &config, &pem), 0);
    /* trusts both CAs, as while one is replaced */
    char both[sizeof pair.cert_pem * 2];
    snprintf(both, sizeof both, "%s%s", other.ca.cert, t->world.ca.cert);
    assert_int_equal(covey_identity_from_pem(both, pem.cert, pem.key, &theirs, NULL), 0);
    covey_pem_free(&pem);
    expect_refused(&t->world, ours, theirs, "the peer refused our certificate");
    covey_identity_free(ours);
    covey_identity_free(theirs);
    world_fini(&other);
}

/* ---- roles ---- */

static void only_members_serve(void **state)
{
    struct trust *t = *state;
    struct covey_server_config config;
    covey_server *server = NULL;
    for (int role = COVEY_ROLE_CLIENT; role <= COVEY_ROLE_ADMIN; role++) {
        covey_identity *identity = world_identity(&t->world, "robin", (enum covey_role)role);
        server_config_of(&t->world, identity, &config);
        assert_int_equal(covey_server_new(&config, &server), COVEY_ERR_WRONG_ROLE);
        covey_identity_free(identity);
    }
    assert_null(server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(our_own_certificate_is_of_today),
        TEST(a_certificate_that_ran_out_is_no_more_believed),
        TEST(an_unknown_ca_is_not_believed),
        TEST(another_cluster_is_not_ours),
        TEST(a_client_that_is_refused_hears_it),
        TEST(only_members_serve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
