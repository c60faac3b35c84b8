/*
 * What is told and when, in any order, against the rules of the states: which edges there are and
 * what must have held for how long, that each change is reported once and none is late, what is
 * expected and who is a minority.
 *
 * The input is  u8 quorum | u8 tie-break | u16 grace | u16 settle | u64 start | operations, each
 * one byte and the numbers it needs. Time passes with updates and ticks only.
 */
#include "cluster/partition_detector.h"

#include "base/reader.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct model {
    struct cv_partition_config config;
    struct cv_partition_status status; /* the last one */
    covey_time now;
    covey_time since; /* quorum is there, or is not, since then */
    bool has_quorum;
    bool wins_tie;
    uint32_t alive;
    uint32_t joined; /* the others that joined and did not leave */
    uint32_t by_hand;
};

static uint32_t model_expected(const struct model *m)
{
    return m->by_hand != 0 ? m->by_hand : m->joined + 1;
}

static void model_update(struct model *m, uint32_t alive, bool holds_lowest_id)
{
    uint64_t share = (uint64_t)alive * 100;
    uint64_t least = (uint64_t)model_expected(m) * m->config.quorum_percent;
    bool had_quorum = m->has_quorum;
    m->alive = alive;
    m->wins_tie = m->config.tie_break && holds_lowest_id;
    m->has_quorum = share > least || (m->wins_tie && m->config.quorum_percent == 50 &&
                                      (uint64_t)alive * 2 == model_expected(m));
    if (m->status.state == CV_PARTITION_UNKNOWN || m->has_quorum != had_quorum)
        m->since = m->now;
}

/* P2: what the state may be now, after what it was. */
static void assert_edge(const struct model *m, enum cv_partition_state to)
{
    enum cv_partition_state from = m->status.state;
    covey_time lasted = m->now - m->since;
    bool is_settled = m->has_quorum && lasted >= m->config.settle;
    bool is_lost = !m->has_quorum && lasted >= m->config.grace;
    switch (from) {
    case CV_PARTITION_UNKNOWN:
    case CV_PARTITION_HEALTHY:
        assert(to == (m->has_quorum ? CV_PARTITION_HEALTHY : CV_PARTITION_SUSPECT));
        return;
    case CV_PARTITION_SUSPECT:
        assert(to == (is_settled ? CV_PARTITION_HEALTHY
                      : is_lost  ? CV_PARTITION_PARTITIONED
                                 : CV_PARTITION_SUSPECT));
        return;
    case CV_PARTITION_PARTITIONED:
        assert(to == (is_settled ? CV_PARTITION_HEALTHY : CV_PARTITION_PARTITIONED));
        return;
    }
    abort();
}

static void assert_grace(const struct model *m, const struct cv_partition_status *status)
{
    if (status->state != CV_PARTITION_SUSPECT) {
        assert(status->grace_remaining == 0);
        return;
    }
    assert(status->grace_remaining > 0 && status->grace_remaining <= m->config.grace);
    covey_time lack = m->has_quorum ? 0 : m->now - m->since;
    assert(status->grace_remaining + lack == m->config.grace);
}

/* P3 and P4, and that nothing is overdue. */
static void assert_status(const struct cv_partition_detector *d, struct model *m)
{
    struct cv_partition_status status = cv_partition_detector_status(d, m->now);
    covey_time deadline = cv_partition_detector_deadline(d);
    uint64_t twice = 2 * (uint64_t)m->alive;
    bool is_minority = twice < status.expected || (twice == status.expected && !m->wins_tie);
    assert(status.expected == model_expected(m) && status.expected >= 1);
    assert(status.alive == m->alive);
    assert(status.minority == (is_minority && status.state != CV_PARTITION_UNKNOWN));
    assert(deadline > m->now);
    assert(status.state != CV_PARTITION_SUSPECT || m->has_quorum || deadline == COVEY_NEVER ||
           deadline - m->now == status.grace_remaining);
    assert_grace(m, &status);
    m->status = status;
}

static void update(struct cv_partition_detector *d, struct model *m, uint32_t alive,
                   bool holds_lowest_id)
{
    model_update(m, alive, holds_lowest_id);
    bool is_changed = cv_partition_detector_update(d, m->now, alive, holds_lowest_id);
    enum cv_partition_state to = cv_partition_detector_status(d, m->now).state;
    assert(is_changed == (to != m->status.state));
    assert_edge(m, to);
}

static void tick(struct cv_partition_detector *d, const struct model *m)
{
    bool is_changed = cv_partition_detector_tick(d, m->now);
    enum cv_partition_state to = cv_partition_detector_status(d, m->now).state;
    assert(is_changed == (to != m->status.state));
    assert(!cv_partition_detector_tick(d, m->now));
    if (m->status.state == CV_PARTITION_UNKNOWN)
        assert(to == CV_PARTITION_UNKNOWN);
    else
        assert_edge(m, to);
}

static void count(struct cv_partition_detector *d, struct model *m, unsigned what,
                  struct cv_reader *r)
{
    if (what == 0) {
        cv_partition_detector_joined(d);
        m->joined++;
    } else if (what == 1) {
        cv_partition_detector_left(d);
        m->joined -= m->joined > 0;
    } else {
        m->by_hand = what == 2 ? cv_read_u16(r) : cv_read_u32(r);
        cv_partition_detector_set_expected(d, m->by_hand);
    }
}

/* Bits 0-2: what; the others are how long it takes, in grace / 8, when time passes. */
static void step(struct cv_partition_detector *d, struct model *m, struct cv_reader *r)
{
    unsigned operation = cv_read_u8(r), what = operation & 7;
    covey_time passed = (operation >> 3) * (m->config.grace / 8) + (operation >> 3 & 1);
    covey_time deadline = cv_partition_detector_deadline(d);
    if (what < 4) {
        count(d, m, what, r);
    } else if (what == 4 && deadline != COVEY_NEVER) {
        m->now = deadline - 1; /* not yet, and then just now */
        tick(d, m);
        m->now = deadline;
        tick(d, m);
    } else {
        m->now += passed < COVEY_NEVER - m->now ? passed : COVEY_NEVER - 1 - m->now;
        if (what == 5)
            tick(d, m);
        else if (what == 6)
            update(d, m, cv_read_u8(r) + UINT32_C(1), cv_read_u8(r) & 1);
        else
            update(d, m, cv_read_u32(r) | 1, true);
    }
    assert_status(d, m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cv_reader r;
    struct cv_partition_detector d;
    struct model m = {.now = 0};
    cv_reader_init(&r, cv_slice_of(data, size));
    m.config.quorum_percent = cv_read_u8(&r) % 99 + UINT32_C(1);
    m.config.tie_break = cv_read_u8(&r) & 1;
    m.config.grace = cv_read_u16(&r) + UINT64_C(1);
    m.config.settle = cv_read_u16(&r);
    m.now = cv_read_u64(&r);
    if (m.now == COVEY_NEVER) /* no time */
        return 0;
    cv_partition_detector_init(&d, &m.config);
    while (cv_reader_left(&r) > 0)
        step(&d, &m, &r);
    return 0;
}
