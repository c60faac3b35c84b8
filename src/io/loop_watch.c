#include "io/loop_internal.h"

#include <covey/error.h>

struct cv_loop_watch {
    uv_poll_t poll;
    struct cv_loop *loop;
    void (*readable)(void *user);
    bool (*look)(void *user); /* or NULL */
    void *user;
    LIST_ENTRY(cv_loop_watch) entry;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct cv_loop_watch *watch = poll->data;
    struct cv_loop *loop = watch->loop;
    (void)events;
    if (loop->begun)
        (void)cv_loop_renew(loop); /* others were read before */
    cv_loop_turn_begin(loop);
    loop->inside = true;
    watch->readable(watch->user);
    loop->inside = false;
    /* libuv stops watching a socket with a pending error (an ICMP message is one). The reader has
     * fetched it by now. */
    if (status != 0 && !uv_is_closing((uv_handle_t *)poll))
        (void)uv_poll_start(poll, UV_READABLE, on_readable);
}

int cv_loop_watch(struct cv_loop *loop, int fd, void (*readable)(void *user), void *user,
                  struct cv_loop_watch **out)
{
    struct cv_loop_watch *watch = cv_allocate_zeroed(&loop->alloc, 1, sizeof *watch);
    if (watch == NULL)
        return COVEY_ERR_NO_MEMORY;
    *watch = (struct cv_loop_watch){.loop = loop, .readable = readable, .user = user};
    int error = uv_poll_init(loop->uv, &watch->poll, fd);
    if (error != 0) {
        cv_release(&loop->alloc, watch);
        return cv_loop_error_of(error);
    }
    watch->poll.data = watch;
    (void)uv_poll_start(&watch->poll, UV_READABLE, on_readable);
    cv_loop_handle_opened(loop);
    LIST_INSERT_HEAD(&loop->watches, watch, entry);
    /* The kernel hears of it in the next round, before which nobody may rely on cv_loop_fd(). */
    cv_loop_again(loop);
    *out = watch;
    return 0;
}

void cv_loop_watch_look(struct cv_loop_watch *watch, bool (*look)(void *user))
{
    watch->look = look;
}

bool cv_loop_look(struct cv_loop *loop)
{
    bool found = false;
    struct cv_loop_watch *watch;
    for (watch = LIST_FIRST(&loop->watches); watch != NULL; watch = loop->next_watch) {
        loop->next_watch = LIST_NEXT(watch, entry);
        if (watch->look != NULL && watch->look(watch->user))
            found = true;
    }
    return found;
}

static void release_watch(uv_handle_t *handle)
{
    struct cv_loop_watch *watch = handle->data;
    struct cv_loop *loop = watch->loop;
    cv_release(&loop->alloc, watch);
    cv_loop_handle_closed(loop);
}

void cv_loop_unwatch(struct cv_loop_watch *watch)
{
    if (watch->loop->next_watch == watch)
        watch->loop->next_watch = LIST_NEXT(watch, entry);
    LIST_REMOVE(watch, entry);
    uv_close((uv_handle_t *)&watch->poll, release_watch);
    cv_loop_again(watch->loop);
}
