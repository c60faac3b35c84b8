#include "api/server.h"

#include "api/cluster.h"
#include "api/identity.h"
#include "io/entropy.h"

#include <string.h>

#define METHODS_MAX 4096

static const struct covey_server_config defaults = {
    .size = sizeof(struct covey_server_config),
    .listen = "127.0.0.1:0",
};

void covey_server_config_init_sized(struct covey_server_config *config, size_t size)
{
    cv_config_give(config, size, &defaults, sizeof defaults);
}

/* ---- calls ---- */

static void refuse(struct cv_link *link, struct cv_rpc_call *rpc, covey_time now,
                   enum covey_status_code code, const char *text)
{
    struct cv_rpc_input finish = {
        .type = CV_RPC_FINISH,
        .now = now,
        .call = rpc,
        .finish = {.code = code, .message = cv_slice_text(text)},
    };
    struct cv_rpc_input release = {.type = CV_RPC_RELEASE, .now = now, .call = rpc};
    cv_link_step(link, &finish); /* without memory the released call is aborted */
    cv_link_step(link, &release);
}

static void begin_call(covey_server *server, struct cv_link *link,
                       const struct cv_rpc_output *event)
{
    covey_time now = cv_loop_now(server->runtime->loop);
    struct cv_rpc_call *rpc = event->call;
    const struct cv_identity *peer = cv_link_peer(link);
    const struct cv_rpc_method *method =
        cv_rpc_dispatch_find(&server->methods, event->begin.method);
    if (method == NULL) {
        refuse(link, rpc, now, COVEY_STATUS_UNIMPLEMENTED, "there is no such method");
        return;
    }
    if (peer == NULL || (method->roles & (1u << peer->role)) == 0) {
        refuse(link, rpc, now, COVEY_STATUS_PERMISSION_DENIED,
               "the certificate's role does not allow this method");
        return;
    }
    covey_call *call = cv_call_new(server->runtime, link, rpc, method, &server->calls);
    if (call == NULL) {
        refuse(link, rpc, now, COVEY_STATUS_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    cv_rpc_call_set_user(rpc, call);
}

static void on_call(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    if (event->type == CV_RPC_EVENT_CALL) {
        begin_call(user, link, event);
        return;
    }
    covey_call *call = cv_rpc_call_user(event->call);
    if (call != NULL)
        cv_call_event(call, event);
}

static void on_link(void *user, struct cv_link *link)
{
    (void)user;
    (void)link;
}

static void on_link_closed(void *user, struct cv_link *link, int error)
{
    (void)user;
    (void)link;
    (void)error;
}

/* ---- making one ---- */

static void free_methods(covey_server *server)
{
    struct cv_server_method *kept;
    while ((kept = SLIST_FIRST(&server->kept_methods)) != NULL) {
        SLIST_REMOVE_HEAD(&server->kept_methods, entry);
        cv_release(&server->runtime->alloc, kept);
    }
    cv_rpc_dispatch_fini(&server->methods);
}

struct opening {
    covey_server *server;
    struct cv_host_config host;
    int error;
};

static void open_on_loop(void *user)
{
    struct opening *o = user;
    o->error = cv_host_open(&o->server->host, &o->host);
}

static int check_config(const struct covey_server_config *config, struct cv_address *listen,
                        struct cv_address *advertise)
{
    *advertise = (struct cv_address){0};
    if (config->runtime == NULL || config->identity == NULL || config->listen == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    if (config->identity->who.role != CV_ROLE_MEMBER)
        return COVEY_ERR_WRONG_ROLE;
    int error = cv_address_parse(listen, config->listen);
    if (error == 0 && config->advertise != NULL)
        error = cv_address_parse(advertise, config->advertise);
    if (error == 0 && config->advertise != NULL && cv_address_is_wildcard(advertise))
        error = COVEY_ERR_ADDRESS;
    return error;
}

static int server_open(covey_server *server, const struct covey_server_config *config,
                       const struct cv_address *listen)
{
    struct opening opening = {
        .server = server,
        .host =
            {
                .runtime = server->runtime,
                .identity = config->identity,
                .bind = *listen,
                .accept = true,
                .wait = true,
                .events =
                    {
                        .resolve = cv_cluster_on_resolve,
                        .cluster_event = cv_cluster_on_event,
                        .cluster_state = cv_cluster_on_state,
                        .cluster_changed = cv_cluster_on_changed,
                        .link = {.call = on_call, .ready = on_link, .closed = on_link_closed},
                    },
                .events_user = server,
            },
    };
    int error = cv_server_add_builtin_methods(server);
    if (error == 0)
        error = cv_loop_call(server->runtime->loop, open_on_loop, &opening);
    return error != 0 ? error : opening.error;
}

int covey_server_new(const struct covey_server_config *callers, covey_server **out)
{
    struct covey_server_config config = defaults;
    struct cv_address listen, advertise;
    uint64_t secret[2];
    int error = cv_config_take(&config, sizeof config, callers);
    if (error == 0)
        error = check_config(&config, &listen, &advertise);
    if (error != 0)
        return error;
    covey_server *server = cv_allocate_zeroed(&config.runtime->alloc, 1, sizeof *server);
    if (server == NULL)
        return COVEY_ERR_NO_MEMORY;
    server->runtime = config.runtime;
    server->advertise = advertise;
    TAILQ_INIT(&server->calls);
    TAILQ_INIT(&server->questions);
    SLIST_INIT(&server->kept_methods);
    cv_entropy(NULL, secret, sizeof secret);
    cv_rpc_dispatch_init(&server->methods, &server->runtime->alloc, secret, METHODS_MAX);
    error = server_open(server, &config, &listen);
    if (error != 0) {
        free_methods(server);
        cv_release(&server->runtime->alloc, server);
        return error;
    }
    struct cv_address local = cv_udp_local(server->host.udp);
    cv_address_text(&local, server->address_text);
    cv_runtime_retain(server->runtime);
    *out = server;
    return 0;
}

/* ---- methods, start, end ---- */

struct adding {
    covey_server *server;
    const struct covey_method *method;
    int error;
};

static void add_on_loop(void *user)
{
    struct adding *a = user;
    a->error = a->server->is_started ? COVEY_ERR_STATE : cv_server_add_method(a->server, a->method);
}

int cv_server_add_method(covey_server *server, const struct covey_method *method)
{
    struct cv_server_method *kept = cv_allocate(&server->runtime->alloc, sizeof *kept);
    if (kept == NULL)
        return COVEY_ERR_NO_MEMORY;
    kept->method = *method;
    struct cv_rpc_method rpc = {
        .name = cv_slice_text(method->name),
        .user = &kept->method,
        .roles = method->allow == 0 ? COVEY_ALLOW_ALL : method->allow,
    };
    int error = cv_rpc_dispatch_add(&server->methods, &rpc);
    if (error != 0) {
        cv_release(&server->runtime->alloc, kept);
        return error;
    }
    SLIST_INSERT_HEAD(&server->kept_methods, kept, entry);
    return 0;
}

int covey_server_add_method(covey_server *server, const struct covey_method *method)
{
    struct adding adding = {.server = server, .method = method};
    if (method->name == NULL || method->handler == NULL ||
        (method->allow & ~COVEY_ALLOW_ALL) != 0 || strncmp(method->name, "covey.", 6) == 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = cv_loop_call(server->runtime->loop, add_on_loop, &adding);
    return error != 0 ? error : adding.error;
}

struct starting {
    covey_server *server;
    int error;
};

static void start_on_loop(void *user)
{
    struct starting *s = user;
    s->error = s->server->is_started ? COVEY_ERR_STATE : cv_host_start(&s->server->host);
    if (s->error == 0)
        s->server->is_started = true;
}

int covey_server_start(covey_server *server)
{
    struct starting starting = {.server = server};
    int error = cv_loop_call(server->runtime->loop, start_on_loop, &starting);
    return error != 0 ? error : starting.error;
}

const char *covey_server_address(const covey_server *server)
{
    return server->address_text;
}

static void close_on_loop(void *user)
{
    covey_server *server = user;
    cv_cluster_goodbye(server);
    covey_call *call;
    while ((call = TAILQ_FIRST(&server->calls)) != NULL)
        cv_call_abandon(call);
    cv_host_close(&server->host);
    cv_cluster_forget_questions(server);
}

int covey_server_free(covey_server *server)
{
    if (server == NULL)
        return 0;
    covey_runtime *runtime = server->runtime;
    if (cv_loop_in_turn(runtime->loop))
        return COVEY_ERR_WRONG_THREAD;
    /* The mailbox may be full for a moment; the loop empties it. */
    while (cv_loop_call(runtime->loop, close_on_loop, server) == COVEY_ERR_BUSY)
        ;
    cv_cluster_free(atomic_exchange(&server->cluster, NULL));
    free_methods(server);
    cv_release(&runtime->alloc, server);
    cv_runtime_release(runtime);
    return 0;
}
