#ifndef SIM_ARENA_H
#define SIM_ARENA_H

#include "base/alloc.h"

/*
 * Where the cores of a large run have their memory: taken from the system in large parts, and asked for
 * in large pages, because each first touch of a page costs more than what is written there. Memory
 * that is given back is used again for about the same size; nothing goes back to the system before
 * the end. A run that is small enough to be looked at has its memory from malloc, which sanitizers
 * know.
 */
#define SIM_ARENA_CLASSES 256

struct sim_arena_part;
struct sim_arena_piece;

struct sim_arena {
    struct cv_alloc alloc; /* of it; abort() when there is no memory */
    struct sim_arena_part *parts;
    char *next;
    size_t left;
    struct sim_arena_piece *free[SIM_ARENA_CLASSES];
};

/* Must not move while it is in use. */
void sim_arena_init(struct sim_arena *a);
/* All that was allocated is gone. */
void sim_arena_fini(struct sim_arena *a);

#endif
