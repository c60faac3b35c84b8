/* A server's certificate, key and CAs are replaced while it runs. */
#include "api/identity.h"
#include "api/server.h"

struct reloading {
    struct cv_server_loop *loop;
    const covey_identity *identity;
    bool only_ask;
    int error;
};

static void reload_on_loop(void *user)
{
    struct reloading *r = user;
    struct cv_tls *tls = r->loop->host.tls;
    char reason[CV_TLS_REASON_SIZE];
    if (r->only_ask)
        r->error = cv_tls_may_follow(cv_tls_identity(tls), &r->identity->who, CV_TLS_RENEW, reason);
    else
        r->error = cv_identity_reload_tls(r->identity, tls, CV_TLS_RENEW, NULL);
}

static int reload_loop(covey_server *server, unsigned index, const covey_identity *identity,
                       bool only_ask)
{
    struct reloading r = {
        .loop = &server->loops[index], .identity = identity, .only_ask = only_ask};
    cv_server_call_loop(r.loop->host.loop, reload_on_loop, &r);
    return r.error;
}

/* What could be wrong with the identity is asked before anything changes: after that only memory can
 * fail, and then some loops have the new one and a second try makes it whole. */
int covey_server_reload(covey_server *server, const covey_identity *identity)
{
    if (identity == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (!cv_runtime_may_ask_loops(server->runtime))
        return COVEY_ERR_WRONG_THREAD;
    int error = reload_loop(server, 0, identity, true);
    for (unsigned i = 0; error == 0 && i < server->loop_count; i++)
        error = reload_loop(server, i, identity, false);
    return error;
}
