/*
 * A client in a program that waits in poll(2): each line of the standard input is a call, its answer
 * is printed when it comes. One thread, one poll() for both; any other loop (epoll, kqueue, glib, a
 * game's frame) does the same with the descriptor, the timeout and the step.
 *
 *     embed_poll TLS_DIR HOST:PORT METHOD <LINES
 */
#include <covey/covey.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct program {
    covey_identity *identity;
    covey_runtime *runtime;
    covey_client *client;
    const char *method;
    unsigned open_calls;
    bool failed;
    bool input_ended;
    char input[4096];
    size_t input_size;
};

static void must(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "embed_poll: %s: %s\n", what, covey_strerror(error));
    exit(EXIT_FAILURE);
}

/* Runs inside covey_runtime_step(). */
static void on_reply(const struct covey_reply *reply, void *user)
{
    struct program *p = user;
    p->open_calls--;
    if (reply->code == COVEY_STATUS_OK) {
        printf("%.*s\n", (int)reply->size, (const char *)reply->data);
        fflush(stdout);
        return;
    }
    fprintf(stderr, "embed_poll: %s: %s\n", covey_status_name(reply->code), reply->message);
    p->failed = true;
}

static void call(struct program *p, const char *line, size_t size)
{
    must(covey_client_call_async(p->client, p->method, line, size, NULL, on_reply, p), p->method);
    p->open_calls++;
}

/* Calls for all whole lines; the rest stays for the next time. */
static void take_lines(struct program *p)
{
    char *line = p->input;
    size_t left = p->input_size;
    char *end;
    while ((end = memchr(line, '\n', left)) != NULL) {
        size_t size = (size_t)(end - line);
        call(p, line, size);
        left -= size + 1;
        line = end + 1;
    }
    memmove(p->input, line, left);
    p->input_size = left;
}

static void read_input(struct program *p)
{
    ssize_t count = read(STDIN_FILENO, p->input + p->input_size, sizeof p->input - p->input_size);
    p->input_ended = count <= 0;
    if (count > 0)
        p->input_size += (size_t)count;
    take_lines(p);
    bool is_too_long = p->input_size == sizeof p->input;
    if (p->input_size > 0 && (p->input_ended || is_too_long)) {
        call(p, p->input, p->input_size);
        p->input_size = 0;
    }
}

/* [loop] */
/* Rounded up: a poll() that ends too early would turn around for nothing. */
static int milliseconds(covey_time timeout)
{
    if (timeout >= INT_MAX * COVEY_MILLISECOND)
        return -1;
    return (int)((timeout + COVEY_MILLISECOND - 1) / COVEY_MILLISECOND);
}

static void run(struct program *p)
{
    while (!p->input_ended || p->open_calls > 0) {
        struct pollfd fds[] = {
            {.fd = covey_runtime_fd(p->runtime), .events = POLLIN},
            {.fd = p->input_ended ? -1 : STDIN_FILENO, .events = POLLIN},
        };
        if (poll(fds, 2, milliseconds(covey_runtime_timeout(p->runtime))) < 0 && errno != EINTR)
            exit(EXIT_FAILURE);
        if (fds[1].revents != 0)
            read_input(p);
        must(covey_runtime_step(p->runtime), "step");
    }
}
/* [loop] */

static void start(struct program *p, const char *tls_dir, const char *address)
{
    struct covey_runtime_config config;
    struct covey_client_config client;
    must(covey_identity_load(tls_dir, &p->identity, NULL), tls_dir);
    covey_runtime_config_init(&config);
    config.mode = COVEY_RUN_STEP;
    must(covey_runtime_new(&config, &p->runtime), "runtime");
    covey_client_config_init(&client);
    client.runtime = p->runtime;
    client.identity = p->identity;
    client.address = address;
    must(covey_client_new(&client, &p->client), address);
}

int main(int argc, char **argv)
{
    static struct program p;
    if (argc != 4) {
        fprintf(stderr, "usage: embed_poll TLS_DIR HOST:PORT METHOD <LINES\n");
        return EXIT_FAILURE;
    }
    p.method = argv[3];
    start(&p, argv[1], argv[2]);
    run(&p);
    covey_client_free(p.client);
    covey_runtime_free(p.runtime);
    covey_identity_free(p.identity);
    return p.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
