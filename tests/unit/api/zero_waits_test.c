/* A wait of 0 does not wait, so it is answered on every thread, a loop's too, where others are refused. */
#include "unit/api/calling.h"
#include "unit/api/members.h"

struct lab {
    struct world world;
    struct member m;
    covey_client *client;
    covey_stream *stream; /* the client's, to "keep_stream" */
    struct kept kept;
    int joined[2]; /* with a wait of 0, and with one of a second */
    int event[2];
    int call_writable[2];
    int call_receive[2];
    int stream_writable[2];
    int stream_receive[2];
    int stream_finish[2];
    atomic_bool is_done;
};

/* On a loop's thread. */
static void ask(covey_call *call, void *user)
{
    struct lab *lab = user;
    struct covey_event event = {.size = sizeof event};
    struct covey_reply reply;
    const void *message;
    size_t size;
    for (unsigned i = 0; i < 2; i++) {
        const covey_time timeout = i * COVEY_SECOND;
        lab->joined[i] = covey_cluster_wait_joined(lab->m.cluster, timeout);
        lab->event[i] = covey_event_receive(lab->m.events, timeout, &event);
        lab->call_writable[i] = covey_call_wait_writable(call, timeout);
        lab->call_receive[i] = covey_call_receive(call, timeout, &message, &size);
        lab->stream_writable[i] = covey_stream_wait_writable(lab->stream, timeout);
        lab->stream_receive[i] = covey_stream_receive(lab->stream, timeout, &message, &size);
        lab->stream_finish[i] = covey_stream_finish(lab->stream, timeout, &reply);
        covey_reply_clear(&reply);
    }
    covey_call_finish(call, COVEY_STATUS_OK, NULL);
    atomic_store(&lab->is_done, true);
}

#define ASSERT_ANSWERED(results, answer)                                                           \
    do {                                                                                           \
        assert_int_equal((results)[0], answer);                                                    \
        assert_int_equal((results)[1], COVEY_ERR_WRONG_THREAD);                                    \
    } while (0)

static void a_wait_of_0_is_answered_on_a_loops_thread(void **state)
{
    (void)state;
    static struct lab lab;
    covey_stream *asking;
    memset(&lab, 0, sizeof lab);
    world_init(&lab.world);
    kept_init(&lab.kept);
    start(&lab.world, &lab.m, "owl", NULL);
    serve_stream(lab.m.server, "keep_stream", keep_stream, &lab.kept);
    serve_stream(lab.m.server, "ask", ask, &lab);
    lab.client = world_client(&lab.world, covey_server_address(lab.m.server), COVEY_ROLE_CLIENT);
    assert_int_equal(covey_client_open(lab.client, "keep_stream", NULL, &lab.stream), 0);
    covey_call *kept = kept_take(&lab.kept);
    assert_int_equal(covey_client_open(lab.client, "ask", NULL, &asking), 0);
    AWAIT(atomic_load(&lab.is_done));
    ASSERT_ANSWERED(lab.joined, 0);
    ASSERT_ANSWERED(lab.event, COVEY_ERR_TIMEOUT);
    ASSERT_ANSWERED(lab.call_writable, 0);
    ASSERT_ANSWERED(lab.call_receive, COVEY_ERR_TIMEOUT);
    ASSERT_ANSWERED(lab.stream_writable, 0);
    ASSERT_ANSWERED(lab.stream_receive, COVEY_ERR_TIMEOUT);
    ASSERT_ANSWERED(lab.stream_finish, COVEY_ERR_TIMEOUT);
    covey_call_finish(kept, COVEY_STATUS_OK, NULL);
    covey_stream_free(asking);
    covey_stream_free(lab.stream);
    assert_int_equal(covey_client_free(lab.client), 0);
    stop(&lab.m);
    kept_fini(&lab.kept);
    world_fini(&lab.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_of_0_is_answered_on_a_loops_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
