#define _GNU_SOURCE
/* A node among others on a loop that the test steps. */
#include "api/host.h"

#include "api/server.h"
#include "io/clock.h"
#include "unit/api/calling.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct lab {
    struct world world;
    covey_server *server;
    int fd; /* connected with the server */
    bool is_long;
};

static uint64_t packets(const struct lab *lab)
{
    struct cv_quic_stats stats;
    cv_quic_endpoint_stats(cv_node_endpoint(lab->server->loops[0].host.node), &stats);
    return stats.packets_received;
}

/* What others on the loop may do before it is the server's turn; meanwhile something comes. */
static void knock(void *user)
{
    struct lab *lab = user;
    static const char nonsense[40];
    const covey_time end = cv_clock_now() + 2 * CV_LOOP_TURN_LONG;
    if (!lab->is_long)
        return;
    lab->is_long = false;
    while (cv_clock_now() < end)
        ;
    assert_int_equal(send(lab->fd, nonsense, sizeof nonsense, 0), sizeof nonsense);
}

static void lab_init(struct lab *lab)
{
    struct covey_runtime_config config;
    struct sockaddr_in to = {.sin_family = AF_INET};
    char ip[32];
    unsigned port;
    memset(lab, 0, sizeof *lab);
    assert_int_equal(covey_pki_make_ca("flock", COVEY_KEY_ED25519, 10, &lab->world.ca), 0);
    covey_runtime_config_init(&config);
    config.mode = COVEY_RUN_STEP;
    assert_int_equal(covey_runtime_new(&config, &lab->world.runtime), 0);
    lab->server = world_server(&lab->world, "owl");
    assert_int_equal(covey_server_start(lab->server), 0);
    assert_int_equal(sscanf(covey_server_address(lab->server), "%31[0-9.]:%u", ip, &port), 2);
    assert_int_equal(inet_pton(AF_INET, ip, &to.sin_addr), 1);
    to.sin_port = htons((uint16_t)port);
    lab->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(lab->fd, (const struct sockaddr *)&to, sizeof to), 0);
    lab->server->loops[0].host.turn = knock;
    lab->server->loops[0].host.turn_user = lab;
}

static void lab_fini(struct lab *lab)
{
    close(lab->fd);
    covey_server_free(lab->server);
    world_fini(&lab->world);
}

/* No timer is run that what came meanwhile would have stopped. */
static void what_came_in_a_long_turn_is_read_before_timers(void **state)
{
    (void)state;
    struct lab lab;
    lab_init(&lab);
    lab.is_long = true;
    assert_int_equal(covey_runtime_step(lab.world.runtime), 0);
    for (unsigned i = 0; i < 100 && lab.is_long; i++) { /* a step may find nothing to do */
        cv_loop_again(lab.server->loops[0].host.loop);
        assert_int_equal(covey_runtime_step(lab.world.runtime), 0);
    }
    assert_false(lab.is_long);
    assert_int_equal(packets(&lab), 1);
    lab_fini(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_in_a_long_turn_is_read_before_timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
