#ifndef CV_API_ADMIN_CALL_H
#define CV_API_ADMIN_CALL_H

#include "base/slice.h"

#include <covey/client.h>

/* What the functions of covey/admin.h have in common. */

/* An empty one, for a user to clear whatever happens. */
void cv_admin_init_reply(struct covey_reply *reply);
/* Calls and waits; as covey_client_call(). */
COVEY_MUST_USE int cv_admin_call(covey_client *client, covey_time timeout, const char *method,
                                 struct cv_slice request, struct covey_reply *said);
/* What the member said, which is taken: 0, or COVEY_ERR_REFUSED and the user's `reply`, which may be
 * NULL, gets it. */
COVEY_MUST_USE int cv_admin_judge(struct covey_reply *said, struct covey_reply *reply);

#endif
