#ifndef COVEY_STATUS_H
#define COVEY_STATUS_H

#include <covey/export.h>

COVEY_BEGIN

/*
 * How a call ended: gRPC's status codes by number and name
 * (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md).
 *
 * X(NAME, number)
 */
#define COVEY_STATUSES(X)                                                                          \
    X(OK, 0)                                                                                       \
    X(CANCELLED, 1)                                                                                \
    X(UNKNOWN, 2)                                                                                  \
    X(INVALID_ARGUMENT, 3)                                                                         \
    X(DEADLINE_EXCEEDED, 4)                                                                        \
    X(NOT_FOUND, 5)                                                                                \
    X(ALREADY_EXISTS, 6)                                                                           \
    X(PERMISSION_DENIED, 7)                                                                        \
    X(RESOURCE_EXHAUSTED, 8)                                                                       \
    X(FAILED_PRECONDITION, 9)                                                                      \
    X(ABORTED, 10)                                                                                 \
    X(OUT_OF_RANGE, 11)                                                                            \
    X(UNIMPLEMENTED, 12)                                                                           \
    X(INTERNAL, 13)                                                                                \
    X(UNAVAILABLE, 14)                                                                             \
    X(DATA_LOSS, 15)                                                                               \
    X(UNAUTHENTICATED, 16)

enum covey_status_code {
#define X(name, number) COVEY_STATUS_##name = number,
    COVEY_STATUSES(X)
#undef X
};

/* "DEADLINE_EXCEEDED" for 4; "UNKNOWN" for a number that is no status. Any thread; never freed. */
COVEY_API const char *covey_status_name(enum covey_status_code code);

COVEY_END

#endif
