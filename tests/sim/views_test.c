#include "fixture.h"

#include "views.h"

#include "clock.h"

/* Views are shared until they are written to, and forgotten at a reset. */

static void a_write_is_one_observers_own(void **state)
{
    (void)state;
    struct sim_view_page page = {.views = {{.is_known = false}}};
    struct sim_views a = {.pages = NULL}, b = {.pages = NULL};
    for (size_t i = 0; i < SIM_VIEWS_PER_PAGE; i++)
        page.views[i].is_known = true;
    sim_views_reset(&a, 130, &page);
    sim_views_reset(&b, 130, &page);
    sim_views_edit(&a, 129)->body = 7;
    for (size_t i = 0; i < 130; i++) {
        assert_int_equal(sim_views_at(&a, i)->body, i == 129 ? 7 : 0);
        assert_int_equal(sim_views_at(&b, i)->body, 0);
        assert_true(sim_views_at(&a, i)->is_known && sim_views_at(&b, i)->is_known);
    }
    sim_views_reset(&a, 130, NULL);
    for (size_t i = 0; i < 130; i++)
        assert_true(!sim_views_at(&a, i)->is_known && sim_views_at(&a, i)->body == 0);
    sim_views_fini(&a);
    sim_views_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_write_is_one_observers_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
