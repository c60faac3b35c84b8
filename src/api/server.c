#include "api/server.h"

#include "api/cluster.h"
#include "api/identity.h"
#include "io/entropy.h"
#include "quic/reset_secret.h"
#include "transport/route.h"

#include <string.h>

/* What a message may have at most, whatever a user asks for: it is in one piece of memory. */
#define MESSAGE_SIZE_LIMIT ((size_t)64 << 20)

static const struct covey_server_config defaults = {
    .size = sizeof(struct covey_server_config),
    .listen = "127.0.0.1:0",
    .message_send_max = (size_t)4 << 20,
    .message_receive_max = (size_t)4 << 20,
    .connections_max = 4096,
    .connection_calls_max = 1024,
    .calls_max = 4096,
    .connection_age_max = 3600 * COVEY_SECOND,
    .identity_connections_max = 8,
};

void covey_server_config_init_sized(struct covey_server_config *config, size_t size)
{
    cv_config_give(config, size, &defaults, sizeof defaults);
}

static void on_link(void *user, struct cv_link *link)
{
    (void)user;
    (void)link;
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

static bool is_size(size_t size)
{
    return size > 0 && size <= MESSAGE_SIZE_LIMIT;
}

static int check_addresses(const struct covey_server_config *config, struct cv_address *listen,
                           struct cv_address *advertise)
{
    *advertise = (struct cv_address){0};
    int error = cv_address_parse(listen, config->listen);
    if (error == 0 && config->advertise != NULL)
        error = cv_address_parse(advertise, config->advertise);
    if (error == 0 && config->advertise != NULL && cv_address_is_wildcard(advertise))
        error = COVEY_ERR_ADDRESS;
    return error;
}

static int check_config(const struct covey_server_config *config)
{
    if (config->runtime == NULL || config->identity == NULL || config->listen == NULL ||
        !is_size(config->message_send_max) || !is_size(config->message_receive_max) ||
        config->connections_max == 0 || config->connection_calls_max == 0 ||
        config->calls_max == 0 || config->identity_connections_max == 0 ||
        config->connection_age_max < CV_CONNECTION_AGE_MIN ||
        (config->denied == NULL && config->denied_count > 0))
        return COVEY_ERR_INVALID_ARGUMENT;
    if (config->denied_count > COVEY_DENIED_MAX)
        return COVEY_ERR_LIMIT;
    return config->identity->who.role == CV_ROLE_MEMBER ? 0 : COVEY_ERR_WRONG_ROLE;
}

static void hand_over(void *user, unsigned loop, const struct cv_datagram *d)
{
    const covey_server *server = user;
    cv_handover_send(server->handover, loop, d);
}

static void take_over(void *user, const struct cv_datagram *d)
{
    struct cv_server_loop *sl = user;
    cv_host_receive(&sl->host, d);
}

/* What the kernel told another socket than that of membership, which alone dials from this port. */
struct word {
    struct cv_mail mail; /* first: the mail names it */
    covey_server *server;
    struct cv_address remote;
};

static void run_word(struct cv_mail *mail, bool cancelled)
{
    struct word *word = (struct word *)(void *)mail;
    covey_runtime *runtime = word->server->runtime;
    if (!cancelled)
        cv_host_take_unreachable(&word->server->loops[0].host, &word->remote);
    cv_pool_give(&runtime->pool, word, sizeof *word);
}

/* A hint, which may be lost. The first loop closes last, so its host is there when this runs. */
static void pass_on_unreachable(void *user, const struct cv_address *remote)
{
    struct cv_server_loop *sl = user;
    covey_server *server = sl->server;
    if (sl == server->loops)
        return;
    struct word *word = cv_pool_take(&server->runtime->pool, sizeof *word);
    if (word == NULL)
        return;
    *word = (struct word){.mail = {.run = run_word}, .server = server, .remote = *remote};
    if (cv_loop_post(server->loops[0].host.loop, &word->mail) != 0)
        cv_pool_give(&server->runtime->pool, word, sizeof *word);
}

/* What the hosts of all loops have in common. */
static struct cv_host_config host_config(covey_server *server,
                                         const struct covey_server_config *config)
{
    struct cv_host_config host = {
        .runtime = config->runtime,
        .identity = config->identity,
        .denied = config->denied,
        .denied_count = config->denied_count,
        .accept = true,
        .wait = true,
        .events =
            {
                .resolve = cv_cluster_on_resolve,
                .cluster_event = cv_cluster_on_event,
                .cluster_state = cv_cluster_on_state,
                .cluster_changed = cv_cluster_on_changed,
                .cluster_ended = cv_cluster_on_ended,
                .run_check = cv_cluster_on_run_check,
                .link = {.call = cv_server_on_call,
                         .ready = on_link,
                         .closed = cv_server_on_link_closed},
            },
        .identity_connections_max = config->identity_connections_max,
        .loop_count = server->runtime->loop_count,
        .hand_over = hand_over,
        .hand_over_user = server,
        .unreachable = pass_on_unreachable,
        .turn = cv_server_on_turn,
    };
    cv_quic_limits_init(&host.quic_limits);
    cv_rpc_limits_init(&host.rpc_limits);
    host.quic_limits.connections_max = config->connections_max;
    host.quic_limits.age_max = config->connection_age_max;
    host.rpc_limits.calls_max = config->connection_calls_max;
    if (host.quic_limits.streams_max < config->connection_calls_max)
        host.quic_limits.streams_max = config->connection_calls_max; /* each has a stream */
    cv_host_set_message_sizes(&host, config->message_send_max, config->message_receive_max);
    return host;
}

struct opening {
    struct cv_server_loop *loop;
    const struct cv_host_config *config;
    int error;
};

static void open_on_loop(void *user)
{
    struct opening *o = user;
    o->error = cv_host_open(&o->loop->host, o->config);
    if (o->error == 0)
        cv_loop_open_work(o->config->loop); /* requests may come at any time */
}

/* What a loop cannot do now it can do in a moment: its mailbox is full. */
void cv_server_call_loop(struct cv_loop *loop, void (*function)(void *user), void *user)
{
    while (cv_loop_call(loop, function, user) == COVEY_ERR_BUSY)
        ;
}

static int open_loop(covey_server *server, struct cv_host_config *host, unsigned index)
{
    struct cv_server_loop *sl = &server->loops[index];
    *sl = (struct cv_server_loop){.server = server,
                                  .share = &server->runtime->client_loops[index].share,
                                  .owner = {.ended = cv_server_call_ended,
                                            .exhausted = cv_server_exhausted,
                                            .work = cv_server_work,
                                            .user = sl}};
    TAILQ_INIT(&sl->calls);
    host->loop = server->runtime->loops[index];
    host->udp = cv_port_group_socket(server->group, index);
    host->loop_number = (uint8_t)index;
    host->has_resolver = index == 0;
    host->events_user = sl;
    host->unreachable_user = sl;
    host->turn_user = sl;
    struct opening opening = {.loop = sl, .config = host};
    int error = cv_loop_call(host->loop, open_on_loop, &opening);
    return error != 0 ? error : opening.error;
}

static int open_group(covey_server *server, const struct cv_address *listen)
{
    struct cv_port_group_config config = {.count = server->runtime->loop_count};
    cv_udp_config_init(&config.udp);
    config.udp.alloc = &server->runtime->alloc;
    config.udp.log = &server->runtime->log;
    config.udp.bind = *listen;
    return cv_port_group_open(&config, &server->group);
}

static int open_handover(covey_server *server)
{
    struct cv_handover_end ends[CV_ROUTE_LOOPS_MAX];
    struct cv_handover_config config;
    if (server->loop_count == 1)
        return 0;
    cv_handover_config_init(&config);
    config.alloc = &server->runtime->alloc;
    config.ends = ends;
    config.count = server->loop_count;
    for (unsigned i = 0; i < server->loop_count; i++)
        ends[i] = (struct cv_handover_end){
            .loop = server->loops[i].host.loop, .deliver = take_over, .user = &server->loops[i]};
    return cv_handover_new(&config, &server->handover);
}

static int open_all(covey_server *server, const struct covey_server_config *config,
                    const struct cv_address *listen)
{
    uint8_t secret[CV_RESET_SECRET_SIZE];
    struct cv_host_config host = host_config(server, config);
    unsigned count = server->runtime->loop_count;
    server->loops = cv_allocate_zeroed(&server->runtime->alloc, count, sizeof *server->loops);
    if (server->loops == NULL)
        return COVEY_ERR_NO_MEMORY;
    cv_reset_secret(config->identity->key_pem, secret);
    host.secret = secret;
    int error = cv_server_add_builtin_methods(server);
    if (error == 0)
        error = open_group(server, listen);
    while (error == 0 && server->loop_count < count) {
        error = open_loop(server, &host, server->loop_count);
        server->loop_count += error == 0;
    }
    return error == 0 ? open_handover(server) : error;
}

static covey_server *server_make(const struct covey_server_config *config,
                                 const struct cv_address *advertise)
{
    uint64_t secret[2];
    covey_server *server = cv_allocate_zeroed(&config->runtime->alloc, 1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->runtime = config->runtime;
    server->advertise = *advertise;
    server->message_send_max = config->message_send_max;
    server->calls_max = config->calls_max;
    TAILQ_INIT(&server->questions);
    SLIST_INIT(&server->kept_methods);
    pthread_rwlock_init(&server->methods_lock, NULL);
    pthread_mutex_init(&server->lock, NULL);
    if (cv_condition_init(&server->changed) != 0) {
        pthread_mutex_destroy(&server->lock);
        pthread_rwlock_destroy(&server->methods_lock);
        cv_release(&config->runtime->alloc, server);
        return NULL;
    }
    cv_entropy(NULL, secret, sizeof secret);
    cv_rpc_dispatch_init(&server->methods, &server->runtime->alloc, secret, CV_SERVER_METHODS_MAX);
    return server;
}

static void server_release(covey_server *server)
{
    free_methods(server);
    pthread_rwlock_destroy(&server->methods_lock);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    cv_release(&server->runtime->alloc, server->loops);
    cv_release(&server->runtime->alloc, server);
}

int covey_server_new(const struct covey_server_config *callers, covey_server **out)
{
    struct covey_server_config config = defaults;
    struct cv_address listen, advertise;
    int error = cv_config_take(&config, sizeof config, callers);
    if (error == 0)
        error = check_config(&config);
    if (error == 0 && !cv_runtime_may_ask_loops(config.runtime))
        error = COVEY_ERR_WRONG_THREAD;
    if (error == 0)
        error = check_addresses(&config, &listen, &advertise);
    if (error != 0)
        return error;
    covey_server *server = server_make(&config, &advertise);
    if (server == NULL)
        return COVEY_ERR_NO_MEMORY;
    error = open_all(server, &config, &listen);
    if (error != 0) {
        cv_server_close_all(server);
        server_release(server);
        return error;
    }
    struct cv_address local = cv_port_group_local(server->group);
    cv_address_text(&local, server->address_text);
    cv_runtime_retain(server->runtime);
    *out = server;
    return 0;
}

/* ---- methods and interceptors ---- */

static int add_kept(covey_server *server, struct cv_server_method *kept)
{
    struct covey_method *method = &kept->method;
    const struct cv_rpc_method rpc = {
        .name = cv_slice_text(method->name),
        .user = &kept->method,
        .roles = method->allow == 0 ? COVEY_ALLOW_ALL : method->allow,
        .read_only = method->read_only,
        .blocking = method->blocking,
    };
    pthread_rwlock_wrlock(&server->methods_lock);
    int error = cv_rpc_dispatch_add(&server->methods, &rpc);
    method->name = kept->name;
    if (error == 0)
        SLIST_INSERT_HEAD(&server->kept_methods, kept, entry);
    pthread_rwlock_unlock(&server->methods_lock);
    return error;
}

int cv_server_add_method(covey_server *server, const struct covey_method *method)
{
    size_t size = strlen(method->name) + 1;
    struct cv_server_method *kept = cv_allocate(&server->runtime->alloc, sizeof *kept + size);
    if (kept == NULL)
        return COVEY_ERR_NO_MEMORY;
    kept->method = *method;
    memcpy(kept->name, method->name, size);
    int error = add_kept(server, kept);
    if (error != 0)
        cv_release(&server->runtime->alloc, kept);
    return error;
}

/* Methods have no size in them, so that they can be written down as constants: it comes beside. */
static int take_method(struct covey_method *own, const struct covey_method *callers, size_t size)
{
    *own = (struct covey_method){0};
    if (size > sizeof *own)
        return COVEY_ERR_INVALID_ARGUMENT;
    memcpy(own, callers, size);
    return 0;
}

int covey_server_add_method_sized(covey_server *server, const struct covey_method *callers,
                                  size_t size)
{
    struct covey_method method;
    int error = take_method(&method, callers, size);
    if (error != 0)
        return error;
    if (method.name == NULL || (method.handler == NULL) == (method.stream_handler == NULL) ||
        (method.allow & ~COVEY_ALLOW_ALL) != 0 || strncmp(method.name, "covey.", 6) == 0)
        return COVEY_ERR_INVALID_ARGUMENT;
    return cv_server_add_method(server, &method);
}

int covey_server_add_interceptor(covey_server *server,
                                 const struct covey_server_interceptor *interceptor)
{
    int error = 0;
    pthread_mutex_lock(&server->lock);
    if (server->is_started)
        error = COVEY_ERR_STATE;
    else if (server->interceptor_count == CV_SERVER_INTERCEPTORS_MAX)
        error = COVEY_ERR_LIMIT;
    else
        server->interceptors[server->interceptor_count++] = *interceptor;
    pthread_mutex_unlock(&server->lock);
    return error;
}

/* ---- start and end ---- */

struct starting {
    struct cv_server_loop *loop;
    int error;
};

static void start_on_loop(void *user)
{
    struct starting *s = user;
    s->error = cv_host_start(&s->loop->host);
}

static void watch_on_loop(void *user)
{
    cv_server_watch_begin(user);
}

/* A loop that was started stays so when a later one cannot be: only freeing is left then. */
static int start_all(covey_server *server)
{
    int error = 0;
    for (unsigned i = 0; i < server->loop_count && error == 0; i++) {
        struct starting starting = {.loop = &server->loops[i]};
        error = cv_loop_call(server->loops[i].host.loop, start_on_loop, &starting);
        if (error == 0)
            error = starting.error;
    }
    return error == 0 ? cv_loop_call(server->loops[0].host.loop, watch_on_loop, server) : error;
}

int covey_server_start(covey_server *server)
{
    if (!cv_runtime_may_ask_loops(server->runtime))
        return COVEY_ERR_WRONG_THREAD;
    pthread_mutex_lock(&server->lock);
    bool was_started = server->is_started;
    server->is_started = true;
    pthread_mutex_unlock(&server->lock);
    return was_started ? COVEY_ERR_STATE : start_all(server);
}

const char *covey_server_address(const covey_server *server)
{
    return server->address_text;
}

int covey_server_free(covey_server *server)
{
    if (server == NULL)
        return 0;
    covey_runtime *runtime = server->runtime;
    covey_cluster *cluster = covey_server_cluster(server);
    if (cv_runtime_is_in_turn(runtime) || cv_runtime_is_worker(runtime) ||
        (cluster != NULL && cv_cluster_is_check(cluster)))
        return COVEY_ERR_WRONG_THREAD;
    if (cluster != NULL)
        cv_cluster_stop_checks(cluster);
    cv_server_close_all(server);
    cv_cluster_free(atomic_exchange(&server->cluster, NULL));
    server_release(server);
    cv_runtime_release(runtime);
    return 0;
}
