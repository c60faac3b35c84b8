#include "results.h"

#include <assert.h>
#include <covey/error.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void results_fini(struct results *r)
{
    free(r->items);
    *r = (struct results){0};
}

void results_add(struct results *r, const struct result *result)
{
    if (r->count == r->capacity) {
        r->capacity = r->capacity == 0 ? 64 : r->capacity * 2;
        r->items = realloc(r->items, r->capacity * sizeof(*r->items));
        if (r->items == NULL)
            abort();
    }
    r->items[r->count] = *result;
    r->count++;
}

void results_add_case(struct results *r, const char *system, uint32_t nodes, uint32_t level,
                      uint64_t seed)
{
    struct result result = {.nodes = nodes, .level = level, .seed = seed};
    assert(strlen(system) < sizeof(result.system));
    strcpy(result.system, system);
    results_add(r, &result);
}

const struct result *results_find(const struct results *r, const struct result *wanted)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct result *it = &r->items[i];
        if (it->nodes == wanted->nodes && it->level == wanted->level && it->seed == wanted->seed &&
            strcmp(it->system, wanted->system) == 0)
            return it;
    }
    return NULL;
}

void results_sort(struct results *r, const struct results *cases)
{
    struct results sorted = {0};
    for (size_t i = 0; i < cases->count; i++) {
        const struct result *found = results_find(r, &cases->items[i]);
        if (found != NULL)
            results_add(&sorted, found);
    }
    for (size_t i = 0; i < r->count; i++) {
        if (results_find(cases, &r->items[i]) == NULL)
            results_add(&sorted, &r->items[i]);
    }
    results_fini(r);
    *r = sorted;
}

/* --- lines --- */

void results_write_header(FILE *file, const char *const *columns)
{
    fprintf(file, "system,nodes,level,seed");
    for (size_t i = 0; columns[i] != NULL; i++)
        fprintf(file, ",%s", columns[i]);
    fprintf(file, "\n");
}

void results_write(FILE *file, const struct result *result, size_t value_count)
{
    assert(value_count <= RESULTS_VALUES_MAX);
    fprintf(file, "%s,%" PRIu32 ",%" PRIu32 ",%" PRIu64, result->system, result->nodes,
            result->level, result->seed);
    for (size_t i = 0; i < value_count; i++)
        fprintf(file, ",%.9g", result->values[i]);
    fprintf(file, "\n");
}

static bool read_values(const char *text, struct result *result, size_t value_count)
{
    for (size_t i = 0; i < value_count; i++) {
        char *end;
        if (*text != ',')
            return false;
        result->values[i] = strtod(text + 1, &end);
        if (end == text + 1)
            return false;
        text = end;
    }
    return *text == '\n' || *text == '\0';
}

static bool read_line(const char *line, struct result *result, size_t value_count)
{
    int end = 0;
    *result = (struct result){.nodes = 0};
    if (sscanf(line, "%39[^,],%" SCNu32 ",%" SCNu32 ",%" SCNu64 "%n", result->system,
               &result->nodes, &result->level, &result->seed, &end) != 4)
        return false;
    return read_values(line + end, result, value_count);
}

int results_read(struct results *r, FILE *file, size_t value_count)
{
    char line[512];
    if (fgets(line, sizeof(line), file) == NULL)
        return COVEY_OK; /* not even a header: an empty file */
    while (fgets(line, sizeof(line), file) != NULL) {
        struct result result;
        if (!read_line(line, &result, value_count))
            return COVEY_ERR_MALFORMED;
        results_add(r, &result);
    }
    return COVEY_OK;
}

/* --- summaries --- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(const double *sorted, size_t count)
{
    double low = sorted[(count - 1) / 2];
    double high = sorted[count / 2];
    return isinf(high) ? high : (low + high) / 2;
}

struct summary results_summary(const struct results *r, const char *system, uint32_t nodes,
                               uint32_t level, size_t value)
{
    struct summary s = {0, NAN, NAN, NAN};
    double *values = malloc((r->count + 1) * sizeof(*values));
    if (values == NULL)
        abort();
    for (size_t i = 0; i < r->count; i++) {
        const struct result *it = &r->items[i];
        if (it->nodes == nodes && it->level == level && strcmp(it->system, system) == 0) {
            values[s.count] = it->values[value];
            s.count++;
        }
    }
    if (s.count > 0) {
        qsort(values, s.count, sizeof(*values), compare);
        s.median = median_of(values, s.count);
        s.max = values[s.count - 1];
        s.sum = 0;
        for (size_t i = 0; i < s.count; i++)
            s.sum += values[i];
    }
    free(values);
    return s;
}
