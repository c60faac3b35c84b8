#ifndef SIM_VIEWS_H
#define SIM_VIEWS_H

#include "oracle.h"

/*
 * What the checker saw last of all nodes at one observer. Most pairs of a large cluster never change,
 * so the views stand in pages that observers share until they are written to.
 */
#define SIM_VIEWS_PER_PAGE 64

struct sim_view_page {
    struct sim_view views[SIM_VIEWS_PER_PAGE];
};

struct sim_views {
    const struct sim_view_page *base; /* of all that are not its own; borrowed */
    struct sim_view_page **pages;     /* its own, NULL for the others; NULL: none yet */
    size_t page_count;
};

/* Each is as the page says from now on, which stays as it is; NULL: not known. */
void sim_views_reset(struct sim_views *v, size_t node_count, const struct sim_view_page *base);
void sim_views_fini(struct sim_views *v);
const struct sim_view *sim_views_at(const struct sim_views *v, size_t subject);
/* The same, to be written to. */
struct sim_view *sim_views_edit(struct sim_views *v, size_t subject);

#endif
