#ifndef INTEGRATION_WAITING_H
#define INTEGRATION_WAITING_H

#include "unit/api/calling.h"

#include <poll.h>

/* What is lost is looked for again every few seconds, and other tests run beside. */
#define LONG_DEADLINE (90 * COVEY_SECOND)

/* Until `is_so`, looking every millisecond, so that those who are waited for have the processor. */
#define AWAIT_LONG(is_so, ...)                                                                     \
    do {                                                                                           \
        covey_time await_long_deadline = cv_deadline_after(LONG_DEADLINE);                         \
        while (!(is_so)) {                                                                         \
            if (cv_time_left(await_long_deadline) == 0)                                            \
                fail_msg(__VA_ARGS__);                                                             \
            (void)poll(NULL, 0, 1);                                                                \
        }                                                                                          \
    } while (0)

#endif
