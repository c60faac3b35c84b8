#ifndef CV_RPC_UTF8_H
#define CV_RPC_UTF8_H

#include "base/slice.h"

/* How many bytes at the begin of `text` are whole, well-formed UTF-8 characters (RFC 3629): all of
 * them when the text is UTF-8. */
size_t cv_utf8_prefix(struct cv_slice text);

#endif
