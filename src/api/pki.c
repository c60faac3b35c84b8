#include "quic/pki.h"

#include "api/runtime.h"
#include "base/alloc.h"
#include "io/clock.h"

#include <covey/pki.h>

#include <assert.h>
#include <string.h>

#define DAYS_MAX 36500
#define HOUR_MS  UINT64_C(3600000)
#define DAY_MS   (24 * HOUR_MS)

static_assert((int)COVEY_KEY_ED25519 == (int)CV_KEY_ED25519, "key types have the same numbers");
static_assert((int)COVEY_KEY_ECDSA_P256 == (int)CV_KEY_ECDSA_P256, "key types are the same");

/* From an hour ago, because clocks of a cluster differ. */
static void set_period(unsigned days, uint64_t *not_before_ms, uint64_t *not_after_ms)
{
    uint64_t now = cv_clock_wall_ms();
    *not_before_ms = now > HOUR_MS ? now - HOUR_MS : 0;
    *not_after_ms = now + days * DAY_MS;
}

static char *copy_of(const char *text)
{
    return cv_copy_text(cv_alloc_default(), text, strlen(text));
}

void covey_pem_free(struct covey_pem *pem)
{
    if (pem->key != NULL)
        explicit_bzero(pem->key, strlen(pem->key));
    cv_release(cv_alloc_default(), pem->cert);
    cv_release(cv_alloc_default(), pem->key);
    *pem = (struct covey_pem){NULL, NULL};
}

/* Hands a made pair out and wipes it. */
static int give(struct cv_pki_pair *pair, struct covey_pem *out)
{
    struct covey_pem pem = {.cert = copy_of(pair->cert_pem), .key = copy_of(pair->key_pem)};
    explicit_bzero(pair, sizeof *pair);
    if (pem.cert == NULL || pem.key == NULL) {
        covey_pem_free(&pem);
        return COVEY_ERR_NO_MEMORY;
    }
    *out = pem;
    return 0;
}

int covey_pki_make_ca(const char *cluster, enum covey_key_type key_type, unsigned days,
                      struct covey_pem *out)
{
    if (cluster == NULL || days == 0 || days > DAYS_MAX)
        return COVEY_ERR_INVALID_ARGUMENT;
    struct cv_pki_ca_config ca = {.cluster = cluster, .key_type = (enum cv_key_type)key_type};
    struct cv_pki_pair pair;
    set_period(days, &ca.not_before_ms, &ca.not_after_ms);
    int error = cv_pki_make_ca(&ca, &pair);
    return error != 0 ? error : give(&pair, out);
}

static const struct covey_issue_config defaults = {
    .size = sizeof(struct covey_issue_config),
    .role = COVEY_ROLE_MEMBER,
    .key_type = COVEY_KEY_ED25519,
    .days = 365,
};

void covey_issue_config_init_sized(struct covey_issue_config *config, size_t size)
{
    cv_config_give(config, size, &defaults, sizeof defaults);
}

/* Ends when the CA ends, if that is sooner. */
static int cut_to_ca(const char *ca_cert, struct cv_pki_issue_config *issue)
{
    uint64_t begin, end;
    uint64_t now = cv_clock_wall_ms();
    int error = cv_pki_ca_period(ca_cert, &begin, &end);
    if (error != 0)
        return error;
    if (now < begin || now > end)
        return COVEY_ERR_CERTIFICATE_EXPIRED;
    if (issue->not_after_ms > end)
        issue->not_after_ms = end;
    return 0;
}

int covey_pki_issue(const char *ca_cert, const char *ca_key,
                    const struct covey_issue_config *callers, struct covey_pem *out)
{
    struct covey_issue_config config = defaults;
    struct cv_pki_pair pair;
    int error = cv_config_take(&config, sizeof config, callers);
    if (error != 0)
        return error;
    if (ca_cert == NULL || ca_key == NULL || config.name == NULL || config.days == 0 ||
        config.days > DAYS_MAX || (config.host_count > 0 && config.hosts == NULL))
        return COVEY_ERR_INVALID_ARGUMENT;
    struct cv_pki_issue_config issue = {
        .ca_cert_pem = ca_cert,
        .ca_key_pem = ca_key,
        .name = config.name,
        .role = (enum cv_role)config.role,
        .key_type = (enum cv_key_type)config.key_type,
        .hosts = config.hosts,
        .host_count = config.host_count,
        .key_pem = config.key,
    };
    set_period(config.days, &issue.not_before_ms, &issue.not_after_ms);
    error = cut_to_ca(ca_cert, &issue);
    if (error == 0)
        error = cv_pki_issue(&issue, &pair);
    return error != 0 ? error : give(&pair, out);
}
