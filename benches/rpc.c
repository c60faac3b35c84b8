/*
 * Echo calls between two processes on loopback, the server on one core and the client on another:
 * a closed loop of --inflight calls on each of --connections connections, each reply compared with
 * what was sent. The client issues the next call from the reply's callback.
 */
#include "histogram.h"

#include <covey/covey.h>

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct options {
    unsigned connections;
    unsigned inflight;
    unsigned size;
    unsigned reply_size; /* 0: as the request */
    unsigned seconds;
    bool json;
};

/* What the server process says when it is done. */
struct server_report {
    double cpu_s;
    long rss_kib;
};

static void die(const char *what, int error)
{
    fprintf(stderr, "rpc: %s: %s\n", what, covey_strerror(error));
    exit(1);
}

static void check(const char *what, int error)
{
    if (error != 0)
        die(what, error);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double cpu_seconds(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static long peak_rss_kib(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return r.ru_maxrss;
}

/* Threads made after this run there too. A machine with one core has to share it. */
static void pin_to_core(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    if (sysconf(_SC_NPROCESSORS_ONLN) > core)
        sched_setaffinity(0, sizeof set, &set);
}

static bool write_all(int fd, const void *data, size_t size)
{
    return write(fd, data, size) == (ssize_t)size;
}

static bool read_all(int fd, void *data, size_t size)
{
    return read(fd, data, size) == (ssize_t)size;
}

/* ---- the server's process ---- */

static unsigned char filler[4 * 1024 * 1024];

static void echo(covey_call *call, const void *request, size_t size, void *user)
{
    const struct options *o = user;
    if (o->reply_size == 0)
        covey_call_reply(call, request, size);
    else
        covey_call_reply(call, filler, o->reply_size);
}

static void serve(const struct options *o, const covey_identity *identity, int to_client,
                  int from_client)
{
    covey_runtime *runtime;
    covey_server *server;
    struct covey_server_config config;
    struct covey_method method = {.name = "echo", .handler = echo, .user = (void *)(uintptr_t)o};
    char address[64] = {0};
    char go_on;
    pin_to_core(0);
    check("runtime", covey_runtime_new(NULL, &runtime));
    covey_server_config_init(&config);
    config.runtime = runtime;
    config.identity = identity;
    check("server", covey_server_new(&config, &server));
    check("method", covey_server_add_method(server, &method));
    check("start", covey_server_start(server));
    snprintf(address, sizeof address, "%s", covey_server_address(server));
    if (!write_all(to_client, address, sizeof address))
        exit(1);
    double before = 0;
    while (read(from_client, &go_on, 1) == 1) /* 's' when the clock starts, 'e' when it stops */
        if (go_on == 's') {
            before = cpu_seconds();
        } else {
            struct server_report report = {.cpu_s = cpu_seconds() - before,
                                           .rss_kib = peak_rss_kib()};
            if (!write_all(to_client, &report, sizeof report))
                exit(1);
        }
    covey_server_free(server);
    covey_runtime_free(runtime);
}

/* ---- the client ---- */

struct bench {
    const struct options *options;
    unsigned char *request;
    pthread_mutex_t lock; /* what follows, and `running` for the end */
    pthread_cond_t ended;
    unsigned running;
    /* The runtime's thread only, while calls run. */
    bool stop;
    bool counting;
    uint64_t calls;
    uint64_t errors;
    struct histogram latency;
};

struct lane {
    struct bench *bench;
    covey_client *client;
    uint64_t begun;
};

static bool is_right(const struct bench *b, const struct covey_reply *reply)
{
    const struct options *o = b->options;
    if (reply->code != COVEY_STATUS_OK)
        return false;
    if (o->reply_size != 0)
        return reply->size == o->reply_size && memcmp(reply->data, filler, reply->size) == 0;
    return reply->size == o->size &&
           (reply->size == 0 || memcmp(reply->data, b->request, reply->size) == 0);
}

static void lane_call(struct lane *lane);

static void lane_end(struct lane *lane)
{
    struct bench *b = lane->bench;
    pthread_mutex_lock(&b->lock);
    if (--b->running == 0)
        pthread_cond_signal(&b->ended);
    pthread_mutex_unlock(&b->lock);
}

static void on_reply(const struct covey_reply *reply, void *user)
{
    struct lane *lane = user;
    struct bench *b = lane->bench;
    bool right = is_right(b, reply);
    pthread_mutex_lock(&b->lock);
    bool stop = b->stop;
    if (b->counting) {
        b->calls++;
        b->errors += !right;
        histogram_add(&b->latency, now_ns() - lane->begun);
    }
    pthread_mutex_unlock(&b->lock);
    if (!right && !stop)
        fprintf(stderr, "rpc: %s: %s\n", covey_status_name(reply->code), reply->message);
    if (stop || !right)
        lane_end(lane);
    else
        lane_call(lane);
}

static void lane_call(struct lane *lane)
{
    struct bench *b = lane->bench;
    lane->begun = now_ns();
    int error = covey_client_call_async(lane->client, "echo", b->request, b->options->size, NULL,
                                        on_reply, lane);
    if (error != 0) {
        fprintf(stderr, "rpc: %s\n", covey_strerror(error));
        lane_end(lane);
    }
}

static void sleep_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

static void set_phase(struct bench *b, bool counting, bool stop)
{
    pthread_mutex_lock(&b->lock);
    b->counting = counting;
    b->stop = stop;
    pthread_mutex_unlock(&b->lock);
}

static void print_result(const struct options *o, const struct bench *b, double elapsed_s,
                         double client_cpu_s, const struct server_report *server)
{
    double calls = b->calls == 0 ? 1 : (double)b->calls;
    double p50 = (double)histogram_percentile(&b->latency, 0.5) / 1e3;
    double p99 = (double)histogram_percentile(&b->latency, 0.99) / 1e3;
    double p999 = (double)histogram_percentile(&b->latency, 0.999) / 1e3;
    if (o->json)
        printf("{\"bench\":\"rpc\",\"connections\":%u,\"inflight\":%u,\"size\":%u,"
               "\"reply_size\":%u,\"seconds\":%.3f,\"calls\":%llu,\"errors\":%llu,"
               "\"calls_per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
               "\"client_cpu_us_per_call\":%.2f,\"server_cpu_us_per_call\":%.2f,"
               "\"server_rss_kib\":%ld}\n",
               o->connections, o->inflight, o->size, o->reply_size == 0 ? o->size : o->reply_size,
               elapsed_s, (unsigned long long)b->calls, (unsigned long long)b->errors,
               (double)b->calls / elapsed_s, p50, p99, p999, client_cpu_s / calls * 1e6,
               server->cpu_s / calls * 1e6, server->rss_kib);
    else
        printf("%u connection(s), %u in flight on each, %u byte requests\n"
               "  %.0f calls/s, %llu errors\n"
               "  latency us: P50 %.1f, P99 %.1f, P99.9 %.1f\n"
               "  CPU us a call: client %.2f, server %.2f; server memory %ld KiB\n",
               o->connections, o->inflight, o->size, (double)b->calls / elapsed_s,
               (unsigned long long)b->errors, p50, p99, p999, client_cpu_s / calls * 1e6,
               server->cpu_s / calls * 1e6, server->rss_kib);
}

static void connect_all(const struct options *o, covey_runtime *runtime,
                        const covey_identity *identity, const char *address, covey_client **clients)
{
    struct covey_client_config config;
    covey_client_config_init(&config);
    config.runtime = runtime;
    config.identity = identity;
    config.address = address;
    for (unsigned i = 0; i < o->connections; i++) {
        struct covey_reply reply;
        check("client", covey_client_new(&config, &clients[i]));
        check("first call", covey_client_call(clients[i], "echo", filler, o->size, NULL, &reply));
        if (reply.code != COVEY_STATUS_OK) {
            fprintf(stderr, "rpc: first call: %s\n", reply.message);
            exit(1);
        }
        covey_reply_clear(&reply);
    }
}

static int run(const struct options *o, const covey_identity *identity, int to_server,
               int from_server)
{
    char address[64];
    covey_runtime *runtime;
    unsigned lane_count = o->connections * o->inflight;
    covey_client **clients = calloc(o->connections, sizeof *clients);
    struct lane *lanes = calloc(lane_count, sizeof *lanes);
    static struct bench bench;
    pin_to_core(1);
    bench.options = o;
    bench.request = calloc(1, o->size + 1);
    bench.running = lane_count;
    if (clients == NULL || lanes == NULL || bench.request == NULL)
        die("memory", COVEY_ERR_NO_MEMORY);
    for (unsigned i = 0; i < o->size; i++)
        bench.request[i] = (unsigned char)(i * 31);
    pthread_mutex_init(&bench.lock, NULL);
    pthread_cond_init(&bench.ended, NULL);
    if (!read_all(from_server, address, sizeof address))
        return 1;
    check("runtime", covey_runtime_new(NULL, &runtime));
    connect_all(o, runtime, identity, address, clients);
    for (unsigned i = 0; i < lane_count; i++) {
        lanes[i] = (struct lane){.bench = &bench, .client = clients[i % o->connections]};
        lane_call(&lanes[i]);
    }
    sleep_ms(500); /* warm */
    struct server_report report = {0};
    uint64_t begun = now_ns();
    double cpu = cpu_seconds();
    set_phase(&bench, true, false);
    if (!write_all(to_server, "s", 1))
        return 1;
    sleep_ms(o->seconds * 1000);
    set_phase(&bench, false, true);
    double elapsed_s = (double)(now_ns() - begun) / 1e9;
    cpu = cpu_seconds() - cpu;
    if (!write_all(to_server, "e", 1) || !read_all(from_server, &report, sizeof report))
        return 1;
    pthread_mutex_lock(&bench.lock);
    while (bench.running > 0)
        pthread_cond_wait(&bench.ended, &bench.lock);
    pthread_mutex_unlock(&bench.lock);
    for (unsigned i = 0; i < o->connections; i++)
        covey_client_free(clients[i]);
    covey_runtime_free(runtime);
    print_result(o, &bench, elapsed_s, cpu, &report);
    free(clients);
    free(lanes);
    free(bench.request);
    return bench.errors != 0 || bench.calls == 0;
}

/* ---- both ---- */

static covey_identity *make_identity(const struct covey_pem *ca, const char *name,
                                     enum covey_role role)
{
    struct covey_issue_config config;
    struct covey_pem pem;
    covey_identity *identity;
    char reason[COVEY_REASON_SIZE];
    covey_issue_config_init(&config);
    config.name = name;
    config.role = role;
    config.days = 1;
    check("certificate", covey_pki_issue(ca->cert, ca->key, &config, &pem));
    check("identity", covey_identity_from_pem(ca->cert, pem.cert, pem.key, &identity, reason));
    covey_pem_free(&pem);
    return identity;
}

static unsigned number(const char *text, unsigned min, unsigned max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text == 0 || *end != 0 || value < min || value > max) {
        fprintf(stderr, "rpc: %s is not a number from %u to %u\n", text, min, max);
        exit(2);
    }
    return (unsigned)value;
}

static struct options parse(int argc, char **argv)
{
    static const struct option flags[] = {
        {"connections", 1, NULL, 'c'},
        {"inflight", 1, NULL, 'i'},
        {"size", 1, NULL, 's'},
        {"reply-size", 1, NULL, 'r'},
        {"seconds", 1, NULL, 'S'},
        {"json", 0, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.connections = 1, .inflight = 64, .size = 64, .seconds = 3};
    int flag;
    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        if (flag == 'c')
            o.connections = number(optarg, 1, 1000);
        else if (flag == 'i')
            o.inflight = number(optarg, 1, 1000);
        else if (flag == 's')
            o.size = number(optarg, 0, sizeof filler);
        else if (flag == 'r')
            o.reply_size = number(optarg, 1, sizeof filler);
        else if (flag == 'S')
            o.seconds = number(optarg, 1, 600);
        else if (flag == 'j')
            o.json = true;
        else
            exit(2);
    }
    return o;
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    struct covey_pem ca;
    int to_server[2], to_client[2], status = 1;
    signal(SIGPIPE, SIG_IGN);
    check("CA", covey_pki_make_ca("bench", COVEY_KEY_ED25519, 1, &ca));
    covey_identity *server = make_identity(&ca, "server", COVEY_ROLE_MEMBER);
    covey_identity *client = make_identity(&ca, "client", COVEY_ROLE_CLIENT);
    covey_pem_free(&ca);
    if (pipe(to_server) != 0 || pipe(to_client) != 0)
        return 1;
    pid_t pid = fork();
    if (pid == 0) {
        close(to_server[1]);
        close(to_client[0]);
        serve(&o, server, to_client[1], to_server[0]);
    } else if (pid > 0) {
        close(to_server[0]);
        close(to_client[1]);
        status = run(&o, client, to_server[1], to_client[0]);
        close(to_server[1]);
        waitpid(pid, NULL, 0);
    }
    covey_identity_free(server);
    covey_identity_free(client);
    return pid == 0 ? 0 : status;
}
