/* Handshakes that a server refuses: each reason by its own counter, and few lines about many of them. */
#include "io/clock.h"
#include "unit/api/calling.h"

#define ATTEMPTS 25

struct lab {
    struct world world;
    covey_server *server;
    atomic_uint lines; /* about refused handshakes */
};

static void count_lines(void *user, enum covey_log_level level, const char *line)
{
    struct lab *lab = user;
    (void)level;
    if (strstr(line, "handshake with ") != NULL)
        atomic_fetch_add(&lab->lines, 1);
}

static void lab_init(struct lab *lab)
{
    struct covey_runtime_config config;
    memset(lab, 0, sizeof *lab);
    assert_int_equal(covey_pki_make_ca("flock", COVEY_KEY_ED25519, 10, &lab->world.ca), 0);
    covey_runtime_config_init(&config);
    config.log = count_lines;
    config.log_user = lab;
    config.loops = 1; /* the limit is a loop's */
    assert_int_equal(covey_runtime_new(&config, &lab->world.runtime), 0);
    lab->server = world_server(&lab->world, "owl");
    assert_int_equal(covey_server_start(lab->server), 0);
}

/* A caller that trusts the server, with a certificate of `ca`. */
static covey_identity *stranger(struct lab *lab, const struct covey_pem *ca)
{
    struct covey_issue_config config;
    struct covey_pem pem;
    covey_identity *identity;
    char both[8192];
    covey_issue_config_init(&config);
    config.name = "stray";
    config.role = COVEY_ROLE_CLIENT;
    config.days = 5;
    assert_int_equal(covey_pki_issue(ca->cert, ca->key, &config, &pem), 0);
    snprintf(both, sizeof both, "%s%s", lab->world.ca.cert, ca->cert);
    assert_int_equal(covey_identity_from_pem(both, pem.cert, pem.key, &identity, NULL), 0);
    covey_pem_free(&pem);
    return identity;
}

static void try_once(struct lab *lab, covey_identity *identity)
{
    struct covey_client_config config;
    covey_client *client;
    client_config_of(&lab->world, identity, covey_server_address(lab->server), &config);
    assert_int_equal(covey_client_new(&config, &client), 0);
    expect_call(client, "covey.health", COVEY_STATUS_UNAVAILABLE, "");
    assert_int_equal(covey_client_free(client), 0);
}

static uint64_t all_refused(const struct covey_server_stats *stats)
{
    uint64_t sum = 0;
#define X(name) sum += stats->refused_##name;
    COVEY_REFUSALS(X)
#undef X
    return sum;
}

static void each_is_counted_and_few_are_written_about(void **state)
{
    (void)state;
    static struct lab lab;
    struct covey_pem other_ca;
    lab_init(&lab);
    assert_int_equal(covey_pki_make_ca("flock", COVEY_KEY_ED25519, 10, &other_ca), 0);
    covey_identity *untrusted = stranger(&lab, &other_ca);
    covey_identity *denied = world_identity(&lab.world, "crow", COVEY_ROLE_CLIENT);
    const covey_node_id id = covey_identity_id(denied);
    assert_int_equal(covey_server_deny(lab.server, &id, 1), 0);
    covey_time begun = cv_clock_now();
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        try_once(&lab, untrusted);
        try_once(&lab, denied);
    }
    unsigned long long seconds = (cv_clock_now() - begun) / COVEY_SECOND;
    const struct covey_server_stats stats = stats_of(lab.server);
    assert_in_range(stats.refused_untrusted, ATTEMPTS,
                    10 * ATTEMPTS); /* an attempt may be several */
    assert_in_range(stats.refused_denied, ATTEMPTS, 10 * ATTEMPTS);
    assert_int_equal(all_refused(&stats), stats.refused_untrusted + stats.refused_denied);
    assert_true(stats.handshakes_failed >= all_refused(&stats));
    assert_in_range(atomic_load(&lab.lines), 1, 2 + seconds);
    covey_identity_free(untrusted);
    covey_identity_free(denied);
    covey_pem_free(&other_ca);
    assert_int_equal(covey_server_free(lab.server), 0);
    world_fini(&lab.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_counted_and_few_are_written_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
