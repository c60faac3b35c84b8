#include "unit/cluster/cluster_fixture.h"

#include "cluster/gossip/update.h"

static uint8_t memory[2048];

static struct cv_slice written(const struct cv_record *record)
{
    struct cv_writer w;
    cv_writer_init(&w, memory, sizeof(memory));
    cv_update_write(&w, record);
    assert_int_equal(cv_writer_size(&w), cv_update_size(record));
    return cv_writer_bytes(&w);
}

static bool reads(struct cv_slice bytes, struct cv_update *out)
{
    struct cv_reader r;
    cv_reader_init(&r, bytes);
    *out = cv_update_read(&r);
    return cv_reader_done(&r);
}

static void every_state_comes_back(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct cv_record record = record_of(7, UINT64_MAX - 3, (enum covey_node_state)i, NULL);
        struct cv_update u;
        assert_true(reads(written(&record), &u));
        assert_true(id_equal(&u.id, &record.id));
        assert_int_equal(cv_node_status_compare(&u.status, &record.status), 0);
        assert_false(u.has_body);
    }
}

static void a_body_comes_back(void **state)
{
    (void)state;
    struct test_alloc t;
    test_alloc_init(&t);
    const struct covey_tag tags[] = {{"a", ""}, {"role", "w\xc3\xb6rker"}};
    struct cv_cluster_node *body = tagged_body(&t.alloc, 7, 5, 3, tags, 2);
    struct cv_record record = record_of(7, 6, COVEY_NODE_ALIVE, body);
    struct cv_update u;
    struct cv_cluster_node *copy;
    assert_true(reads(written(&record), &u));
    assert_true(u.has_body);
    assert_int_equal(cv_update_body(&t.alloc, &u, &copy), COVEY_OK);
    assert_int_equal(copy->incarnation, 5);
    assert_int_equal(copy->version, 3);
    assert_true(cv_address_equal(&copy->address, &body->address));
    assert_string_equal(copy->name, "name");
    assert_int_equal(copy->tag_count, 2);
    assert_string_equal(copy->tags[1].value, "w\xc3\xb6rker");
    t.fail_at = t.calls + 1;
    assert_int_equal(cv_update_body(&t.alloc, &u, &record.body), COVEY_ERR_NO_MEMORY);
    cv_cluster_node_release(copy);
    cv_cluster_node_release(body);
    test_alloc_assert_empty(&t);
}

static void what_it_says_is_compared_without_its_age(void **state)
{
    (void)state;
    const struct covey_tag tags[] = {{"a", ""}, {"b", "1"}};
    const struct covey_tag other[] = {{"a", ""}, {"b", "2"}};
    struct cv_cluster_node *body = tagged_body(cv_alloc_default(), 7, 5, 3, tags, 2);
    struct cv_cluster_node *bodies[] = {
        tagged_body(cv_alloc_default(), 7, 6, 4, tags, 2),  /* the same */
        tagged_body(cv_alloc_default(), 7, 5, 3, tags, 1),  /* a tag less, and one more */
        tagged_body(cv_alloc_default(), 7, 5, 3, NULL, 0),  /* none */
        tagged_body(cv_alloc_default(), 7, 5, 3, other, 2), /* another value */
        tagged_body(cv_alloc_default(), 7, 5, 3, tags, 2),  /* another address */
    };
    bodies[4]->address = address_of(8);
    for (size_t i = 0; i < 5; i++) {
        struct cv_record record = record_of(7, 6, COVEY_NODE_ALIVE, body);
        struct cv_update u;
        assert_true(reads(written(&record), &u));
        assert_int_equal(cv_update_says(&u, bodies[i]), i == 0);
        record.body = bodies[i];
        assert_true(reads(written(&record), &u));
        assert_int_equal(cv_update_says(&u, body), i == 0);
        u.has_body = false;
        assert_false(cv_update_says(&u, body));
        cv_cluster_node_release(bodies[i]);
    }
    cv_cluster_node_release(body);
}

/* T4: the largest record there can be. */
static void the_largest_record_is_within_the_limit(void **state)
{
    (void)state;
    char keys[COVEY_TAGS_MAX][COVEY_TAG_KEY_MAX + 1];
    char value[COVEY_TAG_VALUE_MAX + 1];
    char name[COVEY_NODE_NAME_MAX + 1];
    struct covey_tag tags[COVEY_TAGS_MAX];
    struct cv_cluster_node *body;
    memset(value, 'v', COVEY_TAG_VALUE_MAX);
    value[COVEY_TAG_VALUE_MAX] = '\0';
    memset(name, 'n', COVEY_NODE_NAME_MAX);
    name[COVEY_NODE_NAME_MAX] = '\0';
    for (size_t i = 0; i < COVEY_TAGS_MAX; i++) {
        keys[i][0] = (char)('a' + i);
        keys[i][1] = '\0';
        /* 16 keys, and values of 128, 128, 128, 112: 512 in all. */
        const char *const values[] = {value, value, value, value + 16};
        tags[i] = (struct covey_tag){keys[i], i < 4 ? values[i] : ""};
    }
    struct cv_cluster_node_config config = {.id = id_of(1),
                                            .address = {.ip = {0x20, 1}, .port = 1, .family = 6},
                                            .name = cv_slice_text(name),
                                            .tags = tags,
                                            .tag_count = COVEY_TAGS_MAX};
    assert_int_equal(cv_cluster_node_new(cv_alloc_default(), &config, &body), COVEY_OK);
    struct cv_record record = record_of(1, 1, COVEY_NODE_FAILED, body);
    struct cv_update u;
    struct cv_slice bytes = written(&record);
    assert_true(bytes.size <= CV_UPDATE_SIZE_MAX);
    assert_true(reads(bytes, &u));
    cv_cluster_node_release(body);
}

/* A record of [id, incarnation, state] and more fields after it. */
static bool reads_with(const char *more, size_t size, enum covey_node_state state,
                       struct cv_update *u)
{
    struct cv_record record = record_of(7, 9, COVEY_NODE_ALIVE, NULL);
    struct cv_slice bytes = written(&record);
    memory[bytes.size - 1] = (uint8_t)state;
    memcpy(memory + bytes.size, more, size);
    return reads(cv_slice_of(memory, bytes.size + size), u);
}

static void what_does_not_fit_together_is_refused(void **state)
{
    (void)state;
    struct cv_update u;
    const char accuser[] = "\x04\x10"
                           "AAAAAAAAAAAAAAAA";
    const char body[] =
        "\x05\x08\0\0\0\0\0\0\0\x09\x06\x04\0\0\0\x01\x07\x07\x04\x0a\0\0\x01\x11\x51";
    const char late[] =
        "\x05\x08\0\0\0\0\0\0\0\x0a\x06\x04\0\0\0\x01\x07\x07\x04\x0a\0\0\x01\x11\x51";
    assert_true(reads_with("", 0, COVEY_NODE_ALIVE, &u));
    assert_false(reads_with("", 0, (enum covey_node_state)4, &u));
    assert_false(reads_with("", 0, COVEY_NODE_SUSPECT, &u)); /* who says so? */
    assert_true(reads_with(accuser, 18, COVEY_NODE_SUSPECT, &u));
    assert_false(reads_with(accuser, 18, COVEY_NODE_LEFT, &u));
    assert_true(reads_with(body, sizeof(body) - 1, COVEY_NODE_ALIVE, &u));
    assert_true(u.has_body);
    assert_false(reads_with(body, 16, COVEY_NODE_ALIVE, &u));               /* no address */
    assert_false(reads_with(late, sizeof(late) - 1, COVEY_NODE_ALIVE, &u)); /* after its record */
    assert_false(reads_with("\x08\x01n", 3, COVEY_NODE_ALIVE, &u)); /* a name without a body */
}

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    struct cv_update u;
    assert_true(reads_with("\x0a\x03sig", 5, COVEY_NODE_ALIVE, &u));
    assert_true(reads_with("\x3f\x00", 2, COVEY_NODE_ALIVE, &u));
    assert_false(reads_with("\x0a\x04sig", 5, COVEY_NODE_ALIVE, &u));
}

static bool reads_tags(const char *tags, size_t size)
{
    char more[256] =
        "\x05\x08\0\0\0\0\0\0\0\x09\x06\x04\0\0\0\x01\x07\x07\x04\x0a\0\0\x01\x11\x51\x09";
    struct cv_update u;
    more[26] = (char)size;
    memcpy(more + 27, tags, size);
    return reads_with(more, 27 + size, COVEY_NODE_ALIVE, &u);
}

static void tags_must_be_in_order_and_text(void **state)
{
    (void)state;
    assert_true(reads_tags("\x01"
                           "a\x01"
                           "1\x01"
                           "b\x00",
                           7));
    assert_false(reads_tags("", 0)); /* an empty list has no field */
    assert_false(reads_tags("\x01"
                            "b\x01"
                            "1\x01"
                            "a\x00",
                            7));
    assert_false(reads_tags("\x01"
                            "a\x01"
                            "1\x01"
                            "a\x00",
                            7));
    assert_false(reads_tags("\x00\x01"
                            "1",
                            3));
    assert_false(reads_tags("\x01"
                            "a\x01\xff",
                            4));
    assert_false(reads_tags("\x01"
                            "a\x01\x00",
                            4));
    assert_false(reads_tags("\x01"
                            "a",
                            2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_comes_back),
        cmocka_unit_test(a_body_comes_back),
        cmocka_unit_test(what_it_says_is_compared_without_its_age),
        cmocka_unit_test(the_largest_record_is_within_the_limit),
        cmocka_unit_test(what_does_not_fit_together_is_refused),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(tags_must_be_in_order_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
