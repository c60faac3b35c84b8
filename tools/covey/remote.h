#ifndef COVEY_TOOL_REMOTE_H
#define COVEY_TOOL_REMOTE_H

#include "options.h"

#include <covey/client.h>
#include <covey/identity.h>
#include <covey/runtime.h>
#include <stdbool.h>

/* A running member that a command talks to, and the two options that every such command has. */
struct remote {
    covey_identity *identity;
    covey_runtime *runtime;
    covey_client *client;
};

/* How long a question to a member may take in all. */
#define REMOTE_TIMEOUT (10 * COVEY_SECOND)

/* Entries of an option table. */
#define REMOTE_OPTION_TLS(target)                                                                  \
    {                                                                                              \
        .name = "tls", .argument = "DIR", .required = true, .text = (target),                      \
        .help = "the directory of ca.pem, cert.pem and key.pem"                                    \
    }
#define REMOTE_OPTION_ADDR(target)                                                                 \
    {                                                                                              \
        .name = "addr", .argument = "HOST:PORT", .required = true, .text = (target),               \
        .help = "the member to ask"                                                                \
    }

/* Loads the identity and makes a client. Reports what is wrong; nothing is open then. */
bool remote_open(struct remote *remote, const char *command, const char *tls, const char *address);
void remote_close(struct remote *remote);

/* Reports the outcome of one of covey_admin_...() and clears the reply; returns the exit status. */
int remote_outcome(const char *command, int error, struct covey_reply *reply);

/* Loads an identity or reports why not. */
covey_identity *load_identity(const char *command, const char *tls);

#endif
