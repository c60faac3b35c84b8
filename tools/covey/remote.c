#include "remote.h"

#include "report.h"

#include <stdlib.h>

covey_identity *load_identity(const char *command, const char *tls)
{
    covey_identity *identity;
    char reason[COVEY_REASON_SIZE] = "";

    const int error = covey_identity_load(tls, &identity, reason);
    if (error == 0)
        return identity;
    report(command, "%s", *reason != '\0' ? reason : covey_strerror(error));
    return NULL;
}

bool remote_open(struct remote *remote, const char *command, const char *tls, const char *address)
{
    struct covey_client_config config;
    int error;

    *remote = (struct remote){0};
    remote->identity = load_identity(command, tls);
    if (remote->identity == NULL)
        return false;
    error = covey_runtime_new(NULL, &remote->runtime);
    if (error != 0) {
        report(command, "cannot start: %s", covey_strerror(error));
        goto fail;
    }
    covey_client_config_init(&config);
    config.runtime = remote->runtime;
    config.identity = remote->identity;
    config.address = address;
    error = covey_client_new(&config, &remote->client);
    if (error != 0) {
        report(command, "--addr %s: %s", address, covey_strerror(error));
        goto fail;
    }
    return true;
fail:
    remote_close(remote);
    return false;
}

void remote_close(struct remote *remote)
{
    covey_client_free(remote->client);
    covey_runtime_free(remote->runtime);
    covey_identity_free(remote->identity);
    *remote = (struct remote){0};
}

int remote_outcome(const char *command, int error, struct covey_reply *reply)
{
    int status = EXIT_SUCCESS;

    if (error == COVEY_ERR_REFUSED && reply->code != COVEY_STATUS_OK)
        status = report(command, "%s: %s", covey_status_name(reply->code), reply->message);
    else if (error != 0)
        status = report(command, "%s", covey_strerror(error));
    covey_reply_clear(reply);
    return status;
}
