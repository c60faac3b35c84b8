#ifndef COVEY_SERVER_H
#define COVEY_SERVER_H

#include <covey/call.h>
#include <covey/cluster.h>
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
    const char *advertise; /* what members tell each other; NULL: the listen address, which must
                              then not be a wildcard once the cluster is enabled. Port 0: the port
                              listened on */
};
#define covey_server_config_init(config) covey_server_config_init_sized((config), sizeof *(config))
COVEY_API void covey_server_config_init_sized(struct covey_server_config *config, size_t size);

/*
 * Binds the port; nothing is served before covey_server_start(). 0, or
 *   COVEY_ERR_ADDRESS, COVEY_ERR_ADDRESS_IN_USE, COVEY_ERR_WRONG_ROLE (not a member's certificate),
 *   COVEY_ERR_INVALID_ARGUMENT, COVEY_ERR_CERTIFICATE_EXPIRED, COVEY_ERR_SYSTEM,
 * COVEY_ERR_NO_MEMORY
 */
COVEY_API COVEY_MUST_USE int covey_server_new(const struct covey_server_config *config,
                                              covey_server **out);

/* Who may call a method. */
#define COVEY_ALLOW_MEMBER (1u << COVEY_ROLE_MEMBER)
#define COVEY_ALLOW_CLIENT (1u << COVEY_ROLE_CLIENT)
#define COVEY_ALLOW_ADMIN  (1u << COVEY_ROLE_ADMIN)
#define COVEY_ALLOW_ALL    (COVEY_ALLOW_MEMBER | COVEY_ALLOW_CLIENT | COVEY_ALLOW_ADMIN)

struct covey_method {
    const char *name; /* 1..255 of a-z A-Z 0-9 . _ - /; "covey." is reserved */
    covey_handler handler;
    void *user;
    unsigned allow; /* COVEY_ALLOW_...; 0 means all */
};

/* Before start. The name is copied. 0, COVEY_ERR_EXISTS, COVEY_ERR_INVALID_ARGUMENT,
 * COVEY_ERR_STATE, COVEY_ERR_LIMIT, COVEY_ERR_NO_MEMORY. */
COVEY_API COVEY_MUST_USE int covey_server_add_method(covey_server *server,
                                                     const struct covey_method *method);

/* Begins to accept. 0, COVEY_ERR_STATE. */
COVEY_API COVEY_MUST_USE int covey_server_start(covey_server *server);

/* "127.0.0.1:4433", with the port that was picked; valid as long as the server. */
COVEY_API const char *covey_server_address(const covey_server *server);

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
/* Leaves (at most the leave timeout of 5 s) and goes on serving. 0, COVEY_ERR_STATE,
 * COVEY_ERR_WRONG_THREAD. */
COVEY_API int covey_server_disable_cluster(covey_server *server);
/* Shorthands for the cluster's; COVEY_ERR_STATE when it is not enabled. */
COVEY_API COVEY_MUST_USE int covey_server_update_tag(covey_server *server, const char *key,
                                                     const char *value);
COVEY_API COVEY_MUST_USE int covey_server_cluster_events(covey_server *server,
                                                         covey_event_receiver **out);

/* Tells up to three members that it goes, closes every connection and frees. Calls that are not
 * finished stay valid for their owners, who must still finish them. Not on the runtime's thread:
 * COVEY_ERR_WRONG_THREAD. NULL is allowed. */
COVEY_API int covey_server_free(covey_server *server);

COVEY_END

#endif
