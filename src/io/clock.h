#ifndef CV_IO_CLOCK_H
#define CV_IO_CLOCK_H

#include <covey/types.h>

/* The only clocks of the library. Any thread. */

/* CLOCK_MONOTONIC: never goes back, stands still while the machine is suspended. */
covey_time cv_clock_now(void);
/* CLOCK_REALTIME_COARSE in milliseconds since 1970: some milliseconds behind; may jump. */
uint64_t cv_clock_wall_ms(void);

#endif
