#ifndef COVEY_SERVER_H
#define COVEY_SERVER_H

#include <covey/call.h>
#include <covey/cluster.h>
#include <covey/interceptor.h>
#include <covey/runtime.h>

COVEY_BEGIN

/*
 * Serves methods over QUIC on one UDP port, with mutual TLS: every caller has a certificate of the
 * cluster's CA. With covey_server_enable_cluster() the same port is a cluster member.
 */
typedef struct covey_server covey_server;

struct covey_server_config {
    size_t size;
    covey_runtime *runtime;         /* must outlive the server */
    const covey_identity *identity; /* of role member; copied */
    const char *listen;             /* "HOST:PORT" in numbers; port 0 picks one */
    const char *advertise;   /* what members tell each other; NULL: the listen address, which must
                              then not be a wildcard once the cluster is enabled. Port 0: the port
                              listened on */
    size_t message_send_max; /* largest message of an answer: 4 MiB, at most 64 MiB */
    size_t message_receive_max;    /* the same for requests; more ends the call with
                                   RESOURCE_EXHAUSTED before the body is read */
    unsigned connections_max;      /* of clients and members: 4096 on each loop */
    unsigned connection_calls_max; /* calls of one connection that run, cancelled ones too: 1024 */
    unsigned calls_max;            /* of all connections together: 4096. Calls above either end with
                                      RESOURCE_EXHAUSTED */
    covey_time connection_age_max; /* a connection is closed when it is so old: 1 h; at least 10 s;
                                      COVEY_NEVER. It never outlives a certificate. Clients replace
                                      theirs before: give both sides the same */
    unsigned
        identity_connections_max; /* of clients with one key, on each loop: 8. More are closed and
                                          counted; UINT_MAX for as many as they like */
    const covey_node_id *denied;  /* refused from the start: covey_server_deny(). Copied */
    size_t denied_count;
};
#define covey_server_config_init(config) covey_server_config_init_sized((config), sizeof *(config))
COVEY_API void covey_server_config_init_sized(struct covey_server_config *config, size_t size);

/*
 * Binds the port; nothing is served before covey_server_start(). 0, or
 *   COVEY_ERR_WRONG_THREAD  on a loop's thread, of a runtime that has several: as for start
 *   COVEY_ERR_ADDRESS, COVEY_ERR_ADDRESS_IN_USE, COVEY_ERR_WRONG_ROLE (not a member's certificate),
 *   COVEY_ERR_INVALID_ARGUMENT, COVEY_ERR_CERTIFICATE_EXPIRED, COVEY_ERR_SYSTEM,
 *   COVEY_ERR_LIMIT (denied_count), COVEY_ERR_NO_MEMORY
 */
COVEY_API COVEY_MUST_USE int covey_server_new(const struct covey_server_config *config,
                                              covey_server **out);

/* Who may call a method. */
#define COVEY_ALLOW_MEMBER (1u << COVEY_ROLE_MEMBER)
#define COVEY_ALLOW_CLIENT (1u << COVEY_ROLE_CLIENT)
#define COVEY_ALLOW_ADMIN  (1u << COVEY_ROLE_ADMIN)
#define COVEY_ALLOW_ALL    (COVEY_ALLOW_MEMBER | COVEY_ALLOW_CLIENT | COVEY_ALLOW_ADMIN)

/* What is left out (zero) has its default. Exactly one of the handlers is set. */
struct covey_method {
    const char *name;      /* 1..255 of a-z A-Z 0-9 . _ - /; "covey." is reserved */
    covey_handler handler; /* for one message from the client */
    void *user;            /* of both handlers and of authorize */
    unsigned allow;        /* COVEY_ALLOW_...; 0 means all */
    /* Its handler runs on a worker thread of the runtime and may wait; when all are busy and their
     * queue is full: RESOURCE_EXHAUSTED. */
    bool blocking;
    /* Changes nothing that others could miss: served while partitioned too, see covey/partition.h. */
    bool read_only;
    covey_call_handler stream_handler; /* for any number of messages */
    covey_call_judge authorize; /* after the role was found good and the interceptors let it pass */
};

/*
 * Serves one more method, before start or after it, from any thread; never waits for a handler. The
 * name is copied. 0, COVEY_ERR_EXISTS, COVEY_ERR_INVALID_ARGUMENT, COVEY_ERR_LIMIT (4096),
 * COVEY_ERR_NO_MEMORY.
 */
#define covey_server_add_method(server, method)                                                    \
    covey_server_add_method_sized((server), (method), sizeof *(method))
COVEY_API COVEY_MUST_USE int
covey_server_add_method_sized(covey_server *server, const struct covey_method *method, size_t size);
/* One more that sees every call; they begin in this order and end in the opposite one. Before start.
 * 0, COVEY_ERR_STATE, COVEY_ERR_LIMIT (8). */
COVEY_API COVEY_MUST_USE int
covey_server_add_interceptor(covey_server *server,
                             const struct covey_server_interceptor *interceptor);

/*
 * Begins to accept, once. 0, COVEY_ERR_STATE, COVEY_ERR_WRONG_THREAD; or COVEY_ERR_SYSTEM,
 * COVEY_ERR_BUSY (too much waits for a loop), COVEY_ERR_NO_MEMORY: then it can only be freed.
 *
 * Every server has these methods of its own:
 *   covey.health           "serving"; or UNAVAILABLE with the detail "unhealthy" while one of the checks of
 *                          covey_cluster_add_check() is COVEY_CHECK_UNHEALTHY. Other methods are served
 *                          all the same. A server that drains refuses it like every other call
 *   covey.methods          a line for each method, in the order of their names: its name; "unary" if
 *                          it takes one message, "stream" if any number, whatever it answers; and
 *                          the roles that `allow` lets call it, with commas
 *   covey.server.*, covey.cluster.*, covey.admin.*   what covey/admin.h asks for
 */
COVEY_API COVEY_MUST_USE int covey_server_start(covey_server *server);

/* "127.0.0.1:4433", with the port that was picked; valid as long as the server. */
COVEY_API const char *covey_server_address(const covey_server *server);

/*
 * Stops in good order: from now on new calls are refused with UNAVAILABLE, in a way that tells
 * clients that they were not begun, so that they make them elsewhere; running ones may finish within
 * `timeout`. Then those that are left are cancelled and every RPC connection is closed. Membership
 * goes on: leave first if others shall not look for the server any more. Returns 0 when all calls
 * finished, COVEY_ERR_TIMEOUT when some were cancelled, COVEY_ERR_STATE (not started, or draining
 * already), COVEY_ERR_WRONG_THREAD.
 */
COVEY_API int covey_server_drain(covey_server *server, covey_time timeout);

/*
 * Revokes: the holders of these keys, members, clients and admins, are refused from now on, whatever
 * certificate they show, in place of those that were refused before; none (count 0) refuses nobody.
 * Connections that they have, for calls and for gossip, are closed at once; handshakes that come later
 * end with an alert (certificate_revoked) and are counted, and this node does not accept them where it
 * dials either. The balancers and the cluster clients of its cluster leave them out from then on;
 * calls and streams that those have open to them end with UNAVAILABLE. A covey_client is the
 * program's own: it knows no list. The others of the cluster do not learn of it: give each node the
 * list. A member that only some deny stays a member, of which those hear through the others. `ids`
 * is copied; any order. 0, or
 *   COVEY_ERR_LIMIT  more than COVEY_DENIED_MAX; nothing changed
 *   COVEY_ERR_INVALID_ARGUMENT, COVEY_ERR_WRONG_THREAD (a loop's, unless it is the only one); nothing
 *                    changed
 *   COVEY_ERR_NO_MEMORY  some loops may have the new list: try again
 */
#define COVEY_DENIED_MAX 16384
COVEY_API COVEY_MUST_USE int covey_server_deny(covey_server *server, const covey_node_id *ids,
                                               size_t count);

/*
 * Presents a renewed certificate of the same key, and trusts other CAs, on connections made from now
 * on; those that there are go on undisturbed until their end. Change a CA in steps: trust the old and
 * the new one everywhere, then issue, then trust the new one alone. 0, or nothing changed:
 *   COVEY_ERR_WRONG_IDENTITY  another key or name: a server is its key
 *   COVEY_ERR_WRONG_CLUSTER, COVEY_ERR_WRONG_ROLE, COVEY_ERR_CERTIFICATE_EXPIRED
 *   COVEY_ERR_INVALID_ARGUMENT, COVEY_ERR_WRONG_THREAD (a loop's)
 *   COVEY_ERR_NO_MEMORY  some loops may have the new one: try again
 */
COVEY_API COVEY_MUST_USE int covey_server_reload(covey_server *server,
                                                 const covey_identity *identity);

/* Why a peer was refused in the handshake, by the server or where it dialled. X(name) */
#define COVEY_REFUSALS(X)                                                                          \
    X(no_certificate)                                                                              \
    X(untrusted) /* the chain does not end in our CA, or is broken */                              \
    X(self_signed)                                                                                 \
    X(expired)                                                                                     \
    X(not_yet_valid)                                                                               \
    X(wrong_cluster)                                                                               \
    X(wrong_role)     /* that of a client, for gossip or where a server was dialled */             \
    X(wrong_identity) /* not the node that was dialled */                                          \
    X(denied)         /* covey_server_deny() */                                                    \
    X(no_protocol)    /* no ALPN in common */                                                      \
    X(malformed)      /* an unreadable certificate */                                              \
    X(chain_too_long) /* more than 4 certificates or 16 KiB */                                     \
    X(costly_key)     /* a key that is slow to verify with, or of an unknown kind */               \
    X(no_name)        /* no usable covey:// URI */                                                 \
    X(wrong_usage)    /* key usages that do not fit the role */

/* What a server does and did. X(number, name, text); the numbers are the wire's and never change.
 * Refusals are of handshakes, and among handshakes_failed. */
#define COVEY_SERVER_COUNTERS(X)                                                                   \
    X(1, connections, "connections for calls now: of clients, and of members that make some")      \
    X(2, calls, "calls now: begun and not finished by their handlers")                             \
    X(3, calls_begun, "calls in all: given to a handler")                                          \
    X(4, calls_refused, "UNIMPLEMENTED, PERMISSION_DENIED, a judge's word, read-only")             \
    X(5, calls_exhausted, "refused for a limit: calls_max, connection_calls_max, workers")         \
    X(6, calls_rejected, "refused while draining")                                                 \
    X(7, calls_cancelled, "by their clients, or with their connections")                           \
    X(8, deadlines_exceeded, "calls whose deadline passed")                                        \
    X(9, protocol_errors, "frames that clients got wrong")                                         \
    X(10, handshakes_failed, "handshakes failed")                                                  \
    X(11, connections_refused, "for identity_connections_max")                                     \
    X(12, connections_denied, "closed by covey_server_deny()")                                     \
    X(13, times_held_up, "found by the watchdog of covey/runtime.h")                               \
    X(14, refused_no_certificate, "refused: no certificate")                                       \
    X(15, refused_untrusted, "refused: of no CA of ours, or broken")                               \
    X(16, refused_self_signed, "refused: self-signed")                                             \
    X(17, refused_expired, "refused: expired")                                                     \
    X(18, refused_not_yet_valid, "refused: not yet valid")                                         \
    X(19, refused_wrong_cluster, "refused: of another cluster")                                    \
    X(20, refused_wrong_role, "refused: a client where a member belongs")                          \
    X(21, refused_wrong_identity, "refused: not the node that was dialled")                        \
    X(22, refused_denied, "refused: denied by covey_server_deny()")                                \
    X(23, refused_no_protocol, "refused: no ALPN in common")                                       \
    X(24, refused_malformed, "refused: an unreadable certificate")                                 \
    X(25, refused_chain_too_long, "refused: too long a chain")                                     \
    X(26, refused_costly_key, "refused: a key that is slow to verify with")                        \
    X(27, refused_no_name, "refused: no usable covey:// name")                                     \
    X(28, refused_wrong_usage, "refused: key usages that do not fit the role")

struct covey_server_stats {
    size_t size; /* of this struct as the caller knows it */
#define X(number, name, text) uint64_t name;
    COVEY_SERVER_COUNTERS(X)
#undef X
};
/* Asks each loop, so it waits for what runs there. 0, COVEY_ERR_WRONG_THREAD on a loop's thread,
 * COVEY_ERR_INVALID_ARGUMENT (stats->size). */
COVEY_API int covey_server_stats(covey_server *server, struct covey_server_stats *stats);

/*
 * Joins a cluster through any of the seeds ("HOST:PORT", names too); without seeds it starts one.
 * Returns after checking its arguments; covey_cluster_wait_joined() waits for the outcome. 0, or
 *   COVEY_ERR_EXISTS         enabled already
 *   COVEY_ERR_ADDRESS        a seed, or no advertised address and a wildcard listen address
 *   COVEY_ERR_WRONG_IDENTITY config->node_id is not the certificate's
 *   COVEY_ERR_TOO_LARGE, COVEY_ERR_INVALID_ARGUMENT (tags), COVEY_ERR_STATE (not started),
 * COVEY_ERR_NO_MEMORY
 */
COVEY_API COVEY_MUST_USE int covey_server_enable_cluster(covey_server *server,
                                                         const struct covey_cluster_config *config,
                                                         const char *const *seeds,
                                                         size_t seed_count);
/* NULL before enable_cluster and after disable_cluster. Valid until then. */
COVEY_API covey_cluster *covey_server_cluster(covey_server *server);
/* Leaves (at most the leave timeout of 5 s), waits for health checks that run and goes on serving. Handlers of
 * events are not waited for: free the receivers whose handlers use the cluster before. 0, COVEY_ERR_STATE,
 * COVEY_ERR_WRONG_THREAD, what else covey_cluster_leave() says. */
COVEY_API int covey_server_disable_cluster(covey_server *server);
/* Shorthands for the cluster's; COVEY_ERR_STATE when it is not enabled. */
COVEY_API COVEY_MUST_USE int covey_server_update_tag(covey_server *server, const char *key,
                                                     const char *value);
COVEY_API COVEY_MUST_USE int covey_server_cluster_events(covey_server *server,
                                                         covey_event_receiver **out);

/* Leaves as by covey_cluster_shutdown_immediate(), if it is in a cluster, closes every connection and frees.
 * Calls that are not finished stay valid for their owners, who must still finish them; handlers that run on
 * worker threads see their calls cancelled and are waited for: until they return the server is there for them.
 * So are health checks that run. Handlers of events are not: free the receivers whose handlers use the cluster
 * before. Where the calling thread makes the runtime's turns (COVEY_RUN_STEP, _UV) it makes them while it waits:
 * handlers and callbacks of the same runtime run inside. COVEY_ERR_WRONG_THREAD inside a handler or callback of
 * the library's. NULL is allowed. */
COVEY_API int covey_server_free(covey_server *server);

COVEY_END

#endif
