#include "unit/cluster/cluster_fixture.h"

#include "cluster/node_registry.h"

struct fixture {
    struct test_alloc t;
    struct cv_node_registry r;
};

static void setup(struct fixture *f, uint32_t members_max)
{
    test_alloc_init(&f->t);
    cv_node_registry_init(&f->r, &f->t.alloc, fixture_secret, members_max);
}

static void teardown(struct fixture *f)
{
    cv_node_registry_fini(&f->r);
    test_alloc_assert_empty(&f->t);
}

static struct cv_member *insert(struct fixture *f, uint32_t number, enum covey_node_state state)
{
    struct cv_cluster_node *body = body_of(&f->t.alloc, number, 1, 0);
    struct cv_record record = record_of(number, 1, state, body);
    assert_int_equal(cv_node_registry_reserve(&f->r, 1), COVEY_OK);
    struct cv_member *m = cv_node_registry_insert(&f->r, &record, 7);
    cv_cluster_node_release(body);
    return m;
}

static void what_goes_in_is_found(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 100);
    for (uint32_t i = 0; i < 100; i++) {
        struct cv_member *m = insert(&f, i, COVEY_NODE_ALIVE);
        covey_node_id id = id_of(i);
        assert_ptr_equal(cv_node_registry_get(&f.r, &id), m);
        assert_ptr_equal(cv_node_registry_at(&f.r, i), m);
    }
    covey_node_id unknown = id_of(100);
    assert_null(cv_node_registry_get(&f.r, &unknown));
    assert_int_equal(cv_node_registry_count(&f.r), 100);
    teardown(&f);
}

/* Many at once, among them one twice and two that are not known; and what a lookup of before is worth when
 * members went since, and others came into their slots. */
static void several_are_found_at_once(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {7, 3, 200, 3, 0, 99, 201};
    enum { COUNT = sizeof(numbers) / sizeof(numbers[0]) };
    struct fixture f;
    covey_node_id id[COUNT];
    const covey_node_id *ids[COUNT];
    uint64_t hashes[COUNT];
    struct cv_member *found[COUNT];
    setup(&f, 300);
    for (size_t i = 0; i < COUNT; i++) {
        id[i] = id_of(numbers[i]);
        ids[i] = &id[i];
        hashes[i] = cv_node_registry_hash(&f.r, ids[i]);
    }
    cv_node_registry_get_all(&f.r, ids, hashes, COUNT, found);
    for (size_t i = 0; i < COUNT; i++)
        assert_null(found[i]);
    for (uint32_t i = 0; i < 100; i++)
        insert(&f, i, COVEY_NODE_ALIVE);
    cv_node_registry_get_all(&f.r, ids, hashes, COUNT, found);
    for (size_t i = 0; i < COUNT; i++) {
        assert_ptr_equal(found[i], cv_node_registry_get(&f.r, ids[i]));
        assert_ptr_equal(cv_node_registry_get_again(&f.r, found[i], ids[i]), found[i]);
        assert_true((found[i] == NULL) == (numbers[i] >= 100));
    }
    struct cv_member *seven = found[0];
    cv_node_registry_remove(&f.r, seven);
    assert_null(cv_node_registry_get_again(&f.r, seven, ids[0]));
    assert_ptr_equal(insert(&f, 200, COVEY_NODE_ALIVE), seven);
    assert_null(cv_node_registry_get_again(&f.r, seven, ids[0]));
    assert_ptr_equal(cv_node_registry_get_again(&f.r, NULL, ids[2]), seven);
    teardown(&f);
}

static void the_last_takes_the_place_of_one_that_goes(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 10);
    struct cv_member *a = insert(&f, 1, COVEY_NODE_ALIVE);
    struct cv_member *b = insert(&f, 2, COVEY_NODE_FAILED);
    struct cv_member *c = insert(&f, 3, COVEY_NODE_ALIVE);
    struct cv_member *d = insert(&f, 4, COVEY_NODE_SUSPECT);
    const covey_node_id gone = id_of(2);
    cv_node_registry_remove(&f.r, b);
    assert_null(cv_node_registry_get(&f.r, &gone));
    assert_int_equal(cv_node_registry_count(&f.r), 3);
    assert_ptr_equal(cv_node_registry_at(&f.r, 0), a);
    assert_ptr_equal(cv_node_registry_at(&f.r, 1), d);
    assert_ptr_equal(cv_node_registry_at(&f.r, 2), c);
    assert_int_equal(d->index, 1);
    cv_node_registry_remove(&f.r, c);
    assert_int_equal(cv_node_registry_count(&f.r), 2);
    struct cv_member *back = insert(&f, 2, COVEY_NODE_ALIVE);
    assert_ptr_equal(cv_node_registry_get(&f.r, &gone), back);
    assert_int_equal(cv_node_registry_count_state(&f.r, COVEY_NODE_FAILED), 0);
    teardown(&f);
}

/* M8: members and tombstones have a bound of their own each. */
static void members_and_tombstones_are_bounded(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 2);
    struct cv_member *a = insert(&f, 1, COVEY_NODE_ALIVE);
    assert_non_null(insert(&f, 2, COVEY_NODE_SUSPECT));
    assert_null(insert(&f, 3, COVEY_NODE_ALIVE));
    assert_int_equal(f.r.refused, 1);
    struct cv_member *old = insert(&f, 4, COVEY_NODE_FAILED);
    old->trouble->since = 3;
    assert_non_null(insert(&f, 5, COVEY_NODE_LEFT));
    assert_null(insert(&f, 6, COVEY_NODE_LEFT));
    assert_null(cv_node_registry_surplus(&f.r, NULL, NULL));
    /* A member that goes makes one too many: the oldest is to be forgotten. */
    struct cv_node_status left = {.incarnation = 1, .state = COVEY_NODE_LEFT};
    cv_node_registry_set_status(&f.r, a, &left, 20);
    assert_ptr_equal(cv_node_registry_surplus(&f.r, NULL, NULL), old);
    cv_node_registry_remove(&f.r, old);
    assert_null(cv_node_registry_surplus(&f.r, NULL, NULL));
    assert_true(cv_node_registry_admits_return(&f.r));
    assert_non_null(insert(&f, 7, COVEY_NODE_ALIVE));
    assert_false(cv_node_registry_admits_return(&f.r));
    teardown(&f);
}

/* M5: every pair of states at the same, an earlier and a later incarnation. */
static void only_legal_edges_are_taken(void **state)
{
    (void)state;
    const char *const table[4] = {
        /* to: alive suspect failed left; a: any, l: later, -: never */
        "laaa",
        "laaa",
        "l-aa",
        "l--a",
    };
    for (int from = 0; from < 4; from++) {
        for (int to = 0; to < 4; to++) {
            struct cv_node_status a = {.incarnation = 5, .state = (enum covey_node_state)from};
            struct cv_node_status b = {.incarnation = 5, .state = (enum covey_node_state)to};
            assert_int_equal(cv_node_status_may_follow(&a, &b), table[from][to] == 'a');
            b.incarnation = 6;
            assert_int_equal(cv_node_status_may_follow(&a, &b), table[from][to] != '-');
            b.incarnation = 4;
            assert_false(cv_node_status_may_follow(&a, &b));
        }
    }
}

static void counts_follow_the_states(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 10);
    struct cv_member *m = insert(&f, 1, COVEY_NODE_ALIVE);
    struct cv_node_status suspect = {.incarnation = 1, .state = COVEY_NODE_SUSPECT};
    struct cv_node_status failed = {.incarnation = 1, .state = COVEY_NODE_FAILED};
    struct cv_node_status alive = {.incarnation = 2, .state = COVEY_NODE_ALIVE};
    cv_node_registry_set_status(&f.r, m, &suspect, 10);
    assert_int_equal(cv_node_registry_live_count(&f.r), 1);
    assert_int_equal(cv_node_registry_count_state(&f.r, COVEY_NODE_ALIVE), 0);
    cv_node_registry_set_status(&f.r, m, &failed, 11);
    assert_int_equal(cv_node_registry_live_count(&f.r), 0);
    assert_false(cv_member_is_live(m));
    cv_node_registry_set_status(&f.r, m, &alive, 12);
    assert_int_equal(cv_node_registry_live_count(&f.r), 1);
    assert_null(m->trouble);
    teardown(&f);
}

static void bodies_are_shared(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 10);
    struct cv_member *m = insert(&f, 1, COVEY_NODE_ALIVE);
    struct cv_cluster_node *body = body_of(&f.t.alloc, 1, 1, 1);
    uint64_t version = cv_node_registry_version(&f.r);
    cv_node_registry_set_body(&f.r, m, body, true);
    assert_ptr_equal(m->body, body);
    assert_true(m->body_is_direct);
    assert_int_not_equal(cv_node_registry_version(&f.r), version);
    cv_cluster_node_release(body);
    teardown(&f);
}

static void a_reserve_that_fails_changes_nothing(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct fixture f;
        setup(&f, 100);
        f.t.fail_at = n;
        int error = cv_node_registry_reserve(&f.r, 20);
        assert_int_equal(cv_node_registry_count(&f.r), 0);
        teardown(&f);
        if (error == COVEY_OK)
            return;
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        assert_true(n < 100);
    }
}

static void ten_thousand_members(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f, 10000);
    for (uint32_t i = 0; i < 10000; i++)
        assert_non_null(insert(&f, i, COVEY_NODE_ALIVE));
    for (uint32_t i = 0; i < 10000; i++) {
        covey_node_id id = id_of(i);
        assert_int_equal(cv_node_registry_get(&f.r, &id)->index, i);
    }
    teardown(&f);
}

/* What a watcher was told. */
static struct told {
    size_t changed;
    size_t removed;
    const struct cv_member *last;
    enum covey_node_state state;
    uint64_t incarnation;
    const struct cv_cluster_node *body;
} told;

static void note(const struct cv_member *m)
{
    told.last = m;
    told.state = (enum covey_node_state)m->state;
    told.incarnation = m->incarnation;
    told.body = m->body;
    /* It sees a member whole. */
    assert_int_equal(m->trouble == NULL, m->state == COVEY_NODE_ALIVE);
}

static void on_changed(void *user, const struct cv_member *m)
{
    ((struct told *)user)->changed++;
    note(m);
}

static void on_removed(void *user, const struct cv_member *m)
{
    ((struct told *)user)->removed++;
    note(m);
}

/* After each change, with the new values; before a removal, with the last ones. */
static void a_watcher_is_told_of_every_change(void **state)
{
    (void)state;
    struct fixture f;
    const struct cv_registry_watcher watcher = {
        .changed = on_changed, .removed = on_removed, .user = &told};
    setup(&f, 10);
    told = (struct told){.changed = 0};
    f.r.watcher = &watcher;
    struct cv_member *m = insert(&f, 1, COVEY_NODE_ALIVE);
    assert_int_equal(told.changed, 1);
    assert_ptr_equal(told.last, m);
    assert_int_equal(cv_node_registry_reserve(&f.r, 1), COVEY_OK);
    struct cv_node_status suspect = {.incarnation = 5, .state = COVEY_NODE_SUSPECT};
    cv_node_registry_set_status(&f.r, m, &suspect, 9);
    assert_int_equal(told.changed, 2);
    assert_int_equal(told.state, COVEY_NODE_SUSPECT);
    assert_int_equal(told.incarnation, 5);
    struct cv_cluster_node *body = body_of(&f.t.alloc, 1, 5, 1);
    cv_node_registry_set_body(&f.r, m, body, true);
    assert_int_equal(told.changed, 3);
    assert_ptr_equal(told.body, body);
    cv_cluster_node_release(body);
    struct cv_node_status alive = {.incarnation = 6};
    cv_node_registry_set_status(&f.r, m, &alive, 9);
    assert_int_equal(told.changed, 4);
    assert_int_equal(told.state, COVEY_NODE_ALIVE);
    assert_int_equal(told.removed, 0);
    cv_node_registry_remove(&f.r, m);
    assert_int_equal(told.changed, 4);
    assert_int_equal(told.removed, 1);
    assert_int_equal(told.incarnation, 6);
    /* One that is refused is none. */
    f.r.members_max = 0;
    struct cv_cluster_node *other = body_of(&f.t.alloc, 2, 1, 0);
    struct cv_record record = record_of(2, 1, COVEY_NODE_ALIVE, other);
    assert_null(cv_node_registry_insert(&f.r, &record, 0));
    assert_int_equal(told.changed, 4);
    cv_cluster_node_release(other);
    teardown(&f);
}

/* The digest is at all times that of the live records, whatever way they came to be so. */
static void the_digest_follows_every_change(void **state)
{
    (void)state;
    struct fixture f;
    struct cv_digest expected;
    setup(&f, 64);
    for (uint32_t step = 0; step < 2000; step++) {
        covey_node_id id = id_of(step * 37 % 64 << 8);
        struct cv_member *m = cv_node_registry_get(&f.r, &id);
        assert_int_equal(cv_node_registry_reserve(&f.r, 1), COVEY_OK);
        if (m == NULL) {
            m = insert(&f, step * 37 % 64 << 8, (enum covey_node_state)(step % 4));
        } else if (step % 5 == 0) {
            cv_node_registry_remove(&f.r, m);
        } else if (step % 5 == 1) {
            struct cv_cluster_node *body = body_of(&f.t.alloc, step * 37 % 64 << 8, 1, step);
            cv_node_registry_set_body(&f.r, m, body, false);
            cv_cluster_node_release(body);
        } else {
            struct cv_node_status from = cv_member_status(m);
            struct cv_node_status to = {.incarnation = m->incarnation + step % 2,
                                        .state = (enum covey_node_state)(step / 5 % 4)};
            if (cv_node_status_may_follow(&from, &to))
                cv_node_registry_set_status(&f.r, m, &to, step);
        }
        memset(&expected, 0, sizeof(expected));
        for (size_t i = 0; i < cv_node_registry_count(&f.r); i++) {
            m = cv_node_registry_at(&f.r, i);
            if (cv_member_is_live(m))
                cv_digest_add(&expected, m->body, m->incarnation);
        }
        assert_memory_equal(&expected, &f.r.digest, sizeof(expected));
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_is_found),
        cmocka_unit_test(several_are_found_at_once),
        cmocka_unit_test(the_last_takes_the_place_of_one_that_goes),
        cmocka_unit_test(members_and_tombstones_are_bounded),
        cmocka_unit_test(only_legal_edges_are_taken),
        cmocka_unit_test(counts_follow_the_states),
        cmocka_unit_test(bodies_are_shared),
        cmocka_unit_test(a_reserve_that_fails_changes_nothing),
        cmocka_unit_test(ten_thousand_members),
        cmocka_unit_test(a_watcher_is_told_of_every_change),
        cmocka_unit_test(the_digest_follows_every_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
