#ifndef UNIT_API_DEAF_H
#define UNIT_API_DEAF_H

#include "unit/api/fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* A socket that nobody reads, and its address. */
static inline int open_deaf(char *address, size_t size)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t name_size = sizeof name;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, name_size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &name_size), 0);
    snprintf(address, size, "127.0.0.1:%d", ntohs(name.sin_port));
    return fd;
}

#endif
