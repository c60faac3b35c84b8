#ifndef TEST_SUPPORT_TEST_ALLOC_H
#define TEST_SUPPORT_TEST_ALLOC_H

#include "base/alloc.h"

#include <stdbool.h>
#include <stddef.h>

/* An allocator that counts what is out and can fail on demand. Single-threaded. */
struct test_alloc {
    struct cv_alloc alloc; /* hand out &t.alloc */
    size_t outstanding;    /* allocations not released */
    size_t calls;          /* allocations asked for, the failed ones too */
    size_t fail_at;        /* fail the call with this number, counted from 1; 0: none */
    bool fail_all_after;   /* and every later one too */
};

void test_alloc_init(struct test_alloc *t);

/* Fails the running cmocka test when something is not released. */
void test_alloc_assert_empty(const struct test_alloc *t);

#endif
