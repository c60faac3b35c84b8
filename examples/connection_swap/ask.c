/*
 * How many get_worker calls a director answers in a second: so many under way at any time, on one
 * connection, for some seconds. Every answer is read; one that names no worker is an error.
 *
 *     ask --tls DIR --director HOST:PORT [--inflight N] [--seconds S] [--at-least N] [--json]
 *
 * With --at-least it ends with status 1, too, when there are fewer in a second than that.
 */
#include "arguments.h"
#include "assignment.h"
#include "clock.h"
#include "say.h"

#include <covey/client.h>
#include <stdio.h>
#include <stdlib.h>

#define INFLIGHT_MAX 1000

struct load {
    covey_client *client;
    covey_time end;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned under_way;
    /* The rest belongs to the loop's thread until nothing is under way. */
    uint64_t answers;
    uint64_t errors;
    covey_time last_at;
};

static void take_answer(const struct covey_reply *reply, void *user);

/* False: the call could not be made. */
static bool ask_one(struct load *load)
{
    return covey_client_call_async(load->client, "get_worker", NULL, 0, NULL, take_answer, load) ==
           0;
}

static void end_one(struct load *load)
{
    pthread_mutex_lock(&load->mutex);
    if (--load->under_way == 0)
        pthread_cond_signal(&load->changed);
    pthread_mutex_unlock(&load->mutex);
}

/* The next one begins where one ended. */
static void take_answer(const struct covey_reply *reply, void *user)
{
    struct load *load = user;
    struct assignment worker;

    load->last_at = clock_now();
    if (reply->code == COVEY_STATUS_OK && assignment_read(&worker, reply->data, reply->size))
        load->answers++;
    else
        load->errors++;
    if (load->last_at >= load->end || reply->code != COVEY_STATUS_OK || !ask_one(load))
        end_one(load);
}

struct plan {
    unsigned inflight;
    unsigned seconds;
    unsigned at_least;
    bool json;
};

/* Whether it is good. */
static bool show(const struct load *load, const struct plan *plan, covey_time begin)
{
    const double seconds = (double)(load->last_at - begin) / 1e9;
    const double rate = (double)load->answers / seconds;

    if (plan->json)
        printf("{\"bench\":\"ask\",\"inflight\":%u,\"seconds\":%.3f,\"answers\":%llu,"
               "\"errors\":%llu,\"answers_per_s\":%.0f}\n",
               plan->inflight, seconds, (unsigned long long)load->answers,
               (unsigned long long)load->errors, rate);
    else
        printf("%.0f answers/s, %llu answers, %llu errors, %u under way\n", rate,
               (unsigned long long)load->answers, (unsigned long long)load->errors, plan->inflight);
    if (rate < plan->at_least)
        complain("fewer than %u answers/s", plan->at_least);
    return load->errors == 0 && rate >= plan->at_least;
}

static bool run(struct load *load, const struct plan *plan)
{
    const covey_time begin = clock_now();
    bool is_good = true;

    load->end = begin + plan->seconds * COVEY_SECOND;
    load->under_way = plan->inflight;
    for (unsigned i = 0; i < plan->inflight; i++) {
        if (!ask_one(load)) {
            is_good = false;
            end_one(load);
        }
    }
    pthread_mutex_lock(&load->mutex);
    while (load->under_way > 0)
        clock_wait(&load->changed, &load->mutex, COVEY_NEVER);
    pthread_mutex_unlock(&load->mutex);
    if (load->answers == 0 || load->last_at <= begin)
        return false;
    return show(load, plan, begin) && is_good;
}

int main(int argc, char **argv)
{
    struct covey_client_config config;
    covey_identity *identity = NULL;
    covey_runtime *runtime = NULL;
    struct load load = {.answers = 0};
    char reason[COVEY_REASON_SIZE] = "";
    const char *tls = NULL;
    const char *director = NULL;
    struct plan plan = {.inflight = 64, .seconds = 3};
    const struct argument known[] = {
        {.name = "tls", .text = &tls, .is_required = true},
        {.name = "director", .text = &director, .is_required = true},
        {.name = "inflight", .number = &plan.inflight},
        {.name = "seconds", .number = &plan.seconds},
        {.name = "at-least", .number = &plan.at_least},
        {.name = "json", .flag = &plan.json},
    };
    bool is_good = false;

    say_begin("ask");
    if (!arguments_read(known, sizeof known / sizeof known[0], argc, argv))
        return EXIT_FAILURE;
    if (plan.inflight == 0 || plan.inflight > INFLIGHT_MAX || plan.seconds == 0 ||
        plan.seconds > 60)
        return complain("1 to %d calls under way, 1 to 60 seconds", INFLIGHT_MAX);
    if (covey_identity_load(tls, &identity, reason) != 0)
        return complain("%s", reason);
    pthread_mutex_init(&load.mutex, NULL);
    clock_condition_init(&load.changed);
    int error = covey_runtime_new(NULL, &runtime);
    if (error == 0) {
        covey_client_config_init(&config);
        config.runtime = runtime;
        config.identity = identity;
        config.address = director;
        error = covey_client_new(&config, &load.client);
    }
    if (error != 0)
        complain("%s", covey_strerror(error));
    else
        is_good = run(&load, &plan);
    covey_client_free(load.client);
    covey_runtime_free(runtime);
    covey_identity_free(identity);
    pthread_cond_destroy(&load.changed);
    pthread_mutex_destroy(&load.mutex);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
