#include "unit/cluster/core_fixture.h"

#include "cluster/membership_internal.h"

/* A cluster of numbers 0 to COUNT - 1, of which the core under test is node 0 or another. */
#define COUNT 200

static struct cv_record records[COUNT];
static const uint64_t secret[2] = {1, 0};

static int setup(void **state)
{
    (void)state;
    memset(&core, 0, sizeof(core));
    test_alloc_init(&core.t);
    for (uint32_t i = 0; i < COUNT; i++)
        records[i] = record_of(i, CORE_WALL_MS, COVEY_NODE_ALIVE,
                               body_of(&core.t.alloc, i, CORE_WALL_MS, 0));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COUNT; i++)
        cv_cluster_node_release(records[i].body);
    test_alloc_assert_empty(&core.t);
    return 0;
}

static int make(struct cv_roster *r, size_t count)
{
    return cv_roster_init(r, &core.t.alloc, secret, records, count);
}

static void a_roster_knows_where_its_nodes_are(void **state)
{
    (void)state;
    struct cv_roster r;
    const covey_node_id unknown = id_of(COUNT);
    assert_int_equal(make(&r, COUNT), COVEY_OK);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(cv_roster_find(&r, &records[i].id), i);
    assert_int_equal(cv_roster_find(&r, &unknown), CV_MEMBER_TABLE_NONE);
    cv_roster_fini(&r);
    assert_int_equal(make(&r, 0), COVEY_OK);
    assert_int_equal(cv_roster_find(&r, &unknown), CV_MEMBER_TABLE_NONE);
    cv_roster_fini(&r);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    const struct cv_record good = records[7];
    const struct cv_record bad[] = {
        {.id = good.id, .status = good.status},
        record_of(7, CORE_WALL_MS, COVEY_NODE_FAILED, good.body),
        record_of(8, CORE_WALL_MS, COVEY_NODE_ALIVE, good.body),
        records[3],
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cv_roster r;
        records[7] = bad[i];
        assert_int_equal(make(&r, COUNT), COVEY_ERR_INVALID_ARGUMENT);
        cv_roster_fini(&r);
    }
    records[7] = good;
}

static struct cv_membership_config config_of(uint32_t self)
{
    struct cv_membership_config config = core_config();
    config.id = id_of(self);
    return config;
}

static struct cv_membership *start(const struct cv_membership_config *config)
{
    struct cv_membership *m = NULL;
    assert_int_equal(cv_membership_new(config, SEC, &m), COVEY_OK);
    return m;
}

static void assert_same_member(const struct cv_member *a, const struct cv_member *b)
{
    assert_true(id_equal(cv_member_id(a), cv_member_id(b)));
    assert_true(cv_cluster_node_equal(a->body, b->body));
    assert_true(a->incarnation == b->incarnation);
    assert_ptr_equal(a->trouble, b->trouble);
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->link, b->link);
    assert_int_equal(a->is_announced, b->is_announced);
    assert_int_equal(a->is_expected, b->is_expected);
    assert_int_equal(a->body_is_direct, b->body_is_direct);
}

/* All that follows is the same, too: both have drawn as much from their generators. */
static void assert_same_core(const struct cv_membership *a, const struct cv_membership *b)
{
    const struct cv_node_registry *x = cv_membership_registry(a);
    const struct cv_node_registry *y = cv_membership_registry(b);
    assert_int_equal(cv_node_registry_count(x), cv_node_registry_count(y));
    for (size_t i = 0; i < cv_node_registry_count(x); i++) {
        const struct cv_member *m = cv_node_registry_at(x, i);
        assert_same_member(m, cv_node_registry_at(y, i));
        assert_ptr_equal(cv_node_registry_get(x, cv_member_id(m)), m);
    }
    assert_memory_equal(&x->digest, &y->digest, sizeof(x->digest));
    assert_memory_equal(x->state_count, y->state_count, sizeof(x->state_count));
    assert_ptr_equal(a->gossip.self, cv_node_registry_at(x, 0));
    assert_memory_equal(&a->gossip.rand, &b->gossip.rand, sizeof(a->gossip.rand));
    assert_int_equal(a->gossip.is_mesh, b->gossip.is_mesh);
    assert_int_equal(cv_membership_state(a), cv_membership_state(b));
    assert_int_equal(cv_membership_partition(a).expected, cv_membership_partition(b).expected);
    assert_true(cv_membership_deadline(a) == cv_membership_deadline(b));
}

/* Slots that are free, and those that become so, are used again. */
static void assert_works_on(struct cv_membership *m, uint32_t self)
{
    struct cv_node_registry *r = &m->gossip.registry;
    const covey_node_id gone = id_of(self == 5 ? 6 : 5);
    cv_node_registry_remove(r, cv_node_registry_get(r, &gone));
    assert_null(cv_node_registry_get(r, &gone));
    for (uint32_t i = 0; i < 100; i++) {
        struct cv_cluster_node *body = body_of(&core.t.alloc, COUNT + i, 1, 0);
        const struct cv_record record = record_of(COUNT + i, 1, COVEY_NODE_ALIVE, body);
        assert_int_equal(cv_node_registry_reserve(r, 1), COVEY_OK);
        struct cv_member *m2 = cv_node_registry_insert(r, &record, SEC);
        assert_ptr_equal(cv_node_registry_get(r, &record.id), m2);
        cv_cluster_node_release(body);
    }
    for (uint32_t i = 0; i < COUNT + 100; i++) {
        const covey_node_id id = id_of(i);
        const struct cv_member *found = cv_node_registry_get(r, &id);
        assert_int_equal(found == NULL, id_equal(&id, &gone));
        assert_true(found == NULL || id_equal(cv_member_id(found), &id));
    }
}

/* Whoever it is, and whether everybody is dialled (50) or not: as if told of them one by one. */
static void a_core_begins_as_if_told_one_by_one(void **state)
{
    (void)state;
    static const uint32_t selves[] = {0, 1, 127, 128, COUNT - 1};
    static const size_t counts[] = {2, 49, 50, 51, 128, 129, COUNT};
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        struct cv_roster r;
        assert_int_equal(make(&r, counts[c]), COVEY_OK);
        for (size_t i = 0; i < sizeof(selves) / sizeof(selves[0]); i++) {
            if (selves[i] >= counts[c])
                continue;
            struct cv_membership_config config = config_of(selves[i]);
            config.known = records;
            config.known_count = counts[c];
            struct cv_membership *told = start(&config);
            config.known_count = 0;
            config.roster = &r;
            struct cv_membership *adopts = start(&config);
            assert_same_core(adopts, told);
            if (counts[c] == COUNT)
                assert_works_on(adopts, selves[i]);
            cv_membership_free(told);
            cv_membership_free(adopts);
        }
        cv_roster_fini(&r);
    }
}

/* Whatever slot it has by then: each slot is used by one member only. */
static void a_registry_that_had_others_adopts(void **state)
{
    (void)state;
    struct cv_roster r;
    struct cv_node_registry registry;
    struct cv_member *self = NULL;
    assert_int_equal(make(&r, 100), COVEY_OK);
    cv_node_registry_init(&registry, &core.t.alloc, secret, COUNT);
    assert_int_equal(cv_node_registry_reserve(&registry, COUNT), COVEY_OK);
    for (uint32_t i = 60; i < COUNT; i++)
        cv_node_registry_insert(&registry, &records[i], SEC);
    for (uint32_t i = 60; i < COUNT; i++) {
        struct cv_member *m = cv_node_registry_get(&registry, &records[i].id);
        if (i == 62)
            self = m;
        else
            cv_node_registry_remove(&registry, m);
    }
    assert_int_equal(cv_node_registry_adopt(&registry, &r, &self), COVEY_OK);
    assert_true(id_equal(cv_member_id(self), &records[62].id));
    assert_int_equal(cv_node_registry_reserve(&registry, 100), COVEY_OK);
    for (uint32_t i = 100; i < COUNT; i++)
        assert_non_null(cv_node_registry_insert(&registry, &records[i], SEC));
    for (uint32_t i = 0; i < COUNT; i++)
        assert_true(id_equal(cv_member_id(cv_node_registry_get(&registry, &records[i].id)),
                             &records[i].id));
    cv_node_registry_fini(&registry);
    cv_roster_fini(&r);
}

static void a_roster_of_others_is_refused(void **state)
{
    (void)state;
    struct cv_roster r;
    struct cv_membership *m = NULL;
    assert_int_equal(make(&r, 100), COVEY_OK);
    struct cv_membership_config config = config_of(100);
    config.roster = &r;
    assert_int_equal(cv_membership_new(&config, SEC, &m), COVEY_ERR_INVALID_ARGUMENT);
    config = config_of(99);
    config.roster = &r;
    config.hash_secret[1] = 5;
    assert_int_equal(cv_membership_new(&config, SEC, &m), COVEY_ERR_INVALID_ARGUMENT);
    cv_roster_fini(&r);
}

/* More than members_max are taken one by one, as far as there is room. */
static void there_is_a_bound(void **state)
{
    (void)state;
    struct cv_roster r;
    struct cv_membership_stats stats;
    assert_int_equal(make(&r, COUNT), COVEY_OK);
    struct cv_membership_config config = config_of(0);
    config.roster = &r;
    config.members_max = COUNT - 1;
    struct cv_membership *m = start(&config);
    cv_membership_stats(m, &stats);
    assert_int_equal(cv_node_registry_count(cv_membership_registry(m)), COUNT - 1);
    assert_int_equal(stats.members_refused, 1);
    cv_membership_free(m);
    cv_roster_fini(&r);
}

/* Whichever allocation fails: an error, and nothing kept. */
static void it_needs_memory(void **state)
{
    (void)state;
    struct cv_roster r;
    assert_int_equal(make(&r, COUNT), COVEY_OK);
    struct cv_membership_config config = config_of(150);
    config.roster = &r;
    for (size_t n = 1;; n++) {
        struct test_alloc t;
        struct cv_membership *m = NULL;
        test_alloc_init(&t);
        config.alloc = &t.alloc;
        t.fail_at = n;
        int error = cv_membership_new(&config, 0, &m);
        if (error == COVEY_OK)
            cv_membership_free(m);
        test_alloc_assert_empty(&t);
        if (error == COVEY_OK) {
            assert_true(n > 10);
            break;
        }
        assert_int_equal(error, COVEY_ERR_NO_MEMORY);
        assert_true(n < 500);
    }
    cv_roster_fini(&r);
}

static void on_adopted(void *user, const struct cv_node_registry *r)
{
    *(size_t *)user += cv_node_registry_count(r);
}

static void on_other(void *user, const struct cv_member *m)
{
    (void)user;
    (void)m;
    fail();
}

/* All at once, when all are there. */
static void a_watcher_is_told_of_an_adoption(void **state)
{
    (void)state;
    struct cv_roster r;
    struct cv_node_registry registry;
    size_t seen = 0;
    const struct cv_registry_watcher watcher = {
        .changed = on_other, .removed = on_other, .adopted = on_adopted, .user = &seen};
    assert_int_equal(make(&r, 100), COVEY_OK);
    cv_node_registry_init(&registry, &core.t.alloc, secret, COUNT);
    assert_int_equal(cv_node_registry_reserve(&registry, 1), COVEY_OK);
    struct cv_member *self = cv_node_registry_insert(&registry, &records[7], SEC);
    registry.watcher = &watcher;
    assert_int_equal(cv_node_registry_adopt(&registry, &r, &self), COVEY_OK);
    assert_int_equal(seen, 100);
    cv_node_registry_fini(&registry);
    cv_roster_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_roster_knows_where_its_nodes_are, setup, teardown),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_core_begins_as_if_told_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_registry_that_had_others_adopts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_watcher_is_told_of_an_adoption, setup, teardown),
        cmocka_unit_test_setup_teardown(a_roster_of_others_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(there_is_a_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(it_needs_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
