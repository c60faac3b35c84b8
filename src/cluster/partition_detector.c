#include "cluster/partition_detector.h"

#include <assert.h>

void cv_partition_detector_init(struct cv_partition_detector *d,
                                const struct cv_partition_config *config)
{
    assert(config->quorum_percent >= 1 && config->quorum_percent <= 99);
    assert(config->grace > 0);
    *d = (struct cv_partition_detector){.config = *config, .learnt = 1};
}

void cv_partition_detector_joined(struct cv_partition_detector *d)
{
    assert(d->learnt < UINT32_MAX);
    d->learnt++;
}

void cv_partition_detector_left(struct cv_partition_detector *d)
{
    if (d->learnt > 1)
        d->learnt--;
}

void cv_partition_detector_set_expected(struct cv_partition_detector *d, uint32_t expected)
{
    d->set_by_hand = expected;
}

static uint32_t expected_size(const struct cv_partition_detector *d)
{
    return d->set_by_hand > 0 ? d->set_by_hand : d->learnt;
}

static bool wins_tie(const struct cv_partition_detector *d)
{
    return d->config.tie_break && d->holds_lowest_id;
}

static bool is_minority(const struct cv_partition_detector *d)
{
    uint64_t twice = 2 * (uint64_t)d->alive;
    uint64_t expected = expected_size(d);
    return twice < expected || (twice == expected && !wins_tie(d));
}

static bool is_quorum(const struct cv_partition_detector *d)
{
    uint64_t share = 100 * (uint64_t)d->alive;
    uint64_t needed = (uint64_t)d->config.quorum_percent * expected_size(d);
    bool is_even_split = share == needed && d->config.quorum_percent == 50;
    return share > needed || (is_even_split && wins_tie(d));
}

/* How long quorum must be there or away until the state changes; COVEY_NEVER: as long as it
 * likes. */
static covey_time patience(const struct cv_partition_detector *d)
{
    switch (d->state) {
    case CV_PARTITION_SUSPECT:
        return d->has_quorum ? d->config.settle : d->config.grace;
    case CV_PARTITION_PARTITIONED:
        return d->has_quorum ? d->config.settle : COVEY_NEVER;
    case CV_PARTITION_UNKNOWN:
    case CV_PARTITION_HEALTHY:
        break;
    }
    return COVEY_NEVER;
}

covey_time cv_partition_detector_deadline(const struct cv_partition_detector *d)
{
    covey_time wait = patience(d);
    return wait < COVEY_NEVER - d->since ? d->since + wait : COVEY_NEVER;
}

bool cv_partition_detector_tick(struct cv_partition_detector *d, covey_time now)
{
    assert(now >= d->since);
    covey_time wait = patience(d);
    if (wait == COVEY_NEVER || now - d->since < wait)
        return false;
    d->state = d->has_quorum ? CV_PARTITION_HEALTHY : CV_PARTITION_PARTITIONED;
    return true;
}

bool cv_partition_detector_update(struct cv_partition_detector *d, covey_time now, uint32_t alive,
                                  bool holds_lowest_id)
{
    assert(now >= d->since && alive >= 1);
    bool is_first = d->state == CV_PARTITION_UNKNOWN;
    bool had_quorum = d->has_quorum;
    d->alive = alive;
    d->holds_lowest_id = holds_lowest_id;
    d->has_quorum = is_quorum(d);
    if (is_first || d->has_quorum != had_quorum)
        d->since = now;
    if (is_first || (d->state == CV_PARTITION_HEALTHY && !d->has_quorum)) {
        d->state = d->has_quorum ? CV_PARTITION_HEALTHY : CV_PARTITION_SUSPECT;
        return true;
    }
    return cv_partition_detector_tick(d, now);
}

static covey_time grace_remaining(const struct cv_partition_detector *d, covey_time now)
{
    if (d->state != CV_PARTITION_SUSPECT)
        return 0;
    if (d->has_quorum)
        return d->config.grace;
    covey_time lack = now - d->since;
    return lack < d->config.grace ? d->config.grace - lack : 0;
}

static covey_time grace_ends(const struct cv_partition_detector *d)
{
    bool runs_down = d->state == CV_PARTITION_SUSPECT && !d->has_quorum;
    return runs_down ? cv_partition_detector_deadline(d) : COVEY_NEVER;
}

/* The least number whose share is above the percentage. */
static uint32_t quorum_of(const struct cv_partition_detector *d)
{
    return (uint32_t)((uint64_t)d->config.quorum_percent * expected_size(d) / 100 + 1);
}

struct cv_partition_status cv_partition_detector_status(const struct cv_partition_detector *d,
                                                        covey_time now)
{
    assert(now >= d->since);
    bool is_known = d->state != CV_PARTITION_UNKNOWN;
    return (struct cv_partition_status){.state = d->state,
                                        .grace_remaining = grace_remaining(d, now),
                                        .grace_ends = grace_ends(d),
                                        .minority = is_known && is_minority(d),
                                        .alive = d->alive,
                                        .expected = expected_size(d),
                                        .quorum = quorum_of(d),
                                        .read_only = d->config.read_only_on_partition &&
                                                     d->state == CV_PARTITION_PARTITIONED};
}
