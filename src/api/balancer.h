#ifndef CV_API_BALANCER_H
#define CV_API_BALANCER_H

#include "api/balancer_hub.h"
#include "api/balancer_table.h"
#include "api/count.h"
#include "api/selector.h"

/* The inside of a balancer: a selector, and the table of whom it selects in the newest snapshot. */
struct covey_balancer {
    covey_runtime *runtime;
    atomic_size_t references; /* the user's, and what still has a pick of it */
    struct cv_balancer_hub *hub;
    struct cv_follower follower;
    struct cv_selector *selector;
    enum covey_balance_policy policy;
    cv_count left_out; /* written under the hub's lock, as `updates`: at first by who makes it */
    cv_count updates;
    atomic_uint_fast64_t in_vain;
    struct cv_balancer_table table;
};

/* Any thread. Of the last reference: frees it. */
void cv_balancer_retain(covey_balancer *balancer);
void cv_balancer_release(covey_balancer *balancer);

#endif
