#include "unit/cluster/cluster_fixture.h"

#include "cluster/gossip/field.h"

/* Reads all fields of one byte; how many there were, or -1. */
static int count_fields(const char *bytes, size_t size, uint64_t repeatable)
{
    struct cv_reader r;
    struct cv_fields f;
    struct cv_field field;
    int count = 0;
    cv_reader_init(&r, cv_slice_of(bytes, size));
    cv_fields_init(&f, &r, repeatable);
    while (cv_fields_next(&f, &field)) {
        cv_read_u8(&field.value);
        cv_fields_accept(&f, &field);
        count++;
    }
    return cv_reader_done(&r) ? count : -1;
}

static void keys_ascend(void **state)
{
    (void)state;
    assert_int_equal(count_fields("", 0, 0), 0);
    assert_int_equal(count_fields("\x01\x01x\x02\x01y", 6, 0), 2);
    assert_int_equal(count_fields("\x02\x01x\x01\x01y", 6, 0), -1);
    assert_int_equal(count_fields("\x01\x01x\x01\x01y", 6, 0), -1);
    assert_int_equal(count_fields("\x00\x01x", 3, 0), -1);
}

static void one_key_may_repeat(void **state)
{
    (void)state;
    assert_int_equal(count_fields("\x01\x01x\x02\x01y\x02\x01z", 9, 2), 3);
    assert_int_equal(count_fields("\x01\x01x\x01\x01y\x02\x01z", 9, 2), -1);
}

static void values_are_read_to_their_end(void **state)
{
    (void)state;
    assert_int_equal(count_fields("\x01\x02xx", 4, 0), -1); /* a byte left */
    assert_int_equal(count_fields("\x01\x00", 2, 0), -1);   /* a byte short */
    assert_int_equal(count_fields("\x01\x02x", 3, 0), -1);  /* longer than the message */
    assert_int_equal(count_fields("\x01", 1, 0), -1);
    assert_int_equal(count_fields("\x40\x01\x01x", 4, 0), -1); /* a key not in its shortest form */
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t memory[128];
    struct cv_writer w;
    struct cv_reader r;
    struct cv_fields f;
    struct cv_field field;
    covey_node_id id = id_of(300), read;
    cv_writer_init(&w, memory, sizeof(memory));
    cv_field_write_u8(&w, 1, 0xab);
    cv_field_write_u16(&w, 2, 0xabcd);
    cv_field_write_u32(&w, 3, 0xabcdef01);
    cv_field_write_u64(&w, 4, UINT64_MAX - 1);
    cv_field_write_id(&w, 100, &id);
    assert_int_equal(cv_writer_size(&w), 3 + 4 + 6 + 10 + cv_field_size(100, 16));
    cv_reader_init(&r, cv_writer_bytes(&w));
    cv_fields_init(&f, &r, 0);
    assert_true(cv_fields_next(&f, &field));
    assert_int_equal(cv_read_u8(&field.value), 0xab);
    assert_true(cv_fields_next(&f, &field));
    assert_int_equal(cv_read_u16(&field.value), 0xabcd);
    assert_true(cv_fields_next(&f, &field));
    assert_int_equal(cv_read_u32(&field.value), 0xabcdef01);
    assert_true(cv_fields_next(&f, &field));
    assert_true(cv_read_u64(&field.value) == UINT64_MAX - 1);
    assert_true(cv_fields_next(&f, &field));
    read = cv_read_node_id(&field.value);
    assert_true(id_equal(&read, &id));
    assert_false(cv_fields_next(&f, &field));
    assert_true(cv_reader_done(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_ascend),
        cmocka_unit_test(one_key_may_repeat),
        cmocka_unit_test(values_are_read_to_their_end),
        cmocka_unit_test(what_is_written_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
