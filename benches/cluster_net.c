#include "cluster_net.h"

#include "process.h"

#include <inttypes.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Loopback counts a header like Ethernet's for each packet. */
#define LINK_HEADER 14

static bool loopback_up(void)
{
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    strcpy(request.ifr_name, "lo");
    bool is_up = ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    close(fd);
    return is_up;
}

bool net_isolate(void)
{
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    if (!loopback_up())
        die("cluster: a network namespace without loopback");
    return true;
}

struct net_count net_count(void)
{
    char line[512];
    uint64_t bytes = 0, packets = 0;
    FILE *file = fopen("/proc/self/net/dev", "r");
    if (file == NULL)
        die("cluster: no /proc/self/net/dev");
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, " lo: %" SCNu64 " %" SCNu64, &bytes, &packets) == 2)
            break;
    fclose(file);
    return (struct net_count){.packets = packets, .bytes = bytes - LINK_HEADER * packets};
}
