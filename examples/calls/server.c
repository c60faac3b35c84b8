/*
 * A server with a method of every kind (methods.c). It logs each call and ends in good order at
 * SIGTERM or Ctrl-C: it takes no new calls, and those that run may finish. At SIGHUP it reads its
 * certificate again.
 */
#include "methods.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: calls_server --tls DIR [--listen HOST:PORT] [--next HOST:PORT]\n"
    "  --tls     ca.pem, cert.pem and key.pem of a member, made by `covey ca issue`\n"
    "  --listen  the address of the one UDP port; 127.0.0.1:0, where 0 picks a port\n"
    "  --next    the server that `relay` asks; this one, which --listen must name then\n";

struct program {
    const char *tls;
    const char *listen;
    const char *next;
    covey_identity *identity;
    covey_runtime *runtime;
    covey_server *server;
    struct methods methods;
};

static void must(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "calls_server: %s: %s\n", what, covey_strerror(error));
    exit(EXIT_FAILURE);
}

/* [judges] */
/* Sees every call before its handler. A program with many calls would hand its lines to a thread. */
static enum covey_status_code log_begin(const covey_call *call, const char **text, void *user)
{
    (void)text, (void)user;
    printf("%s: from %s\n", covey_call_method(call), covey_call_peer_name(call));
    return COVEY_STATUS_OK;
}

static void log_end(const covey_call *call, const struct covey_call_summary *summary, void *user)
{
    (void)call, (void)user;
    printf("%s: %s after %" PRIu64 " us\n", summary->method, covey_status_name(summary->code),
           summary->duration / COVEY_MICROSECOND);
}
/* [judges] */

/* [log] */
/* The library prints nothing itself. */
static void library_log(void *user, enum covey_log_level level, const char *line)
{
    (void)user;
    fprintf(stderr, "%s: %s\n", level == COVEY_LOG_ERROR ? "error" : "warning", line);
}

static void start_runtime(struct program *p)
{
    struct covey_runtime_config config;
    covey_runtime_config_init(&config); /* the defaults; then edit */
    config.log = library_log;
    config.log_level = COVEY_LOG_WARNING;
    must(covey_runtime_new(&config, &p->runtime), "runtime");
}
/* [log] */

/* Says itself what is wrong with which file. */
static int load_identity(const struct program *p, covey_identity **out)
{
    char reason[COVEY_REASON_SIZE];
    const int error = covey_identity_load(p->tls, out, reason);
    if (error != 0)
        fprintf(stderr, "calls_server: %s\n", reason);
    return error;
}

/* Without --next the server calls itself. It connects when the first call needs it. */
static void open_next(struct program *p)
{
    struct covey_client_config config;
    covey_client_config_init(&config);
    config.runtime = p->runtime;
    config.identity = p->identity;
    config.address = p->next != NULL ? p->next : covey_server_address(p->server);
    must(covey_client_new(&config, &p->methods.next), config.address);
}

/* [server] */
static void start_server(struct program *p)
{
    const struct covey_server_interceptor log = {.begin = log_begin, .end = log_end};
    struct covey_server_config config;

    covey_server_config_init(&config); /* the defaults */
    config.runtime = p->runtime;
    config.identity = p->identity;
    config.listen = p->listen;
    must(covey_server_new(&config, &p->server), p->listen); /* binds the port */
    must(covey_server_add_interceptor(p->server, &log), "interceptor");
    must(methods_add(p->server, &p->methods), "methods");
    open_next(p);
    must(covey_server_start(p->server), "start"); /* takes calls from now on */
    printf("listening on %s\n", covey_server_address(p->server));
}
/* [server] */

/* [reload] */
/* The files of --tls were replaced. What does not fit leaves the old ones in force. */
static void reload(struct program *p)
{
    covey_identity *renewed;
    if (load_identity(p, &renewed) != 0)
        return;
    int error = covey_server_reload(p->server, renewed);
    if (error == 0)
        error = covey_client_reload(p->methods.next, renewed);
    if (error == 0)
        printf("certificate reloaded\n");
    else
        fprintf(stderr, "calls_server: not reloaded: %s\n", covey_strerror(error));
    covey_identity_free(renewed);
}
/* [reload] */

/* [drain] */
/* New calls go elsewhere, those that run have 5 s. Then the rest, in the order of use. */
static void stop(struct program *p)
{
    const int error = covey_server_drain(p->server, 5 * COVEY_SECOND);
    if (error == 0)
        printf("drained: all calls finished\n");
    else
        printf("drained: %s\n", covey_strerror(error));
    covey_client_free(p->methods.next); /* what `relay` still waits for ends with CANCELLED */
    covey_server_free(p->server);
    covey_runtime_free(p->runtime);
    covey_identity_free(p->identity);
}
/* [drain] */

static int read_options(struct program *p, int argc, char **argv)
{
    static const struct option options[] = {{"tls", required_argument, NULL, 't'},
                                            {"listen", required_argument, NULL, 'l'},
                                            {"next", required_argument, NULL, 'n'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 't')
            p->tls = optarg;
        else if (option == 'l')
            p->listen = optarg;
        else if (option == 'n')
            p->next = optarg;
        else
            return option;
    }
    return optind == argc && p->tls != NULL ? 0 : '?';
}

int main(int argc, char **argv)
{
    struct program p = {.listen = "127.0.0.1:0", .methods = {.name = "calls_server"}};
    sigset_t signals;
    int number;

    const int option = read_options(&p, argc, argv);
    if (option != 0) {
        fputs(usage, option == 'h' ? stdout : stderr);
        return option == 'h' ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    /* Before there are threads: they inherit it, and the signals wait for sigwait(). */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);

    if (load_identity(&p, &p.identity) != 0)
        return EXIT_FAILURE;
    start_runtime(&p);
    start_server(&p);
    while (sigwait(&signals, &number) == 0 && number == SIGHUP)
        reload(&p);
    stop(&p);
    return EXIT_SUCCESS;
}
