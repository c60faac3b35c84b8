#include "unit/cluster/cluster_fixture.h"

#include "base/rand.h"
#include "cluster/gossip/message.h"

static struct cv_message read;
static uint8_t memory[CV_MAX_MESSAGE_SIZE];
static struct cv_message_writer mw;

/* The example of docs/PROTOCOL.md: a PING with two updates. */
static const uint8_t example[] = {
    0x01,                                                 /* PING */
    0x01, 0x04, 0x00, 0x00, 0x01, 0x02,                   /* sequence 258 */
    0x02, 0x10,                                           /* target */
    0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7,       /* */
    0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf,       /* */
    0x0f, 0x31,                                           /* update of 49 bytes */
    0x01, 0x10,                                           /*   id: the target itself */
    0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7,       /* */
    0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf,       /* */
    0x02, 0x08,                                           /*   incarnation 1,700,000,000,000 */
    0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00,       /* */
    0x03, 0x01, 0x01,                                     /*   suspect */
    0x04, 0x10,                                           /*   accuser */
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,       /* */
    0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,       /* */
    0x0f, 0x40, 0x4c,                                     /* update of 76 bytes */
    0x01, 0x10,                                           /*   id */
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,       /* */
    0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,       /* */
    0x02, 0x08,                                           /*   incarnation 1,700,000,000,007 */
    0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x07,       /* */
    0x03, 0x01, 0x00,                                     /*   alive */
    0x05, 0x08,                                           /*   body from incarnation ...000 */
    0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00,       /* */
    0x06, 0x04, 0x00, 0x00, 0x00, 0x02,                   /*   version 2 */
    0x07, 0x07, 0x04, 0xc0, 0x00, 0x02, 0x01, 0x11, 0x51, /* 192.0.2.1:4433 */
    0x08, 0x04, 'n',  'o',  'd',  'e',                    /*   name */
    0x09, 0x0c, 0x04, 'r',  'o',  'l',  'e',              /*   tags: role = worker */
    0x06, 'w',  'o',  'r',  'k',  'e',  'r',              /* */
};

static struct cv_slice encoded(const struct cv_message *m)
{
    cv_message_begin(&mw, memory, sizeof(memory), &m->head);
    for (size_t i = 0; i < m->update_count; i++) {
        struct cv_record record = {.id = m->updates[i].id, .status = m->updates[i].status};
        if (m->updates[i].has_body)
            assert_int_equal(cv_update_body(cv_alloc_default(), &m->updates[i], &record.body),
                             COVEY_OK);
        assert_true(cv_message_add(&mw, &record));
        cv_cluster_node_release(record.body);
    }
    return cv_message_bytes(&mw);
}

static void the_documented_example_is_right(void **state)
{
    (void)state;
    struct cv_slice bytes = cv_slice_of(example, sizeof(example));
    assert_int_equal(cv_message_read(bytes, &read), COVEY_OK);
    assert_int_equal(read.head.type, CV_MESSAGE_PING);
    assert_int_equal(read.head.sequence, 258);
    assert_int_equal(read.head.target.bytes[15], 0xbf);
    assert_int_equal(read.update_count, 2);
    const struct cv_update *suspect = &read.updates[0];
    assert_true(id_equal(&suspect->id, &read.head.target));
    assert_int_equal(suspect->status.state, COVEY_NODE_SUSPECT);
    assert_int_equal(suspect->status.incarnation, UINT64_C(1700000000000));
    assert_int_equal(suspect->status.accuser.bytes[0], 0xa0);
    const struct cv_update *alive = &read.updates[1];
    assert_int_equal(alive->status.incarnation, UINT64_C(1700000000007));
    assert_int_equal(alive->body_incarnation, UINT64_C(1700000000000));
    assert_int_equal(alive->version, 2);
    assert_int_equal(alive->address.port, 4433);
    assert_true(cv_slice_equal(alive->name, cv_slice_text("node")));
    assert_true(cv_slice_equal(encoded(&read), bytes));
}

/* Each type has its fields, all of them and no others. */
static void every_type_comes_back(void **state)
{
    (void)state;
    for (int type = CV_MESSAGE_PING; type <= CV_MESSAGE_LEAVE_ACK; type++) {
        struct cv_cluster_node *body = body_of(cv_alloc_default(), 1, 1, 0);
        struct cv_record own = record_of(1, 1, COVEY_NODE_ALIVE, body);
        struct cv_message_head head = {.type = (enum cv_message_type)type,
                                       .sequence = UINT32_MAX,
                                       .target = id_of(9),
                                       .address = address_of(9),
                                       .incarnation = UINT64_MAX,
                                       .chunk = 6,
                                       .chunk_count = 7};
        cv_message_begin(&mw, memory, sizeof(memory), &head);
        assert_true(cv_message_bytes(&mw).size <= 64);
        assert_true(cv_message_add(&mw, &own));
        struct cv_slice bytes = cv_message_bytes(&mw);
        assert_int_equal(cv_message_read(bytes, &read), COVEY_OK);
        assert_int_equal(read.head.type, type);
        assert_int_equal(read.update_count, 1);
        uint8_t copy[256];
        memcpy(copy, bytes.data, bytes.size);
        assert_true(cv_slice_equal(encoded(&read), cv_slice_of(copy, bytes.size)));
        cv_cluster_node_release(body);
    }
}

static int read_text(const char *bytes, size_t size)
{
    return cv_message_read(cv_slice_of(bytes, size), &read);
}

static void what_is_not_exactly_a_message_is_malformed(void **state)
{
    (void)state;
    assert_int_equal(read_text("", 0), COVEY_ERR_MALFORMED);
    assert_int_equal(read_text("\x00", 1), COVEY_ERR_MALFORMED);
    assert_int_equal(read_text("\x11", 1), COVEY_ERR_MALFORMED);
    assert_int_equal(read_text("\x05", 1), COVEY_OK); /* GOSSIP without news */
    assert_int_equal(read_text("\x05\x00", 2), COVEY_ERR_MALFORMED);
    assert_int_equal(read_text("\x02\x01\x04\0\0\0\1", 7), COVEY_OK);
    assert_int_equal(read_text("\x02\x01\x03\0\0\1", 6), COVEY_ERR_MALFORMED);
    assert_int_equal(read_text("\x02\x01\x05\0\0\0\0\1", 8), COVEY_ERR_MALFORMED);
    assert_int_equal(read_text("\x02", 1), COVEY_ERR_MALFORMED);                 /* no sequence */
    assert_int_equal(read_text("\x05\x01\x04\0\0\0\1", 7), COVEY_ERR_MALFORMED); /* one too many */
    assert_int_equal(read_text("\x06", 1), COVEY_ERR_MALFORMED); /* JOIN without a record */
    assert_int_equal(read_text("\x07\x05\x02\0\0\x06\x02\0\1", 9), COVEY_OK);
    assert_int_equal(read_text("\x07\x05\x02\0\1\x06\x02\0\1", 9), COVEY_ERR_MALFORMED);
    assert_int_equal(read_text("\x05\x07\x00", 3), COVEY_ERR_MALFORMED); /* an empty update */
    assert_int_equal(read_text("\x05\x3f\x02xx", 5), COVEY_OK);          /* an unknown field */
}

/* Every prefix and every single changed byte: refused, or read as something that is written so. */
static void damage_is_never_read_as_something_else(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof(example); size++) {
        /* Without its last update it is a message, too. */
        int expected = size == 25 || size == 76 ? COVEY_OK : COVEY_ERR_MALFORMED;
        assert_int_equal(cv_message_read(cv_slice_of(example, size), &read), expected);
    }
    uint8_t copy[sizeof(example)];
    for (size_t i = 0; i < sizeof(example); i++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, example, sizeof(example));
            copy[i] ^= (uint8_t)(1 << bit);
            struct cv_slice bytes = cv_slice_of(copy, sizeof(copy));
            if (cv_message_read(bytes, &read) != COVEY_OK)
                continue;
            struct cv_slice again = encoded(&read);
            assert_true(again.size < bytes.size || cv_slice_equal(again, bytes));
        }
    }
}

/* G1, when built and when read. */
static void limits_are_hard(void **state)
{
    (void)state;
    struct cv_message_head head = {.type = CV_MESSAGE_GOSSIP};
    struct cv_record record = record_of(1, 1, COVEY_NODE_ALIVE, NULL);
    cv_message_begin(&mw, memory, sizeof(memory), &head);
    for (size_t i = 0; i < CV_MAX_UPDATES_PER_MESSAGE; i++)
        assert_true(cv_message_add(&mw, &record));
    assert_int_equal(cv_message_room(&mw), 0);
    assert_false(cv_message_add(&mw, &record));
    struct cv_slice bytes = cv_message_bytes(&mw);
    assert_int_equal(cv_message_read(bytes, &read), COVEY_OK);
    /* One more by hand. */
    size_t update = (bytes.size - 1) / CV_MAX_UPDATES_PER_MESSAGE;
    memcpy(memory + bytes.size, memory + 1, update);
    assert_int_equal(cv_message_read(cv_slice_of(memory, bytes.size + update), &read),
                     COVEY_ERR_MALFORMED);
    /* The largest message, of one field that nobody knows, and one byte more. */
    static uint8_t large[CV_MAX_MESSAGE_SIZE + 1];
    large[0] = CV_MESSAGE_GOSSIP;
    large[1] = 0x3f;
    large[2] = 0x40 | (4092 >> 8);
    large[3] = 4092 & 255;
    assert_int_equal(cv_message_read(cv_slice_of(large, CV_MAX_MESSAGE_SIZE), &read), COVEY_OK);
    large[3]++;
    assert_int_equal(cv_message_read(cv_slice_of(large, CV_MAX_MESSAGE_SIZE + 1), &read),
                     COVEY_ERR_MALFORMED);
}

static void what_does_not_fit_is_not_added(void **state)
{
    (void)state;
    struct cv_message_head head = {.type = CV_MESSAGE_GOSSIP};
    struct cv_record record = record_of(1, 1, COVEY_NODE_ALIVE, NULL);
    size_t size = cv_update_size(&record);
    cv_message_begin(&mw, memory, 1 + 2 + size, &head);
    assert_true(cv_message_room(&mw) >= size - 1);
    assert_true(cv_message_add(&mw, &record));
    assert_int_equal(cv_message_room(&mw), 0);
    cv_message_begin(&mw, memory, 1 + 2 + size - 1, &head);
    assert_false(cv_message_add(&mw, &record));
    assert_int_equal(cv_message_bytes(&mw).size, 1);
}

static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    const uint64_t seed = 4;
    struct cv_rand rand;
    uint8_t bytes[256];
    cv_rand_seed(&rand, seed);
    for (int i = 0; i < 100000; i++) {
        size_t size = (size_t)cv_rand_below(&rand, sizeof(bytes));
        cv_rand_bytes(&rand, bytes, size);
        if (size > 0)
            bytes[0] %= 10;
        if (cv_message_read(cv_slice_of(bytes, size), &read) == COVEY_OK)
            assert_true(encoded(&read).size <= size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_example_is_right),
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(what_is_not_exactly_a_message_is_malformed),
        cmocka_unit_test(damage_is_never_read_as_something_else),
        cmocka_unit_test(limits_are_hard),
        cmocka_unit_test(what_does_not_fit_is_not_added),
        cmocka_unit_test(random_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
