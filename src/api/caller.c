#include "api/caller.h"

#include <string.h>

static size_t texts_size(const struct cv_certificate_names *names)
{
    size_t size = 0;
    for (size_t i = 0; i < names->count; i++)
        size += strlen(names->names[i].text) + 1;
    return size;
}

static void copy_names(struct cv_caller *caller, const struct cv_certificate_names *names, char *to)
{
    caller->name_count = names->count;
    for (size_t i = 0; i < names->count; i++) {
        size_t size = strlen(names->names[i].text) + 1;
        memcpy(to, names->names[i].text, size);
        caller->names[i] = to;
        to += size;
    }
}

struct cv_caller *cv_caller_new(covey_runtime *runtime, const struct cv_link *link)
{
    const struct cv_identity *identity = cv_link_peer(link);
    struct cv_slice der = cv_link_peer_der(link);
    struct cv_certificate_names names = {.count = 0};
    if (identity == NULL)
        return NULL;
    /* One that TLS accepted can be read; if not, it shows no names. */
    if (cv_certificate_names_read(&names, der) != 0)
        names.count = 0;
    struct cv_caller *caller =
        cv_allocate(&runtime->alloc, sizeof *caller + der.size + texts_size(&names));
    if (caller == NULL)
        return NULL;
    uint8_t *bytes = (uint8_t *)(caller + 1);
    *caller = (struct cv_caller){
        .runtime = runtime,
        .id = identity->id,
        .role = (enum covey_role)identity->role,
        .der = bytes,
        .der_size = der.size,
    };
    atomic_init(&caller->references, 1);
    memcpy(caller->name, identity->name, sizeof caller->name);
    if (der.size > 0)
        memcpy(bytes, der.data, der.size);
    copy_names(caller, &names, (char *)bytes + der.size);
    return caller;
}

void cv_caller_retain(struct cv_caller *caller)
{
    atomic_fetch_add_explicit(&caller->references, 1, memory_order_relaxed);
}

void cv_caller_release(struct cv_caller *caller)
{
    if (caller == NULL || atomic_fetch_sub(&caller->references, 1) > 1)
        return;
    cv_release(&caller->runtime->alloc, caller);
}
