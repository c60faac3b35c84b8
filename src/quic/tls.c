#include "quic/tls.h"

#include "base/node_id.h"
#include "quic/tls_context.h"

#include <assert.h>
#include <covey/error.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* TLS 1.3 with exactly the suites and groups that the QUIC library protects packets with, the
 * fastest first. QUIC has no use for the middlebox records of the compatibility mode. */
#define PRIORITY                                                                                   \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:"                                                               \
    "-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"                                    \
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:%DISABLE_TLS13_COMPAT_MODE"

/* Writes the sentence and returns `error`. */
static int fail(char *reason, int error, const char *format, ...) COVEY_PRINTF(3, 4);

static int fail(char *reason, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, CV_TLS_REASON_SIZE, format, arguments);
    va_end(arguments);
    return error;
}

int cv_tls_new(const struct cv_tls_config *config, struct cv_tls **out,
               char reason[CV_TLS_REASON_SIZE])
{
    struct cv_tls *tls = cv_allocate_zeroed(config->alloc, 1, sizeof *tls);
    if (tls == NULL)
        return fail(reason, COVEY_ERR_NO_MEMORY, "out of memory");
    tls->alloc = config->alloc;
    tls->wall_ms = config->wall_ms;
    int error = cv_tls_material_new(config->alloc, config, &tls->material, reason);
    if (error == 0 && gnutls_priority_init(&tls->priority, PRIORITY, NULL) < 0)
        error = fail(reason, COVEY_ERR_NO_MEMORY, "out of memory");
    if (error != 0) {
        cv_tls_free(tls);
        return error;
    }
    tls->identity = tls->material->identity;
    *out = tls;
    return 0;
}

void cv_tls_free(struct cv_tls *tls)
{
    if (tls == NULL)
        return;
    assert(tls->session_count == 0);
    cv_tls_material_release(tls->material);
    cv_deny_list_fini(&tls->denied, tls->alloc);
    if (tls->priority != NULL)
        gnutls_priority_deinit(tls->priority);
    cv_release(tls->alloc, tls);
}

int cv_tls_may_follow(const struct cv_identity *old, const struct cv_identity *next,
                      enum cv_tls_change change, char reason[CV_TLS_REASON_SIZE])
{
    if (strcmp(old->cluster, next->cluster) != 0)
        return fail(reason, COVEY_ERR_WRONG_CLUSTER,
                    "the certificate belongs to the cluster %s, the old one to %s", next->cluster,
                    old->cluster);
    if (old->role != next->role)
        return fail(reason, COVEY_ERR_WRONG_ROLE, "the certificate's role is %s, the old one's %s",
                    cv_role_name(next->role), cv_role_name(old->role));
    if (change == CV_TLS_REKEY)
        return 0;
    if (!cv_node_id_equal(&old->id, &next->id))
        return fail(reason, COVEY_ERR_WRONG_IDENTITY,
                    "the certificate's key is not the old one's: it would be another node");
    if (strcmp(old->name, next->name) != 0)
        return fail(reason, COVEY_ERR_WRONG_IDENTITY, "the certificate names %s, the old one %s",
                    next->name, old->name);
    return 0;
}

int cv_tls_reload(struct cv_tls *tls, const struct cv_tls_config *config, enum cv_tls_change change,
                  char reason[CV_TLS_REASON_SIZE])
{
    struct cv_tls_material *material;
    int error = cv_tls_material_new(tls->alloc, config, &material, reason);
    if (error != 0)
        return error;
    error = cv_tls_may_follow(&tls->identity, &material->identity, change, reason);
    if (error != 0) {
        cv_tls_material_release(material);
        return error;
    }
    cv_tls_material_release(tls->material);
    tls->material = material;
    tls->identity = material->identity;
    return 0;
}

const struct cv_identity *cv_tls_identity(const struct cv_tls *tls)
{
    return &tls->identity;
}

uint64_t cv_tls_valid_until_ms(const struct cv_tls *tls)
{
    return tls->material->valid_until_ms;
}

int cv_tls_deny(struct cv_tls *tls, const covey_node_id *ids, size_t count)
{
    return cv_deny_list_set(&tls->denied, tls->alloc, ids, count);
}

const struct cv_deny_list *cv_tls_denied(const struct cv_tls *tls)
{
    return &tls->denied;
}

bool cv_tls_denies(const struct cv_tls *tls, const covey_node_id *id)
{
    return cv_deny_list_has(&tls->denied, id);
}

void cv_tls_set_wall_ms(struct cv_tls *tls, uint64_t wall_ms)
{
    tls->wall_ms = wall_ms;
}

uint64_t cv_tls_wall_ms(const struct cv_tls *tls)
{
    return tls->wall_ms;
}

const struct cv_tls_refusals *cv_tls_refusals(const struct cv_tls *tls)
{
    return &tls->refusals;
}
