#include "cluster/membership_internal.h"

#include <assert.h>
#include <covey/error.h>

/* The nodes that a newcomer asks first, given by name. A name is resolved again at each try, and of
 * its addresses one is dialled after the other. */

int cv_seeds_init(struct cv_membership *m, const char *const *names, size_t count)
{
    m->seeds = cv_allocate_zeroed(m->alloc, count, sizeof(*m->seeds));
    if (m->seeds == NULL)
        return COVEY_ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        m->seeds[i].name = cv_copy_text(m->alloc, names[i], strlen(names[i]));
        m->seed_count = i + 1;
        if (m->seeds[i].name == NULL) {
            cv_seeds_fini(m);
            return COVEY_ERR_NO_MEMORY;
        }
    }
    return COVEY_OK;
}

void cv_seeds_fini(struct cv_membership *m)
{
    for (size_t i = 0; i < m->seed_count; i++)
        cv_release(m->alloc, m->seeds[i].name);
    cv_release(m->alloc, m->seeds);
}

void cv_seed_try(struct cv_membership *m, struct cv_seed *seed)
{
    if (seed->state == CV_SEED_RESOLVING || seed->state == CV_SEED_DIALLING)
        return;
    if (seed->has_id && cv_links_peer(&m->gossip.links, &seed->id) != NULL) {
        seed->state = CV_SEED_REACHED;
        return;
    }
    struct cv_output output = {.type = CV_OUTPUT_RESOLVE};
    m->last_resolve++;
    seed->state = CV_SEED_RESOLVING;
    seed->resolve = m->last_resolve;
    output.resolve.resolve = seed->resolve;
    output.resolve.name = seed->name;
    cv_outbox_put(&m->gossip.outbox, &output);
}

static void fail(struct cv_membership *m, struct cv_seed *seed, int error)
{
    seed->state = CV_SEED_FAILED;
    seed->error = error;
    cv_join_advance(m);
}

/* Dials the next address; false when there is none left. */
static bool dial_next(struct cv_membership *m, struct cv_seed *seed)
{
    if (seed->address_next == seed->address_count)
        return false;
    struct cv_output output = {.type = CV_OUTPUT_DIAL};
    output.dial.dial = cv_links_dial_seed(&m->gossip.links, (uint32_t)(seed - m->seeds));
    output.dial.address = seed->addresses[seed->address_next];
    if (output.dial.dial == 0)
        return false;
    seed->address_next++;
    seed->state = CV_SEED_DIALLING;
    seed->dial = output.dial.dial;
    cv_outbox_put(&m->gossip.outbox, &output);
    return true;
}

/* Takes the addresses but our own; how many were our own. */
static size_t keep_addresses(struct cv_membership *m, struct cv_seed *seed,
                             const struct cv_input *input)
{
    const struct cv_address *own = &m->gossip.self->body->address;
    size_t own_count = 0;
    seed->address_count = 0;
    seed->address_next = 0;
    for (size_t i = 0; i < input->resolved.count; i++) {
        const struct cv_address *address = &input->resolved.addresses[i];
        if (cv_address_equal(address, own)) {
            own_count++;
        } else if (seed->address_count < CV_SEED_ADDRESSES_MAX) {
            seed->addresses[seed->address_count] = *address;
            seed->address_count++;
        }
    }
    return own_count;
}

static void become_self(struct cv_membership *m, struct cv_seed *seed)
{
    seed->state = CV_SEED_SELF;
    cv_join_advance(m);
}

void cv_seeds_resolved(struct cv_membership *m, const struct cv_input *input)
{
    struct cv_seed *seed = NULL;
    for (size_t i = 0; i < m->seed_count && seed == NULL; i++) {
        if (m->seeds[i].state == CV_SEED_RESOLVING &&
            m->seeds[i].resolve == input->resolved.resolve)
            seed = &m->seeds[i];
    }
    if (seed == NULL)
        return;
    if (input->resolved.error != COVEY_OK) {
        fail(m, seed, input->resolved.error);
        return;
    }
    size_t own_count = keep_addresses(m, seed, input);
    if (seed->address_count == 0 && own_count > 0)
        become_self(m, seed);
    else if (!dial_next(m, seed))
        fail(m, seed, COVEY_ERR_UNREACHABLE);
}

void cv_seed_connected(struct cv_membership *m, struct cv_seed *seed, const covey_node_id *peer)
{
    if (cv_node_id_equal(peer, cv_member_id(m->gossip.self))) {
        become_self(m, seed);
        return;
    }
    seed->state = CV_SEED_REACHED;
    seed->has_id = true;
    seed->id = *peer;
    m->join.was_reached = true;
    cv_join_advance(m);
}

void cv_seed_dial_failed(struct cv_membership *m, struct cv_seed *seed, uint32_t dial, int error)
{
    if (seed->state != CV_SEED_DIALLING || seed->dial != dial)
        return;
    /* A seed may be anybody but us. */
    if (error == COVEY_ERR_WRONG_IDENTITY)
        become_self(m, seed);
    else if (!dial_next(m, seed))
        fail(m, seed, error);
}
