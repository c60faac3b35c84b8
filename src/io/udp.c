#include "io/udp.h"

#include "io/udp_reader.h"
#include "io/udp_sender.h"

#include <covey/error.h>

struct cv_udp {
    const struct cv_alloc *alloc;
    struct cv_udp_socket socket;
    struct cv_udp_reader *reader;
    struct cv_udp_sender sender;
    struct cv_datagram_sink sink;
};

void cv_udp_config_init(struct cv_udp_config *config)
{
    *config = (struct cv_udp_config){.buffer_size = 4 << 20};
}

static uint8_t *reserve(void *user, size_t size_max)
{
    struct cv_udp *udp = user;
    return cv_udp_sender_reserve(&udp->sender, size_max);
}

static void commit(void *user, const struct cv_address *local, const struct cv_address *remote,
                   uint8_t ecn, size_t size)
{
    struct cv_udp *udp = user;
    cv_udp_sender_commit(&udp->sender, local, remote, ecn, size);
}

static void bulk(void *user, bool is_bulk)
{
    struct cv_udp *udp = user;
    cv_udp_sender_bulk(&udp->sender, is_bulk);
}

int cv_udp_open(const struct cv_udp_config *config, struct cv_udp **out)
{
    struct cv_udp *udp = cv_allocate(config->alloc, sizeof *udp);
    if (udp == NULL)
        return COVEY_ERR_NO_MEMORY;
    udp->alloc = config->alloc;
    int error = cv_udp_socket_open(&udp->socket, config);
    if (error != 0)
        goto fail_socket;
    error = cv_udp_reader_new(config->alloc, &udp->socket, &udp->reader);
    if (error != 0)
        goto fail_reader;
    cv_udp_sender_init(&udp->sender, &udp->socket);
    udp->sink =
        (struct cv_datagram_sink){.reserve = reserve, .commit = commit, .bulk = bulk, .user = udp};
    *out = udp;
    return 0;

fail_reader:
    cv_udp_socket_close(&udp->socket);
fail_socket:
    cv_release(config->alloc, udp);
    return error;
}

void cv_udp_close(struct cv_udp *udp)
{
    cv_udp_reader_free(udp->reader);
    cv_udp_socket_close(&udp->socket);
    cv_release(udp->alloc, udp);
}

int cv_udp_fd(const struct cv_udp *udp)
{
    return udp->socket.fd;
}

struct cv_address cv_udp_local(const struct cv_udp *udp)
{
    return udp->socket.local;
}

enum cv_udp_found cv_udp_receive(struct cv_udp *udp, const struct cv_udp_receiver *receiver,
                                 unsigned batches, bool is_woken)
{
    return cv_udp_reader_run(udp->reader, receiver, batches, is_woken);
}

const struct cv_datagram_sink *cv_udp_sink(struct cv_udp *udp)
{
    return &udp->sink;
}

void cv_udp_send(struct cv_udp *udp)
{
    cv_udp_sender_run(&udp->sender);
}

void cv_udp_stats(const struct cv_udp *udp, struct cv_udp_stats *out)
{
    *out = udp->socket.stats;
}

void cv_udp_features(const struct cv_udp *udp, struct cv_udp_features *out)
{
    *out = udp->socket.features;
}
