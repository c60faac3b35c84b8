/*
 * How many get_worker calls a director answers in a second: so many under way at any time, on one
 * connection, for some seconds. Every answer is read; one that names no worker is an error.
 *
 *     ask --tls DIR --director HOST:PORT [--inflight N] [--seconds S]
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

static bool run(struct load *load, unsigned inflight, unsigned seconds)
{
    const covey_time begin = clock_now();
    bool is_good = true;

    load->end = begin + seconds * COVEY_SECOND;
    load->under_way = inflight;
    for (unsigned i = 0; i < inflight; i++) {
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
    printf("%.0f answers/s, %llu answers, %llu errors, %u under way\n",
           (double)load->answers * 1e9 / (double)(load->last_at - begin),
           (unsigned long long)load->answers, (unsigned long long)load->errors, inflight);
    return is_good && load->errors == 0;
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
    unsigned inflight = 64;
    unsigned seconds = 3;
    const struct argument known[] = {
        {.name = "tls", .text = &tls, .is_required = true},
        {.name = "director", .text = &director, .is_required = true},
        {.name = "inflight", .number = &inflight},
        {.name = "seconds", .number = &seconds},
    };
    bool is_good = false;

    say_begin("ask");
    if (!arguments_read(known, sizeof known / sizeof known[0], argc, argv))
        return EXIT_FAILURE;
    if (inflight == 0 || inflight > INFLIGHT_MAX || seconds == 0 || seconds > 60)
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
        is_good = run(&load, inflight, seconds);
    covey_client_free(load.client);
    covey_runtime_free(runtime);
    covey_identity_free(identity);
    pthread_cond_destroy(&load.changed);
    pthread_mutex_destroy(&load.mutex);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
