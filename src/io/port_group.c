#include "io/port_group.h"

#include "transport/route.h"

#include <assert.h>
#include <covey/error.h>
#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>

/*
 * How the port stays ours. The first socket is bound without SO_REUSEPORT, so the kernel refuses it
 * when anybody has the port, also somebody who would share it. Only then it is made shareable and
 * the others are bound; a second group fails at its own first socket at any moment.
 *
 * The kernel numbers the sockets of a group in the order of bind(). When one is closed the last one
 * takes its number, so they are closed from the last to the first.
 */

struct cv_port_group {
    const struct cv_alloc *alloc;
    bool has_filter;
    unsigned count; /* of the open ones */
    struct cv_udp *sockets[];
};

/* cv_route_loop() as a filter: the number of the socket. The kernel shows it the UDP payload. A load
 * behind the end of the packet ends the filter with 0. */
static bool attach_filter(int fd, unsigned loop_count)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x80, 0, 2),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6), /* long header */
        BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 1), /* short header */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0),
        BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 1),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, loop_count - 1),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    const struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0;
}

static int log_failure(const struct cv_port_group_config *config, const char *what, int error)
{
    char text[64];
    cv_log_line(config->udp.log, CV_LOG_WARNING, "udp: %s: %s", what,
                strerror_r(error, text, sizeof text));
    return COVEY_ERR_SYSTEM;
}

static int open_first(struct cv_port_group *group, const struct cv_port_group_config *config)
{
    struct cv_udp_config udp = config->udp;
    udp.reuse_port = false;
    int error = cv_udp_open(&udp, &group->sockets[0]);
    if (error != 0)
        return error;
    group->count = 1;
    if (config->count == 1)
        return 0;
    int on = 1;
    if (setsockopt(cv_udp_fd(group->sockets[0]), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        return log_failure(config, "sockets cannot share a port", errno);
    return 0;
}

static int open_others(struct cv_port_group *group, const struct cv_port_group_config *config)
{
    struct cv_udp_config udp = config->udp;
    udp.reuse_port = true;
    udp.bind = cv_udp_local(group->sockets[0]);
    for (; group->count < config->count; group->count++) {
        int error = cv_udp_open(&udp, &group->sockets[group->count]);
        if (error != 0)
            return error;
    }
    return 0;
}

int cv_port_group_open(const struct cv_port_group_config *config, struct cv_port_group **out)
{
    assert(config->count >= 1 && config->count <= CV_ROUTE_LOOPS_MAX);
    struct cv_port_group *group =
        cv_allocate(config->udp.alloc, sizeof *group + config->count * sizeof(struct cv_udp *));
    if (group == NULL)
        return COVEY_ERR_NO_MEMORY;
    *group = (struct cv_port_group){.alloc = config->udp.alloc};
    int error = open_first(group, config);
    if (error == 0)
        error = open_others(group, config);
    if (error != 0) {
        cv_port_group_close(group);
        return error;
    }
    if (group->count > 1 && !config->no_filter) {
        group->has_filter = attach_filter(cv_udp_fd(group->sockets[0]), group->count);
        if (!group->has_filter)
            (void)log_failure(config, "no filter finds the sockets by their loops", errno);
    }
    *out = group;
    return 0;
}

void cv_port_group_close(struct cv_port_group *group)
{
    while (group->count > 0)
        cv_udp_close(group->sockets[--group->count]);
    cv_release(group->alloc, group);
}

unsigned cv_port_group_count(const struct cv_port_group *group)
{
    return group->count;
}

struct cv_udp *cv_port_group_socket(const struct cv_port_group *group, unsigned index)
{
    assert(index < group->count);
    return group->sockets[index];
}

struct cv_address cv_port_group_local(const struct cv_port_group *group)
{
    return cv_udp_local(group->sockets[0]);
}

bool cv_port_group_has_filter(const struct cv_port_group *group)
{
    return group->has_filter;
}
