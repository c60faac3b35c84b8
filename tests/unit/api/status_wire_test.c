/* What a member tells of itself: comes back as it went out, and bytes from others are not believed. */
#include "api/status_wire.h"

#include "base/rand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t bytes[CV_STATUS_SIZE_MAX];

static struct covey_partition_status some_partition(void)
{
    return (struct covey_partition_status){
        .size = sizeof(struct covey_partition_status),
        .state = COVEY_PARTITION_SUSPECT,
        .grace_remaining = 7,
        .alive = 2,
        .expected = 5,
        .quorum = 3,
        .minority = true,
        .read_only = true,
    };
}

static struct cv_slice write_partition(const struct covey_partition_status *status)
{
    struct cv_writer w;
    cv_writer_init(&w, bytes, sizeof bytes);
    cv_partition_write(&w, status);
    assert_true(cv_writer_ok(&w));
    return cv_writer_bytes(&w);
}

static void a_partition_has_these_bytes(void **state)
{
    (void)state;
    const struct covey_partition_status status = some_partition();
    const struct cv_slice answer = write_partition(&status);
    static const char expected[] = "\x01\x01\x02"
                                   "\x02\x04\0\0\0\x02"
                                   "\x03\x04\0\0\0\x05"
                                   "\x04\x04\0\0\0\x03"
                                   "\x05\x01\x01"
                                   "\x06\x01\x01"
                                   "\x07\x08\0\0\0\0\0\0\0\x07";
    assert_int_equal(answer.size, sizeof expected - 1);
    assert_memory_equal(answer.data, expected, answer.size);
    struct covey_partition_status back;
    assert_int_equal(cv_partition_read(answer, &back), 0);
    assert_int_equal(back.state, status.state);
    assert_int_equal(back.grace_remaining, 7);
    assert_int_equal(back.alive, 2);
    assert_int_equal(back.expected, 5);
    assert_int_equal(back.quorum, 3);
    assert_true(back.minority && back.read_only);
}

/* A newer member says more, an older one less. */
static void unknown_fields_are_skipped_and_missing_ones_are_0(void **state)
{
    (void)state;
    struct covey_partition_status status;
    struct covey_cluster_stats stats;
    assert_int_equal(cv_partition_read(cv_slice_of("\x02\x04\0\0\0\x09\x20\x03new", 11), &status),
                     0);
    assert_int_equal(status.alive, 9);
    assert_int_equal(status.state, COVEY_PARTITION_UNKNOWN);
    assert_int_equal(cv_stats_read(cv_slice_of("\x01\x08\0\0\0\0\0\0\0\x09\x3f\x01x", 13), &stats),
                     0);
    assert_int_equal(stats.members_alive, 9);
    assert_int_equal(stats.connections, 0);
}

static void what_cannot_be_is_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\x01\x01\x04", 3},             /* no such state */
        {"\x05\x01\x02", 3},             /* neither true nor false */
        {"\x01\x02\x01\x01", 4},         /* a longer value */
        {"\x02\x01\x01", 3},             /* a shorter one */
        {"\x02\x04\0\0\0", 5},           /* cut off */
        {"\x01\x01\x01\x01\x01\x01", 6}, /* twice */
        {"\x01", 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct covey_partition_status status = some_partition();
        const struct covey_partition_status before = status;
        assert_int_equal(cv_partition_read(cv_slice_of(bad[i].bytes, bad[i].size), &status),
                         COVEY_ERR_MALFORMED);
        assert_memory_equal(&status, &before, sizeof status);
    }
}

static void fill(struct covey_check_health *checks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        checks[i] = (struct covey_check_health){
            .size = sizeof checks[i],
            .status = (enum covey_check_status)(i % 4),
            .since = 1000 + i,
            .last_duration = 50 + i,
            .consecutive_failures = i,
            .hangs = i % 2 == 1,
        };
        memset(checks[i].name, 'a' + (int)(i % 26), COVEY_CHECK_NAME_MAX);
        memset(checks[i].message, 'A' + (int)(i % 26), i % 3 == 0 ? COVEY_CHECK_MESSAGE_MAX : 0);
    }
}

static struct cv_slice write_health(const struct covey_health_status *status,
                                    const struct covey_check_health *checks, covey_time now)
{
    struct cv_writer w;
    cv_writer_init(&w, bytes, sizeof bytes);
    cv_health_write(&w, status, checks, now);
    assert_true(cv_writer_ok(&w));
    return cv_writer_bytes(&w);
}

/* The largest too; times are moved to the reader's clock. */
static void health_comes_back(void **state)
{
    (void)state;
    struct covey_check_health checks[COVEY_CHECKS_MAX], back[COVEY_CHECKS_MAX];
    fill(checks, COVEY_CHECKS_MAX);
    for (uint32_t count = 0; count <= COVEY_CHECKS_MAX; count += 4) {
        const struct covey_health_status status = {
            .size = sizeof status, .overall = COVEY_CHECK_DEGRADED, .check_count = count};
        struct covey_health_status read;
        const struct cv_slice answer = write_health(&status, checks, 5000);
        assert_int_equal(cv_health_read(answer, 905000, &read, back), 0);
        assert_int_equal(read.overall, COVEY_CHECK_DEGRADED);
        assert_int_equal(read.check_count, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_string_equal(back[i].name, checks[i].name);
            assert_string_equal(back[i].message, checks[i].message);
            assert_int_equal(back[i].status, checks[i].status);
            assert_int_equal(back[i].since, checks[i].since + 900000);
            assert_int_equal(back[i].last_duration, checks[i].last_duration);
            assert_int_equal(back[i].consecutive_failures, i);
            assert_int_equal(back[i].hangs, i % 2 == 1);
        }
    }
}

static void too_many_checks_are_malformed(void **state)
{
    (void)state;
    struct covey_check_health back[COVEY_CHECKS_MAX];
    struct covey_health_status read = {.check_count = 77};
    uint8_t many[2 * (COVEY_CHECKS_MAX + 1)];
    for (size_t i = 0; i <= COVEY_CHECKS_MAX; i++) {
        many[2 * i] = 2;
        many[2 * i + 1] = 0;
    }
    assert_int_equal(cv_health_read(cv_slice_of(many, 2 * COVEY_CHECKS_MAX), 0, &read, back), 0);
    assert_int_equal(read.check_count, COVEY_CHECKS_MAX);
    read.check_count = 77;
    assert_int_equal(cv_health_read(cv_slice_of(many, sizeof many), 0, &read, back),
                     COVEY_ERR_MALFORMED);
    assert_int_equal(read.check_count, 77);
}

static void texts_of_others_are_bounded(void **state)
{
    (void)state;
    struct covey_check_health back[COVEY_CHECKS_MAX];
    struct covey_health_status read;
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\x02\x05\x01\x03o\0k", 7},     /* a NUL in a name */
        {"\x02\x04\x01\x02\xc3\x28", 6}, /* no UTF-8 */
        {"\x02\x03\x02\x01\x04", 5},     /* no such status */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(cv_health_read(cv_slice_of(bad[i].bytes, bad[i].size), 0, &read, back),
                         COVEY_ERR_MALFORMED);
    uint8_t longer[4 + COVEY_CHECK_NAME_MAX + 1] = {2, 2 + COVEY_CHECK_NAME_MAX, 1,
                                                    COVEY_CHECK_NAME_MAX};
    memset(longer + 4, 'n', COVEY_CHECK_NAME_MAX + 1);
    /* lengths from 64 on take two bytes: 63 just fits */
    struct cv_writer w;
    for (size_t size = COVEY_CHECK_NAME_MAX; size <= COVEY_CHECK_NAME_MAX + 1; size++) {
        uint8_t check[80];
        cv_writer_init(&w, check, sizeof check);
        cv_write_varint(&w, 1);
        cv_write_prefixed(&w, cv_slice_of(longer + 4, size));
        const struct cv_slice inner = cv_writer_bytes(&w);
        cv_writer_init(&w, bytes, sizeof bytes);
        cv_write_varint(&w, 2);
        cv_write_prefixed(&w, inner);
        assert_int_equal(cv_health_read(cv_writer_bytes(&w), 0, &read, back),
                         size == COVEY_CHECK_NAME_MAX ? 0 : COVEY_ERR_MALFORMED);
    }
}

/* The server's counters: each once, by its number, the struct's in the same order. */
static void a_servers_stats_come_back(void **state)
{
    (void)state;
    struct covey_server_stats stats = {.size = sizeof stats}, back;
    uint64_t next = UINT64_C(1) << 40;
    uint64_t count = 0;
#define X(number, name, text)                                                                      \
    stats.name = next++;                                                                           \
    assert_int_equal(number, ++count);
    COVEY_SERVER_COUNTERS(X)
#undef X
    assert_int_equal(sizeof stats, sizeof stats.size + count * sizeof(uint64_t));
    struct cv_writer w;
    cv_writer_init(&w, bytes, sizeof bytes);
    cv_server_stats_write(&w, &stats);
    assert_int_equal(cv_server_stats_read(cv_writer_bytes(&w), &back), 0);
    assert_memory_equal(&back, &stats, sizeof stats);
    /* a newer one says more, an older one less */
    assert_int_equal(
        cv_server_stats_read(cv_slice_of("\x16\x08\0\0\0\0\0\0\0\x09\x3f\x01x", 13), &back), 0);
    assert_int_equal(back.refused_denied, 9);
    assert_int_equal(back.connections, 0);
    assert_int_equal(cv_server_stats_read(cv_slice_of("\x16\x01\x09", 3), &back),
                     COVEY_ERR_MALFORMED);
}

/* Each reason to refuse has its counter on the wire, in the same order. */
static void every_refusal_is_a_counter(void **state)
{
    (void)state;
    static const char *const names[] = {
#define X(number, name, text) #name,
        COVEY_SERVER_COUNTERS(X)
#undef X
    };
    static const char *const refusals[] = {
#define X(name) "refused_" #name,
        COVEY_REFUSALS(X)
#undef X
    };
    const size_t first = sizeof names / sizeof *names - sizeof refusals / sizeof *refusals;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        assert_string_equal(names[first + i], refusals[i]);
}

static void stats_come_back(void **state)
{
    (void)state;
    struct covey_cluster_stats stats = {.size = sizeof stats}, back;
    uint64_t next = UINT64_C(1) << 40;
#define X(number, name, text) stats.name = next++;
    COVEY_CLUSTER_COUNTERS(X)
#undef X
    struct cv_writer w;
    cv_writer_init(&w, bytes, sizeof bytes);
    cv_stats_write(&w, &stats);
    assert_int_equal(cv_stats_read(cv_writer_bytes(&w), &back), 0);
    assert_memory_equal(&back, &stats, sizeof stats);
}

/* Any bytes at all: read or refused, never more than that. */
static void any_bytes_do_no_harm(void **state)
{
    (void)state;
    struct cv_rand rand;
    struct covey_check_health checks[COVEY_CHECKS_MAX], back[COVEY_CHECKS_MAX];
    const struct covey_health_status status = {.check_count = 3};
    fill(checks, 3);
    cv_rand_seed(&rand, 5);
    for (int i = 0; i < 20000; i++) {
        struct cv_slice answer = write_health(&status, checks, 5000);
        bytes[cv_rand_below(&rand, answer.size)] = (uint8_t)cv_rand_below(&rand, 256);
        answer.size = cv_rand_below(&rand, answer.size + 1);
        struct covey_health_status read = {.check_count = 0};
        struct covey_partition_status partition;
        struct covey_cluster_stats stats;
        if (cv_health_read(answer, 9000, &read, back) == 0)
            assert_true(read.check_count <= COVEY_CHECKS_MAX);
        for (uint32_t k = 0; k < read.check_count; k++)
            assert_non_null(memchr(back[k].name, 0, sizeof back[k].name));
        (void)!cv_partition_read(answer, &partition);
        (void)!cv_stats_read(answer, &stats);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_has_these_bytes),
        cmocka_unit_test(unknown_fields_are_skipped_and_missing_ones_are_0),
        cmocka_unit_test(what_cannot_be_is_malformed),
        cmocka_unit_test(health_comes_back),
        cmocka_unit_test(too_many_checks_are_malformed),
        cmocka_unit_test(texts_of_others_are_bounded),
        cmocka_unit_test(stats_come_back),
        cmocka_unit_test(a_servers_stats_come_back),
        cmocka_unit_test(every_refusal_is_a_counter),
        cmocka_unit_test(any_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
