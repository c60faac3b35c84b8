#include "methods.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A request that is a number; 0 if it is none. */
static unsigned read_number(const void *request, size_t size)
{
    char text[16] = "";
    memcpy(text, request, size < sizeof text ? size : sizeof text - 1);
    unsigned long number = strtoul(text, NULL, 10);
    return number < 1000000 ? (unsigned)number : 0;
}

/* [unary] */
/* One message each way. Runs on a thread of the library's loops, so it must not block. */
static void greet(covey_call *call, const void *request, size_t size, void *user)
{
    const char *name = ((const struct methods *)user)->name;
    const struct covey_metadata served_by = {"served-by", name, strlen(name)};
    char answer[96];
    size_t count;

    if (size == 0 || size > 64) { /* a text for people, details for programs */
        covey_call_finish_with(call, COVEY_STATUS_INVALID_ARGUMENT, "a name has 1 to 64 bytes",
                               "field=name", strlen("field=name"));
        return;
    }
    const struct covey_metadata *set = covey_call_metadata(call, &count);
    const struct covey_metadata *language = covey_metadata_find(set, count, "language");
    const char *hello =
        language != NULL && language->size == 2 && memcmp(language->value, "de", 2) == 0
            ? "Guten Tag"
            : "Good day";
    int length =
        snprintf(answer, sizeof answer, "%s, %.*s", hello, (int)size, (const char *)request);
    int error = covey_call_send_metadata(call, &served_by, 1); /* before the first message */
    if (error == 0)
        covey_call_reply(call, answer, (size_t)length);
    else
        covey_call_finish(call, COVEY_STATUS_INTERNAL, covey_strerror(error));
}
/* [unary] */

/* [server_streaming] */
/* One message in, many out. On a worker (`blocking`), so it may wait for a slow client. */
static void count(covey_call *call, const void *request, size_t size, void *user)
{
    const unsigned last = read_number(request, size);
    int error = 0;
    (void)user;
    for (unsigned i = 1; i <= last && error == 0; i++) {
        char text[16];
        const int length = snprintf(text, sizeof text, "%u", i);
        while ((error = covey_call_send(call, text, (size_t)length)) == COVEY_ERR_BUSY)
            if (covey_call_wait_writable(call, COVEY_NEVER) != 0)
                break; /* cancelled, or its deadline passed: the next send would say so */
    }
    covey_call_finish(call, error == 0 ? COVEY_STATUS_OK : COVEY_STATUS_CANCELLED, NULL);
}
/* [server_streaming] */

/* [client_streaming] */
/* Many in, one out, on a worker: receives until the client has ended. */
static void sum(covey_call *call, void *user)
{
    unsigned long long total = 0;
    const void *message;
    size_t size;
    int error;
    (void)user;
    while ((error = covey_call_receive(call, COVEY_NEVER, &message, &size)) == 0)
        total += read_number(message, size);
    if (error != COVEY_ERR_CLOSED) { /* the client is gone or the deadline passed */
        covey_call_finish(call, COVEY_STATUS_CANCELLED, NULL);
        return;
    }
    char answer[24];
    const int length = snprintf(answer, sizeof answer, "%llu", total);
    covey_call_reply(call, answer, (size_t)length);
}
/* [client_streaming] */

/* [bidirectional] */
/* Many both ways, on the loop's thread: never waits, and goes on when it is told to. */
struct echo {
    const void *message; /* received and not yet sent; NULL: none */
    size_t size;
};

static void echo_go_on(covey_call *call, void *user)
{
    struct echo *e = user;
    int error = 0;
    while (error == 0) {
        if (e->message == NULL)
            error = covey_call_receive(call, 0, &e->message, &e->size);
        if (error == 0)
            error = covey_call_send(call, e->message, e->size);
        if (error == 0)
            e->message = NULL;
    }
    if (error == COVEY_ERR_TIMEOUT || error == COVEY_ERR_BUSY)
        return; /* runs again when there is a message, or room for one */
    free(e);
    covey_call_finish(call, error == COVEY_ERR_CLOSED ? COVEY_STATUS_OK : COVEY_STATUS_CANCELLED,
                      NULL);
}

static void echo(covey_call *call, void *user)
{
    struct echo *e = calloc(1, sizeof *e);
    (void)user;
    if (e == NULL) {
        covey_call_finish(call, COVEY_STATUS_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    covey_call_on_ready(call, echo_go_on, e);
    echo_go_on(call, e);
}
/* [bidirectional] */

/* [blocking] */
/* Waits for the milliseconds of the request, on a worker; stops when nobody waits any more. */
static void wait_for(covey_call *call, const void *request, size_t size, void *user)
{
    static const struct timespec step = {.tv_nsec = 10000000};
    const covey_time left = covey_call_time_left(call);
    char answer[64];
    (void)user;
    for (unsigned ms = read_number(request, size); ms >= 10; ms -= 10) {
        if (covey_call_is_cancelled(call))
            break;
        nanosleep(&step, NULL);
    }
    const int length = snprintf(answer, sizeof answer, "%" PRIu64 " ms were left at the begin",
                                left / COVEY_MILLISECOND);
    covey_call_reply(call, answer, (size_t)length); /* of a cancelled call nobody hears */
}
/* [blocking] */

/* [relay] */
static void relayed(const struct covey_reply *reply, void *user)
{
    covey_call *call = user;
    if (reply->code == COVEY_STATUS_OK)
        covey_call_reply(call, reply->data, reply->size);
    else
        covey_call_finish(call, reply->code, reply->message);
}

/* Asks another server, and keeps the call until that has answered. */
static void relay(covey_call *call, const void *request, size_t size, void *user)
{
    struct methods *m = user;
    struct covey_call_options options;
    covey_call_options_init(&options);
    options.parent = call; /* gets no more time than this call has, and its "traceparent" */
    int error = covey_client_call_async(m->next, "wait", request, size, &options, relayed, call);
    if (error != 0)
        covey_call_finish(call, COVEY_STATUS_UNAVAILABLE, covey_strerror(error));
}
/* [relay] */

/* Fails every other time, as a server does that is being restarted. */
static void flaky(covey_call *call, const void *request, size_t size, void *user)
{
    struct methods *m = user;
    if (atomic_fetch_add(&m->flaky_calls, 1) % 2 == 0)
        covey_call_finish(call, COVEY_STATUS_UNAVAILABLE, "try again");
    else
        covey_call_reply(call, request, size);
}

/* [authorize] */
/* Judges the calls of one method. */
static enum covey_status_code no_guests(const covey_call *call, const char **text, void *user)
{
    (void)user;
    if (strcmp(covey_call_peer_name(call), "guest") != 0)
        return COVEY_STATUS_OK;
    *text = "guests may not do this";
    return COVEY_STATUS_PERMISSION_DENIED;
}
/* [authorize] */

/* [methods] */
int methods_add(covey_server *server, struct methods *m)
{
    const struct covey_method methods[] = {
        {.name = "greet", .handler = greet, .user = m},
        {.name = "count", .handler = count, .blocking = true},
        {.name = "sum", .stream_handler = sum, .blocking = true, .authorize = no_guests},
        {.name = "echo", .stream_handler = echo},
        {.name = "wait", .handler = wait_for, .blocking = true},
        {.name = "relay", .handler = relay, .user = m},
        {.name = "flaky", .handler = flaky, .user = m},
        {.name = "secret", .handler = greet, .user = m, .allow = COVEY_ALLOW_ADMIN},
    };
    int error = 0;
    for (size_t i = 0; i < sizeof methods / sizeof *methods && error == 0; i++)
        error = covey_server_add_method(server, &methods[i]);
    return error;
}
/* [methods] */
