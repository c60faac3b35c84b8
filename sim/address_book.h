#ifndef SIM_ADDRESS_BOOK_H
#define SIM_ADDRESS_BOOK_H

#include "base/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Whether a list names an address twice, for one list after the other. Lists are nearly the same, so
 * the addresses stay in the table, each with the number of the last list that named it.
 */
struct sim_named_address;

struct sim_address_book {
    struct sim_named_address *places;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    uint64_t list;
};

void sim_address_book_fini(struct sim_address_book *b);
/* Begins a list of at most `size_max` addresses. */
void sim_address_book_begin(struct sim_address_book *b, size_t size_max);
/* False when the list has named it before. */
bool sim_address_book_name(struct sim_address_book *b, const struct cv_address *address);

#endif
