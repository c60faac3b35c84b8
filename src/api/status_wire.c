#include "api/status_wire.h"

#include "base/utf8.h"
#include "cluster/gossip/field.h"

#include <covey/error.h>

static bool read_bool(struct cv_reader *r)
{
    uint8_t value = cv_read_u8(r);
    if (value > 1)
        cv_reader_fail(r);
    return value == 1;
}

/* A number of an enum whose last one is `max`. */
static uint8_t read_number(struct cv_reader *r, uint8_t max)
{
    uint8_t value = cv_read_u8(r);
    if (value > max)
        cv_reader_fail(r);
    return cv_reader_ok(r) ? value : 0;
}

/* One field into what `user` names; false for a key that is not known. */
typedef bool (*field_reading)(void *user, struct cv_field *field);

/* All that is left in `r`: the fields that `read` knows. `repeatable`: the key that may be there more than
 * once, or 0. */
static void read_fields(struct cv_reader *r, uint64_t repeatable, field_reading read, void *user)
{
    struct cv_fields fields;
    struct cv_field field;
    cv_fields_init(&fields, r, repeatable);
    while (cv_fields_next(&fields, &field)) {
        if (read(user, &field))
            cv_fields_accept(&fields, &field);
    }
}

/* The same of a whole answer. 0, COVEY_ERR_MALFORMED. */
static int read_answer(struct cv_slice answer, uint64_t repeatable, field_reading read, void *user)
{
    struct cv_reader r;
    cv_reader_init(&r, answer);
    read_fields(&r, repeatable, read, user);
    return cv_reader_done(&r) ? 0 : COVEY_ERR_MALFORMED;
}

/* ---- partition ---- */

enum {
    PARTITION_STATE = 1,
    PARTITION_ALIVE = 2,
    PARTITION_EXPECTED = 3,
    PARTITION_QUORUM = 4,
    PARTITION_MINORITY = 5,
    PARTITION_READ_ONLY = 6,
    PARTITION_GRACE = 7
};

void cv_partition_write(struct cv_writer *w, const struct covey_partition_status *status)
{
    cv_field_write_u8(w, PARTITION_STATE, (uint8_t)status->state);
    cv_field_write_u32(w, PARTITION_ALIVE, status->alive);
    cv_field_write_u32(w, PARTITION_EXPECTED, status->expected);
    cv_field_write_u32(w, PARTITION_QUORUM, status->quorum);
    cv_field_write_u8(w, PARTITION_MINORITY, status->minority);
    cv_field_write_u8(w, PARTITION_READ_ONLY, status->read_only);
    cv_field_write_u64(w, PARTITION_GRACE, status->grace_remaining);
}

static bool read_partition_field(void *user, struct cv_field *field)
{
    struct covey_partition_status *status = user;
    struct cv_reader *value = &field->value;
    switch (field->key) {
    case PARTITION_STATE:
        status->state = (enum covey_partition_state)read_number(value, COVEY_PARTITION_PARTITIONED);
        return true;
    case PARTITION_ALIVE:
        status->alive = cv_read_u32(value);
        return true;
    case PARTITION_EXPECTED:
        status->expected = cv_read_u32(value);
        return true;
    case PARTITION_QUORUM:
        status->quorum = cv_read_u32(value);
        return true;
    case PARTITION_MINORITY:
        status->minority = read_bool(value);
        return true;
    case PARTITION_READ_ONLY:
        status->read_only = read_bool(value);
        return true;
    case PARTITION_GRACE:
        status->grace_remaining = cv_read_u64(value);
        return true;
    default:
        return false;
    }
}

int cv_partition_read(struct cv_slice answer, struct covey_partition_status *out)
{
    struct covey_partition_status status = {.size = sizeof status};
    int error = read_answer(answer, 0, read_partition_field, &status);
    if (error == 0)
        *out = status;
    return error;
}

/* ---- health ---- */

enum { HEALTH_OVERALL = 1, HEALTH_CHECK = 2 };

enum {
    CHECK_NAME = 1,
    CHECK_STATUS = 2,
    CHECK_AGE = 3,
    CHECK_DURATION = 4,
    CHECK_FAILURES = 5,
    CHECK_HANGS = 6,
    CHECK_MESSAGE = 7
};

#define CHECK_SIZE_MAX 256 /* the texts and less than 50 bytes */

static void write_check(struct cv_writer *w, const struct covey_check_health *check, covey_time now)
{
    uint8_t bytes[CHECK_SIZE_MAX];
    struct cv_writer own;
    cv_writer_init(&own, bytes, sizeof bytes);
    cv_field_write_bytes(&own, CHECK_NAME, cv_slice_text(check->name));
    cv_field_write_u8(&own, CHECK_STATUS, (uint8_t)check->status);
    cv_field_write_u64(&own, CHECK_AGE, now > check->since ? now - check->since : 0);
    cv_field_write_u64(&own, CHECK_DURATION, check->last_duration);
    cv_field_write_u32(&own, CHECK_FAILURES, check->consecutive_failures);
    cv_field_write_u8(&own, CHECK_HANGS, check->hangs);
    cv_field_write_bytes(&own, CHECK_MESSAGE, cv_slice_text(check->message));
    cv_field_write_bytes(w, HEALTH_CHECK, cv_writer_bytes(&own));
}

void cv_health_write(struct cv_writer *w, const struct covey_health_status *status,
                     const struct covey_check_health *checks, covey_time now)
{
    cv_field_write_u8(w, HEALTH_OVERALL, (uint8_t)status->overall);
    for (uint32_t i = 0; i < status->check_count; i++)
        write_check(w, &checks[i], now);
}

static void read_text(struct cv_reader *r, char *text, size_t size_max)
{
    struct cv_slice bytes = cv_read_rest(r);
    if (bytes.size > size_max || !cv_utf8_is_valid(bytes) ||
        (bytes.size > 0 && memchr(bytes.data, 0, bytes.size) != NULL))
        cv_reader_fail(r);
    if (!cv_reader_ok(r))
        return;
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
}

/* Where checks are read to. */
struct health_reading {
    covey_time now;
    struct covey_health_status status;
    struct covey_check_health *checks;
};

static bool read_check_field(void *user, struct cv_field *field)
{
    const struct health_reading *reading = user;
    struct covey_check_health *check = &reading->checks[reading->status.check_count];
    struct cv_reader *value = &field->value;
    covey_time age;
    switch (field->key) {
    case CHECK_NAME:
        read_text(value, check->name, COVEY_CHECK_NAME_MAX);
        return true;
    case CHECK_STATUS:
        check->status = (enum covey_check_status)read_number(value, COVEY_CHECK_UNHEALTHY);
        return true;
    case CHECK_AGE:
        age = cv_read_u64(value);
        check->since = age < reading->now ? reading->now - age : 0;
        return true;
    case CHECK_DURATION:
        check->last_duration = cv_read_u64(value);
        return true;
    case CHECK_FAILURES:
        check->consecutive_failures = cv_read_u32(value);
        return true;
    case CHECK_HANGS:
        check->hangs = read_bool(value);
        return true;
    case CHECK_MESSAGE:
        read_text(value, check->message, COVEY_CHECK_MESSAGE_MAX);
        return true;
    default:
        return false;
    }
}

static void read_check(struct health_reading *reading, struct cv_reader *r)
{
    if (reading->status.check_count == COVEY_CHECKS_MAX) {
        cv_reader_fail(r);
        return;
    }
    struct covey_check_health *check = &reading->checks[reading->status.check_count];
    *check = (struct covey_check_health){.size = sizeof *check};
    read_fields(r, 0, read_check_field, reading);
    reading->status.check_count++;
}

static bool read_health_field(void *user, struct cv_field *field)
{
    struct health_reading *reading = user;
    switch (field->key) {
    case HEALTH_OVERALL:
        reading->status.overall =
            (enum covey_check_status)read_number(&field->value, COVEY_CHECK_UNHEALTHY);
        return true;
    case HEALTH_CHECK:
        read_check(reading, &field->value);
        return true;
    default:
        return false;
    }
}

int cv_health_read(struct cv_slice answer, covey_time now, struct covey_health_status *out,
                   struct covey_check_health *checks)
{
    struct health_reading reading = {
        .now = now, .status = {.size = sizeof reading.status}, .checks = checks};
    int error = read_answer(answer, HEALTH_CHECK, read_health_field, &reading);
    if (error == 0)
        *out = reading.status;
    return error;
}

/* ---- stats ---- */

void cv_stats_write(struct cv_writer *w, const struct covey_cluster_stats *stats)
{
#define X(number, name, text) cv_field_write_u64(w, number, stats->name);
    COVEY_CLUSTER_COUNTERS(X)
#undef X
}

static bool read_counter(void *user, struct cv_field *field)
{
    struct covey_cluster_stats *stats = user;
    switch (field->key) {
#define X(number, name, text)                                                                      \
    case number:                                                                                   \
        stats->name = cv_read_u64(&field->value);                                                  \
        return true;
        COVEY_CLUSTER_COUNTERS(X)
#undef X
    default:
        return false;
    }
}

int cv_stats_read(struct cv_slice answer, struct covey_cluster_stats *out)
{
    struct covey_cluster_stats stats = {.size = sizeof stats};
    int error = read_answer(answer, 0, read_counter, &stats);
    if (error == 0)
        *out = stats;
    return error;
}

/* ---- server stats ---- */

void cv_server_stats_write(struct cv_writer *w, const struct covey_server_stats *stats)
{
#define X(number, name, text) cv_field_write_u64(w, number, stats->name);
    COVEY_SERVER_COUNTERS(X)
#undef X
}

static bool read_server_counter(void *user, struct cv_field *field)
{
    struct covey_server_stats *stats = user;
    switch (field->key) {
#define X(number, name, text)                                                                      \
    case number:                                                                                   \
        stats->name = cv_read_u64(&field->value);                                                  \
        return true;
        COVEY_SERVER_COUNTERS(X)
#undef X
    default:
        return false;
    }
}

int cv_server_stats_read(struct cv_slice answer, struct covey_server_stats *out)
{
    struct covey_server_stats stats = {.size = sizeof stats};
    int error = read_answer(answer, 0, read_server_counter, &stats);
    if (error == 0)
        *out = stats;
    return error;
}
