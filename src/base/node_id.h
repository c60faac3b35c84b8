#ifndef CV_BASE_NODE_ID_H
#define CV_BASE_NODE_ID_H

#include <covey/types.h>
#include <stdbool.h>
#include <string.h>

/* The same as comparing to 0, without a call. */
static inline bool cv_node_id_equal(const covey_node_id *a, const covey_node_id *b)
{
    uint64_t x[2], y[2];
    memcpy(x, a->bytes, sizeof(x));
    memcpy(y, b->bytes, sizeof(y));
    return x[0] == y[0] && x[1] == y[1];
}

#endif
