#include "transport/dial_window.h"

#include <assert.h>

void cv_dial_window_init(struct cv_dial_window *w, size_t max)
{
    assert(max >= CV_DIAL_WINDOW_MIN);
    *w = (struct cv_dial_window){
        .size = max < CV_DIAL_WINDOW_FIRST ? max : CV_DIAL_WINDOW_FIRST,
        .max = max,
    };
}

static void shrink(struct cv_dial_window *w)
{
    w->size = w->size / 2 > CV_DIAL_WINDOW_MIN ? w->size / 2 : CV_DIAL_WINDOW_MIN;
}

void cv_dial_window_connected(struct cv_dial_window *w, covey_time took)
{
    if (took >= CV_DIAL_SLOW)
        shrink(w);
    else if (took < CV_DIAL_QUICK && w->size < w->max)
        w->size++;
}

/* A quick failure is an answer, and says nothing about how much there is to do. */
void cv_dial_window_failed(struct cv_dial_window *w, covey_time took)
{
    if (took >= CV_DIAL_SLOW)
        shrink(w);
}
