/*
 * A client of calls_server: runs the ways to call of ways.c, one after the other.
 */
#include "ways.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_usage(FILE *out)
{
    fprintf(out, "usage: calls_client --tls DIR --addr HOST:PORT [WAY...]\n"
                 "  --tls   ca.pem, cert.pem and key.pem of any role, made by `covey ca issue`\n"
                 "  --addr  where the server is\n"
                 "  WAY     one of these; all of them if none is given:\n");
    for (size_t i = 0; i < way_count; i++)
        fprintf(out, "          %-9s %s\n", ways[i].name, ways[i].help);
}

static void must(int error, const char *what)
{
    if (error == 0)
        return;
    fprintf(stderr, "calls_client: %s: %s\n", what, covey_strerror(error));
    exit(EXIT_FAILURE);
}

static const struct way *find_way(const char *name)
{
    for (size_t i = 0; i < way_count; i++)
        if (strcmp(name, ways[i].name) == 0)
            return &ways[i];
    fprintf(stderr, "calls_client: there is no way '%s'; --help lists them\n", name);
    exit(EXIT_FAILURE);
}

/* False when one of them did not bring what it should. */
static bool run_ways(covey_client *client, char **names, size_t count)
{
    bool ok = true;
    for (size_t i = 0; i < count; i++)
        ok = find_way(names[i])->run(client) && ok;
    for (size_t i = 0; i < way_count && count == 0; i++)
        ok = ways[i].run(client) && ok;
    return ok;
}

/* [client] */
static bool run(const char *tls, const char *address, char **names, size_t count)
{
    covey_identity *identity;
    covey_runtime *runtime;
    covey_client *client;
    struct covey_client_config config;
    char reason[COVEY_REASON_SIZE];

    if (covey_identity_load(tls, &identity, reason) != 0) {
        fprintf(stderr, "calls_client: %s\n", reason); /* which file, and what is wrong with it */
        return false;
    }
    must(covey_runtime_new(NULL, &runtime), "runtime");
    covey_client_config_init(&config);
    config.runtime = runtime;
    config.identity = identity;
    config.address = address;
    must(covey_client_new(&config, &client), address); /* connects at the first call */

    const bool ok = run_ways(client, names, count);

    covey_client_free(client);
    covey_runtime_free(runtime);
    covey_identity_free(identity);
    return ok;
}
/* [client] */

int main(int argc, char **argv)
{
    static const struct option options[] = {{"tls", required_argument, NULL, 't'},
                                            {"addr", required_argument, NULL, 'a'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *tls = NULL;
    const char *address = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 't')
            tls = optarg;
        else if (option == 'a')
            address = optarg;
        else {
            print_usage(option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_SUCCESS : EXIT_FAILURE;
        }
    }
    if (tls == NULL || address == NULL) {
        print_usage(stderr);
        return EXIT_FAILURE;
    }
    const size_t count = (size_t)(argc - optind);
    for (size_t i = 0; i < count; i++) /* before anything is called */
        find_way(argv[optind + (int)i]);
    return run(tls, address, argv + optind, count) ? EXIT_SUCCESS : EXIT_FAILURE;
}
