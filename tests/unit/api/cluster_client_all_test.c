#define _POSIX_C_SOURCE 200809L
/* Calls of a cluster client to all members that match. */
#include "unit/api/cluster_client.h"

static void all_are_called_once(void **state)
{
    (void)state;
    struct team *f = team_new(4);
    struct gathering g = {.team = f};
    tally_init(&g.tally);
    open_client(f, NULL);
    call_all(&g, "name", TEST_DEADLINE, 2);
    AWAIT(atomic_load(&g.ends) == 1);
    assert_int_equal(g.ended, 4);
    assert_int_equal(g.tally.codes[COVEY_STATUS_OK], 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(g.seen[i], 1);

    /* two at once, and no third before one of them is over */
    call_all(&g, "keep", TEST_DEADLINE, 2);
    AWAIT(kept_count(f) == 2);
    assert_int_equal(counters(f).calls_open, 2);
    /* the client goes: each is told, and the end comes all the same */
    assert_int_equal(covey_cluster_client_free(f->client), 0);
    f->client = NULL;
    assert_int_equal(atomic_load(&g.ends), 2);
    assert_int_equal(g.tally.codes[COVEY_STATUS_CANCELLED], 4);
    finish_kept(f, 2);
    tally_fini(&g.tally);
    team_free(f);
}

static void one_call(struct covey_cluster_client_config *config)
{
    config->calls_max = 1;
}

/* More than there is room for come one after the other. */
static void all_wait_for_room(void **state)
{
    (void)state;
    struct team *f = team_new(3);
    struct gathering g = {.team = f};
    tally_init(&g.tally);
    open_client(f, one_call);
    call_all(&g, "name", TEST_DEADLINE, 3);
    AWAIT(atomic_load(&g.ends) == 1);
    assert_int_equal(g.tally.codes[COVEY_STATUS_OK], 3);
    assert_int_equal(counters(f).calls_open, 0);
    tally_fini(&g.tally);
    team_free(f);
}

/* While it waits for its turn the pool comes to know where it really is. */
static void all_reach_one_that_moved_meanwhile(void **state)
{
    (void)state;
    struct team *f = team_new(2);
    struct gathering g = {.team = f};
    char right[sizeof f->workers[0].address];
    const size_t last = covey_node_id_compare(&f->workers[0].id, &f->workers[1].id) < 0 ? 1 : 0;
    tally_init(&g.tally);
    open_client(f, NULL);
    const struct covey_target target = target_of(f);
    snprintf(right, sizeof right, "%s", f->workers[last].address);
    set_address(f, last, f->workers[1 - last].address);
    call_all(&g, "keep", TEST_DEADLINE, 1); /* by id */
    covey_call *kept = kept_take(&f->workers[1 - last].kept);
    set_address(f, last, right);
    AWAIT(call_name(f, &target) == last);
    covey_call_reply(kept, "", 0);
    AWAIT(kept_count(f) == 2);
    covey_call_reply(kept_take(&f->workers[last].kept), "", 0);
    AWAIT(atomic_load(&g.ends) == 1);
    assert_int_equal(g.tally.codes[COVEY_STATUS_OK], 2);
    assert_int_equal(counters(f).connections_dropped, 0);
    tally_fini(&g.tally);
    team_free(f);
}

static void the_deadline_is_that_of_all(void **state)
{
    (void)state;
    struct team *f = team_new(3);
    struct gathering g = {.team = f};
    tally_init(&g.tally);
    open_client(f, NULL);
    call_all(&g, "keep", 200 * COVEY_MILLISECOND, 1);
    AWAIT(atomic_load(&g.ends) == 1);
    assert_int_equal(g.tally.codes[COVEY_STATUS_DEADLINE_EXCEEDED], 3);
    finish_kept(f, kept_count(f));
    for (size_t i = 0; i < 3; i++)
        f->workers[i].state = COVEY_NODE_LEFT;
    publish(f);
    call_all(&g, "name", TEST_DEADLINE, 1);
    AWAIT(atomic_load(&g.ends) == 2);
    assert_int_equal(g.ended, 0); /* nobody: the end comes all the same */
    tally_fini(&g.tally);
    team_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_called_once),
        cmocka_unit_test(all_wait_for_room),
        cmocka_unit_test(all_reach_one_that_moved_meanwhile),
        cmocka_unit_test(the_deadline_is_that_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
