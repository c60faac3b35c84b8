#include "io/mailbox.h"

#include <assert.h>
#include <covey/error.h>
#include <pthread.h>
#include <stdatomic.h>

struct cv_mailbox {
    const struct cv_alloc *alloc;
    void (*wake)(void *user);
    void *wake_user;
    uint32_t count_max;
    atomic_uint_fast64_t refused;

    pthread_mutex_t lock; /* of what follows */
    struct cv_mail *first;
    struct cv_mail **end; /* where the next one is linked */
    uint32_t count;
    bool closed;
};

int cv_mailbox_new(const struct cv_alloc *alloc, uint32_t count_max, void (*wake)(void *user),
                   void *wake_user, struct cv_mailbox **out)
{
    struct cv_mailbox *box = cv_allocate(alloc, sizeof *box);
    if (box == NULL)
        return COVEY_ERR_NO_MEMORY;
    *box = (struct cv_mailbox){
        .alloc = alloc, .wake = wake, .wake_user = wake_user, .count_max = count_max};
    box->end = &box->first;
    pthread_mutex_init(&box->lock, NULL);
    *out = box;
    return 0;
}

void cv_mailbox_free(struct cv_mailbox *box)
{
    assert(box->first == NULL);
    pthread_mutex_destroy(&box->lock);
    cv_release(box->alloc, box);
}

static int put(struct cv_mailbox *box, struct cv_mail *mail, bool bounded)
{
    if (box->closed)
        return COVEY_ERR_CLOSED;
    if (bounded && box->count >= box->count_max)
        return COVEY_ERR_BUSY;
    mail->next = NULL;
    *box->end = mail;
    box->end = &mail->next;
    box->count++;
    /* Under the lock: once close() has it, no wake() runs or comes, and what it wakes may go. */
    if (box->count == 1)
        box->wake(box->wake_user);
    return 0;
}

int cv_mailbox_post(struct cv_mailbox *box, struct cv_mail *mail)
{
    pthread_mutex_lock(&box->lock);
    int error = put(box, mail, true);
    pthread_mutex_unlock(&box->lock);
    if (error == COVEY_ERR_BUSY)
        atomic_fetch_add_explicit(&box->refused, 1, memory_order_relaxed);
    return error;
}

void cv_mailbox_post_sure(struct cv_mailbox *box, struct cv_mail *mail)
{
    pthread_mutex_lock(&box->lock);
    int error = put(box, mail, false);
    pthread_mutex_unlock(&box->lock);
    if (error != 0)
        mail->run(mail, true);
}

static struct cv_mail *take_all(struct cv_mailbox *box, bool close)
{
    pthread_mutex_lock(&box->lock);
    struct cv_mail *first = box->first;
    box->first = NULL;
    box->end = &box->first;
    box->count = 0;
    box->closed = box->closed || close;
    pthread_mutex_unlock(&box->lock);
    return first;
}

static unsigned run_all(struct cv_mail *mail, bool cancelled)
{
    unsigned count = 0;
    while (mail != NULL) {
        struct cv_mail *next = mail->next;
        mail->run(mail, cancelled);
        mail = next;
        count++;
    }
    return count;
}

unsigned cv_mailbox_run(struct cv_mailbox *box)
{
    return run_all(take_all(box, false), false);
}

void cv_mailbox_close(struct cv_mailbox *box)
{
    run_all(take_all(box, true), true);
}

uint64_t cv_mailbox_refused(const struct cv_mailbox *box)
{
    return atomic_load_explicit(&box->refused, memory_order_relaxed);
}
