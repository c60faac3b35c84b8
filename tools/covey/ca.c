#include "commands.h"
#include "files.h"
#include "options.h"
#include "report.h"
#include "values.h"

#include <covey/pki.h>
#include <stdlib.h>
#include <string.h>

#define CA_DAYS      3650
#define DAYS_MAX     36500
#define PEM_SIZE_MAX ((size_t)1 << 20)

/* The text of `days` as an option, or the default when it is not given. */
static bool read_days(const char *command, const char *text, unsigned *days)
{
    if (text == NULL || parse_number(text, 1, DAYS_MAX, days))
        return true;
    report_wrong_use(command, "--days is a number from 1 to %d, not '%s'", DAYS_MAX, text);
    return false;
}

static bool read_key_type(const char *command, const char *text, enum covey_key_type *type)
{
    if (text == NULL || strcmp(text, "ed25519") == 0) {
        *type = COVEY_KEY_ED25519;
        return true;
    }
    if (strcmp(text, "p256") == 0) {
        *type = COVEY_KEY_ECDSA_P256;
        return true;
    }
    report_wrong_use(command, "--key-type is ed25519 or p256, not '%s'", text);
    return false;
}

static bool read_role(const char *command, const char *text, enum covey_role *role)
{
    static const enum covey_role roles[] = {COVEY_ROLE_MEMBER, COVEY_ROLE_CLIENT, COVEY_ROLE_ADMIN};

    if (text == NULL)
        return true;
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(text, covey_role_name(roles[i])) == 0) {
            *role = roles[i];
            return true;
        }
    }
    report_wrong_use(command, "--role is member, client or admin, not '%s'", text);
    return false;
}

static int init(const char *command, const char *dir, const char *cluster, unsigned days,
                enum covey_key_type type)
{
    char cert_path[PATH_MAX];
    char key_path[PATH_MAX];
    struct covey_pem pem;

    if (!join_path(command, dir, "ca.pem", cert_path) ||
        !join_path(command, dir, "ca-key.pem", key_path) || !make_directories(command, dir) ||
        refuse_existing(command, cert_path) || refuse_existing(command, key_path))
        return EXIT_FAILURE;
    const int error = covey_pki_make_ca(cluster, type, days, &pem);
    if (error == COVEY_ERR_INVALID_ARGUMENT)
        return report(command, "'%s' is no name for a cluster: 1 to 63 of a-z A-Z 0-9 . _ -",
                      cluster);
    if (error != 0)
        return report(command, "cannot make the CA: %s", covey_strerror(error));
    bool done = write_new_file(command, key_path, pem.key, 0600);
    if (done && !write_new_file(command, cert_path, pem.cert, 0644)) {
        remove(key_path);
        done = false;
    }
    covey_pem_free(&pem);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

int command_ca_init(int argc, char **argv)
{
    const char *dir = NULL;
    const char *cluster = NULL;
    const char *days_text = NULL;
    const char *type_text = NULL;
    const struct option_spec specs[] = {
        {.name = "dir",
         .argument = "PKI",
         .required = true,
         .text = &dir,
         .help = "where ca.pem and ca-key.pem go"},
        {.name = "cluster",
         .argument = "NAME",
         .required = true,
         .text = &cluster,
         .help = "the cluster that it certifies for"},
        {.name = "key-type",
         .argument = "TYPE",
         .text = &type_text,
         .help = "ed25519 (default) or p256"},
        {.name = "days", .argument = "N", .text = &days_text, .help = "how long it is valid; 3650"},
    };
    const struct option_table table = {
        .command = "ca init",
        .summary = "Makes a certificate authority. Keep ca-key.pem secret: it admits nodes.",
        .specs = specs,
        .spec_count = sizeof specs / sizeof specs[0],
    };
    unsigned days = CA_DAYS;
    enum covey_key_type type;

    const enum options_result result = options_parse(&table, argc, argv, NULL, NULL);
    if (result != OPTIONS_GO_ON)
        return options_exit_status(result);
    if (!read_days(table.command, days_text, &days) ||
        !read_key_type(table.command, type_text, &type))
        return EXIT_WRONG_USE;
    return init(table.command, dir, cluster, days, type);
}

/* The paths of what `ca issue` writes. */
struct issue_paths {
    char ca[PATH_MAX];
    char cert[PATH_MAX];
    char key[PATH_MAX];
};

/* Whether ca.pem is there already; a different one is refused. */
static bool check_ca_copy(const char *command, const char *path, const char *ca, bool *is_there)
{
    FILE *stream = fopen(path, "re");
    char *text;
    size_t size;

    *is_there = stream != NULL;
    if (stream == NULL)
        return true;
    const bool is_read = read_stream(command, stream, path, PEM_SIZE_MAX, &text, &size);
    fclose(stream);
    if (!is_read)
        return false;
    const bool is_same = strcmp(text, ca) == 0;
    free(text);
    if (!is_same)
        report(command, "%s is another CA's and is not overwritten", path);
    return is_same;
}

static bool write_issued(const char *command, const struct issue_paths *paths, const char *ca,
                         bool has_ca, const struct covey_pem *pem)
{
    if (!write_new_file(command, paths->key, pem->key, 0600))
        return false;
    if (!write_new_file(command, paths->cert, pem->cert, 0644)) {
        remove(paths->key);
        return false;
    }
    if (!has_ca && !write_new_file(command, paths->ca, ca, 0644)) {
        remove(paths->key);
        remove(paths->cert);
        return false;
    }
    return true;
}

static int report_issue_error(const char *command, const char *dir,
                              const struct covey_issue_config *config, int error)
{
    switch (error) {
    case COVEY_ERR_INVALID_ARGUMENT:
        return report(command, "'%s' is no name for a node: 1 to 63 of a-z A-Z 0-9 . _ -%s",
                      config->name,
                      config->host_count > 0 ? "; or a --san is no host name or address" : "");
    case COVEY_ERR_CERTIFICATE:
    case COVEY_ERR_CERTIFICATE_EXPIRED:
        return report(command, "%s/ca.pem: %s", dir, covey_strerror(error));
    case COVEY_ERR_KEY:
        return report(command, "%s/ca-key.pem%s: %s", dir,
                      config->key != NULL ? ", or the key of --key" : "", covey_strerror(error));
    default:
        return report(command, "cannot make the certificate: %s", covey_strerror(error));
    }
}

static int issue_with(const char *command, const char *dir, const char *out, const char *ca,
                      const char *ca_key, const struct covey_issue_config *config)
{
    struct issue_paths paths;
    struct covey_pem pem;
    bool has_ca;

    if (!join_path(command, out, "ca.pem", paths.ca) ||
        !join_path(command, out, "cert.pem", paths.cert) ||
        !join_path(command, out, "key.pem", paths.key) || !make_directories(command, out) ||
        refuse_existing(command, paths.key) || refuse_existing(command, paths.cert) ||
        !check_ca_copy(command, paths.ca, ca, &has_ca))
        return EXIT_FAILURE;
    const int error = covey_pki_issue(ca, ca_key, config, &pem);
    if (error != 0)
        return report_issue_error(command, dir, config, error);
    const bool done = write_issued(command, &paths, ca, has_ca, &pem);
    covey_pem_free(&pem);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* `own_key_path` names the key to certify again, NULL for a new one. */
static int issue(const char *command, const char *dir, const char *out, const char *own_key_path,
                 struct covey_issue_config *config)
{
    char ca_path[PATH_MAX];
    char key_path[PATH_MAX];
    char *ca = NULL;
    char *ca_key = NULL;
    char *own_key = NULL;
    size_t size;
    int status = EXIT_FAILURE;

    if (join_path(command, dir, "ca.pem", ca_path) &&
        join_path(command, dir, "ca-key.pem", key_path) &&
        read_file(command, ca_path, PEM_SIZE_MAX, &ca, &size) &&
        read_file(command, key_path, PEM_SIZE_MAX, &ca_key, &size) &&
        (own_key_path == NULL || read_file(command, own_key_path, PEM_SIZE_MAX, &own_key, &size))) {
        config->key = own_key;
        status = issue_with(command, dir, out, ca, ca_key, config);
    }
    free(own_key);
    free(ca_key);
    free(ca);
    return status;
}

int command_ca_issue(int argc, char **argv)
{
    const char *dir = NULL;
    const char *name = NULL;
    const char *out = NULL;
    const char *role_text = NULL;
    const char *days_text = NULL;
    const char *type_text = NULL;
    const char *key_path = NULL;
    struct option_list hosts = {.count = 0};
    const struct option_spec specs[] = {
        {.name = "dir",
         .argument = "PKI",
         .required = true,
         .text = &dir,
         .help = "where ca.pem and ca-key.pem are"},
        {.name = "name",
         .argument = "NODE",
         .required = true,
         .text = &name,
         .help = "whom the certificate is for"},
        {.name = "out",
         .argument = "DIR",
         .required = true,
         .text = &out,
         .help = "where ca.pem, cert.pem and key.pem go"},
        {.name = "role",
         .argument = "ROLE",
         .text = &role_text,
         .help = "member (default), client or admin"},
        {.name = "san",
         .argument = "HOST",
         .list = &hosts,
         .help = "a DNS name or address to put into it"},
        {.name = "days", .argument = "N", .text = &days_text, .help = "how long it is valid; 365"},
        {.name = "key-type",
         .argument = "TYPE",
         .text = &type_text,
         .help = "ed25519 (default) or p256"},
        {.name = "key",
         .argument = "FILE",
         .text = &key_path,
         .help = "renew: certify this key again, so that the node keeps its id"},
    };
    const struct option_table table = {
        .command = "ca issue",
        .summary = "Makes a key and a certificate for a node, a client or an admin.",
        .specs = specs,
        .spec_count = sizeof specs / sizeof specs[0],
    };
    struct covey_issue_config config;

    const enum options_result result = options_parse(&table, argc, argv, NULL, NULL);
    if (result != OPTIONS_GO_ON)
        return options_exit_status(result);
    covey_issue_config_init(&config);
    if (!read_role(table.command, role_text, &config.role) ||
        !read_days(table.command, days_text, &config.days) ||
        !read_key_type(table.command, type_text, &config.key_type))
        return EXIT_WRONG_USE;
    config.name = name;
    config.hosts = hosts.items;
    config.host_count = hosts.count;
    return issue(table.command, dir, out, key_path, &config);
}
