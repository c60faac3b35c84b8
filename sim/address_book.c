#include "address_book.h"

#include "base/mix.h"
#include "clock.h"

#include <stdlib.h>
#include <string.h>

struct sim_named_address {
    struct cv_address address;
    uint64_t list; /* 0: the place is free */
};

void sim_address_book_fini(struct sim_address_book *b)
{
    free(b->places);
}

void sim_address_book_begin(struct sim_address_book *b, size_t size_max)
{
    size_t capacity = b->capacity == 0 ? 64 : b->capacity;
    while (capacity / 4 < size_max)
        capacity *= 2;
    b->list++;
    /* Room for what the lists before named and this one does not; else it starts anew. */
    if (capacity == b->capacity && b->count + size_max <= capacity / 2)
        return;
    free(b->places);
    b->places = sim_allocate(capacity, sizeof(*b->places));
    b->capacity = capacity;
    b->count = 0;
}

static size_t home_of(const struct sim_address_book *b, const struct cv_address *address)
{
    uint64_t ip[2];
    memcpy(ip, address->ip, sizeof(ip));
    uint64_t rest = (uint64_t)address->port << 8 | address->family;
    return (size_t)cv_mix64(ip[0] ^ cv_mix64(ip[1] ^ rest)) & (b->capacity - 1);
}

bool sim_address_book_name(struct sim_address_book *b, const struct cv_address *address)
{
    size_t i = home_of(b, address);
    while (b->places[i].list != 0 && !cv_address_equal(&b->places[i].address, address))
        i = (i + 1) & (b->capacity - 1);
    struct sim_named_address *place = &b->places[i];
    bool is_first = place->list != b->list;
    b->count += place->list == 0;
    place->address = *address;
    place->list = b->list;
    return is_first;
}
