#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "quic/certificate_names.h"
#include "support/test_cert.h"
#include "support/test_pki.h"

#include <covey/error.h>

static struct test_pki pki;
static struct test_der der;
static struct cv_certificate_names names;

static int setup(void **state)
{
    (void)state;
    test_pki_init(&pki, "flock");
    return 0;
}

static void assert_name(size_t i, enum cv_certificate_name_kind kind, const char *text)
{
    assert_true(i < names.count);
    assert_int_equal(names.names[i].kind, kind);
    assert_string_equal(names.names[i].text, text);
}

static void every_kind_is_read_in_order(void **state)
{
    (void)state;
    static const char *const hosts[] = {"a.example", "10.0.0.1", "fe80::1"};
    struct cv_pki_issue_config config = test_pki_issue_config(&pki, "one", CV_ROLE_MEMBER);
    struct cv_pki_pair pair;
    config.hosts = hosts;
    config.host_count = 3;
    assert_int_equal(cv_pki_issue(&config, &pair), 0);
    test_der_of_pem(pair.cert_pem, &der);
    assert_int_equal(cv_certificate_names_read(&names, test_der_slice(&der)), 0);
    assert_int_equal(names.count, 4);
    assert_int_equal(names.left_out, 0);
    assert_name(0, CV_CERTIFICATE_URI, "covey://flock/member/one");
    assert_name(1, CV_CERTIFICATE_DNS, "a.example");
    assert_name(2, CV_CERTIFICATE_IP, "10.0.0.1");
    assert_name(3, CV_CERTIFICATE_IP, "fe80::1");
}

static int read_uris(const struct cv_slice *uris, size_t count)
{
    struct test_cert_config config = test_cert_member(&pki);
    config.uri_count = count;
    for (size_t i = 0; i < count; i++)
        config.uris[i] = uris[i];
    test_cert_make(&config, &der, NULL);
    return cv_certificate_names_read(&names, test_der_slice(&der));
}

/* Writes over the text in the certificate: the library makes no strange names, a CA may. */
static void overwrite(const char *text, const char *bytes)
{
    size_t size = strlen(text);
    for (size_t i = 0; i + size <= der.size; i++) {
        if (memcmp(der.bytes + i, text, size) == 0) {
            memcpy(der.bytes + i, bytes, size);
            return;
        }
    }
    fail_msg("%s is not there", text);
}

static void too_long_or_strange_ones_are_left_out(void **state)
{
    (void)state;
    static char text[CV_CERTIFICATE_NAME_SIZE + 2];
    memset(text, 'u', sizeof text);
    text[1] = ':';
    const struct cv_slice uris[] = {
        cv_slice_of(text, CV_CERTIFICATE_NAME_SIZE - 1),
        cv_slice_of(text, CV_CERTIFICATE_NAME_SIZE),
        cv_slice_of(text, CV_CERTIFICATE_NAME_SIZE + 1),
        cv_slice_text("tab:tab"),
        cv_slice_text("nul:nul"),
        cv_slice_text("end:end"),
        cv_slice_text("good:"),
    };
    assert_int_equal(read_uris(uris, 7), 0);
    assert_int_equal(names.count, 5);
    overwrite("tab:tab", "tab:\ta");
    overwrite("nul:nul", "nul:\0ul");
    overwrite("end:end", "end:en\0");
    assert_int_equal(cv_certificate_names_read(&names, test_der_slice(&der)), 0);
    assert_int_equal(names.count, 2);
    assert_int_equal(names.left_out, 5);
    assert_int_equal(strlen(names.names[0].text), CV_CERTIFICATE_NAME_SIZE - 1);
    assert_name(1, CV_CERTIFICATE_URI, "good:");
}

static void sixteen_are_kept_and_the_rest_counted(void **state)
{
    (void)state;
    static struct cv_slice uris[65];
    for (size_t i = 0; i < 65; i++)
        uris[i] = cv_slice_text("u:");
    assert_int_equal(read_uris(uris, CV_CERTIFICATE_NAMES_MAX), 0);
    assert_int_equal(names.count, CV_CERTIFICATE_NAMES_MAX);
    assert_int_equal(names.left_out, 0);
    assert_int_equal(read_uris(uris, 64), 0);
    assert_int_equal(names.count, CV_CERTIFICATE_NAMES_MAX);
    assert_int_equal(names.left_out, 64 - CV_CERTIFICATE_NAMES_MAX);
    names.count = 7;
    assert_int_equal(read_uris(uris, 65), COVEY_ERR_CERTIFICATE);
    assert_int_equal(names.count, 7);
}

static void a_certificate_without_names_has_none(void **state)
{
    (void)state;
    assert_int_equal(read_uris(NULL, 0), 0); /* nothing in it, not even ours */
    assert_int_equal(names.count + names.left_out, 0);
}

static void what_is_no_certificate_is_refused(void **state)
{
    (void)state;
    static const uint8_t large[CV_CERTIFICATE_SIZE_MAX + 1];
    assert_int_equal(cv_certificate_names_read(&names, cv_slice_of(NULL, 0)),
                     COVEY_ERR_CERTIFICATE);
    assert_int_equal(cv_certificate_names_read(&names, cv_slice_text("covey")),
                     COVEY_ERR_CERTIFICATE);
    assert_int_equal(cv_certificate_names_read(&names, cv_slice_of(large, sizeof large)),
                     COVEY_ERR_CERTIFICATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_read_in_order),
        cmocka_unit_test(too_long_or_strange_ones_are_left_out),
        cmocka_unit_test(sixteen_are_kept_and_the_rest_counted),
        cmocka_unit_test(a_certificate_without_names_has_none),
        cmocka_unit_test(what_is_no_certificate_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
