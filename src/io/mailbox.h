#ifndef CV_IO_MAILBOX_H
#define CV_IO_MAILBOX_H

#include "base/alloc.h"

#include <covey/export.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * How other threads ask a loop for something: a bounded queue of mails, any number of writers, one
 * reader. A mail is part of its sender's request and is not copied.
 */
struct cv_mail {
    struct cv_mail *next;
    /* Runs once, on the loop's thread; it may free the mail. `cancelled`: the loop ends, nothing is
     * to be done but to release and to tell the waiting. */
    void (*run)(struct cv_mail *mail, bool cancelled);
};

struct cv_mailbox;

COVEY_MUST_USE int cv_mailbox_new(const struct cv_alloc *alloc, uint32_t count_max,
                                  void (*wake)(void *user), void *wake_user,
                                  struct cv_mailbox **out);
void cv_mailbox_free(struct cv_mailbox *box);

/* Any thread. 0; COVEY_ERR_BUSY at the bound (counted); COVEY_ERR_CLOSED after close(): then the
 * mail was not taken. wake() is called only when the box was empty. */
COVEY_MUST_USE int cv_mailbox_post(struct cv_mailbox *box, struct cv_mail *mail);
/* The same without the bound, for mails whose number is bounded by what they belong to: the last
 * word about a call, say. Taken, or run at once as cancelled after close(). */
void cv_mailbox_post_sure(struct cv_mailbox *box, struct cv_mail *mail);
/* The loop's thread: runs what waits now; mails that these post wait for the next call. Returns how
 * many. */
unsigned cv_mailbox_run(struct cv_mailbox *box);
/* The loop's thread: refuses new mails and runs the waiting ones as cancelled. */
void cv_mailbox_close(struct cv_mailbox *box);
uint64_t cv_mailbox_refused(const struct cv_mailbox *box);

#endif
