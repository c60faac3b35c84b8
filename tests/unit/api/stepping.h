#ifndef UNIT_API_STEPPING_H
#define UNIT_API_STEPPING_H

/* For tests that make a runtime's turns themselves. */
#include "unit/api/calling.h"
#include "unit/api/fixture.h"

#include <poll.h>

static inline void step_once(covey_runtime *runtime)
{
    struct pollfd fd = {.fd = covey_runtime_fd(runtime), .events = POLLIN};
    covey_time timeout = covey_runtime_timeout(runtime);
    (void)poll(&fd, 1, timeout < COVEY_MILLISECOND ? 0 : 1);
    assert_int_equal(covey_runtime_step(runtime), 0);
}

/* Until `is_so`; the test fails with the words when it takes too long. */
#define STEP_UNTIL(runtime, is_so)                                                                 \
    do {                                                                                           \
        covey_time step_deadline = cv_deadline_after(TEST_DEADLINE);                               \
        while (!(is_so)) {                                                                         \
            if (cv_time_left(step_deadline) == 0)                                                  \
                fail_msg("stepped in vain for: %s", #is_so);                                       \
            step_once(runtime);                                                                    \
        }                                                                                          \
    } while (0)

#endif
