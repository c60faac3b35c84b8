#ifndef COVEY_UV_H
#define COVEY_UV_H

#include <covey/runtime.h>

/*
 * covey on the user's own libuv loop. Not part of covey/covey.h; libuv's header is not needed here,
 * but the program must use the same libuv (a shared library of version 1) as covey does.
 */
struct uv_loop_s; /* uv_loop_t */

COVEY_BEGIN

/*
 * Makes a runtime that is a few handles of `uv_loop`: handlers, callbacks and timers run inside
 * uv_run(), on the thread that calls it. covey_runtime_config's `mode` and `loops` do not count;
 * `config` may be NULL. On the loop's thread, which is then the runtime's thread (covey/runtime.h).
 * Errors as covey_runtime_new().
 *
 * The handles keep uv_run() from returning until the runtime is freed. covey_runtime_free(), on the
 * loop's thread and not inside a callback of covey's, closes them. libuv finishes that in the loop's
 * next round: run the loop once more, as for any handle, before uv_loop_close(), which else says
 * UV_EBUSY. The last of the memory is released in that round, so the allocator's functions and
 * memory_user must be there until then; the log's need not.
 *
 *     covey_client_free(client);
 *     covey_runtime_free(runtime);
 *     uv_run(loop, UV_RUN_DEFAULT);
 *     uv_loop_close(loop);
 */
COVEY_API COVEY_MUST_USE int covey_uv_runtime_new(const struct covey_runtime_config *config,
                                                  struct uv_loop_s *uv_loop, covey_runtime **out);

COVEY_END

#endif
