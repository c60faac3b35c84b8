/*
 * One large answer: a server-streaming call of 1, 4, 16 and 64 MiB, or up to --mib. The
 * time per byte must not grow with the size. The bytes are the pattern, and each is compared.
 */
#include "payload.h"
#include "peer.h"
#include "process.h"

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_SIZE  65536u
#define SIZE_MAX_MIB  64u
#define TIMEOUT_NS    (60 * COVEY_SECOND)
#define REPEATS       3
#define BYTES_IN(mib) ((uint64_t)(mib) << 20)

static const char name[] = "stream";
static const struct peer_loops one_loop = {.count = 1};

struct plan {
    unsigned mib_max;
    bool json;
    struct credentials credentials;
};

/* A call that is being answered. */
struct pour {
    uint64_t left;
    unsigned char bytes[MESSAGE_SIZE];
};

/* A call that is being read. */
struct reading {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_over;
    uint64_t received;
    unsigned errors;
};

/* ---- the server's process: all on the runtime's thread ---- */

static void pour_on(covey_call *call, void *user)
{
    struct pour *pour = user;
    int error = 0;
    while (pour->left > 0 && error == 0) {
        size_t size = pour->left < MESSAGE_SIZE ? (size_t)pour->left : MESSAGE_SIZE;
        error = covey_call_send(call, pour->bytes, size);
        if (error == 0)
            pour->left -= size;
    }
    if (error == COVEY_ERR_BUSY)
        return; /* called again when there is room */
    free(pour);
    covey_call_finish(call, error == 0 ? COVEY_STATUS_OK : COVEY_STATUS_INTERNAL, NULL);
}

/* The request is the number of bytes. */
static void start_pour(covey_call *call, const void *request, size_t size, void *user)
{
    struct pour *pour = malloc(sizeof *pour);
    (void)user;
    if (pour == NULL || size != sizeof pour->left) {
        free(pour);
        covey_call_finish(call, COVEY_STATUS_INVALID_ARGUMENT, NULL);
        return;
    }
    memcpy(&pour->left, request, size);
    payload_fill(pour->bytes, MESSAGE_SIZE);
    covey_call_on_ready(call, pour_on, pour);
    pour_on(call, pour);
}

static int serve(void *user, int from_parent, int to_parent)
{
    const struct plan *plan = user;
    const struct covey_method method = {.name = "pour", .handler = start_pour};
    struct peer peer;
    char address[PROCESS_ADDRESS_SIZE];
    char byte;
    pin_to_core(0);
    peer_start(&peer, &plan->credentials, &plan->credentials.server, &one_loop);
    peer_serve(&peer, &method, 0, address);
    if (!write_all(to_parent, address, sizeof address))
        return 1;
    (void)!read(from_parent, &byte, 1);
    peer_stop(&peer);
    return 0;
}

/* ---- the client ---- */

static void on_message(const void *message, size_t size, void *user)
{
    struct reading *reading = user;
    if (!payload_is(message, size, reading->received, NULL))
        reading->errors++;
    reading->received += size;
}

static void on_end(const struct covey_reply *reply, void *user)
{
    struct reading *reading = user;
    pthread_mutex_lock(&reading->lock);
    if (reply->code != COVEY_STATUS_OK) {
        fprintf(stderr, "%s: %s: %s\n", name, covey_status_name(reply->code), reply->message);
        reading->errors++;
    }
    reading->is_over = true;
    pthread_cond_signal(&reading->changed);
    pthread_mutex_unlock(&reading->lock);
}

/* Returns the seconds that it took. */
static double read_stream(covey_client *client, uint64_t bytes, unsigned *errors)
{
    struct reading reading = {.lock = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    const struct covey_stream_handler handler = {on_message, on_end, &reading};
    struct covey_call_options options;
    covey_call_options_init(&options);
    options.timeout = TIMEOUT_NS;
    uint64_t begun = now_ns();
    peer_check("call",
               covey_client_stream_async(client, "pour", &bytes, sizeof bytes, &options, &handler));
    pthread_mutex_lock(&reading.lock);
    while (!reading.is_over)
        pthread_cond_wait(&reading.changed, &reading.lock);
    pthread_mutex_unlock(&reading.lock);
    *errors += reading.errors + (reading.received != bytes);
    return (double)(now_ns() - begun) / 1e9;
}

/* The best of some runs: what disturbs only makes it longer. */
static void measure(const struct plan *plan, covey_client *client, unsigned mib, unsigned *errors)
{
    unsigned before = *errors;
    double seconds = read_stream(client, BYTES_IN(mib), errors);
    for (int i = 1; i < REPEATS; i++) {
        double other = read_stream(client, BYTES_IN(mib), errors);
        seconds = other < seconds ? other : seconds;
    }
    double per_byte = seconds * 1e9 / (double)BYTES_IN(mib);
    if (plan->json)
        printf("{\"bench\":\"%s\",\"mib\":%u,\"errors\":%u,\"seconds\":%.4f,\"ns_per_byte\":%.3f,"
               "\"mb_per_s\":%.0f}\n",
               name, mib, *errors - before, seconds, per_byte, 1e3 / per_byte);
    else
        printf("%s: %2u MiB in %.4f s: %.3f ns a byte, %.0f MB/s, %u errors\n", name, mib, seconds,
               per_byte, 1e3 / per_byte, *errors - before);
}

static int run_client(const struct plan *plan, const struct child *server)
{
    char address[PROCESS_ADDRESS_SIZE];
    struct peer peer;
    covey_client *client;
    unsigned errors = 0;
    pin_to_core(1);
    if (!read_all(server->from, address, sizeof address))
        die("%s: no address from the server", name);
    peer_start(&peer, &plan->credentials, &plan->credentials.client, &one_loop);
    peer_check("client", peer_client(&peer, address, &client));
    (void)read_stream(client, BYTES_IN(1), &errors); /* connects, opens the window */
    for (unsigned mib = 1; mib <= plan->mib_max && errors == 0; mib *= 4)
        measure(plan, client, mib, &errors);
    covey_client_free(client);
    peer_stop(&peer);
    return errors != 0;
}

static bool parse(int argc, char **argv, struct plan *plan)
{
    static const struct option flags[] = {
        {"mib", required_argument, NULL, 'm'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    int flag;
    char *end;
    *plan = (struct plan){.mib_max = SIZE_MAX_MIB};
    opterr = 0;
    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        unsigned long value = flag == 'm' ? strtoul(optarg, &end, 10) : 1;
        if (flag == '?' || value < 1 || value > SIZE_MAX_MIB || (flag == 'm' && *end != 0))
            return false;
        if (flag == 'm')
            plan->mib_max = (unsigned)value;
        else
            plan->json = true;
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    static struct plan plan;
    if (!parse(argc, argv, &plan)) {
        fprintf(stderr, "%s: usage: stream [--mib 1..%u] [--json]\n", name, SIZE_MAX_MIB);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    credentials_make(&plan.credentials);
    struct child server = child_start(serve, &plan);
    int status = run_client(&plan, &server);
    status |= child_end(&server);
    credentials_free(&plan.credentials);
    return status;
}
