#ifndef CV_QUIC_LIFETIME_H
#define CV_QUIC_LIFETIME_H

#include <covey/export.h>
#include <covey/types.h>
#include <stdbool.h>

/*
 * How long a connection may live. It has two ends: by its age, on the monotonic clock, which makes
 * every peer show its certificate anew within a known time; and by the certificates that opened it,
 * on the wall clock, which may jump. Some time before the earlier one it retires: new work goes to
 * another connection, and what runs here has the rest of the time to finish.
 *
 *     ready                             retires                              end
 *       |------------------------------|.........|------------+--------------|
 *       0                             4/6       5/6         11/12            1   of the span
 *                                      who dialled       who accepted
 *
 * Who dialled is the one that can open another connection; it retires at a random moment between
 * 4/6 and 5/6, so that connections that were made in one moment, after a restart, are not all made
 * anew in one moment too. Who accepted waits until 11/12: with equal settings the dialler has gone
 * by then, and only a dialler with a longer age meets an end here that it does not know of.
 *
 * These are shares of the span from ready to the end. A sixth of an hour is ten minutes, time enough
 * for what a call does, and no share becomes more than that: a year's certificate needs no months.
 *
 * Pure. One thread at a time.
 */
#define CV_LIFETIME_MARGIN_MAX (600 * COVEY_SECOND)

/* A shorter span has no time to retire in: it only ends. It also bounds how often a peer is dialled
 * again whose certificate ends soon and is not renewed: each new connection lives two thirds of the
 * rest at least, so there are six in the last hour. */
#define CV_LIFETIME_SPAN_MIN (10 * COVEY_SECOND)

struct cv_lifetime_config {
    covey_time age_max;      /* COVEY_NEVER: no end by age */
    uint64_t valid_until_ms; /* the certificates' end, wall clock, itself inside */
    bool is_accepted;
    uint64_t random; /* any number, another one for each connection */
};

struct cv_lifetime {
    covey_time retire_at; /* by age */
    covey_time end_at;
    uint64_t retire_wall_ms; /* by certificate */
    uint64_t end_wall_ms;
    bool is_retiring;
};

void cv_lifetime_init(struct cv_lifetime *life, const struct cv_lifetime_config *config,
                      covey_time now, uint64_t wall_ms);

enum cv_lifetime_verdict {
    CV_LIFETIME_GOES_ON,
    CV_LIFETIME_RETIRES, /* once */
    CV_LIFETIME_AGED,    /* over */
    CV_LIFETIME_EXPIRED  /* over, by a certificate */
};

/* What is to be done now. */
enum cv_lifetime_verdict cv_lifetime_judge(struct cv_lifetime *life, covey_time now,
                                           uint64_t wall_ms);
/* When to ask again, unless the wall clock jumps. */
covey_time cv_lifetime_deadline(const struct cv_lifetime *life, covey_time now, uint64_t wall_ms);

#endif
