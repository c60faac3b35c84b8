/* Certificates and CAs are replaced while calls run. */
#include "unit/api/fixture.h"

static void echo(covey_call *call, const void *request, size_t size, void *user)
{
    (void)user;
    covey_call_reply(call, request, size);
}

/* Both CAs in one text: what is trusted while one replaces the other. */
static char *both(const char *a, const char *b)
{
    char *text = malloc(strlen(a) + strlen(b) + 1);
    assert_non_null(text);
    strcpy(text, a);
    strcat(text, b);
    return text;
}

static covey_identity *issue(const struct covey_pem *ca, const char *trusted, const char *name,
                             enum covey_role role, const char *key)
{
    struct covey_issue_config config;
    struct covey_pem pem;
    covey_identity *identity;
    covey_issue_config_init(&config);
    config.name = name;
    config.role = role;
    config.days = 5;
    config.key = key;
    assert_int_equal(covey_pki_issue(ca->cert, ca->key, &config, &pem), 0);
    assert_int_equal(
        covey_identity_from_pem(trusted, pem.cert, key == NULL ? pem.key : key, &identity, NULL),
        0);
    covey_pem_free(&pem);
    return identity;
}

static char *make_key(const struct covey_pem *ca)
{
    struct covey_issue_config config;
    struct covey_pem pem;
    covey_issue_config_init(&config);
    config.name = "owl";
    config.days = 5;
    assert_int_equal(covey_pki_issue(ca->cert, ca->key, &config, &pem), 0);
    char *key = malloc(strlen(pem.key) + 1);
    assert_non_null(key);
    strcpy(key, pem.key);
    covey_pem_free(&pem);
    return key;
}

struct fixture {
    struct world world;
    struct covey_pem next_ca; /* of the same cluster */
    char *owl_key;
    covey_server *server;
    covey_client *client;
};

static int setup(void **state)
{
    static struct fixture f;
    const struct covey_method method = {.name = "echo", .handler = echo};
    struct covey_server_config config;
    memset(&f, 0, sizeof f);
    world_init(&f.world);
    assert_int_equal(covey_pki_make_ca("flock", COVEY_KEY_ED25519, 10, &f.next_ca), 0);
    f.owl_key = make_key(&f.world.ca);
    covey_identity *owl = issue(&f.world.ca, f.world.ca.cert, "owl", COVEY_ROLE_MEMBER, f.owl_key);
    covey_server_config_init(&config);
    config.runtime = f.world.runtime;
    config.identity = owl;
    assert_int_equal(covey_server_new(&config, &f.server), 0);
    covey_identity_free(owl);
    assert_int_equal(covey_server_add_method(f.server, &method), 0);
    assert_int_equal(covey_server_start(f.server), 0);
    f.client = world_client(&f.world, covey_server_address(f.server), COVEY_ROLE_CLIENT);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(covey_client_free(f->client), 0);
    assert_int_equal(covey_server_free(f->server), 0);
    free(f->owl_key);
    covey_pem_free(&f->next_ca);
    world_fini(&f->world);
    return 0;
}

static void expect(covey_client *client, enum covey_status_code code)
{
    struct covey_reply reply;
    assert_int_equal(covey_client_call(client, "echo", "x", 1, NULL, &reply), 0);
    if (reply.code != code)
        fail_msg("%s: %s", covey_status_name(reply.code), reply.message);
    covey_reply_clear(&reply);
}

/* A client that begins now, with what it is given. */
static void expect_from(struct fixture *f, const covey_identity *identity,
                        enum covey_status_code code)
{
    struct covey_client_config config;
    covey_client *client;
    covey_client_config_init(&config);
    config.runtime = f->world.runtime;
    config.identity = identity;
    config.address = covey_server_address(f->server);
    assert_int_equal(covey_client_new(&config, &client), 0);
    expect(client, code);
    assert_int_equal(covey_client_free(client), 0);
}

static uint64_t connections_of(covey_client *client)
{
    struct covey_client_stats stats = {.size = sizeof stats};
    covey_client_stats(client, &stats);
    return stats.connections_opened;
}

/* CA -> CA and next CA -> next CA, and a client that is there all the time. */
static void a_ca_is_replaced_in_steps(void **state)
{
    struct fixture *f = *state;
    const struct covey_pem *old = &f->world.ca, *next = &f->next_ca;
    char *trusted = both(old->cert, next->cert);
    covey_identity *step[] = {
        issue(old, trusted, "owl", COVEY_ROLE_MEMBER, f->owl_key),
        issue(next, trusted, "owl", COVEY_ROLE_MEMBER, f->owl_key),
        issue(next, next->cert, "owl", COVEY_ROLE_MEMBER, f->owl_key),
    };
    covey_identity *of_old = issue(old, trusted, "robin", COVEY_ROLE_CLIENT, NULL);
    covey_identity *of_next = issue(next, trusted, "robin", COVEY_ROLE_CLIENT, NULL);
    expect(f->client, COVEY_STATUS_OK);
    expect_from(f, of_next, COVEY_STATUS_UNAVAILABLE);
    assert_int_equal(covey_server_reload(f->server, step[0]), 0);
    expect_from(f, of_old, COVEY_STATUS_OK);
    expect_from(f, of_next, COVEY_STATUS_OK);
    assert_int_equal(covey_server_reload(f->server, step[1]), 0);
    expect_from(f, of_old, COVEY_STATUS_OK);
    expect_from(f, of_next, COVEY_STATUS_OK);
    expect(f->client, COVEY_STATUS_OK);
    assert_int_equal(connections_of(f->client), 1); /* undisturbed */
    assert_int_equal(covey_server_reload(f->server, step[2]), 0);
    expect_from(f, of_old, COVEY_STATUS_UNAVAILABLE);
    expect_from(f, of_next, COVEY_STATUS_OK);
    assert_int_equal(covey_client_reload(f->client, of_next), 0);
    expect(f->client, COVEY_STATUS_OK);
    assert_int_equal(connections_of(f->client), 2);
    for (size_t i = 0; i < sizeof step / sizeof *step; i++)
        covey_identity_free(step[i]);
    covey_identity_free(of_old);
    covey_identity_free(of_next);
    free(trusted);
}

static void what_does_not_fit_changes_nothing(void **state)
{
    struct fixture *f = *state;
    const struct covey_pem *ca = &f->world.ca;
    struct covey_pem other;
    assert_int_equal(covey_pki_make_ca("herd", COVEY_KEY_ED25519, 10, &other), 0);
    covey_identity *other_key = issue(ca, ca->cert, "owl", COVEY_ROLE_MEMBER, NULL);
    covey_identity *other_name = issue(ca, ca->cert, "crow", COVEY_ROLE_MEMBER, f->owl_key);
    covey_identity *other_role = issue(ca, ca->cert, "owl", COVEY_ROLE_ADMIN, f->owl_key);
    covey_identity *stranger = issue(&other, other.cert, "owl", COVEY_ROLE_MEMBER, f->owl_key);
    assert_int_equal(covey_server_reload(f->server, NULL), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_server_reload(f->server, other_key), COVEY_ERR_WRONG_IDENTITY);
    assert_int_equal(covey_server_reload(f->server, other_name), COVEY_ERR_WRONG_IDENTITY);
    assert_int_equal(covey_server_reload(f->server, other_role), COVEY_ERR_WRONG_ROLE);
    assert_int_equal(covey_server_reload(f->server, stranger), COVEY_ERR_WRONG_CLUSTER);
    assert_int_equal(covey_client_reload(f->client, stranger), COVEY_ERR_WRONG_CLUSTER);
    assert_int_equal(covey_client_reload(f->client, NULL), COVEY_ERR_INVALID_ARGUMENT);
    expect(f->client, COVEY_STATUS_OK);
    assert_int_equal(covey_client_reload(f->client, other_key), 0); /* a client may be anybody */
    expect(f->client, COVEY_STATUS_OK);
    covey_identity_free(other_key);
    covey_identity_free(other_name);
    covey_identity_free(other_role);
    covey_identity_free(stranger);
    covey_pem_free(&other);
}

/* ---- with a call that runs ---- */

struct kept {
    _Atomic(covey_call *) call;
};

static void keep(covey_call *call, const void *request, size_t size, void *user)
{
    struct kept *kept = user;
    (void)request;
    (void)size;
    atomic_store(&kept->call, call);
}

static void a_call_that_runs_is_not_disturbed(void **state)
{
    struct fixture *f = *state;
    struct kept kept = {NULL};
    const struct covey_method method = {.name = "keep", .handler = keep, .user = &kept};
    const void *message;
    size_t size;
    covey_stream *stream;
    covey_call *call;
    covey_identity *robin = issue(&f->world.ca, f->world.ca.cert, "robin", COVEY_ROLE_CLIENT, NULL);
    covey_identity *owl =
        issue(&f->world.ca, f->world.ca.cert, "owl", COVEY_ROLE_MEMBER, f->owl_key);
    assert_int_equal(covey_server_add_method(f->server, &method), 0);
    assert_int_equal(covey_client_stream(f->client, "keep", "", 0, NULL, &stream), 0);
    while ((call = atomic_load(&kept.call)) == NULL)
        expect(f->client, COVEY_STATUS_OK);
    assert_int_equal(covey_server_reload(f->server, owl), 0);
    assert_int_equal(covey_client_reload(f->client, robin), 0);
    expect(f->client, COVEY_STATUS_OK); /* on another connection */
    assert_int_equal(connections_of(f->client), 2);
    covey_call_reply(call, "late", 4);
    assert_int_equal(covey_stream_receive(stream, TEST_DEADLINE, &message, &size), 0);
    assert_int_equal(size, 4);
    assert_int_equal(covey_stream_receive(stream, TEST_DEADLINE, &message, &size),
                     COVEY_ERR_CLOSED);
    assert_int_equal(covey_stream_status(stream, NULL), COVEY_STATUS_OK);
    covey_stream_free(stream);
    covey_identity_free(robin);
    covey_identity_free(owl);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_ca_is_replaced_in_steps),
        TEST(what_does_not_fit_changes_nothing),
        TEST(a_call_that_runs_is_not_disturbed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
