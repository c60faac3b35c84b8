#ifndef CV_BASE_SIPHASH_H
#define CV_BASE_SIPHASH_H

#include "base/slice.h"

#include <stdint.h>

/*
 * SipHash-2-4 of `bytes` (Aumasson and Bernstein 2012): a hash whose collisions cannot be found
 * without the secret. The secret is the paper's k0 and k1.
 */
uint64_t cv_siphash(const uint64_t secret[2], struct cv_slice bytes);

#endif
