#include "agent_options.h"
#include "commands.h"
#include "deny_file.h"
#include "event_json.h"
#include "remote.h"
#include "report.h"

#include <covey/server.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static const char command[] = "agent";

/* While it joins, the outcome is looked at so often; later only events and signals wake it. */
#define JOIN_LOOK_MS 50

struct agent {
    covey_identity *identity;
    covey_runtime *runtime;
    covey_server *server;
    covey_cluster *cluster; /* the server's */
    covey_event_receiver *events;
    int signals; /* a signalfd */
};

enum agent_state { AGENT_RUNS, AGENT_LEFT, AGENT_BROKEN /* reported */ };

static void write_log(void *user, enum covey_log_level level, const char *line)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    struct timespec now;
    struct tm utc;
    char text[32];

    (void)user;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    fprintf(stderr, "%s.%03ldZ %s %s\n", text, now.tv_nsec / 1000000, names[level], line);
}

static void echo(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size);
}

/* Prints one JSON object as a line at once. */
static bool print_line(json_t *object)
{
    if (object == NULL) {
        report(command, "%s", covey_strerror(COVEY_ERR_NO_MEMORY));
        return false;
    }
    json_dumpf(object, stdout, JSON_COMPACT);
    json_decref(object);
    putchar('\n');
    return flush_output(command) == EXIT_SUCCESS;
}

static bool add_echo(covey_server *server)
{
    const struct covey_method method = {.name = "echo", .handler = echo};

    const int error = covey_server_add_method(server, &method);
    if (error != 0)
        report(command, "cannot serve echo: %s", covey_strerror(error));
    return error == 0;
}

static bool start_runtime(struct agent *agent)
{
    struct covey_runtime_config config;

    covey_runtime_config_init(&config);
    config.log = write_log;
    const int error = covey_runtime_new(&config, &agent->runtime);
    if (error != 0)
        report(command, "cannot start: %s", covey_strerror(error));
    return error == 0;
}

static void report_server_error(const struct agent_options *options, int error)
{
    if (error == COVEY_ERR_WRONG_ROLE)
        report(command, "%s/cert.pem: an agent needs the certificate of a member", options->tls);
    else if (error == COVEY_ERR_CERTIFICATE_EXPIRED)
        report(command, "%s/cert.pem: %s", options->tls, covey_strerror(error));
    else if (error == COVEY_ERR_ADDRESS && options->advertise != NULL)
        report(command, "--listen %s, --advertise %s: %s", options->listen, options->advertise,
               covey_strerror(error));
    else
        report(command, "--listen %s: %s", options->listen, covey_strerror(error));
}

/* Denies whom the file names now; a file that is wrong changes nothing. */
static bool deny(struct agent *agent, const struct agent_options *options)
{
    covey_node_id *ids;
    size_t count;

    if (options->deny == NULL)
        return true;
    if (!read_deny_file(command, options->deny, &ids, &count))
        return false;
    const int error = covey_server_deny(agent->server, ids, count);
    if (error != 0)
        report(command, "%s: %s", options->deny, covey_strerror(error));
    free(ids);
    return error == 0;
}

static bool start_server(struct agent *agent, const struct agent_options *options)
{
    struct covey_server_config config;

    covey_server_config_init(&config);
    config.runtime = agent->runtime;
    config.identity = agent->identity;
    config.listen = options->listen;
    config.advertise = options->advertise;
    int error = covey_server_new(&config, &agent->server);
    if (error != 0) {
        report_server_error(options, error);
        return false;
    }
    if (!deny(agent, options) || (options->echo && !add_echo(agent->server)))
        return false;
    error = covey_server_start(agent->server);
    if (error != 0)
        report(command, "cannot serve: %s", covey_strerror(error));
    return error == 0;
}

static void report_cluster_error(int error)
{
    switch (error) {
    case COVEY_ERR_ADDRESS:
        report(command, "a --join address is not HOST:PORT, or --listen is a wildcard and "
                        "--advertise is missing");
        break;
    case COVEY_ERR_TOO_LARGE:
        report(command, "the tags are too large: at most %d bytes together", COVEY_TAGS_SIZE_MAX);
        break;
    case COVEY_ERR_INVALID_ARGUMENT:
        report(command, "a tag is not UTF-8, or one is given twice");
        break;
    default:
        report(command, "cannot be a member: %s", covey_strerror(error));
    }
}

static bool start_cluster(struct agent *agent, const struct agent_options *options)
{
    struct covey_cluster_config config;

    covey_cluster_config_init(&config);
    config.profile = options->profile;
    config.tags = options->tags;
    config.tag_count = options->tag_count;
    int error = covey_server_enable_cluster(agent->server, &config, options->seeds.items,
                                            options->seeds.count);
    if (error != 0) {
        report_cluster_error(error);
        return false;
    }
    agent->cluster = covey_server_cluster(agent->server);
    error = covey_cluster_events(agent->cluster, &agent->events);
    if (error != 0)
        report(command, "cannot see events: %s", covey_strerror(error));
    return error == 0;
}

/* SIGTERM, SIGINT and, if there is something to read again, SIGHUP become readable here, before any thread
 * that could get them exists. */
static bool catch_signals(struct agent *agent, bool with_hangup)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (with_hangup)
        sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    agent->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (agent->signals < 0)
        report(command, "cannot watch for signals: %s", strerror(errno));
    return agent->signals >= 0;
}

static bool start(struct agent *agent, const struct agent_options *options)
{
    if (!catch_signals(agent, options->deny != NULL))
        return false;
    agent->identity = load_identity(command, options->tls);
    if (agent->identity == NULL || !start_runtime(agent) || !start_server(agent, options))
        return false;
    const covey_node_id id = covey_identity_id(agent->identity);
    if (!print_line(listening_to_json(covey_server_address(agent->server), &id)))
        return false;
    return start_cluster(agent, options);
}

static void stop(struct agent *agent)
{
    covey_event_receiver_free(agent->events);
    covey_server_free(agent->server);
    covey_runtime_free(agent->runtime);
    covey_identity_free(agent->identity);
    if (agent->signals >= 0)
        close(agent->signals);
}

static enum agent_state print_events(struct agent *agent)
{
    struct covey_event event = {.size = sizeof event};

    for (;;) {
        const int error = covey_event_receive(agent->events, 0, &event);
        if (error == COVEY_ERR_TIMEOUT)
            return AGENT_RUNS;
        if (error == COVEY_ERR_CLOSED)
            return AGENT_LEFT;
        if (error != 0) {
            report(command, "cannot see events: %s", covey_strerror(error));
            return AGENT_BROKEN;
        }
        if (!print_line(event_to_json(&event)))
            return AGENT_BROKEN;
    }
}

static enum agent_state look_at_join(struct agent *agent, const struct agent_options *options,
                                     bool *joined)
{
    const int error = covey_cluster_wait_joined(agent->cluster, 0);

    *joined = error == 0;
    if (error == 0 || error == COVEY_ERR_TIMEOUT)
        return AGENT_RUNS;
    if (error == COVEY_ERR_CLOSED)
        return AGENT_LEFT;
    report(command, "cannot join through %s%s: %s", options->seeds.items[0],
           options->seeds.count > 1 ? " or another seed" : "", covey_strerror(error));
    return AGENT_BROKEN;
}

/* True when one came that ends it. At SIGHUP the file of those who are denied is read again. */
static bool got_end_signal(struct agent *agent, const struct agent_options *options)
{
    struct signalfd_siginfo info;

    while (read(agent->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGHUP)
            return true;
        (void)deny(agent, options);
    }
    return false;
}

static enum agent_state run(struct agent *agent, const struct agent_options *options)
{
    struct pollfd watched[] = {
        {.fd = agent->signals, .events = POLLIN},
        {.fd = covey_event_receiver_fd(agent->events), .events = POLLIN},
    };
    bool joined = false;

    for (;;) {
        poll(watched, 2, joined ? -1 : JOIN_LOOK_MS);
        if (got_end_signal(agent, options)) {
            covey_cluster_leave(agent->cluster);
            return print_events(agent);
        }
        enum agent_state state = print_events(agent);
        if (state == AGENT_RUNS && !joined)
            state = look_at_join(agent, options, &joined);
        if (state != AGENT_RUNS)
            return state;
    }
}

static int run_agent(const struct agent_options *options)
{
    struct agent agent = {.signals = -1};
    int status = EXIT_FAILURE;

    if (start(&agent, options)) {
        if (run(&agent, options) != AGENT_BROKEN)
            status = EXIT_SUCCESS;
        else
            covey_cluster_leave(agent.cluster);
    }
    stop(&agent);
    return status;
}

int command_agent(int argc, char **argv)
{
    struct agent_options options;

    const enum options_result result = agent_options_read(&options, command, argc, argv);
    if (result != OPTIONS_GO_ON)
        return options_exit_status(result);
    return run_agent(&options);
}
