#include "v1_registry.h"

#include <stdio.h>
#include <string.h>

static const char yes[] = " available=true";
static const char no[] = " available=false";

/* Whether the text ends with this, after something else; its size shrinks by it. */
static bool cut_end(const char *text, size_t *size, const char *end)
{
    const size_t length = strlen(end);

    if (*size <= length || memcmp(text + *size - length, end, length) != 0)
        return false;
    *size -= length;
    return true;
}

bool v1_registration_read(struct v1_registration *registration, const void *text, size_t size)
{
    *registration = (struct v1_registration){.is_available = cut_end(text, &size, yes)};
    if (!registration->is_available && !cut_end(text, &size, no))
        return false;
    if (size >= sizeof registration->address || memchr(text, ' ', size) != NULL ||
        memchr(text, ':', size) == NULL)
        return false;
    memcpy(registration->address, text, size);
    return strlen(registration->address) == size;
}

size_t v1_registration_write(const struct v1_registration *registration, char *text)
{
    return (size_t)snprintf(text, V1_REGISTRATION_SIZE, "%s%s", registration->address,
                            registration->is_available ? yes : no);
}

void v1_registry_init(struct v1_registry *registry)
{
    *registry = (struct v1_registry){.count = 0};
    pthread_mutex_init(&registry->mutex, NULL);
}

void v1_registry_fini(struct v1_registry *registry)
{
    pthread_mutex_destroy(&registry->mutex);
}

/* Where this id is, or belongs. */
static size_t place_of(const struct v1_registry *registry, const covey_node_id *id)
{
    size_t place = 0;

    while (place < registry->count && covey_node_id_compare(&registry->workers[place].id, id) < 0)
        place++;
    return place;
}

static bool is_at(const struct v1_registry *registry, size_t place, const covey_node_id *id)
{
    return place < registry->count && covey_node_id_compare(&registry->workers[place].id, id) == 0;
}

static void remove_at(struct v1_registry *registry, size_t place)
{
    registry->count--;
    memmove(&registry->workers[place], &registry->workers[place + 1],
            (registry->count - place) * sizeof registry->workers[0]);
}

static bool is_gone(const struct v1_worker *worker, covey_time now)
{
    return now - worker->registered_at > V1_LIFETIME;
}

static void forget_gone(struct v1_registry *registry, covey_time now)
{
    for (size_t i = registry->count; i-- > 0;) {
        if (is_gone(&registry->workers[i], now))
            remove_at(registry, i);
    }
}

enum v1_outcome v1_registry_register(struct v1_registry *registry, const covey_node_id *id,
                                     const struct v1_registration *registration, covey_time now)
{
    enum v1_outcome outcome = V1_AGAIN;

    pthread_mutex_lock(&registry->mutex);
    forget_gone(registry, now);
    const size_t place = place_of(registry, id);
    struct v1_worker *worker = &registry->workers[place];
    if (!is_at(registry, place, id)) {
        outcome = registry->count < V1_WORKERS_MAX ? V1_NEW : V1_FULL;
        if (outcome == V1_NEW)
            memmove(worker + 1, worker, (registry->count++ - place) * sizeof *worker);
    }
    if (outcome != V1_FULL)
        *worker =
            (struct v1_worker){.id = *id, .registration = *registration, .registered_at = now};
    pthread_mutex_unlock(&registry->mutex);
    return outcome;
}

void v1_registry_remove(struct v1_registry *registry, const covey_node_id *id)
{
    pthread_mutex_lock(&registry->mutex);
    const size_t place = place_of(registry, id);
    if (is_at(registry, place, id))
        remove_at(registry, place);
    pthread_mutex_unlock(&registry->mutex);
}

static bool is_fit(const struct v1_worker *worker, covey_time now)
{
    return worker->registration.is_available && !is_gone(worker, now);
}

bool v1_registry_next(struct v1_registry *registry, const struct assignment_request *request,
                      covey_time now, struct assignment *out)
{
    bool is_found = false;

    pthread_mutex_lock(&registry->mutex);
    size_t place = registry->has_last ? place_of(registry, &registry->last) : 0;
    if (registry->has_last && is_at(registry, place, &registry->last))
        place++;
    for (size_t i = 0; i < registry->count && !is_found; i++) {
        const struct v1_worker *worker = &registry->workers[(place + i) % registry->count];
        if (!is_fit(worker, now) || assignment_request_avoids(request, &worker->id))
            continue;
        out->id = registry->last = worker->id;
        memcpy(out->address, worker->registration.address, sizeof out->address);
        registry->has_last = is_found = true;
    }
    pthread_mutex_unlock(&registry->mutex);
    return is_found;
}

size_t v1_registry_count(struct v1_registry *registry, covey_time now)
{
    size_t count = 0;

    pthread_mutex_lock(&registry->mutex);
    for (size_t i = 0; i < registry->count; i++)
        count += is_fit(&registry->workers[i], now);
    pthread_mutex_unlock(&registry->mutex);
    return count;
}
