#ifndef COVEY_TYPES_H
#define COVEY_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include <covey/export.h>

COVEY_BEGIN

/* Nanoseconds: a point on a monotonic clock, or a length of time. */
typedef uint64_t covey_time;

#define COVEY_NEVER       UINT64_MAX
#define COVEY_MICROSECOND ((covey_time)1000)
#define COVEY_MILLISECOND ((covey_time)1000000)
#define COVEY_SECOND      ((covey_time)1000000000)

/*
 * Who a node is: the first 16 bytes of SHA-256 over its certificate's public key
 * (SubjectPublicKeyInfo, DER). So a node keeps its id as long as it keeps its key, and no other
 * node can claim it.
 */
#define COVEY_NODE_ID_SIZE 16
typedef struct covey_node_id {
    uint8_t bytes[COVEY_NODE_ID_SIZE];
} covey_node_id;

/* An id as text: 32 lower-case hexadecimal digits and a NUL. */
#define COVEY_NODE_ID_TEXT_SIZE 33

/* Writes the text of `id` into `text`, which holds COVEY_NODE_ID_TEXT_SIZE bytes. Returns text. */
COVEY_API char *covey_node_id_text(const covey_node_id *id, char *text);

/* Less than, equal to or greater than 0, in the order of the bytes. */
COVEY_API int covey_node_id_compare(const covey_node_id *a, const covey_node_id *b);

COVEY_END

#endif
