#ifndef CV_API_UNARY_INTERNAL_H
#define CV_API_UNARY_INTERNAL_H

#include "api/unary.h"

/* Between unary_new.c, where a call is made, and unary.c, where it goes its way. */

/* No answer came for so long: another attempt beside those that go on. */
void cv_unary_on_hedge(struct cv_client_timer *timer);

#endif
