#include "api/exchange_internal.h"

#include <assert.h>
#include <string.h>

static void service(struct cv_exchange *x);

/* ---- messages ---- */

struct cv_exchange_message *cv_exchange_message_new(struct cv_exchange *x, struct cv_slice bytes)
{
    struct cv_exchange_message *m = cv_pool_take(&x->runtime->pool, sizeof *m + bytes.size);
    if (m == NULL)
        return NULL;
    *m = (struct cv_exchange_message){.size = bytes.size};
    if (bytes.size > 0)
        memcpy(m->bytes, bytes.data, bytes.size);
    return m;
}

void cv_exchange_message_free(struct cv_exchange *x, struct cv_exchange_message *m)
{
    if (m == NULL)
        return;
    cv_metadata_clear(x->runtime, &m->metadata);
    cv_pool_give(&x->runtime->pool, m, sizeof *m + m->size);
}

static void drop_all(struct cv_exchange *x, struct cv_exchange_messages *list)
{
    struct cv_exchange_message *m;
    while ((m = STAILQ_FIRST(list)) != NULL) {
        STAILQ_REMOVE_HEAD(list, entry);
        cv_exchange_message_free(x, m);
    }
}

/* ---- life ---- */

static void run_service(struct cv_mail *mail, bool cancelled)
{
    (void)cancelled; /* what can be done without a loop is done by who ends it */
    service(
        (struct cv_exchange *)(void *)((unsigned char *)mail - offsetof(struct cv_exchange, mail)));
}

void cv_exchange_init(struct cv_exchange *x, const struct cv_exchange_kind *kind,
                      covey_runtime *runtime, struct cv_loop *loop, size_t message_size_max)
{
    *x = (struct cv_exchange){
        .kind = kind,
        .runtime = runtime,
        .loop = loop,
        .message_size_max = message_size_max,
        .references = 2,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .mail = {.run = run_service},
    };
    STAILQ_INIT(&x->out);
    STAILQ_INIT(&x->in);
    LIST_INIT(&x->waiters);
}

void cv_exchange_fini(struct cv_exchange *x)
{
    assert(x->references == 0 && x->rpc == NULL);
    cv_exchange_message_free(x, x->current);
    drop_all(x, &x->in);
    drop_all(x, &x->out);
    pthread_mutex_destroy(&x->lock);
}

static void retain(struct cv_exchange *x)
{
    atomic_fetch_add_explicit(&x->references, 1, memory_order_relaxed);
}

/* What others did with it before they let go has happened when the last one frees it. */
static void release(struct cv_exchange *x)
{
    unsigned before = atomic_fetch_sub(&x->references, 1);
    assert(before > 0);
    if (before == 1)
        x->kind->free(x);
}

/* The same on the loop's thread, without a locked instruction where no other thread is left. */
static void release_here(struct cv_exchange *x)
{
    unsigned before = atomic_load_explicit(&x->references, memory_order_relaxed);
    if (!x->left_here) {
        release(x);
        return;
    }
    assert(before > 0);
    atomic_store_explicit(&x->references, before - 1, memory_order_relaxed);
    if (before == 1)
        x->kind->free(x);
}

void cv_exchange_leave_here(struct cv_exchange *x)
{
    x->user_is_gone = true;
    x->wants_room = x->wants_message = false;
    x->left_here = !x->is_shared;
    release_here(x);
}

void cv_exchange_retain_locked(struct cv_exchange *x)
{
    x->is_shared = true;
    retain(x);
}

void cv_exchange_release_and_unlock(struct cv_exchange *x)
{
    pthread_mutex_unlock(&x->lock);
    release(x);
}

/* With the lock held. */
void cv_exchange_post_locked(struct cv_exchange *x)
{
    if (x->mail_is_out)
        return;
    x->mail_is_out = true;
    retain(x);
    cv_loop_post_sure(x->loop, &x->mail);
}

void cv_exchange_post(struct cv_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    cv_exchange_post_locked(x);
    pthread_mutex_unlock(&x->lock);
}

/* Straight through. COVEY_ERR_BUSY: it has to wait after all. */
int cv_exchange_send_now(struct cv_exchange *x, struct cv_slice message)
{
    if (x->rpc == NULL)
        return COVEY_ERR_BUSY;
    int error = cv_link_send(x->link, x->rpc, message, false, cv_loop_now(x->loop));
    return error == COVEY_ERR_STATE ? COVEY_ERR_CLOSED : error;
}

int cv_exchange_metadata_now(struct cv_exchange *x, const struct cv_rpc_metadata *set, size_t count)
{
    struct cv_rpc_input send = {.type = CV_RPC_SEND_METADATA,
                                .send_metadata = {.entries = set, .count = count}};
    if (x->rpc == NULL)
        return COVEY_ERR_CLOSED;
    int error = cv_exchange_step(x, &send);
    return error == COVEY_ERR_STATE ? COVEY_ERR_CLOSED : error;
}

int cv_exchange_reply(struct cv_exchange *x, struct cv_slice message)
{
    if (x->rpc == NULL || message.size > CV_EXCHANGE_REPLY_MAX || atomic_load(&x->out_size) > 0 ||
        atomic_load(&x->out_ended) || atomic_load(&x->is_over) ||
        (message.data == NULL && message.size > 0) || message.size > x->message_size_max)
        return COVEY_ERR_BUSY;
    return cv_link_reply(x->link, x->rpc, message, cv_loop_now(x->loop));
}

/* Once, when nothing waits any more. */
void cv_exchange_end_now(struct cv_exchange *x)
{
    if (x->end_done)
        return;
    x->end_done = true;
    x->kind->end(x);
}

void cv_exchange_leave_at_once(struct cv_exchange *x)
{
    assert(x->rpc != NULL && !x->user_is_gone);
    atomic_store_explicit(&x->out_ended, true, memory_order_release);
    cv_exchange_end_now(x);
    cv_exchange_leave_here(x);
}

/* With the lock held. */
bool cv_exchange_has_something(const struct cv_exchange *x)
{
    return !STAILQ_EMPTY(&x->in) || x->in_ended || atomic_load(&x->is_over);
}

/* ---- the loop's thread ---- */

int cv_exchange_step(struct cv_exchange *x, struct cv_rpc_input *input)
{
    input->now = cv_loop_now(x->loop);
    input->call = x->rpc;
    return cv_link_step(x->link, input);
}

static struct cv_exchange_message *first_out(struct cv_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    struct cv_exchange_message *m = STAILQ_FIRST(&x->out);
    pthread_mutex_unlock(&x->lock);
    return m;
}

static void drop_first_out(struct cv_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    struct cv_exchange_message *m = STAILQ_FIRST(&x->out);
    STAILQ_REMOVE_HEAD(&x->out, entry);
    size_t left = atomic_fetch_sub(&x->out_size, m->size + CV_EXCHANGE_MESSAGE_COST) - m->size -
                  CV_EXCHANGE_MESSAGE_COST;
    if (left <= CV_EXCHANGE_QUEUED_MAX)
        cv_exchange_changed_locked(x);
    pthread_mutex_unlock(&x->lock);
    cv_exchange_message_free(x, m);
}

static int hand_on(struct cv_exchange *x, const struct cv_exchange_message *m)
{
    struct cv_rpc_metadata set[CV_RPC_METADATA_COUNT_MAX];
    if (atomic_load(&x->is_over))
        return COVEY_ERR_CLOSED;
    if (!m->is_metadata)
        return cv_exchange_send_now(x, cv_slice_of(m->bytes, m->size));
    int error = cv_metadata_borrow(m->metadata.set, m->metadata.count, set);
    return error != 0 ? error : cv_exchange_metadata_now(x, set, m->metadata.count);
}

/* Hands on what waits. False when the RPC layer takes no more now. */
static bool send_waiting(struct cv_exchange *x)
{
    struct cv_exchange_message *m;
    while ((m = first_out(x)) != NULL) {
        int error = hand_on(x, m);
        if (error == COVEY_ERR_BUSY)
            return false;
        drop_first_out(x);
        if (error != 0 && error != COVEY_ERR_CLOSED)
            x->kind->fail(x, error);
    }
    return true;
}

/* The peer may send as much again as was read. */
static void tell_read(struct cv_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    size_t count = x->rpc == NULL ? 0 : x->read_count;
    size_t size = x->read_size;
    if (count > 0)
        x->read_count = x->read_size = 0;
    pthread_mutex_unlock(&x->lock);
    for (size_t i = 0; i < count; i++) {
        struct cv_rpc_input read = {.type = CV_RPC_READ, .read = {.size = i == 0 ? size : 0}};
        cv_exchange_step(x, &read);
    }
}

/* What he waited for is there. */
static bool take_ready(struct cv_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool over = atomic_load(&x->is_over) && !x->told_over;
    bool room = x->wants_room && atomic_load(&x->out_size) <= CV_EXCHANGE_QUEUED_MAX / 2;
    bool message = x->wants_message && cv_exchange_has_something(x);
    bool is_due = !x->user_is_gone && (over || room || message);
    if (is_due) {
        x->told_over = x->told_over || over;
        x->wants_room = x->wants_room && !room;
        x->wants_message = x->wants_message && !message;
        x->is_telling = true;
    }
    pthread_mutex_unlock(&x->lock);
    return is_due;
}

static void tell_user(struct cv_exchange *x)
{
    if (!take_ready(x))
        return;
    x->kind->ready(x);
    pthread_mutex_lock(&x->lock);
    x->is_telling = false;
    cv_exchange_changed_locked(x);
    pthread_mutex_unlock(&x->lock);
}

/* All that may be due; the caller has a reference. */
static void work(struct cv_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    bool begin = x->begin_wanted;
    bool cancel = x->cancel_wanted;
    x->begin_wanted = x->cancel_wanted = false;
    pthread_mutex_unlock(&x->lock);
    if (begin)
        x->kind->begin(x);
    if (cancel)
        x->kind->cancel(x);
    tell_read(x);
    bool has_way = x->rpc != NULL || atomic_load(&x->is_over);
    if (send_waiting(x) && has_way && atomic_load(&x->out_ended))
        cv_exchange_end_now(x);
    tell_user(x);
}

static void service(struct cv_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->mail_is_out = false;
    pthread_mutex_unlock(&x->lock);
    work(x);
    release(x);
}

void cv_exchange_writable(struct cv_exchange *x)
{
    retain(x);
    work(x);
    release(x);
}

void cv_exchange_start(struct cv_exchange *x, struct cv_link *link, struct cv_rpc_call *rpc)
{
    x->link = link;
    x->rpc = rpc;
    cv_exchange_writable(x);
}

int cv_exchange_message(struct cv_exchange *x, struct cv_slice message)
{
    struct cv_exchange_message *m = cv_exchange_message_new(x, message);
    if (m == NULL)
        return COVEY_ERR_NO_MEMORY;
    retain(x);
    pthread_mutex_lock(&x->lock);
    if (x->user_is_gone) {
        x->read_count++;
        x->read_size += m->size;
    } else {
        STAILQ_INSERT_TAIL(&x->in, m, entry);
        m = NULL;
        cv_exchange_changed_locked(x);
    }
    pthread_mutex_unlock(&x->lock);
    cv_exchange_message_free(x, m);
    if (m != NULL)
        tell_read(x);
    tell_user(x);
    release(x);
    return 0;
}

static void note(struct cv_exchange *x, bool in_ended, bool is_over)
{
    retain(x);
    pthread_mutex_lock(&x->lock);
    x->in_ended = x->in_ended || in_ended;
    if (is_over)
        atomic_store(&x->is_over, true);
    cv_exchange_changed_locked(x);
    pthread_mutex_unlock(&x->lock);
    if (is_over)
        send_waiting(x); /* drops it */
    if (is_over && atomic_load(&x->out_ended))
        cv_exchange_end_now(x);
    tell_user(x);
    release(x);
}

void cv_exchange_peer_ended(struct cv_exchange *x)
{
    note(x, true, false);
}

void cv_exchange_over(struct cv_exchange *x)
{
    note(x, false, true);
}

void cv_exchange_detach(struct cv_exchange *x)
{
    x->link = NULL;
    x->rpc = NULL;
    release_here(x);
}

void cv_exchange_release(struct cv_exchange *x)
{
    struct cv_rpc_input end = {.type = CV_RPC_RELEASE};
    if (x->rpc != NULL) {
        cv_rpc_call_set_user(x->rpc, NULL);
        cv_exchange_step(x, &end);
    }
    cv_exchange_detach(x);
}
