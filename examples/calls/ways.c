#include "ways.h"

#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

/* Says how a call ended that has no answer; true when it has one. */
static bool is_ok(int error, const struct covey_reply *reply, const char *method)
{
    if (error != 0) /* it could not even begin, and *reply is empty */
        fprintf(stderr, "calls_client: %s: %s\n", method, covey_strerror(error));
    else if (reply->code != COVEY_STATUS_OK)
        fprintf(stderr, "calls_client: %s: %s: %s\n", method, covey_status_name(reply->code),
                reply->message);
    return error == 0 && reply->code == COVEY_STATUS_OK;
}

/* [call] */
/* One message each way, and metadata beside them both ways. */
static bool greet(covey_client *client)
{
    const struct covey_metadata language = {.key = "language", .value = "de", .size = 2};
    struct covey_call_options options;
    struct covey_reply reply;
    size_t count;

    covey_call_options_init(&options); /* 30 s, no metadata, never made twice */
    options.timeout = 5 * COVEY_SECOND;
    options.wait_for_ready = true; /* the server may still be starting */
    options.metadata = &language;
    options.metadata_count = 1;
    const int error = covey_client_call(client, "greet", "Ann", 3, &options, &reply);
    const bool ok = is_ok(error, &reply, "greet");
    if (ok) {
        const struct covey_metadata *set = covey_reply_metadata(&reply, &count);
        const struct covey_metadata *by = covey_metadata_find(set, count, "served-by");
        printf("greet: %.*s (served by %.*s)\n", (int)reply.size, (const char *)reply.data,
               by == NULL ? 0 : (int)by->size, by == NULL ? "" : (const char *)by->value);
    }
    covey_reply_clear(&reply); /* whatever came */
    return ok;
}
/* [call] */

/* [details] */
/* A status says what is wrong in a text; its details say it to a program. */
static bool details(covey_client *client)
{
    struct covey_reply reply;
    size_t size;
    const int error = covey_client_call(client, "greet", "", 0, NULL, &reply);
    const char *bytes = covey_reply_details(&reply, &size);
    if (error == 0)
        printf("details: %s: %s (%.*s)\n", covey_status_name(reply.code), reply.message, (int)size,
               bytes == NULL ? "" : bytes);
    const bool ok = error == 0 && reply.code == COVEY_STATUS_INVALID_ARGUMENT;
    covey_reply_clear(&reply);
    return ok;
}
/* [details] */

/* [server_streaming] */
/* One message out, many in. */
static bool count(covey_client *client)
{
    covey_stream *stream;
    const void *message;
    const char *text;
    size_t size;
    unsigned messages = 0;

    int error = covey_client_stream(client, "count", "1000", 4, NULL, &stream);
    if (error != 0)
        return is_ok(error, NULL, "count");
    while ((error = covey_stream_receive(stream, 5 * COVEY_SECOND, &message, &size)) == 0)
        messages++; /* `message` is valid until the next receive */
    const enum covey_status_code code = covey_stream_status(stream, &text);
    if (error == COVEY_ERR_CLOSED) /* over: the status tells how. Else: nothing came for 5 s */
        printf("count: %u messages, %s %s\n", messages, covey_status_name(code), text);
    covey_stream_free(stream); /* cancels the call if it is not over */
    return error == COVEY_ERR_CLOSED && code == COVEY_STATUS_OK;
}
/* [server_streaming] */

/* [client_streaming] */
/* COVEY_ERR_BUSY is back-pressure: the server has not read what was sent. */
static int send_patiently(covey_stream *stream, const void *message, size_t size)
{
    int error;
    while ((error = covey_stream_send(stream, message, size)) == COVEY_ERR_BUSY) {
        error = covey_stream_wait_writable(stream, 5 * COVEY_SECOND);
        if (error != 0)
            break;
    }
    return error;
}

/* Many out, one in. */
static bool sum(covey_client *client)
{
    struct covey_reply reply;
    covey_stream *stream;

    int error = covey_client_open(client, "sum", NULL, &stream);
    if (error != 0)
        return is_ok(error, NULL, "sum");
    for (unsigned i = 1; i <= 100 && error == 0; i++) {
        char text[16];
        const int length = snprintf(text, sizeof text, "%u", i);
        error = send_patiently(stream, text, (size_t)length);
    }
    /* Also after a send that failed: COVEY_ERR_CLOSED says that the status is here already. */
    error = covey_stream_finish(stream, 5 * COVEY_SECOND, &reply);
    const bool ok = is_ok(error, &reply, "sum");
    if (ok)
        printf("sum: %.*s\n", (int)reply.size, (const char *)reply.data);
    covey_reply_clear(&reply);
    covey_stream_free(stream);
    return ok;
}
/* [client_streaming] */

/* [bidirectional] */
/* Many both ways: here each answer is awaited, but any order will do. */
static bool echo(covey_client *client)
{
    static const char *const words[] = {"one", "two", "three"};
    covey_stream *stream;
    const void *message;
    size_t size;

    int error = covey_client_open(client, "echo", NULL, &stream);
    if (error != 0)
        return is_ok(error, NULL, "echo");
    for (size_t i = 0; i < 3 && error == 0; i++) {
        error = send_patiently(stream, words[i], strlen(words[i]));
        if (error == 0)
            error = covey_stream_receive(stream, 5 * COVEY_SECOND, &message, &size);
        if (error == 0)
            printf("echo: %.*s\n", (int)size, (const char *)message);
    }
    covey_stream_end(stream); /* the server sees the end, and ends the call */
    if (error == 0)
        error = covey_stream_receive(stream, 5 * COVEY_SECOND, &message, &size);
    const enum covey_status_code code = covey_stream_status(stream, NULL);
    covey_stream_free(stream);
    return error == COVEY_ERR_CLOSED && code == COVEY_STATUS_OK;
}
/* [bidirectional] */

/* [async] */
struct answers {
    sem_t came;
    unsigned good; /* only the loop's thread writes it, before sem_post() */
};

/* On the loop's thread; must not block. `reply` is the library's, and gone afterwards. */
static void on_reply(const struct covey_reply *reply, void *user)
{
    struct answers *answers = user;
    answers->good += reply->code == COVEY_STATUS_OK;
    sem_post(&answers->came);
}

/* Several calls at once without a thread for each. */
static bool async(covey_client *client)
{
    struct answers answers = {0};
    unsigned begun = 0;

    sem_init(&answers.came, 0, 0);
    while (begun < 10 &&
           covey_client_call_async(client, "greet", "Bob", 3, NULL, on_reply, &answers) == 0)
        begun++;
    for (unsigned i = 0; i < begun; i++) /* each that was begun answers once, within its timeout */
        sem_wait(&answers.came);
    sem_destroy(&answers.came);
    printf("async: %u of 10 answers\n", answers.good);
    return answers.good == 10;
}
/* [async] */

/* [deadline] */
/* `relay` asks `wait` for us, which hears of our deadline; then there is too little time. */
static bool deadline(covey_client *client)
{
    struct covey_call_options options;
    struct covey_reply reply;

    covey_call_options_init(&options);
    options.timeout = 5 * COVEY_SECOND;
    int error = covey_client_call(client, "relay", "20", 2, &options, &reply);
    bool ok = is_ok(error, &reply, "relay");
    if (ok)
        printf("deadline: %.*s\n", (int)reply.size, (const char *)reply.data);
    covey_reply_clear(&reply);

    options.timeout = 200 * COVEY_MILLISECOND;
    error = covey_client_call(client, "wait", "20000", 5, &options, &reply);
    ok = ok && error == 0 && reply.code == COVEY_STATUS_DEADLINE_EXCEEDED;
    if (error == 0)
        printf("deadline: %s\n", covey_status_name(reply.code));
    covey_reply_clear(&reply);
    return ok;
}
/* [deadline] */

/* [retry] */
/* The first attempt ends with UNAVAILABLE; the library makes the call again. */
static bool retry(covey_client *client)
{
    struct covey_client_stats stats = {.size = sizeof stats};
    struct covey_call_options options;
    struct covey_reply reply;

    covey_call_options_init(&options);
    options.idempotent = true; /* it may run twice: only we can know that */
    const int error = covey_client_call(client, "flaky", "x", 1, &options, &reply);
    const bool ok = is_ok(error, &reply, "flaky");
    covey_reply_clear(&reply);
    covey_client_stats(client, &stats);
    if (ok)
        printf("retry: OK, %" PRIu64 " calls were made again\n", stats.calls_repeated);
    return ok;
}
/* [retry] */

const struct way ways[] = {
    {"greet", greet, "one message each way, with metadata"},
    {"details", details, "a status with details"},
    {"count", count, "many messages from the server"},
    {"sum", sum, "many messages to the server"},
    {"echo", echo, "many messages both ways"},
    {"async", async, "ten calls at once, without waiting"},
    {"deadline", deadline, "a deadline that is handed on, and one that passes"},
    {"retry", retry, "a call that is made again"},
};
const size_t way_count = sizeof ways / sizeof *ways;
