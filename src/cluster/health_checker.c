#include "cluster/health_checker.h"

#include "base/utf8.h"

#include <assert.h>
#include <covey/error.h>

void cv_health_checker_init(struct cv_health_checker *hc)
{
    *hc = (struct cv_health_checker){.count = 0};
}

static struct cv_health_check *find_name(struct cv_health_checker *hc, struct cv_slice name)
{
    for (uint32_t i = 0; i < hc->count; i++) {
        if (cv_slice_equal(cv_slice_text(hc->checks[i].health.name), name))
            return &hc->checks[i];
    }
    return NULL;
}

static bool is_time(covey_time time)
{
    return time > 0 && time < COVEY_NEVER;
}

int cv_health_checker_add(struct cv_health_checker *hc, const struct cv_health_check_config *config,
                          covey_time now)
{
    const struct cv_slice name = config->name;
    if (name.size == 0 || name.size > COVEY_CHECK_NAME_MAX || !cv_utf8_is_valid(name) ||
        !is_time(config->interval) || !is_time(config->timeout))
        return COVEY_ERR_INVALID_ARGUMENT;
    if (find_name(hc, name) != NULL)
        return COVEY_ERR_EXISTS;
    if (hc->count == COVEY_CHECKS_MAX)
        return COVEY_ERR_LIMIT;
    struct cv_health_check *check = &hc->checks[hc->count++];
    *check = (struct cv_health_check){
        .health = {.size = sizeof(check->health), .since = now},
        .interval = config->interval,
        .timeout = config->timeout,
        .user = config->user,
        .due = now,
    };
    memcpy(check->health.name, name.data, name.size);
    return COVEY_OK;
}

int cv_health_checker_remove(struct cv_health_checker *hc, struct cv_slice name)
{
    struct cv_health_check *check = find_name(hc, name);
    if (check == NULL)
        return COVEY_ERR_NOT_FOUND;
    hc->count--;
    for (; check < &hc->checks[hc->count]; check++)
        check[0] = check[1];
    return COVEY_OK;
}

/* ---- runs ---- */

static covey_time later(covey_time time, covey_time by)
{
    return by < COVEY_NEVER - time ? time + by : COVEY_NEVER;
}

static covey_time elapsed(const struct cv_health_check *check, covey_time now)
{
    return now > check->started ? now - check->started : 0;
}

/* When something is to be done about it. */
static covey_time deadline_of(const struct cv_health_check *check)
{
    switch (check->phase) {
    case CV_CHECK_IDLE:
        return check->due;
    case CV_CHECK_RUNNING:
        return later(check->started, check->timeout);
    case CV_CHECK_HANGING:
        break;
    }
    return COVEY_NEVER;
}

static void set_phase(struct cv_health_check *check, enum cv_check_phase phase)
{
    check->phase = phase;
    check->health.hangs = phase == CV_CHECK_HANGING;
}

bool cv_health_checker_due(struct cv_health_checker *hc, covey_time now, struct cv_check_run *out)
{
    struct cv_health_check *first = NULL;
    for (uint32_t i = 0; i < hc->count; i++) {
        struct cv_health_check *check = &hc->checks[i];
        const bool is_due = check->phase == CV_CHECK_IDLE && check->due <= now;
        if (is_due && (first == NULL || check->due < first->due))
            first = check;
    }
    if (first == NULL)
        return false;
    set_phase(first, CV_CHECK_RUNNING);
    first->run = ++hc->runs;
    first->started = now;
    *out = (struct cv_check_run){.number = first->run, .user = first->user};
    return true;
}

static void set_message(struct cv_health_check *check, struct cv_slice message)
{
    if (message.size > COVEY_CHECK_MESSAGE_MAX)
        message.size = COVEY_CHECK_MESSAGE_MAX;
    const size_t size = message.size == 0 ? 0 : cv_utf8_prefix(message);
    memset(check->health.message, 0, sizeof(check->health.message));
    if (size > 0)
        memcpy(check->health.message, message.data, size);
}

/* A run has an outcome. True when it is worse than Healthy and than before. */
static bool take_outcome(struct cv_health_check *check, covey_time now,
                         enum covey_check_status status, struct cv_slice message)
{
    struct covey_check_health *health = &check->health;
    const enum covey_check_status before = health->status;
    health->last_duration = elapsed(check, now);
    if (status != before)
        health->since = now;
    health->status = status;
    if (status == COVEY_CHECK_HEALTHY)
        health->consecutive_failures = 0;
    else if (health->consecutive_failures < UINT32_MAX)
        health->consecutive_failures++;
    set_message(check, message);
    return status > COVEY_CHECK_HEALTHY && status > before;
}

static enum covey_check_status answer_of(enum covey_check_status status)
{
    return status == COVEY_CHECK_HEALTHY || status == COVEY_CHECK_DEGRADED ? status
                                                                           : COVEY_CHECK_UNHEALTHY;
}

/* The first multiple of the interval that is to come. */
static covey_time next_due(const struct cv_health_check *check, covey_time now)
{
    const covey_time from = now > check->due ? now : check->due;
    return later(from, check->interval - (from - check->due) % check->interval);
}

static struct cv_health_check *find_run(struct cv_health_checker *hc, uint64_t run)
{
    for (uint32_t i = 0; i < hc->count; i++) {
        if (hc->checks[i].run == run && hc->checks[i].phase != CV_CHECK_IDLE)
            return &hc->checks[i];
    }
    return NULL;
}

bool cv_health_checker_result(struct cv_health_checker *hc, covey_time now, uint64_t run,
                              enum covey_check_status status, struct cv_slice message,
                              struct covey_check_health *worse)
{
    struct cv_health_check *check = find_run(hc, run);
    if (check == NULL)
        return false;
    const bool in_time = check->phase == CV_CHECK_RUNNING;
    set_phase(check, CV_CHECK_IDLE);
    check->due = next_due(check, now);
    if (!in_time || !take_outcome(check, now, answer_of(status), message))
        return false;
    *worse = check->health;
    return true;
}

bool cv_health_checker_expire(struct cv_health_checker *hc, covey_time now,
                              struct covey_check_health *worse)
{
    for (uint32_t i = 0; i < hc->count; i++) {
        struct cv_health_check *check = &hc->checks[i];
        if (check->phase != CV_CHECK_RUNNING || deadline_of(check) > now)
            continue;
        set_phase(check, CV_CHECK_HANGING);
        if (!take_outcome(check, now, COVEY_CHECK_UNHEALTHY, cv_slice_text("no answer in time")))
            continue;
        *worse = check->health;
        return true;
    }
    return false;
}

covey_time cv_health_checker_deadline(const struct cv_health_checker *hc)
{
    covey_time first = COVEY_NEVER;
    for (uint32_t i = 0; i < hc->count; i++) {
        const covey_time deadline = deadline_of(&hc->checks[i]);
        if (deadline < first)
            first = deadline;
    }
    return first;
}

/* ---- reading ---- */

struct covey_health_status cv_health_checker_status(const struct cv_health_checker *hc)
{
    enum covey_check_status worst = COVEY_CHECK_HEALTHY;
    for (uint32_t i = 0; i < hc->count; i++) {
        if (hc->checks[i].health.status > worst)
            worst = hc->checks[i].health.status;
    }
    return (struct covey_health_status){
        .size = sizeof(struct covey_health_status), .overall = worst, .check_count = hc->count};
}

struct covey_check_health cv_health_checker_at(const struct cv_health_checker *hc, uint32_t index)
{
    assert(index < hc->count);
    return hc->checks[index].health;
}

const char *covey_check_status_name(enum covey_check_status status)
{
    switch (status) {
    case COVEY_CHECK_UNKNOWN:
        return "unknown";
    case COVEY_CHECK_HEALTHY:
        return "healthy";
    case COVEY_CHECK_DEGRADED:
        return "degraded";
    case COVEY_CHECK_UNHEALTHY:
        return "unhealthy";
    }
    return "?";
}
