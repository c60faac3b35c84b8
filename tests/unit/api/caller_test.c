#include "unit/api/fixture.h"

/* What a handler is told of who calls. */
struct told {
    covey_node_id id;
    enum covey_role role;
    char name[64];
    unsigned char certificate[4096];
    size_t size;
    size_t name_count;
    char first_name[256];
};

static void who(covey_call *call, const void *request, size_t size, void *user)
{
    struct told *told = user; /* the runtime's thread; read after the answer */
    (void)request;
    (void)size;
    const void *certificate = covey_call_peer_certificate(call, &told->size);
    const char *const *names = covey_call_peer_names(call, &told->name_count);
    told->id = covey_call_peer_id(call);
    told->role = covey_call_peer_role(call);
    assert_true(told->size > 0 && told->size <= sizeof told->certificate);
    assert_true(strlen(covey_call_peer_name(call)) < sizeof told->name);
    memcpy(told->certificate, certificate, told->size);
    strcpy(told->name, covey_call_peer_name(call));
    if (told->name_count > 0 && strlen(names[0]) < sizeof told->first_name)
        strcpy(told->first_name, names[0]);
    covey_call_reply(call, "", 0);
}

static void ask(covey_client *client, struct told *told)
{
    struct covey_reply reply;
    memset(told, 0, sizeof *told);
    assert_int_equal(covey_client_call(client, "who", "", 0, NULL, &reply), 0);
    assert_int_equal(reply.code, COVEY_STATUS_OK);
    covey_reply_clear(&reply);
}

static void a_handler_sees_the_callers_certificate(void **state)
{
    (void)state;
    static struct world w;
    static struct told told, again;
    world_init(&w);
    covey_server *server = world_server(&w, "owl");
    const struct covey_method method = {.name = "who", .handler = who, .user = &told};
    assert_int_equal(covey_server_add_method(server, &method), 0);
    assert_int_equal(covey_server_start(server), 0);
    covey_client *client = world_client(&w, covey_server_address(server), COVEY_ROLE_ADMIN);
    covey_client *other = world_client(&w, covey_server_address(server), COVEY_ROLE_ADMIN);
    ask(client, &told);
    assert_int_equal(told.role, COVEY_ROLE_ADMIN);
    assert_string_equal(told.name, "caller");
    assert_int_equal(told.name_count, 1);
    assert_string_equal(told.first_name, "covey://flock/admin/caller");
    assert_int_equal(told.certificate[0], 0x30); /* a DER sequence */
    again = told;
    ask(client, &told); /* the same connection, another call */
    assert_memory_equal(&told, &again, sizeof told);
    ask(other, &told); /* the same name, another key */
    assert_int_not_equal(covey_node_id_compare(&told.id, &again.id), 0);
    assert_false(told.size == again.size &&
                 memcmp(told.certificate, again.certificate, told.size) == 0);
    assert_int_equal(covey_client_free(client), 0);
    assert_int_equal(covey_client_free(other), 0);
    assert_int_equal(covey_server_free(server), 0);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_sees_the_callers_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
