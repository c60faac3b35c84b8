#ifndef BENCHES_PAYLOAD_H
#define BENCHES_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bodies that show when bytes are lost, moved or another call's: a pattern, and in a request's
 * first eight bytes a number that no other call of the run has.
 */
#define PAYLOAD_STAMP_SIZE 8

/* Fills with the pattern. */
void payload_fill(unsigned char *bytes, size_t size);
/* Overwrites the first bytes, up to eight, with the number. */
void payload_stamp(unsigned char *bytes, size_t size, uint64_t stamp);
/* True when `data` is what stands from `offset` on in a body with that number; `stamp` NULL: in a
 * body of the pattern only. */
bool payload_is(const unsigned char *data, size_t size, size_t offset, const uint64_t *stamp);

#endif
