#include "fixture.h"

#include "address_book.h"

/* An address is named twice only within one list. */

static struct cv_address address_of(uint32_t number, uint16_t port)
{
    return (struct cv_address){
        .ip = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number},
        .port = port,
        .family = 4};
}

static bool name(struct sim_address_book *b, uint32_t number, uint16_t port)
{
    const struct cv_address address = address_of(number, port);
    return sim_address_book_name(b, &address);
}

static void the_second_time_is_noticed(void **state)
{
    (void)state;
    struct sim_address_book b = {.places = NULL};
    for (int list = 0; list < 3; list++) {
        sim_address_book_begin(&b, 1001);
        for (uint32_t i = 0; i < 1000; i++)
            assert_true(name(&b, i, 4433));
        assert_true(name(&b, 7, 4434));
        assert_false(name(&b, 7, 4433));
        assert_false(name(&b, 7, 4434));
    }
    sim_address_book_fini(&b);
}

/* Lists that name others each time do not fill it up. */
static void what_nobody_names_any_more_goes(void **state)
{
    (void)state;
    struct sim_address_book b = {.places = NULL};
    for (uint32_t list = 0; list < 100; list++) {
        sim_address_book_begin(&b, 100);
        for (uint32_t i = 0; i < 100; i++)
            assert_true(name(&b, list * 100 + i, 1));
        assert_false(name(&b, list * 100, 1));
        assert_true(b.capacity <= 512 && b.count < b.capacity);
    }
    sim_address_book_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_time_is_noticed),
        cmocka_unit_test(what_nobody_names_any_more_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
