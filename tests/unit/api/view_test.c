#include "unit/cluster/cluster_fixture.h"

#include "api/view.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define MEMBERS 20

struct fixture {
    struct test_alloc t;
    struct cv_node_registry registry;
    struct cv_view view;
    uint32_t version;
};

/* Every member gets the tag n=VALUE. */
static void set_all(struct fixture *f, const struct cv_alloc *alloc, const char *value)
{
    const struct covey_tag tag = {.key = "n", .value = value};
    f->version++;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        struct cv_cluster_node *body = tagged_body(alloc, i, 1, f->version, &tag, 1);
        const struct cv_record record = record_of(i, 1, COVEY_NODE_ALIVE, body);
        struct cv_member *m = cv_node_registry_get(&f->registry, &record.id);
        if (m != NULL)
            cv_node_registry_set_body(&f->registry, m, body, true);
        else
            assert_non_null(cv_node_registry_insert(&f->registry, &record, 0));
        cv_cluster_node_release(body);
    }
}

static void setup(struct fixture *f, const struct cv_alloc *alloc)
{
    cv_node_registry_init(&f->registry, alloc, fixture_secret, MEMBERS);
    assert_int_equal(cv_node_registry_reserve(&f->registry, MEMBERS), 0);
    assert_int_equal(cv_view_init(&f->view), 0);
    f->version = 0;
}

static void teardown(struct fixture *f)
{
    cv_view_fini(&f->view);
    cv_node_registry_fini(&f->registry);
}

static void publish(struct fixture *f, const struct cv_alloc *alloc, const char *value)
{
    set_all(f, alloc, value);
    assert_int_equal(cv_view_publish(&f->view, alloc, &f->registry, true), 0);
}

/* All members have this value, or, when it is NULL, all the same. */
static void assert_shows(const struct cv_snapshot *s, const char *value)
{
    struct cv_tag_query query;
    if (value == NULL)
        value = covey_node_tag(cv_snapshot_at(s, 0), "n");
    cv_snapshot_with_tag(s, "n", value, &query);
    for (size_t i = 0; i < MEMBERS; i++)
        assert_ptr_equal(cv_tag_query_next(&query), cv_snapshot_at(s, i));
    assert_null(cv_tag_query_next(&query));
}

static void it_shows_the_newest(void **state)
{
    (void)state;
    struct fixture f;
    test_alloc_init(&f.t);
    setup(&f, &f.t.alloc);
    assert_null(cv_view_take(&f.view));
    publish(&f, &f.t.alloc, "1");
    struct cv_snapshot *first = cv_view_take(&f.view);
    publish(&f, &f.t.alloc, "2");
    struct cv_snapshot *second = cv_view_take(&f.view);
    assert_shows(first, "1");
    assert_shows(second, "2");

    /* without memory it stays what it was */
    f.t.fail_at = f.t.calls + 1;
    assert_int_equal(cv_view_publish(&f.view, &f.t.alloc, &f.registry, false), COVEY_ERR_NO_MEMORY);
    struct cv_snapshot *again = cv_view_take(&f.view);
    assert_ptr_equal(again, second);
    cv_snapshot_release(again);
    cv_snapshot_release(second);
    cv_snapshot_release(first);
    teardown(&f);
    test_alloc_assert_empty(&f.t);
}

/* A reader that is done before the next publication frees nothing: the writer does. */
static void the_writer_frees_what_it_replaced(void **state)
{
    (void)state;
    struct fixture f;
    test_alloc_init(&f.t);
    setup(&f, &f.t.alloc);
    publish(&f, &f.t.alloc, "1");
    const size_t outstanding = f.t.outstanding; /* one snapshot, one body each */
    struct cv_snapshot *s = cv_view_take(&f.view);
    publish(&f, &f.t.alloc, "2");
    const size_t with_old = f.t.outstanding;
    assert_true(with_old > outstanding);
    cv_snapshot_release(s);
    assert_int_equal(f.t.outstanding, with_old);
    publish(&f, &f.t.alloc, "3");
    assert_int_equal(f.t.outstanding, outstanding);
    teardown(&f);
    test_alloc_assert_empty(&f.t);
}

/* Readers of more old ones than the writer keeps: each stays until its own reader is done. */
static void slow_readers_keep_theirs(void **state)
{
    (void)state;
    struct fixture f;
    struct cv_snapshot *taken[2 * CV_VIEW_RETIRED_MAX];
    char value[8];
    const unsigned count = 2 * CV_VIEW_RETIRED_MAX;
    test_alloc_init(&f.t);
    setup(&f, &f.t.alloc);
    for (unsigned i = 0; i < count; i++) {
        snprintf(value, sizeof value, "%u", i);
        publish(&f, &f.t.alloc, value);
        taken[i] = cv_view_take(&f.view);
    }
    assert_int_equal(f.view.retired_count, CV_VIEW_RETIRED_MAX);
    teardown(&f);
    for (unsigned i = 0; i < count; i++) {
        snprintf(value, sizeof value, "%u", i);
        assert_shows(taken[i], value);
        cv_snapshot_release(taken[i]);
    }
    test_alloc_assert_empty(&f.t);
}

/* ---- readers while it is written ---- */

struct reading {
    struct fixture *f;
    atomic_bool *done;
    unsigned taken;
};

static void *read_on(void *user)
{
    struct reading *r = user;
    struct cv_snapshot *last = NULL;
    do {
        struct cv_snapshot *s = cv_view_take(&r->f->view);
        assert_shows(s, NULL);
        if (r->taken++ % 3 == 0) { /* some are held for longer */
            if (last != NULL)
                assert_shows(last, NULL);
            cv_snapshot_release(last);
            last = cv_snapshot_retain(s);
        }
        cv_snapshot_release(s);
    } while (!atomic_load(r->done));
    cv_snapshot_release(last);
    return NULL;
}

static void any_thread_reads_while_it_is_written(void **state)
{
    (void)state;
    static struct fixture f;
    static atomic_bool done;
    pthread_t threads[3];
    struct reading readings[3];
    char value[16];
    setup(&f, cv_alloc_default());
    publish(&f, cv_alloc_default(), "first");
    for (unsigned i = 0; i < 3; i++) {
        readings[i] = (struct reading){.f = &f, .done = &done};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readings[i]), 0);
    }
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(value, sizeof value, "%u", i);
        publish(&f, cv_alloc_default(), value);
    }
    atomic_store(&done, true);
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_true(readings[i].taken > 0);
    }
    struct cv_snapshot *s = cv_view_take(&f.view);
    assert_shows(s, "999");
    cv_snapshot_release(s);
    teardown(&f);
}

/* A reader that was interrupted while he holds the lock: the writer goes on, and tries again later. */
static void the_writer_waits_for_no_reader(void **state)
{
    (void)state;
    struct fixture f;
    test_alloc_init(&f.t);
    setup(&f, &f.t.alloc);
    publish(&f, &f.t.alloc, "1");
    struct cv_snapshot *before = f.view.newest;
    pthread_mutex_lock(&f.view.lock);
    assert_int_equal(cv_view_publish(&f.view, &f.t.alloc, &f.registry, false), COVEY_ERR_BUSY);
    assert_ptr_equal(f.view.newest, before);
    pthread_mutex_unlock(&f.view.lock);
    assert_int_equal(cv_view_publish(&f.view, &f.t.alloc, &f.registry, false), 0);
    assert_ptr_not_equal(f.view.newest, before);
    cv_view_clear(&f.view);
    assert_null(cv_view_take(&f.view));
    teardown(&f);
    test_alloc_assert_empty(&f.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_shows_the_newest),
        cmocka_unit_test(the_writer_waits_for_no_reader),
        cmocka_unit_test(the_writer_frees_what_it_replaced),
        cmocka_unit_test(slow_readers_keep_theirs),
        cmocka_unit_test(any_thread_reads_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
