/*
 * A certificate from a peer, DER, before anything about it is known. Whatever the bytes are, the
 * answer is an error with a reason and an untouched identity, or an identity that keeps its rules;
 * and the same bytes give the same answer.
 */
#include "quic/certificate_names.h"
#include "quic/identity.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_identity(const struct cv_identity *identity)
{
    char text[2 * CV_NAME_SIZE + 32] = "covey://";
    struct cv_identity again = {0};
    assert(cv_name_is_valid(identity->cluster));
    assert(cv_name_is_valid(identity->name));
    strcat(text, identity->cluster);
    strcat(text, "/");
    strcat(text, cv_role_name(identity->role));
    strcat(text, "/");
    strcat(text, identity->name);
    assert(cv_identity_parse_uri(&again, cv_slice_text(text)) == 0);
    assert(again.role == identity->role);
    assert(strcmp(again.cluster, identity->cluster) == 0);
    assert(strcmp(again.name, identity->name) == 0);
}

static void check_names(struct cv_slice der)
{
    static struct cv_certificate_names names;
    if (cv_certificate_names_read(&names, der) != 0)
        return;
    assert(names.count <= CV_CERTIFICATE_NAMES_MAX);
    for (size_t i = 0; i < names.count; i++) {
        size_t length = strlen(names.names[i].text);
        assert(length > 0 && length < CV_CERTIFICATE_NAME_SIZE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cv_slice der = cv_slice_of(data, size);
    struct cv_identity untouched;
    struct cv_identity first;
    struct cv_identity second;
    struct cv_identity_problem problem = {.text = NULL};
    memset(&untouched, 0xa5, sizeof untouched);
    first = untouched;
    second = untouched;
    int error = cv_identity_explain_der(&first, der, &problem);
    assert(cv_identity_from_der(&second, der) == error);
    assert(memcmp(&first, &second, sizeof first) == 0);
    assert((error == 0) == (problem.text == NULL));
    if (error == 0)
        check_identity(&first);
    else
        assert(memcmp(&first, &untouched, sizeof first) == 0);
    check_names(der);
    /* The same bytes as the URI alone, which the fuzzer would hardly find within a certificate. */
    if (cv_identity_parse_uri(&first, der) == 0)
        check_identity(&first);
    return 0;
}
