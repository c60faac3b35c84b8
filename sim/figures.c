#include "sim/figures.h"

#include <assert.h>
#include <stdlib.h>

void sim_times_add(struct sim_times *t, covey_time length)
{
    if (t->count == t->capacity) {
        t->capacity = t->capacity == 0 ? 16 : t->capacity * 2;
        t->values = realloc(t->values, t->capacity * sizeof(*t->values));
        if (t->values == NULL)
            abort();
    }
    t->values[t->count] = length;
    t->count++;
}

void sim_times_fini(struct sim_times *t)
{
    free(t->values);
    *t = (struct sim_times){0};
}

static int compare(const void *a, const void *b)
{
    covey_time x = *(const covey_time *)a;
    covey_time y = *(const covey_time *)b;
    return (x > y) - (x < y);
}

covey_time sim_times_percentile(struct sim_times *t, unsigned permille)
{
    assert(permille <= 1000);
    if (t->count == 0)
        return COVEY_NEVER;
    qsort(t->values, t->count, sizeof(*t->values), compare);
    size_t rank = (t->count * permille + 999) / 1000;
    return t->values[rank == 0 ? 0 : rank - 1];
}

struct sim_percentiles sim_times_percentiles(struct sim_times *t)
{
    return (struct sim_percentiles){
        .count = t->count,
        .p50 = sim_times_percentile(t, 500),
        .p99 = sim_times_percentile(t, 990),
        .max = sim_times_percentile(t, 1000),
    };
}

double sim_figures_rate(const struct sim_figures *f, uint64_t count)
{
    if (f->node_time == 0)
        return 0;
    return (double)count / ((double)f->node_time / (double)COVEY_SECOND);
}
