#ifndef CV_API_EVENT_HUB_H
#define CV_API_EVENT_HUB_H

#include "api/runtime.h"
#include "cluster/events.h"

#include <covey/events.h>

/*
 * The event channel with a lock around it: the loop publishes, receivers on any thread take.
 * Counted, because receivers may outlive the cluster.
 */
struct cv_event_hub;

/* One reference, the caller's. 0, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM. */
COVEY_MUST_USE int cv_event_hub_new(covey_runtime *runtime, struct cv_event_hub **out);
void cv_event_hub_release(struct cv_event_hub *hub);

/* Takes the reference to event->node. Nobody gets it before it is shown. */
void cv_event_hub_publish(struct cv_event_hub *hub, const struct cv_event *event);
/* Receivers get what was published. */
void cv_event_hub_show(struct cv_event_hub *hub);
/* Shows what there is; no event comes any more. */
void cv_event_hub_close(struct cv_event_hub *hub);
/* 0, COVEY_ERR_LIMIT, COVEY_ERR_CLOSED, COVEY_ERR_NO_MEMORY, COVEY_ERR_SYSTEM. */
COVEY_MUST_USE int cv_event_hub_subscribe(struct cv_event_hub *hub, covey_event_receiver **out);

/* Events so far, and receivers now. */
void cv_event_hub_count(struct cv_event_hub *hub, uint64_t *emitted, uint64_t *receivers);

#endif
