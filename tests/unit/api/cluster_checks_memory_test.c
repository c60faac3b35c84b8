#define _GNU_SOURCE
/* What a check said when the core has no memory for it. The core never is without where a test could bring it about:
 * so here the file has another core to speak to, which passes on what it is not to lose. */
#include "api/cluster.h"

static int input_or_lose(struct cv_node *node, struct cv_input *input, covey_time now,
                         uint64_t wall_ms);

#define cv_node_input input_or_lose
#include "api/cluster_checks.c" /* NOLINT(bugprone-suspicious-include): see above */
#undef cv_node_input

#include "unit/api/calling.h"
#include "unit/api/members.h"

#define LOSSES 3

static atomic_uint lost;

static int input_or_lose(struct cv_node *node, struct cv_input *input, covey_time now,
                         uint64_t wall_ms)
{
    if (input->type == CV_INPUT_CHECK_RESULT && atomic_load(&lost) < LOSSES) {
        atomic_fetch_add(&lost, 1);
        return COVEY_ERR_NO_MEMORY;
    }
    return cv_node_input(node, input, now, wall_ms);
}

static enum covey_check_status say_unhealthy(char *message, size_t size, void *user)
{
    atomic_fetch_add((atomic_uint *)user, 1);
    snprintf(message, size, "full");
    return COVEY_CHECK_UNHEALTHY;
}

static enum covey_check_status status_of(covey_cluster *cluster, struct covey_check_health *check)
{
    struct covey_health_status status = {.size = sizeof status};
    *check = (struct covey_check_health){.size = sizeof *check};
    assert_int_equal(covey_cluster_health(cluster, &status, check, 1), 0);
    return check->status;
}

/* It comes again until the core has taken it: else the check would not be run any more. */
static void what_a_check_said_waits_for_memory(void **state)
{
    (void)state;
    static struct world w;
    atomic_uint runs = 0;
    struct member a;
    struct covey_health_check check;
    struct covey_check_health health;
    world_init(&w);
    start(&w, &a, "a", NULL);
    covey_health_check_init(&check);
    check.name = "disk";
    check.run = say_unhealthy;
    check.user = &runs;
    check.interval = check.timeout = 3600 * COVEY_SECOND; /* so it is said once */
    assert_int_equal(covey_cluster_add_check(a.cluster, &check), 0);
    AWAIT(status_of(a.cluster, &health) == COVEY_CHECK_UNHEALTHY);
    assert_string_equal(health.message, "full");
    assert_int_equal(atomic_load(&lost), LOSSES);
    assert_int_equal(atomic_load(&runs), 1);
    stop(&a);
    world_fini(&w);
}

/* One that was removed meanwhile has no last word. */
static void a_removed_check_is_not_waited_for(void **state)
{
    (void)state;
    static struct world w;
    atomic_uint runs = 0;
    struct member a;
    struct covey_health_check check;
    world_init(&w);
    start(&w, &a, "a", NULL);
    atomic_store(&lost, 0);
    covey_health_check_init(&check);
    check.name = "disk";
    check.run = say_unhealthy;
    check.user = &runs;
    assert_int_equal(covey_cluster_add_check(a.cluster, &check), 0);
    AWAIT(atomic_load(&lost) > 0);
    assert_int_equal(covey_cluster_remove_check(a.cluster, "disk"), 0);
    stop(&a);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_check_said_waits_for_memory),
        cmocka_unit_test(a_removed_check_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
