#ifndef EXAMPLE_LATENESS_H
#define EXAMPLE_LATENESS_H

#include <covey/types.h>
#include <pthread.h>
#include <stdbool.h>

/*
 * How late this machine is: a thread sleeps for 2 ms again and again, and adds up how much longer
 * it was than that and 0.2 ms, which a machine that is not busy may take as well. What a program
 * waited for while the machine was late is not all the fault of what it waited for.
 */
struct lateness {
    pthread_t thread;
    pthread_mutex_t mutex;
    covey_time total;
    covey_time due; /* of the sleep that is on: late from then on */
    bool stopping;
};

/* False: no thread could be made. */
bool lateness_start(struct lateness *lateness);
/* All of it so far, that of the sleep that is on included. */
covey_time lateness_total(struct lateness *lateness);
void lateness_stop(struct lateness *lateness);

#endif
