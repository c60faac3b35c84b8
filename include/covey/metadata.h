#ifndef COVEY_METADATA_H
#define COVEY_METADATA_H

#include <covey/error.h>
#include <covey/types.h>

COVEY_BEGIN

/*
 * What travels beside the messages of a call: pairs of a key and any bytes, in order, keys more than
 * once if wanted. A client sends one set with a call, a server one with its answer. A key has 1 to 64
 * characters of a-z 0-9 . _ - and a set at most 64 pairs, which together take at most 8 KiB on the
 * wire.
 *
 * "traceparent" (W3C Trace Context) is a key like any other; calls made with
 * covey_call_options.parent carry on the one of the call that they are made for.
 */
struct covey_metadata {
    const char *key;   /* NUL-terminated */
    const void *value; /* may be NULL when size is 0 */
    size_t size;
};

/* The first pair of `set` (`count` pairs) with this key; NULL when there is none. */
COVEY_API const struct covey_metadata *covey_metadata_find(const struct covey_metadata *set,
                                                           size_t count, const char *key);

COVEY_END

#endif
