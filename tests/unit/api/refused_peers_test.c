#define _GNU_SOURCE
/* Who is refused, over real sockets: each reason is seen in the server's counters, and only that one. */
#include "api/identity.h"

#include "io/clock.h"
#include "support/test_cert.h"
#include "unit/api/calling.h"
#include "unit/api/members.h"
#include "unit/api/stepping.h"

#include <sys/syscall.h>
#include <time.h>

/* The wall clocks of the test's thread, which makes the servers' turns, and of the others, the callers', go so many
 * seconds before the real one. */
static _Thread_local bool is_test;
static int64_t shift;
static atomic_int_fast64_t callers_shift;

#define DAY 86400

/* In place of the C library's: what runs in this program sees the shifted time. */
int clock_gettime(clockid_t clock, struct timespec *out)
{
    long result = syscall(SYS_clock_gettime, clock, out);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        out->tv_sec += is_test ? shift : (int64_t)atomic_load(&callers_shift);
    return (int)result;
}

/* Servers that this thread steps, in its time; callers on threads, in theirs. */
struct lab {
    struct world callers;
    struct world servers;
};

static int setup(void **state)
{
    struct lab *lab = calloc(1, sizeof *lab);
    assert_non_null(lab);
    is_test = true;
    shift = 0;
    atomic_store(&callers_shift, 0);
    world_init(&lab->callers);
    world_init_mode(&lab->servers, COVEY_RUN_STEP);
    covey_pem_free(&lab->callers.ca);
    covey_pem_free(&lab->servers.ca);
    assert_int_equal(covey_pki_make_ca("flock", COVEY_KEY_ED25519, 400, &lab->servers.ca), 0);
    *state = lab;
    return 0;
}

static int teardown(void **state)
{
    struct lab *lab = *state;
    world_fini(&lab->servers);
    world_fini(&lab->callers);
    free(lab);
    return 0;
}

static covey_identity *identity_for(struct lab *lab, enum covey_role role, unsigned days)
{
    struct covey_issue_config config;
    struct covey_pem pem;
    covey_identity *identity;
    covey_issue_config_init(&config);
    config.name = "somebody";
    config.role = role;
    config.days = days;
    assert_int_equal(covey_pki_issue(lab->servers.ca.cert, lab->servers.ca.key, &config, &pem), 0);
    assert_int_equal(
        covey_identity_from_pem(lab->servers.ca.cert, pem.cert, pem.key, &identity, NULL), 0);
    covey_pem_free(&pem);
    return identity;
}

static covey_server *server_of(struct world *w, covey_identity *identity)
{
    struct covey_server_config config;
    covey_server *server;
    server_config_of(w, identity, &config);
    assert_int_equal(covey_server_new(&config, &server), 0);
    assert_int_equal(covey_server_start(server), 0);
    covey_identity_free(identity);
    return server;
}

static uint64_t all_refused(const struct covey_server_stats *stats)
{
    uint64_t sum = 0;
#define X(name) sum += stats->refused_##name;
    COVEY_REFUSALS(X)
#undef X
    return sum;
}

/* Nothing but `counter` of these counts, and that does. */
static void assert_only(const struct covey_server_stats *stats, size_t counter)
{
    const uint64_t one = *(const uint64_t *)(const void *)((const char *)stats + counter);
    assert_true(one >= 1);
    assert_int_equal(all_refused(stats), one);
    assert_true(stats->handshakes_failed >= one);
    assert_int_equal(stats->calls_begun, 0);
}

#define COUNTER(name) offsetof(struct covey_server_stats, name)

/* A call of somebody who trusts the server. */
static void assert_call_is_refused(struct lab *lab, covey_server *server, covey_identity *caller,
                                   size_t counter)
{
    struct covey_client_config config;
    covey_client *client;
    struct tally tally;
    tally_init(&tally);
    client_config_of(&lab->callers, caller, covey_server_address(server), &config);
    const int64_t servers_shift = shift;
    shift = (int64_t)atomic_load(&callers_shift);
    assert_int_equal(covey_client_new(&config, &client), 0);
    shift = servers_shift;
    call_async(client, "covey.health", NULL, &tally);
    STEP_UNTIL(lab->servers.runtime, tally_count(&tally) == 1);
    assert_int_equal(tally.codes[COVEY_STATUS_UNAVAILABLE], 1);
    if (strstr(tally.text, "refused") == NULL)
        fail_msg("%s", tally.text);
    const struct covey_server_stats stats = stats_of(server);
    assert_only(&stats, counter);
    assert_int_equal(covey_client_free(client), 0);
    covey_identity_free(caller);
    tally_fini(&tally);
}

/* What is good still for the caller's clock ran out by the server's. */
static void an_expired_certificate(void **state)
{
    struct lab *lab = *state;
    covey_identity *caller = identity_for(lab, COVEY_ROLE_CLIENT, 5);
    covey_identity *own = identity_for(lab, COVEY_ROLE_MEMBER, 300);
    shift = 10 * DAY;
    covey_server *server = server_of(&lab->servers, own);
    assert_call_is_refused(lab, server, caller, COUNTER(refused_expired));
    assert_int_equal(covey_server_free(server), 0);
}

/* One that is issued ten days from now. */
static void a_certificate_that_is_not_yet_valid(void **state)
{
    struct lab *lab = *state;
    covey_server *server = server_of(&lab->servers, identity_for(lab, COVEY_ROLE_MEMBER, 300));
    atomic_store(&callers_shift, 10 * DAY);
    shift = 10 * DAY;
    covey_identity *caller = identity_for(lab, COVEY_ROLE_CLIENT, 5);
    shift = 0;
    assert_call_is_refused(lab, server, caller, COUNTER(refused_not_yet_valid));
    assert_int_equal(covey_server_free(server), 0);
}

static void a_denied_one(void **state)
{
    struct lab *lab = *state;
    covey_identity *caller = identity_for(lab, COVEY_ROLE_ADMIN, 5);
    const covey_node_id id = covey_identity_id(caller);
    covey_server *server = server_of(&lab->servers, identity_for(lab, COVEY_ROLE_MEMBER, 300));
    assert_int_equal(covey_server_deny(server, &id, 1), 0);
    assert_call_is_refused(lab, server, caller, COUNTER(refused_denied));
    assert_int_equal(covey_server_free(server), 0);
}

/* ---- gossip ---- */

/* Tries once to join through `to`, which is no good. */
static covey_cluster *try_to_join(covey_server *server, const covey_server *to)
{
    struct covey_cluster_config config = local_config();
    const char *seed = covey_server_address(to);
    config.join_attempts = 1;
    assert_int_equal(covey_server_enable_cluster(server, &config, &seed, 1), 0);
    return covey_server_cluster(server);
}

/* An honest server has a member's certificate; one that is tampered with shows a client's. */
static void a_client_that_gossips(void **state)
{
    struct lab *lab = *state;
    covey_server *seed = server_of(&lab->servers, identity_for(lab, COVEY_ROLE_MEMBER, 300));
    const struct covey_cluster_config config = local_config();
    assert_int_equal(covey_server_enable_cluster(seed, &config, NULL, 0), 0);
    covey_cluster *cluster = covey_server_cluster(seed);
    STEP_UNTIL(lab->servers.runtime, covey_cluster_wait_joined(cluster, 0) == 0);
    covey_identity *tampered = identity_for(lab, COVEY_ROLE_CLIENT, 5);
    tampered->who.role = CV_ROLE_MEMBER;
    covey_server *stray = server_of(&lab->callers, tampered);
    covey_cluster *joining = try_to_join(stray, seed);
    STEP_UNTIL(lab->servers.runtime, covey_cluster_wait_joined(joining, 0) != COVEY_ERR_TIMEOUT);
    assert_int_equal(covey_cluster_wait_joined(joining, 0), COVEY_ERR_REFUSED);
    const struct covey_server_stats stats = stats_of(seed);
    assert_only(&stats, COUNTER(refused_wrong_role));
    struct covey_cluster_stats of_seed = {.size = sizeof of_seed};
    assert_int_equal(covey_cluster_stats(cluster, &of_seed), 0);
    assert_int_equal(of_seed.members_alive, 1);
    assert_int_equal(covey_server_free(stray), 0);
    assert_int_equal(covey_server_free(seed), 0);
}

/* One CA may serve several clusters: who dials into another one refuses it, and says so. */
static void a_member_of_another_cluster(void **state)
{
    struct lab *lab = *state;
    static struct cv_pki_pair pair;
    static struct test_pki pki;
    covey_identity *theirs;
    snprintf(pki.ca.cert_pem, sizeof pki.ca.cert_pem, "%s", lab->servers.ca.cert);
    snprintf(pki.ca.key_pem, sizeof pki.ca.key_pem, "%s", lab->servers.ca.key);
    struct test_cert_config config = test_cert_member(&pki);
    config.not_before_ms = cv_clock_wall_ms() - 3600000;
    config.not_after_ms = cv_clock_wall_ms() + 3600000;
    config.uris[0] = cv_slice_text("covey://herd/member/one");
    test_cert_make(&config, NULL, &pair);
    assert_int_equal(
        covey_identity_from_pem(lab->servers.ca.cert, pair.cert_pem, pair.key_pem, &theirs, NULL),
        0);
    covey_server *herd = server_of(&lab->callers, theirs);
    const struct covey_cluster_config alone = local_config();
    assert_int_equal(covey_server_enable_cluster(herd, &alone, NULL, 0), 0);
    covey_server *flock = server_of(&lab->servers, identity_for(lab, COVEY_ROLE_MEMBER, 300));
    covey_cluster *joining = try_to_join(flock, herd);
    STEP_UNTIL(lab->servers.runtime, covey_cluster_wait_joined(joining, 0) != COVEY_ERR_TIMEOUT);
    assert_int_equal(covey_cluster_wait_joined(joining, 0), COVEY_ERR_WRONG_CLUSTER);
    const struct covey_server_stats stats = stats_of(flock);
    assert_only(&stats, COUNTER(refused_wrong_cluster));
    assert_int_equal(covey_server_free(flock), 0);
    assert_int_equal(covey_server_free(herd), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_expired_certificate), TEST(a_certificate_that_is_not_yet_valid), TEST(a_denied_one),
        TEST(a_client_that_gossips),  TEST(a_member_of_another_cluster),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
