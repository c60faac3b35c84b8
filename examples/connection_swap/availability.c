#include "availability.h"

#include "clock.h"
#include "say.h"

#include <stdlib.h>

struct availability {
    struct availability_config config;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stopping;
    bool is_up;
    bool is_failing; /* from the token that is one too many until all know of the recovery */
    unsigned tokens; /* since then */
};

/* With the mutex. False: the end has come first. */
static bool wait_until(struct availability *availability, covey_time due)
{
    while (!availability->stopping && clock_now() < due)
        clock_wait(&availability->changed, &availability->mutex, due);
    return !availability->stopping;
}

/* With the mutex, which others get meanwhile. */
static void tell(struct availability *availability, bool is_available)
{
    pthread_mutex_unlock(&availability->mutex);
    availability->config.tell(is_available, availability->config.user);
    pthread_mutex_lock(&availability->mutex);
}

static void set_up(struct availability *availability, bool is_up)
{
    availability->is_up = is_up;
    say("%s", is_up ? "has recovered" : "fails, as its schedule says");
}

/* With the mutex. One failure from its beginning to the end; false: the end of all has come first. */
static bool fail_and_recover(struct availability *availability)
{
    const struct availability_config *config = &availability->config;
    const covey_time begin = clock_now();
    const covey_time recovery = begin + config->down_for;
    const bool knows_late = config->tell_delay > 0;

    if (!knows_late)
        tell(availability, false);
    set_up(availability, false);
    /* The longer of the two waits is last, so the steps are in the order of time. */
    if (knows_late && config->tell_delay <= config->down_for) {
        if (!wait_until(availability, begin + config->tell_delay))
            return false;
        tell(availability, false);
    }
    if (!wait_until(availability, recovery))
        return false;
    set_up(availability, true);
    if (config->tell_delay > config->down_for) {
        if (!wait_until(availability, begin + config->tell_delay))
            return false;
        tell(availability, false);
    }
    if (!wait_until(availability, recovery + config->tell_delay))
        return false;
    tell(availability, true);
    return true;
}

static void *run(void *user)
{
    struct availability *availability = user;

    pthread_mutex_lock(&availability->mutex);
    while (!availability->stopping) {
        if (!availability->is_failing) {
            clock_wait(&availability->changed, &availability->mutex, COVEY_NEVER);
        } else if (fail_and_recover(availability)) {
            availability->is_failing = false;
            availability->tokens = 0;
        }
    }
    pthread_mutex_unlock(&availability->mutex);
    return NULL;
}

static void destroy(struct availability *availability)
{
    pthread_cond_destroy(&availability->changed);
    pthread_mutex_destroy(&availability->mutex);
    free(availability);
}

struct availability *availability_new(const struct availability_config *config)
{
    struct availability *availability = malloc(sizeof *availability);

    if (availability == NULL)
        return NULL;
    *availability = (struct availability){.config = *config, .is_up = true};
    pthread_mutex_init(&availability->mutex, NULL);
    clock_condition_init(&availability->changed);
    if (pthread_create(&availability->thread, NULL, run, availability) == 0)
        return availability;
    destroy(availability);
    return NULL;
}

bool availability_is_up(struct availability *availability)
{
    pthread_mutex_lock(&availability->mutex);
    const bool is_up = availability->is_up;
    pthread_mutex_unlock(&availability->mutex);
    return is_up;
}

void availability_count_token(struct availability *availability)
{
    pthread_mutex_lock(&availability->mutex);
    if (!availability->is_failing && ++availability->tokens == availability->config.fail_every) {
        availability->is_failing = true;
        pthread_cond_signal(&availability->changed);
    }
    pthread_mutex_unlock(&availability->mutex);
}

void availability_stop(struct availability *availability)
{
    pthread_mutex_lock(&availability->mutex);
    availability->stopping = true;
    pthread_cond_signal(&availability->changed);
    pthread_mutex_unlock(&availability->mutex);
    pthread_join(availability->thread, NULL);
}

void availability_free(struct availability *availability)
{
    destroy(availability);
}
