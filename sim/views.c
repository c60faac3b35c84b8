#include "views.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

static const struct sim_view_page nothing_known;

static void drop_pages(struct sim_views *v)
{
    for (size_t i = 0; i < v->page_count; i++) {
        free(v->pages[i]);
        v->pages[i] = NULL;
    }
}

void sim_views_reset(struct sim_views *v, size_t node_count, const struct sim_view_page *base)
{
    drop_pages(v);
    v->base = base == NULL ? &nothing_known : base;
    if (v->pages != NULL)
        return;
    v->page_count = (node_count + SIM_VIEWS_PER_PAGE - 1) / SIM_VIEWS_PER_PAGE;
    v->pages = sim_allocate(v->page_count, sizeof(struct sim_view_page *));
}

void sim_views_fini(struct sim_views *v)
{
    drop_pages(v);
    free(v->pages);
}

const struct sim_view *sim_views_at(const struct sim_views *v, size_t subject)
{
    const struct sim_view_page *page = v->pages[subject / SIM_VIEWS_PER_PAGE];
    return &(page == NULL ? v->base : page)->views[subject % SIM_VIEWS_PER_PAGE];
}

struct sim_view *sim_views_edit(struct sim_views *v, size_t subject)
{
    struct sim_view_page **page = &v->pages[subject / SIM_VIEWS_PER_PAGE];
    if (*page == NULL) {
        *page = sim_allocate(1, sizeof(**page));
        memcpy(*page, v->base, sizeof(**page));
    }
    return &(*page)->views[subject % SIM_VIEWS_PER_PAGE];
}
