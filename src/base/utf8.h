#ifndef CV_BASE_UTF8_H
#define CV_BASE_UTF8_H

#include "base/slice.h"

#include <stdbool.h>

/* How many bytes at the begin of `text` are whole, well-formed UTF-8 characters (RFC 3629): all of
 * them when the text is UTF-8. */
size_t cv_utf8_prefix(struct cv_slice text);

/* True for UTF-8 without a NUL: what can be handed out as a C string. */
bool cv_utf8_is_valid(struct cv_slice text);

#endif
