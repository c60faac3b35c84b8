/* What the handler of a call may do with it, on any thread. */
#include "api/call.h"

#include "io/clock.h"

#include <string.h>

/* ---- receiving ---- */

int covey_call_receive(covey_call *call, covey_time timeout, const void **message, size_t *size)
{
    struct cv_slice bytes;
    if (!call->is_stream)
        return COVEY_ERR_CLOSED;
    if (atomic_load(&call->x.is_over))
        return COVEY_ERR_CANCELLED;
    int error = cv_exchange_receive(&call->x, timeout, &bytes);
    if (error == COVEY_ERR_CLOSED && atomic_load(&call->x.is_over))
        return COVEY_ERR_CANCELLED;
    if (error != 0)
        return error;
    *message = bytes.data;
    *size = bytes.size;
    return 0;
}

/* ---- sending ---- */

static int of_exchange(int error)
{
    return error == COVEY_ERR_CLOSED || error == COVEY_ERR_STATE ? COVEY_ERR_CANCELLED : error;
}

int covey_call_send(covey_call *call, const void *message, size_t size)
{
    int error = of_exchange(cv_exchange_send(&call->x, cv_slice_of(message, size)));
    if (error == 0)
        atomic_fetch_add(&call->messages_sent, 1);
    return error;
}

int covey_call_send_metadata(covey_call *call, const struct covey_metadata *set, size_t count)
{
    struct cv_rpc_metadata borrowed[CV_RPC_METADATA_COUNT_MAX];
    int error = cv_metadata_borrow(set, count, borrowed);
    if (error == 0)
        error = cv_rpc_metadata_check(borrowed, count, CV_METADATA_SIZE_MAX);
    if (error != 0)
        return error;
    if (atomic_load(&call->messages_sent) > 0 || atomic_load(&call->has_metadata))
        return COVEY_ERR_STATE;
    error = of_exchange(cv_exchange_send_metadata(&call->x, borrowed, count));
    if (error == 0)
        atomic_store(&call->has_metadata, true);
    return error;
}

int covey_call_wait_writable(covey_call *call, covey_time timeout)
{
    return of_exchange(cv_exchange_wait_room(&call->x, timeout));
}

void covey_call_on_ready(covey_call *call, covey_call_ready ready, void *user)
{
    pthread_mutex_lock(&call->x.lock);
    call->ready = ready;
    call->ready_user = user;
    pthread_mutex_unlock(&call->x.lock);
}

static void set_status(covey_call *call, enum covey_status_code code, const char *text,
                       struct cv_slice details)
{
    const struct cv_alloc *alloc = &call->x.runtime->alloc;
    call->code = cv_call_code(code);
    /* Without memory the code has to do. */
    call->text = text == NULL ? NULL : cv_copy_text(alloc, text, strlen(text));
    if (details.data == NULL || details.size == 0)
        return;
    call->details = cv_allocate(alloc, details.size);
    if (call->details == NULL)
        return;
    memcpy(call->details, details.data, details.size);
    call->details_size = details.size;
}

void covey_call_finish_with(covey_call *call, enum covey_status_code code, const char *text,
                            const void *details, size_t size)
{
    if (atomic_exchange(&call->is_given_back, true))
        return;
    set_status(call, code, text, cv_slice_of(details, size));
    cv_exchange_end(&call->x);
    cv_exchange_leave(&call->x);
}

void covey_call_finish(covey_call *call, enum covey_status_code code, const char *text)
{
    covey_call_finish_with(call, code, text, NULL, 0);
}

/* On the loop's thread, message and status in one. What keeps it from that covey_call_send() finds again. */
static bool reply_at_once(covey_call *call, struct cv_slice message)
{
    if (!cv_loop_in_turn(call->x.loop) || atomic_load(&call->is_given_back) ||
        cv_exchange_reply(&call->x, message) != 0)
        return false;
    call->is_said = true;
    cv_count_up(&call->messages_sent); /* the last one */
    if (atomic_exchange(&call->is_given_back, true))
        return true;
    call->code = COVEY_STATUS_OK;
    cv_exchange_leave_at_once(&call->x);
    return true;
}

void covey_call_reply(covey_call *call, const void *message, size_t size)
{
    if (reply_at_once(call, cv_slice_of(message, size)))
        return;
    int error = covey_call_send(call, message, size);
    if (error == 0 || error == COVEY_ERR_CANCELLED)
        covey_call_finish(call, COVEY_STATUS_OK, NULL);
    else
        covey_call_finish(call, COVEY_STATUS_RESOURCE_EXHAUSTED, covey_strerror(error));
}

/* ---- about the call ---- */

const char *covey_call_method(const covey_call *call)
{
    return call->name;
}

bool covey_call_is_cancelled(const covey_call *call)
{
    return atomic_load(&call->x.is_over);
}

covey_time covey_call_time_left(const covey_call *call)
{
    if (call->deadline == COVEY_NEVER)
        return COVEY_NEVER;
    covey_time now = cv_clock_now();
    return call->deadline > now ? call->deadline - now : 0;
}

const struct covey_metadata *covey_call_metadata(const covey_call *call, size_t *count)
{
    *count = call->metadata.count;
    return call->metadata.set;
}

covey_node_id covey_call_peer_id(const covey_call *call)
{
    return call->caller->id;
}

const char *covey_call_peer_name(const covey_call *call)
{
    return call->caller->name;
}

enum covey_role covey_call_peer_role(const covey_call *call)
{
    return call->caller->role;
}

const void *covey_call_peer_certificate(const covey_call *call, size_t *size)
{
    *size = call->caller->der_size;
    return call->caller->der;
}

const char *const *covey_call_peer_names(const covey_call *call, size_t *count)
{
    *count = call->caller->name_count;
    return call->caller->names;
}
