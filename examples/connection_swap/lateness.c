#include "lateness.h"

#include "clock.h"

#define NAP (2 * COVEY_MILLISECOND)
/* Linux rounds each sleep up by some 50 us, to wake for several at once, and waking takes a little.
 * A machine that is idle is not late. */
#define SLACK (200 * COVEY_MICROSECOND)

/* With the mutex. */
static covey_time late_now(const struct lateness *lateness)
{
    const covey_time now = clock_now();

    return now > lateness->due ? now - lateness->due : 0;
}

static void *run(void *user)
{
    struct lateness *lateness = user;

    pthread_mutex_lock(&lateness->mutex);
    while (!lateness->stopping) {
        lateness->due = clock_now() + NAP + SLACK;
        pthread_mutex_unlock(&lateness->mutex);
        clock_sleep(NAP);
        pthread_mutex_lock(&lateness->mutex);
        lateness->total += late_now(lateness);
    }
    pthread_mutex_unlock(&lateness->mutex);
    return NULL;
}

bool lateness_start(struct lateness *lateness)
{
    *lateness = (struct lateness){.due = COVEY_NEVER};
    pthread_mutex_init(&lateness->mutex, NULL);
    if (pthread_create(&lateness->thread, NULL, run, lateness) == 0)
        return true;
    pthread_mutex_destroy(&lateness->mutex);
    return false;
}

covey_time lateness_total(struct lateness *lateness)
{
    pthread_mutex_lock(&lateness->mutex);
    const covey_time total = lateness->total + late_now(lateness);
    pthread_mutex_unlock(&lateness->mutex);
    return total;
}

void lateness_stop(struct lateness *lateness)
{
    pthread_mutex_lock(&lateness->mutex);
    lateness->stopping = true;
    pthread_mutex_unlock(&lateness->mutex);
    pthread_join(lateness->thread, NULL);
    pthread_mutex_destroy(&lateness->mutex);
}
