#include "support/test_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static bool must_fail(struct test_alloc *t)
{
    t->calls++;
    if (t->fail_at == 0)
        return false;
    return t->calls == t->fail_at || (t->fail_all_after && t->calls > t->fail_at);
}

static void *allocate(void *user, size_t size)
{
    struct test_alloc *t = user;
    void *memory = must_fail(t) ? NULL : malloc(size);
    if (memory != NULL)
        t->outstanding++;
    return memory;
}

static void *reallocate(void *user, void *memory, size_t size)
{
    struct test_alloc *t = user;
    void *moved = must_fail(t) ? NULL : realloc(memory, size);
    if (memory == NULL && moved != NULL)
        t->outstanding++;
    return moved;
}

static void release(void *user, void *memory)
{
    struct test_alloc *t = user;
    if (memory == NULL)
        return;
    assert_true(t->outstanding > 0);
    t->outstanding--;
    free(memory);
}

void test_alloc_init(struct test_alloc *t)
{
    *t = (struct test_alloc){
        .alloc = {.allocate = allocate, .reallocate = reallocate, .release = release, .user = t}};
}

void test_alloc_assert_empty(const struct test_alloc *t)
{
    assert_int_equal(t->outstanding, 0);
}
