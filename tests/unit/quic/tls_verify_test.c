#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "quic/tls_verify.h"
#include "support/test_cert.h"
#include "support/test_pki.h"

#include <covey/error.h>
#include <gnutls/gnutls.h>

#define NODE    CV_ROLE_MEMBER
#define CLIENT  CV_ROLE_CLIENT
#define ADMIN   CV_ROLE_ADMIN
#define CLUSTER CV_ALPN_ID_CLUSTER
#define RPC     CV_ALPN_ID_RPC

struct fixture {
    struct test_pki pki;
    struct cv_tls_trust trust;
    struct test_der der;
    struct cv_tls_answer answer;
};

static int setup(void **state)
{
    static struct fixture f;
    const char *problem;
    test_pki_init(&f.pki, "flock");
    if (cv_tls_trust_init(&f.trust, cv_slice_text(f.pki.ca.cert_pem), &problem) != 0)
        return -1;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    cv_tls_trust_fini(&f->trust);
    return 0;
}

/* We are a server, the peer a member that wants to gossip. */
static struct cv_tls_question usual(const struct fixture *f)
{
    return (struct cv_tls_question){
        .trust = &f->trust,
        .cluster = "flock",
        .wall_ms = TEST_WALL_MS,
        .is_server = true,
        .alpn = CLUSTER,
    };
}

static struct cv_tls_chain chain_of(const struct test_der *der)
{
    return (struct cv_tls_chain){.certs = {test_der_slice(der)}, .count = 1};
}

static enum cv_tls_verdict judge(struct fixture *f, const struct cv_tls_question *question)
{
    struct cv_tls_chain chain = chain_of(&f->der);
    struct cv_tls_answer before = f->answer;
    enum cv_tls_verdict verdict = cv_tls_judge(question, &chain, &f->answer);
    if (verdict != CV_TLS_ACCEPTED)
        assert_memory_equal(&f->answer, &before, sizeof before);
    return verdict;
}

static enum cv_tls_verdict judge_cert(struct fixture *f, const struct test_cert_config *config)
{
    struct cv_tls_question question = usual(f);
    test_cert_make(config, &f->der, NULL);
    return judge(f, &question);
}

static void roles_by_protocol_and_side(void **state)
{
    static const struct {
        enum cv_role role;
        enum cv_alpn alpn;
        bool is_server;
        enum cv_tls_verdict verdict;
    } table[] = {
        {NODE, CLUSTER, true, CV_TLS_ACCEPTED},      {NODE, CLUSTER, false, CV_TLS_ACCEPTED},
        {NODE, RPC, true, CV_TLS_ACCEPTED},          {NODE, RPC, false, CV_TLS_ACCEPTED},
        {CLIENT, RPC, true, CV_TLS_ACCEPTED},        {ADMIN, RPC, true, CV_TLS_ACCEPTED},
        {CLIENT, RPC, false, CV_TLS_WRONG_ROLE},     {ADMIN, RPC, false, CV_TLS_WRONG_ROLE},
        {CLIENT, CLUSTER, true, CV_TLS_WRONG_ROLE},  {ADMIN, CLUSTER, true, CV_TLS_WRONG_ROLE},
        {CLIENT, CLUSTER, false, CV_TLS_WRONG_ROLE}, {ADMIN, CLUSTER, false, CV_TLS_WRONG_ROLE},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct cv_pki_pair pair;
        struct cv_tls_question question = usual(f);
        test_pki_issue(&f->pki, "one", table[i].role, &pair);
        test_der_of_pem(pair.cert_pem, &f->der);
        question.alpn = table[i].alpn;
        question.is_server = table[i].is_server;
        assert_int_equal(judge(f, &question), table[i].verdict);
        if (table[i].verdict == CV_TLS_ACCEPTED)
            assert_int_equal(f->answer.peer.role, table[i].role);
    }
}

static void validity_counts_by_the_callers_clock(void **state)
{
    struct fixture *f = *state;
    struct test_cert_config config = test_cert_member(&f->pki);
    uint64_t begin = config.not_before_ms;
    uint64_t end = config.not_after_ms;
    const struct {
        uint64_t wall_ms;
        enum cv_tls_verdict verdict;
    } table[] = {
        {0, CV_TLS_NOT_YET_VALID}, {begin - 1, CV_TLS_NOT_YET_VALID}, {begin, CV_TLS_ACCEPTED},
        {end, CV_TLS_ACCEPTED},    {end + 1, CV_TLS_EXPIRED},         {UINT64_MAX, CV_TLS_EXPIRED},
    };
    test_cert_make(&config, &f->der, NULL);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct cv_tls_question question = usual(f);
        question.wall_ms = table[i].wall_ms;
        assert_int_equal(judge(f, &question), table[i].verdict);
        if (table[i].verdict == CV_TLS_ACCEPTED)
            assert_int_equal(f->answer.valid_until_ms, end);
    }
}

static void signatures_must_lead_to_our_ca(void **state)
{
    struct fixture *f = *state;
    struct test_pki strangers;
    struct test_cert_config config = test_cert_member(&f->pki);
    assert_int_equal(judge_cert(f, &config), CV_TLS_ACCEPTED);
    config.issuer = NULL;
    assert_int_equal(judge_cert(f, &config), CV_TLS_SELF_SIGNED);
    test_pki_init(&strangers, "flock");
    config.issuer = &strangers.ca;
    assert_int_equal(judge_cert(f, &config), CV_TLS_UNTRUSTED);
    /* An untrusted one says nothing, not even that it is expired or of another cluster. */
    config.not_after_ms = config.not_before_ms;
    config.uris[0] = cv_slice_text("covey://herd/member/one");
    assert_int_equal(judge_cert(f, &config), CV_TLS_UNTRUSTED);
}

/* Every byte of a certificate is under its signature, or is the signature. */
static void a_changed_byte_is_never_accepted(void **state)
{
    struct fixture *f = *state;
    struct test_cert_config config = test_cert_member(&f->pki);
    struct cv_tls_question question = usual(f);
    test_cert_make(&config, &f->der, NULL);
    for (size_t i = 0; i < f->der.size; i++) {
        f->der.bytes[i] ^= 0x21;
        assert_int_not_equal(judge(f, &question), CV_TLS_ACCEPTED);
        f->der.bytes[i] ^= 0x21;
    }
    assert_int_equal(judge(f, &question), CV_TLS_ACCEPTED);
}

static void a_member_cannot_issue(void **state)
{
    struct fixture *f = *state;
    struct cv_pki_pair member;
    struct test_der issuer;
    test_pki_issue(&f->pki, "two", CV_ROLE_MEMBER, &member);
    test_der_of_pem(member.cert_pem, &issuer);
    struct test_cert_config config = test_cert_member(&f->pki);
    config.issuer = &member;
    test_cert_make(&config, &f->der, NULL);
    struct cv_tls_question question = usual(f);
    struct cv_tls_chain chain = chain_of(&f->der);
    chain.certs[chain.count++] = test_der_slice(&issuer);
    assert_int_equal(cv_tls_judge(&question, &chain, &f->answer), CV_TLS_UNTRUSTED);
}

static void the_ca_itself_is_nobody(void **state)
{
    struct fixture *f = *state;
    struct cv_tls_question question = usual(f);
    test_der_of_pem(f->pki.ca.cert_pem, &f->der);
    assert_int_not_equal(judge(f, &question), CV_TLS_ACCEPTED);
}

static void names_and_usages_are_judged(void **state)
{
    struct fixture *f = *state;
    const struct test_cert_config good = test_cert_member(&f->pki);
    struct test_cert_config config = good;
    config.uris[0] = cv_slice_text("covey://herd/member/one");
    assert_int_equal(judge_cert(f, &config), CV_TLS_WRONG_CLUSTER);
    config.uris[0] = cv_slice_text("covey://flock2/member/one");
    assert_int_equal(judge_cert(f, &config), CV_TLS_WRONG_CLUSTER);
    config = good;
    config.uri_count = 0;
    assert_int_equal(judge_cert(f, &config), CV_TLS_NO_NAME);
    config = good;
    config.uris[config.uri_count++] = cv_slice_text("covey://flock/member/two");
    assert_int_equal(judge_cert(f, &config), CV_TLS_NO_NAME);
    config = good;
    config.purpose_count = 1; /* only serverAuth */
    assert_int_equal(judge_cert(f, &config), CV_TLS_WRONG_USAGE);
    config = good;
    config.purposes[0] = GNUTLS_KP_CODE_SIGNING;
    assert_int_equal(judge_cert(f, &config), CV_TLS_WRONG_USAGE);
    config = good;
    config.key_usage = GNUTLS_KEY_KEY_ENCIPHERMENT;
    assert_int_equal(judge_cert(f, &config), CV_TLS_WRONG_USAGE);
    config = good;
    config.not_after_ms = TEST_WALL_MS - 1000;
    config.uris[0] = cv_slice_text("covey://herd/member/one");
    assert_int_equal(judge_cert(f, &config), CV_TLS_EXPIRED);
}

static void only_the_expected_node_is_accepted(void **state)
{
    struct fixture *f = *state;
    struct test_cert_config config = test_cert_member(&f->pki);
    assert_int_equal(judge_cert(f, &config), CV_TLS_ACCEPTED);
    covey_node_id id = f->answer.peer.id;
    struct cv_tls_question question = usual(f);
    question.expected = &id;
    assert_int_equal(judge(f, &question), CV_TLS_ACCEPTED);
    id.bytes[COVEY_NODE_ID_SIZE - 1] ^= 1;
    assert_int_equal(judge(f, &question), CV_TLS_WRONG_IDENTITY);
}

/* Whatever its role, and though all else is good. */
static void who_is_denied_is_refused(void **state)
{
    static const enum cv_role roles[] = {NODE, CLIENT, ADMIN};
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        struct cv_pki_pair pair;
        struct cv_tls_question question = usual(f);
        question.alpn = RPC;
        question.is_server = true;
        test_pki_issue(&f->pki, "one", roles[i], &pair);
        test_der_of_pem(pair.cert_pem, &f->der);
        assert_int_equal(judge(f, &question), CV_TLS_ACCEPTED);
        struct cv_deny_list denied = {.ids = &f->answer.peer.id, .count = 1};
        question.denied = &denied;
        assert_int_equal(judge(f, &question), CV_TLS_DENIED);
        denied.count = 0;
        assert_int_equal(judge(f, &question), CV_TLS_ACCEPTED);
    }
}

static void an_empty_chain_is_no_certificate(void **state)
{
    struct fixture *f = *state;
    struct cv_tls_question question = usual(f);
    struct cv_tls_chain chain = {.count = 0};
    assert_int_equal(cv_tls_check_chain(&chain), CV_TLS_NO_CERTIFICATE);
    assert_int_equal(cv_tls_judge(&question, &chain, &f->answer), CV_TLS_NO_CERTIFICATE);
}

static void a_chain_has_at_most_four_certificates(void **state)
{
    struct fixture *f = *state;
    struct test_cert_config config = test_cert_member(&f->pki);
    struct cv_tls_question question = usual(f);
    struct cv_tls_chain chain = {.count = CV_TLS_CHAIN_MAX};
    test_cert_make(&config, &f->der, NULL);
    for (size_t i = 0; i <= CV_TLS_CHAIN_MAX; i++)
        chain.certs[i] = test_der_slice(&f->der);
    assert_int_equal(cv_tls_check_chain(&chain), CV_TLS_ACCEPTED);
    chain.count = CV_TLS_CHAIN_MAX + 1;
    assert_int_equal(cv_tls_check_chain(&chain), CV_TLS_CHAIN_TOO_LONG);
    assert_int_equal(cv_tls_judge(&question, &chain, &f->answer), CV_TLS_CHAIN_TOO_LONG);
}

static void a_chain_has_at_most_16_kib(void **state)
{
    struct fixture *f = *state;
    static char filler[CV_CERTIFICATE_SIZE_MAX];
    struct test_cert_config config = test_cert_member(&f->pki);
    struct cv_tls_question question = usual(f);
    memset(filler, 'a', sizeof filler);
    filler[1] = ':';
    /* From 256 bytes to 64 KiB every length takes two bytes, so the size grows with the name's. */
    config.uris[1] = cv_slice_of(filler, 8192);
    config.uri_count = 2;
    test_cert_make(&config, &f->der, NULL);
    size_t rest = f->der.size - 8192;
    config.uris[1].size = CV_CERTIFICATE_SIZE_MAX - rest;
    test_cert_make(&config, &f->der, NULL);
    assert_int_equal(f->der.size, CV_CERTIFICATE_SIZE_MAX);
    assert_int_equal(judge(f, &question), CV_TLS_ACCEPTED);
    config.uris[1].size++;
    test_cert_make(&config, &f->der, NULL);
    assert_int_equal(judge(f, &question), CV_TLS_CHAIN_TOO_LONG);
}

/* Found before any signature is checked, so a peer cannot make us work. */
static void costly_keys_are_refused(void **state)
{
    static const struct {
        unsigned bits;
        unsigned exponent_size;
        enum cv_tls_verdict verdict;
    } table[] = {
        {2048, 3, CV_TLS_ACCEPTED},      {8192, 3, CV_TLS_ACCEPTED}, {8200, 3, CV_TLS_COSTLY_KEY},
        {16384, 3, CV_TLS_COSTLY_KEY},   {8192, 8, CV_TLS_ACCEPTED}, {8192, 10, CV_TLS_COSTLY_KEY},
        {8192, 1000, CV_TLS_COSTLY_KEY},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct test_cert_config config = test_cert_member(&f->pki);
        config.foreign_key = test_rsa_noise(table[i].bits, table[i].exponent_size);
        test_cert_make(&config, &f->der, NULL);
        struct cv_tls_chain chain = chain_of(&f->der);
        assert_int_equal(cv_tls_check_chain(&chain), table[i].verdict);
        /* In second place just as well. */
        chain.certs[1] = chain.certs[0];
        chain.count = 2;
        assert_int_equal(cv_tls_check_chain(&chain), table[i].verdict);
        gnutls_pubkey_deinit(config.foreign_key);
    }
}

static void garbage_is_malformed(void **state)
{
    struct fixture *f = *state;
    struct cv_tls_question question = usual(f);
    struct cv_tls_chain chain = {.certs = {cv_slice_text("covey")}, .count = 1};
    assert_int_equal(cv_tls_judge(&question, &chain, &f->answer), CV_TLS_MALFORMED);
    chain.certs[0].size = 0;
    assert_int_equal(cv_tls_judge(&question, &chain, &f->answer), CV_TLS_MALFORMED);
}

static void every_refusal_has_its_own_counter_and_text(void **state)
{
    (void)state;
    struct cv_tls_refusals refusals = {0};
    struct cv_tls_refusals once;
    uint64_t *counters = (uint64_t *)&once;
    size_t count = sizeof once / sizeof *counters;
    assert_int_equal(cv_tls_verdict_error(CV_TLS_ACCEPTED), 0);
    assert_int_equal(cv_tls_verdict_alert(CV_TLS_ACCEPTED), 0);
    assert_int_equal(count, CV_TLS_NO_PROTOCOL);
    for (int v = CV_TLS_NO_CERTIFICATE; v <= CV_TLS_NO_PROTOCOL; v++) {
        enum cv_tls_verdict verdict = (enum cv_tls_verdict)v;
        assert_true(cv_tls_verdict_error(verdict) < 0);
        assert_int_not_equal(cv_tls_verdict_alert(verdict), 0);
        for (int w = CV_TLS_ACCEPTED; w < v; w++)
            assert_string_not_equal(cv_tls_verdict_text(verdict),
                                    cv_tls_verdict_text((enum cv_tls_verdict)w));
        cv_tls_verdict_count(verdict, &refusals);
    }
    for (size_t i = 0; i < count; i++)
        counters[i] = 1;
    assert_memory_equal(&refusals, &once, sizeof once);
}

/* What the peer is told, docs/PROTOCOL.md. */
static void alerts_are_those_of_the_protocol(void **state)
{
    (void)state;
    static const struct {
        enum cv_tls_verdict verdict;
        int error;
        uint8_t alert;
    } table[] = {
        {CV_TLS_NO_CERTIFICATE, COVEY_ERR_CERTIFICATE, 116},
        {CV_TLS_CHAIN_TOO_LONG, COVEY_ERR_CERTIFICATE, 42},
        {CV_TLS_MALFORMED, COVEY_ERR_CERTIFICATE, 42},
        {CV_TLS_COSTLY_KEY, COVEY_ERR_CERTIFICATE, 42},
        {CV_TLS_UNTRUSTED, COVEY_ERR_CERTIFICATE, 48},
        {CV_TLS_SELF_SIGNED, COVEY_ERR_CERTIFICATE, 48},
        {CV_TLS_EXPIRED, COVEY_ERR_CERTIFICATE_EXPIRED, 45},
        {CV_TLS_NOT_YET_VALID, COVEY_ERR_CERTIFICATE_EXPIRED, 45},
        {CV_TLS_NO_NAME, COVEY_ERR_CERTIFICATE, 42},
        {CV_TLS_WRONG_USAGE, COVEY_ERR_CERTIFICATE, 42},
        {CV_TLS_WRONG_CLUSTER, COVEY_ERR_WRONG_CLUSTER, 49},
        {CV_TLS_WRONG_ROLE, COVEY_ERR_WRONG_ROLE, 43},
        {CV_TLS_WRONG_IDENTITY, COVEY_ERR_WRONG_IDENTITY, 46},
        {CV_TLS_DENIED, COVEY_ERR_DENIED, 44},
        {CV_TLS_NO_PROTOCOL, COVEY_ERR_NO_PROTOCOL, 120},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(cv_tls_verdict_error(table[i].verdict), table[i].error);
        assert_int_equal(cv_tls_verdict_alert(table[i].verdict), table[i].alert);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_by_protocol_and_side),
        cmocka_unit_test(validity_counts_by_the_callers_clock),
        cmocka_unit_test(signatures_must_lead_to_our_ca),
        cmocka_unit_test(a_changed_byte_is_never_accepted),
        cmocka_unit_test(a_member_cannot_issue),
        cmocka_unit_test(the_ca_itself_is_nobody),
        cmocka_unit_test(names_and_usages_are_judged),
        cmocka_unit_test(only_the_expected_node_is_accepted),
        cmocka_unit_test(who_is_denied_is_refused),
        cmocka_unit_test(an_empty_chain_is_no_certificate),
        cmocka_unit_test(a_chain_has_at_most_four_certificates),
        cmocka_unit_test(a_chain_has_at_most_16_kib),
        cmocka_unit_test(costly_keys_are_refused),
        cmocka_unit_test(garbage_is_malformed),
        cmocka_unit_test(every_refusal_has_its_own_counter_and_text),
        cmocka_unit_test(alerts_are_those_of_the_protocol),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
