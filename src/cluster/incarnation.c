#include "cluster/incarnation.h"

int cv_incarnation_compare(uint64_t a, uint64_t b)
{
    uint64_t distance = a - b;
    if (distance == 0)
        return 0;
    if (distance == UINT64_C(1) << 63)
        return a > b ? 1 : -1;
    return distance < UINT64_C(1) << 63 ? 1 : -1;
}

uint64_t cv_incarnation_refute(uint64_t own, uint64_t accused)
{
    uint64_t later = cv_incarnation_compare(accused, own) > 0 ? accused : own;
    return later + 1;
}

/* False for a later one, and for one that is before only because numbers wrap. */
static bool is_old(uint64_t known, uint64_t told)
{
    return cv_incarnation_compare(told, known) <= 0 &&
           (told <= known || known - told <= CV_INCARNATION_WINDOW);
}

bool cv_incarnation_is_near(uint64_t known, uint64_t told)
{
    return is_old(known, told) || told - known <= CV_INCARNATION_WINDOW;
}

bool cv_incarnation_is_owners(uint64_t known, uint64_t told, uint64_t wall_ms)
{
    return cv_incarnation_is_near(known, told) ||
           is_old(wall_ms + CV_INCARNATION_CLOCK_SKEW_MS, told);
}
