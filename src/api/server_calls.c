/* A call that comes in: whether it may run, and what is counted. */
#include "api/server.h"

#include "io/clock.h"

/* ---- refusing ---- */

static void refuse_with(struct cv_server_loop *sl, struct cv_link *link, struct cv_rpc_call *rpc,
                        const struct cv_rpc_status *status)
{
    covey_time now = cv_loop_now(sl->host.loop);
    struct cv_rpc_input finish = {
        .type = CV_RPC_FINISH, .now = now, .call = rpc, .finish = *status};
    struct cv_rpc_input release = {.type = CV_RPC_RELEASE, .now = now, .call = rpc};
    cv_link_step(link, &finish);
    cv_link_step(link, &release);
}

static void refuse(struct cv_server_loop *sl, struct cv_link *link, struct cv_rpc_call *rpc,
                   enum covey_status_code code, const char *text)
{
    const struct cv_rpc_status status = {.code = code, .message = cv_slice_text(text)};
    refuse_with(sl, link, rpc, &status);
}

/* While partitioned, for methods that change something. */
static void refuse_change(struct cv_server_loop *sl, struct cv_link *link, struct cv_rpc_call *rpc)
{
    const struct cv_rpc_status status = {
        .code = COVEY_STATUS_UNAVAILABLE,
        .message = cv_slice_text("this node sees no quorum of its cluster"),
        .details = cv_slice_text("partitioned"),
    };
    cv_count_up(&sl->counters.refused);
    refuse_with(sl, link, rpc, &status);
}

/* Methods are never removed. */
static const struct cv_rpc_method *find(struct cv_server_loop *sl, struct cv_slice name)
{
    covey_server *server = sl->server;
    if (sl->last_method != NULL && cv_slice_equal(sl->last_method->name, name))
        return sl->last_method;
    pthread_rwlock_rdlock(&server->methods_lock);
    const struct cv_rpc_method *method = cv_rpc_dispatch_find(&server->methods, name);
    pthread_rwlock_unlock(&server->methods_lock);
    if (method != NULL)
        sl->last_method = method;
    return method;
}

/* The method; NULL when the call was refused. */
static const struct cv_rpc_method *choose(struct cv_server_loop *sl, struct cv_link *link,
                                          const struct cv_rpc_output *event)
{
    const struct cv_identity *peer = cv_link_peer(link);
    const struct cv_rpc_method *method = find(sl, event->begin.method);
    if (method == NULL) {
        refuse(sl, link, event->call, COVEY_STATUS_UNIMPLEMENTED, "there is no such method");
        cv_count_up(&sl->counters.refused);
        return NULL;
    }
    if (peer == NULL || (method->roles & (1u << peer->role)) == 0) {
        refuse(sl, link, event->call, COVEY_STATUS_PERMISSION_DENIED,
               "the certificate's role does not allow this method");
        cv_count_up(&sl->counters.refused);
        return NULL;
    }
    if (atomic_load_explicit(&sl->server->is_read_only, memory_order_relaxed) &&
        !method->read_only) {
        refuse_change(sl, link, event->call);
        return NULL;
    }
    return method;
}

/* ---- beginning ---- */

/* The link's, made with its first call. */
static struct cv_caller *caller_of(const covey_server *server, struct cv_link *link)
{
    if (cv_link_user(link) == NULL)
        cv_link_set_user(link, cv_caller_new(server->runtime, link));
    return cv_link_user(link);
}

/* Loops that take a call at the same time do not see each other's: the limit is good to as many calls
 * as there are loops. */
static uint64_t calls_now(const covey_server *server)
{
    uint64_t calls = 0;
    for (unsigned i = 0; i < server->loop_count; i++)
        calls += cv_count_read(&server->loops[i].counters.calls);
    return calls;
}

static covey_call *make(struct cv_server_loop *sl, struct cv_link *link,
                        const struct cv_rpc_output *event, const struct cv_rpc_method *method)
{
    covey_server *server = sl->server;
    const struct cv_call_begin begin = {
        .runtime = server->runtime,
        .loop = sl->host.loop,
        .link = link,
        .caller = caller_of(server, link),
        .event = event,
        .method = method,
        .owner = &sl->owner,
        .list = &sl->calls,
        .share = sl->share,
        .message_size_max = server->message_send_max,
    };
    bool has_room = calls_now(server) < server->calls_max;
    covey_call *call = has_room && begin.caller != NULL ? cv_call_new(&begin) : NULL;
    if (call != NULL) {
        cv_count_up(&sl->counters.calls);
        return call;
    }
    cv_count_up(&sl->counters.exhausted);
    refuse(sl, link, event->call, COVEY_STATUS_RESOURCE_EXHAUSTED, "the server has too many calls");
    return NULL;
}

/* The first judge that says no decides. */
static enum covey_status_code judge(covey_server *server, covey_call *call, const char **text)
{
    enum covey_status_code code = COVEY_STATUS_OK;
    if (server->interceptor_count > 0)
        call->begun = cv_clock_now(); /* a turn's own time is too coarse to measure with */
    while (call->judged < server->interceptor_count && code == COVEY_STATUS_OK) {
        const struct covey_server_interceptor *i = &server->interceptors[call->judged++];
        if (i->begin != NULL)
            code = i->begin(call, text, i->user);
    }
    if (code == COVEY_STATUS_OK && call->method->authorize != NULL)
        code = call->method->authorize(call, text, call->method->user);
    return code;
}

static void begin_call(struct cv_server_loop *sl, struct cv_link *link,
                       const struct cv_rpc_output *event)
{
    if (sl->is_closing) {
        refuse(sl, link, event->call, COVEY_STATUS_UNAVAILABLE, "the server ends");
        return;
    }
    const struct cv_rpc_method *method = choose(sl, link, event);
    covey_call *call = method == NULL ? NULL : make(sl, link, event, method);
    if (call == NULL)
        return;
    const char *text = "";
    cv_rpc_call_set_user(event->call, call);
    enum covey_status_code code = judge(sl->server, call, &text);
    if (code != COVEY_STATUS_OK) {
        cv_count_up(&sl->counters.refused);
        cv_call_refuse(call, code, text == NULL ? "" : text);
        return;
    }
    cv_count_up(&sl->counters.begun);
    cv_call_admit(call, event->begin.is_whole ? &event->begin.message : NULL);
}

void cv_server_on_call(void *user, struct cv_link *link, const struct cv_rpc_output *event)
{
    if (event->type == CV_RPC_EVENT_CALL) {
        begin_call(user, link, event);
        return;
    }
    covey_call *call = cv_rpc_call_user(event->call);
    if (call != NULL)
        cv_call_event(call, event);
}

/* ---- the end ---- */

static void tell_interceptors(covey_server *server, covey_call *call, enum covey_status_code code)
{
    const struct covey_call_summary summary = {
        .size = sizeof summary,
        .method = call->name,
        .code = code,
        .duration = cv_clock_now() - call->begun,
        .messages_sent = atomic_load(&call->messages_sent),
        .messages_received = atomic_load(&call->messages_received),
    };
    while (call->judged > 0) {
        const struct covey_server_interceptor *i = &server->interceptors[--call->judged];
        if (i->end != NULL)
            i->end(call, &summary, i->user);
    }
}

void cv_server_call_ended(void *user, covey_call *call, enum covey_status_code code)
{
    struct cv_server_loop *sl = user;
    if (call->judged > 0)
        tell_interceptors(sl->server, call, code);
    cv_count_down(&sl->counters.calls);
}

void cv_server_exhausted(void *user)
{
    struct cv_server_loop *sl = user;
    cv_count_up(&sl->counters.exhausted);
}

void cv_server_work(void *user, int change)
{
    covey_server *server = ((struct cv_server_loop *)user)->server;
    pthread_mutex_lock(&server->lock);
    server->works = change > 0 ? server->works + 1 : server->works - 1;
    if (server->works == 0)
        pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}
