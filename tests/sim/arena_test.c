#include "fixture.h"

#include "arena.h"

/* Pieces do not overlap, keep what is in them when they move, and are used again. */

#define PIECES 3000

static void fill(unsigned char *piece, size_t size, size_t number)
{
    memset(piece, (int)(number % 251), size);
}

static void assert_filled(const unsigned char *piece, size_t size, size_t number)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(piece[i], number % 251);
}

static size_t size_of(size_t number)
{
    return number * 7919 % 9000;
}

static void pieces_are_apart(void **state)
{
    (void)state;
    static unsigned char *pieces[PIECES];
    struct sim_arena a;
    sim_arena_init(&a);
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = cv_allocate(&a.alloc, size_of(i));
        assert_int_equal((uintptr_t)pieces[i] % sizeof(void *), 0);
        fill(pieces[i], size_of(i), i);
    }
    for (size_t i = 0; i < PIECES; i += 3)
        cv_release(&a.alloc, pieces[i]);
    for (size_t i = 0; i < PIECES; i += 3) {
        pieces[i] = cv_allocate(&a.alloc, size_of(PIECES - i));
        fill(pieces[i], size_of(PIECES - i), i);
    }
    for (size_t i = 0; i < PIECES; i++)
        assert_filled(pieces[i], size_of(i % 3 == 0 ? PIECES - i : i), i);
    sim_arena_fini(&a);
}

static void a_piece_that_grows_keeps_its_bytes(void **state)
{
    (void)state;
    struct sim_arena a;
    sim_arena_init(&a);
    unsigned char *piece = NULL;
    for (size_t size = 1; size < 300 * 1000; size = size * 3 / 2 + 1) {
        piece = cv_reallocate(&a.alloc, piece, size, 1);
        assert_filled(piece, size / 3, 5);
        fill(piece, size, 5);
        assert_non_null(cv_allocate(&a.alloc, 1)); /* in the way */
    }
    cv_release(&a.alloc, piece);
    cv_release(&a.alloc, NULL);
    sim_arena_fini(&a);
}

static void what_is_given_back_is_used_again(void **state)
{
    (void)state;
    struct sim_arena a;
    sim_arena_init(&a);
    for (size_t size = 1; size < 100 * 1000; size += size / 3 + 1) {
        void *first = cv_allocate(&a.alloc, size);
        cv_release(&a.alloc, first);
        size_t left = a.left;
        for (int i = 0; i < 1000; i++)
            cv_release(&a.alloc, cv_allocate(&a.alloc, size));
        assert_int_equal(a.left, left);
    }
    sim_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_apart),
        cmocka_unit_test(a_piece_that_grows_keeps_its_bytes),
        cmocka_unit_test(what_is_given_back_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
