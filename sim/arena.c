#include "arena.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PART_SIZE ((size_t)64 << 20)
#define ALIGNMENT sizeof(max_align_t)

struct sim_arena_part {
    struct sim_arena_part *next;
    size_t size;
};

/* Before each piece stands its size, in ALIGNMENT bytes; in one that is free, the next one. */
struct sim_arena_piece {
    struct sim_arena_piece *next;
};

static size_t round_up(size_t size, size_t step)
{
    return (size + step - 1) / step * step;
}

/* Pieces have the size of their class: multiples of ALIGNMENT first, then four to a doubling. */
static size_t size_of_class(size_t class)
{
    if (class < 64)
        return (class + 1) * ALIGNMENT;
    size_t octave = (class - 64) / 4;
    return ALIGNMENT * 16 * (4 + (class - 64) % 4 + 1) << octave;
}

static size_t class_for(size_t size)
{
    size_t class = size <= 64 * ALIGNMENT ? (size + ALIGNMENT - 1) / ALIGNMENT - 1 : 64;
    while (size_of_class(class) < size)
        class ++;
    return class;
}

static size_t *size_at(void *piece)
{
    return (size_t *)(void *)((char *)piece - ALIGNMENT);
}

static void add_part(struct sim_arena *a, size_t needed)
{
    size_t size = round_up(needed + ALIGNMENT + sizeof(struct sim_arena_part), PART_SIZE);
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    /* Where there are none it goes on without. */
    (void)madvise(memory, size, MADV_HUGEPAGE);
    struct sim_arena_part *part = (struct sim_arena_part *)(void *)memory;
    *part = (struct sim_arena_part){.next = a->parts, .size = size};
    a->parts = part;
    a->next = memory + round_up(sizeof(*part), ALIGNMENT);
    a->left = size - round_up(sizeof(*part), ALIGNMENT);
}

static void *allocate(void *user, size_t size)
{
    struct sim_arena *a = user;
    size_t class = class_for(size == 0 ? 1 : size);
    size_t wanted = size_of_class(class);
    assert(class < SIM_ARENA_CLASSES);
    struct sim_arena_piece *piece = a->free[class];
    if (piece != NULL) {
        a->free[class] = piece->next;
        return piece;
    }
    if (a->left < wanted + ALIGNMENT)
        add_part(a, wanted);
    char *memory = a->next + ALIGNMENT;
    *size_at(memory) = wanted;
    a->next = memory + wanted;
    a->left -= wanted + ALIGNMENT;
    return memory;
}

static void release(void *user, void *memory)
{
    struct sim_arena *a = user;
    if (memory == NULL)
        return;
    size_t class = class_for(*size_at(memory));
    struct sim_arena_piece *piece = memory;
    piece->next = a->free[class];
    a->free[class] = piece;
}

static void *reallocate(void *user, void *memory, size_t size)
{
    size_t old = memory == NULL ? 0 : *size_at(memory);
    if (memory != NULL && size <= old)
        return memory;
    void *moved = allocate(user, size);
    if (old > 0)
        memcpy(moved, memory, old);
    release(user, memory);
    return moved;
}

void sim_arena_init(struct sim_arena *a)
{
    *a = (struct sim_arena){
        .alloc = {.allocate = allocate, .reallocate = reallocate, .release = release, .user = a}};
}

void sim_arena_fini(struct sim_arena *a)
{
    while (a->parts != NULL) {
        struct sim_arena_part *next = a->parts->next;
        munmap(a->parts, a->parts->size);
        a->parts = next;
    }
}
