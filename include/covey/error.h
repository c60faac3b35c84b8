#ifndef COVEY_ERROR_H
#define COVEY_ERROR_H

#include <covey/export.h>

COVEY_BEGIN

/*
 * Every function of covey that can fail returns 0 or one of these negative numbers. The numbers are
 * part of the ABI: they never change and are never used again. What a remote method answers is not
 * an error of this kind but a status (covey/status.h).
 *
 * X(NAME, number, text)
 */
#define COVEY_ERRORS(X)                                                                            \
    X(NO_MEMORY, -1, "out of memory")                                                              \
    X(INVALID_ARGUMENT, -2, "invalid argument")                                                    \
    X(STATE, -3, "not possible in this state")                                                     \
    X(WRONG_THREAD, -4, "a blocking call on a thread that must not block")                         \
    X(CLOSED, -5, "closed")                                                                        \
    X(TIMEOUT, -6, "timed out")                                                                    \
    X(WOULD_BLOCK, -7, "nothing there yet")                                                        \
    X(BUSY, -8, "a queue is full")                                                                 \
    X(NOT_FOUND, -9, "not found")                                                                  \
    X(EXISTS, -10, "there is one already")                                                         \
    X(TOO_LARGE, -11, "too large")                                                                 \
    X(MALFORMED, -12, "malformed")                                                                 \
    X(UNSUPPORTED, -13, "not supported")                                                           \
    X(LIMIT, -14, "a limit is reached")                                                            \
    X(CANCELLED, -15, "cancelled")                                                                 \
    X(LAGGED, -16, "events were dropped: the receiver was too slow")                               \
    X(SYSTEM, -17, "the operating system refused")                                                 \
    X(ADDRESS, -18, "not a usable address")                                                        \
    X(ADDRESS_IN_USE, -19, "the address is in use")                                                \
    X(RESOLVE, -20, "the host name cannot be resolved")                                            \
    X(UNREACHABLE, -21, "the peer cannot be reached")                                              \
    X(CONNECTION_LOST, -22, "the connection is lost")                                              \
    X(PROTOCOL, -23, "the peer broke the protocol")                                                \
    X(NO_PROTOCOL, -24, "the peer does not speak this protocol")                                   \
    X(CERTIFICATE, -25, "the certificate is not acceptable")                                       \
    X(CERTIFICATE_EXPIRED, -26, "the certificate is expired or not yet valid")                     \
    X(WRONG_CLUSTER, -27, "the certificate belongs to another cluster")                            \
    X(WRONG_ROLE, -28, "the certificate's role does not allow this")                               \
    X(WRONG_IDENTITY, -29, "the peer is not the node that was expected")                           \
    X(REFUSED, -30, "the peer refused our certificate")                                            \
    X(KEY, -31, "the private key cannot be used")                                                  \
    X(NO_SEEDS_REACHABLE, -32, "no seed is reachable")                                             \
    X(JOIN_TIMEOUT, -33, "a seed was reached but joining did not finish in time")                  \
    X(PARTITIONED, -34, "this node sees no quorum of the cluster and is read-only")                \
    X(POOL_EXHAUSTED, -35, "every connection of the pool is in use")                               \
    X(DRAINING, -36, "the server takes no more calls")                                             \
    X(DENIED, -37, "the node is on the list of those that are denied")

enum covey_error {
    COVEY_OK = 0,
#define X(name, number, text) COVEY_ERR_##name = number,
    COVEY_ERRORS(X)
#undef X
};

/*
 * The text of an error, a constant English phrase without a full stop; "no error" for
 * COVEY_OK, "unknown error" for a number that is none. Any thread; never NULL; never freed.
 */
COVEY_API const char *covey_strerror(int error);

/* The name of an error, "COVEY_ERR_TIMEOUT"; "COVEY_OK" for 0; "COVEY_ERR_?" for a number that is
 * none. Any thread; never NULL; never freed. */
COVEY_API const char *covey_error_name(int error);

COVEY_END

#endif
