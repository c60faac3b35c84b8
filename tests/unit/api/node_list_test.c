#include "api/node_list.h"
#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
    struct test_alloc memory;
    struct covey_runtime runtime;
};

static void setup(struct fixture *f)
{
    test_alloc_init(&f->memory);
    f->runtime = (struct covey_runtime){.alloc = f->memory.alloc};
}

static void assert_nothing_held(const struct fixture *f)
{
    test_alloc_assert_empty(&f->memory);
    assert_int_equal(atomic_load(&f->runtime.users), 0);
}

static struct cv_cluster_node *body_new(struct fixture *f, uint8_t number)
{
    const struct covey_tag tags[] = {{"role", "db"}};
    struct cv_cluster_node *body = NULL;
    struct cv_cluster_node_config config = {
        .id = {{number}},
        .incarnation = 7,
        .address = {.ip = {192, 0, 2, number}, .family = 4, .port = 4433},
        .name = cv_slice_text("n"),
        .tags = tags,
        .tag_count = 1,
    };
    assert_int_equal(cv_cluster_node_new(&f->memory.alloc, &config, &body), 0);
    return body;
}

static void an_empty_list(void **state)
{
    (void)state;
    struct fixture f;
    covey_node_list *list;
    setup(&f);
    assert_int_equal(cv_node_list_new(&f.runtime, &list), 0);
    assert_int_equal(atomic_load(&f.runtime.users), 1);
    assert_int_equal(covey_node_list_count(list), 0);
    assert_null(covey_node_list_at(list, 0));
    covey_node_list_free(list);
    covey_node_list_free(NULL);
    assert_nothing_held(&f);
}

static void told_members_are_kept_in_order(void **state)
{
    (void)state;
    struct fixture f;
    covey_node_list *list;
    setup(&f);
    assert_int_equal(cv_node_list_new(&f.runtime, &list), 0);
    for (uint8_t i = 0; i < 100; i++)
        assert_int_equal(cv_node_list_add_body(list, body_new(&f, i), COVEY_NODE_SUSPECT, 8u + i),
                         0);
    assert_int_equal(covey_node_list_count(list), 100);
    assert_null(covey_node_list_at(list, 100));
    for (uint8_t i = 0; i < 100; i++) {
        const struct covey_node *node = covey_node_list_at(list, i);
        assert_int_equal(node->id.bytes[0], i);
        assert_int_equal(node->state, COVEY_NODE_SUSPECT);
        assert_int_equal(node->incarnation, 8 + i);
        assert_string_equal(node->name, "n");
        assert_string_equal(covey_node_tag(node, "role"), "db");
    }
    covey_node_list_free(list);
    assert_nothing_held(&f);
}

/* Fails the n-th allocation of making a list and adding one member, until none fails. */
static void without_memory_nothing_changes(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        struct fixture f;
        covey_node_list *list = NULL;
        setup(&f);
        struct cv_cluster_node *body = body_new(&f, 1);
        f.memory.calls = 0;
        f.memory.fail_at = n;
        int error = cv_node_list_new(&f.runtime, &list);
        if (error == 0)
            error = cv_node_list_add_body(list, body, COVEY_NODE_ALIVE, 7);
        if (error != 0) {
            assert_int_equal(error, COVEY_ERR_NO_MEMORY);
            if (list != NULL)
                assert_int_equal(covey_node_list_count(list), 0);
            cv_cluster_node_release(body);
        }
        covey_node_list_free(list);
        assert_nothing_held(&f);
        if (error == 0) {
            assert_int_equal(n, 4); /* list; nodes, bodies */
            return;
        }
    }
}

static void a_selection_keeps_its_snapshot(void **state)
{
    (void)state;
    struct fixture f;
    covey_node_list *list;
    struct cv_node_registry registry;
    struct cv_snapshot *snapshot = NULL;
    static const uint64_t secret[2] = {1, 2};
    setup(&f);
    cv_node_registry_init(&registry, &f.memory.alloc, secret, 10);
    assert_int_equal(cv_node_registry_reserve(&registry, 1), 0);
    struct cv_cluster_node *body = body_new(&f, 5);
    struct cv_record record = {
        .id = body->id,
        .status = {.incarnation = 7, .state = COVEY_NODE_ALIVE},
        .body = body,
    };
    assert_non_null(cv_node_registry_insert(&registry, &record, 0));
    assert_int_equal(cv_snapshot_new(&f.memory.alloc, &registry, NULL, &snapshot), 0);
    cv_cluster_node_release(body);
    cv_node_registry_fini(&registry);

    f.memory.fail_at = f.memory.calls + 1;
    assert_int_equal(cv_node_list_select(&f.runtime, snapshot, 1, &list), COVEY_ERR_NO_MEMORY);
    const size_t calls = f.memory.calls;
    assert_int_equal(cv_node_list_select(&f.runtime, snapshot, 1, &list), 0);
    assert_int_equal(f.memory.calls, calls + 1);
    cv_node_list_add(list, cv_snapshot_at(snapshot, 0));
    assert_int_equal(covey_node_list_count(list), 1);
    assert_string_equal(covey_node_list_at(list, 0)->address, "192.0.2.5:4433");
    covey_node_list_free(list);
    assert_nothing_held(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list),
        cmocka_unit_test(told_members_are_kept_in_order),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(a_selection_keeps_its_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
