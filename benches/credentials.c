#include "credentials.h"

#include "process.h"

void credentials_make_ca(struct covey_pem *ca)
{
    int error = covey_pki_make_ca("bench", COVEY_KEY_ED25519, 1, ca);
    if (error != 0)
        die("CA: %s", covey_strerror(error));
}

void credentials_issue(const struct covey_pem *ca, const char *name, enum covey_role role,
                       struct covey_pem *out)
{
    struct covey_issue_config config;
    covey_issue_config_init(&config);
    config.name = name;
    config.role = role;
    config.days = 1;
    int error = covey_pki_issue(ca->cert, ca->key, &config, out);
    if (error != 0)
        die("certificate: %s", covey_strerror(error));
}

void credentials_make(struct credentials *credentials)
{
    credentials_make_ca(&credentials->ca);
    credentials_issue(&credentials->ca, "server", COVEY_ROLE_MEMBER, &credentials->server);
    credentials_issue(&credentials->ca, "client", COVEY_ROLE_CLIENT, &credentials->client);
}

void credentials_free(struct credentials *credentials)
{
    covey_pem_free(&credentials->ca);
    covey_pem_free(&credentials->server);
    covey_pem_free(&credentials->client);
}

covey_identity *credentials_identity(const struct credentials *credentials,
                                     const struct covey_pem *own)
{
    covey_identity *identity;
    char reason[COVEY_REASON_SIZE];
    int error =
        covey_identity_from_pem(credentials->ca.cert, own->cert, own->key, &identity, reason);
    if (error != 0)
        die("identity: %s", covey_strerror(error));
    return identity;
}
