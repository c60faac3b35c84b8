/* Receivers of one hub, without a cluster: what each gets, and that nothing is lost unsaid. */
#include "api/event_hub.h"

#include "unit/api/calling.h"

#include <poll.h>

struct hub {
    struct world *w;
    struct cv_event_hub *hub;
    uint64_t number; /* of the next event: it is its time */
};

static struct world world;

static struct hub hub_new(void)
{
    struct hub h = {.w = &world};
    world_init(h.w);
    assert_int_equal(cv_event_hub_new(h.w->runtime, &h.hub), 0);
    return h;
}

static void hub_free(struct hub *h)
{
    cv_event_hub_release(h->hub);
    world_fini(h->w);
}

static void publish(struct hub *h, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct cv_event event = {.type = COVEY_EVENT_NODE_JOINED, .wall_ms = h->number++};
        cv_event_hub_publish(h->hub, &event);
    }
    cv_event_hub_show(h->hub);
}

static covey_event_receiver *subscribe(struct hub *h)
{
    covey_event_receiver *r;
    assert_int_equal(cv_event_hub_subscribe(h->hub, &r), 0);
    return r;
}

static struct covey_event_receiver_stats counts_of(const covey_event_receiver *r)
{
    struct covey_event_receiver_stats stats = {.size = sizeof stats};
    assert_int_equal(covey_event_receiver_stats(r, &stats), 0);
    assert_int_equal(stats.delivered + stats.dropped + stats.waiting, stats.emitted);
    return stats;
}

/* A receiver as a test's model sees it. */
struct reader {
    covey_event_receiver *r;
    uint64_t taken;
    uint64_t told_lost;
    uint64_t next; /* the number that must come, after what it is told to have lost */
};

static int take(struct reader *reader)
{
    struct covey_event event = {.size = sizeof event};
    int error = covey_event_receive(reader->r, 0, &event);
    if (error != 0)
        return error;
    if (event.type == COVEY_EVENT_EVENTS_DROPPED) {
        assert_true(event.dropped > 0);
        reader->told_lost += event.dropped;
        reader->next += event.dropped;
        return 0;
    }
    assert_int_equal(event.timestamp_ms, reader->next);
    reader->next++;
    reader->taken++;
    return 0;
}

/* E3: what was emitted since it came is delivered, told to be lost, or waits, at every moment. */
static void delivered_and_dropped_are_emitted(void **state)
{
    (void)state;
    struct hub h = hub_new();
    struct reader fast = {.r = subscribe(&h)};
    struct reader slow = {.r = subscribe(&h)};
    publish(&h, 100);
    struct reader late = {.r = subscribe(&h), .next = 100};
    for (int round = 0; round < 40; round++) {
        publish(&h, 173);
        while (take(&fast) == 0)
            ;
        for (int i = 0; i < 31; i++)
            assert_int_equal(take(&slow), 0);
        assert_int_equal(counts_of(fast.r).dropped, 0);
        (void)counts_of(slow.r);
    }
    const uint64_t emitted = 100 + 40 * 173;
    assert_int_equal(fast.taken, emitted);
    assert_int_equal(counts_of(fast.r).delivered, emitted);
    while (take(&slow) == 0)
        ;
    while (take(&late) == 0)
        ;
    assert_true(slow.told_lost > 0);
    assert_int_equal(slow.taken + slow.told_lost, emitted);
    assert_int_equal(counts_of(slow.r).dropped, slow.told_lost);
    assert_int_equal(counts_of(slow.r).emitted, emitted);
    assert_int_equal(covey_event_receiver_dropped(slow.r), slow.told_lost);
    assert_int_equal(late.taken, 1000); /* as many as are kept */
    assert_int_equal(counts_of(late.r).emitted, 40 * 173);
    assert_int_equal(counts_of(late.r).dropped, 40 * 173 - 1000);

    /* a clone goes on from there, by itself */
    struct reader clone = {.next = slow.next};
    assert_int_equal(covey_event_receiver_clone(slow.r, &clone.r), 0);
    publish(&h, 1);
    assert_int_equal(take(&clone), 0);
    assert_int_equal(counts_of(clone.r).delivered, slow.taken + 1);
    assert_int_equal(counts_of(slow.r).waiting, 1);
    cv_event_hub_close(h.hub);
    assert_int_equal(take(&slow), 0);
    assert_int_equal(take(&slow), COVEY_ERR_CLOSED);
    assert_int_equal(take(&clone), COVEY_ERR_CLOSED);
    covey_event_receiver_free(fast.r);
    covey_event_receiver_free(slow.r);
    covey_event_receiver_free(late.r);
    covey_event_receiver_free(clone.r);
    hub_free(&h);
}

/* Neither descriptor nor handler nor receiver knows of an event that is not shown. */
static void nothing_comes_before_it_is_shown(void **state)
{
    (void)state;
    struct hub h = hub_new();
    struct reader reader = {.r = subscribe(&h)};
    const struct cv_event event = {.type = COVEY_EVENT_NODE_JOINED, .wall_ms = h.number++};
    struct pollfd fd = {.fd = covey_event_receiver_fd(reader.r), .events = POLLIN};
    cv_event_hub_publish(h.hub, &event);
    assert_int_equal(take(&reader), COVEY_ERR_TIMEOUT);
    assert_int_equal(poll(&fd, 1, 0), 0);
    cv_event_hub_show(h.hub);
    assert_int_equal(poll(&fd, 1, 0), 1);
    assert_int_equal(take(&reader), 0);
    assert_int_equal(poll(&fd, 1, 0), 0);
    covey_event_receiver_free(reader.r);
    hub_free(&h);
}

/* Every kind comes out as it went in. */
static void every_kind_has_its_fields(void **state)
{
    (void)state;
    struct hub h = hub_new();
    covey_event_receiver *r = subscribe(&h);
    struct covey_event event = {.size = sizeof event};
    for (int type = COVEY_EVENT_NODE_JOINED; type < COVEY_EVENT_EVENTS_DROPPED; type++) {
        struct cv_event in = {
            .type = (enum covey_event_type)type,
            .wall_ms = 7,
            .partition = {.state = CV_PARTITION_SUSPECT, .alive = 2, .quorum = 3}};
        if (type == COVEY_EVENT_HEALTH_CHECK_FAILED)
            strcpy(in.check, "disk");
        cv_event_hub_publish(h.hub, &in);
        cv_event_hub_show(h.hub);
        assert_int_equal(covey_event_receive(r, 0, &event), 0);
        assert_int_equal(event.type, type);
        assert_string_not_equal(covey_event_name(event.type), "?");
        assert_int_equal(event.timestamp_ms, 7);
        assert_null(event.node);
        assert_true((event.partition != NULL) == (type == COVEY_EVENT_PARTITION_DETECTED));
        assert_true((event.check != NULL) == (type == COVEY_EVENT_HEALTH_CHECK_FAILED));
        if (event.partition != NULL) {
            assert_int_equal(event.partition->state, COVEY_PARTITION_SUSPECT);
            assert_int_equal(event.partition->alive, 2);
            assert_int_equal(event.partition->quorum, 3);
        }
        if (event.check != NULL)
            assert_string_equal(event.check, "disk");
    }
    struct covey_event_receiver_stats none = {.size = 0};
    assert_int_equal(covey_event_receiver_stats(r, &none), COVEY_ERR_INVALID_ARGUMENT);
    covey_event_receiver_free(r);
    hub_free(&h);
}

/* ---- handlers ---- */

struct heard {
    atomic_uint events;
    atomic_uint ends;
    atomic_bool holds; /* the handler waits as long as this is so */
    atomic_bool is_inside;
    atomic_uint_fast64_t next;
    pthread_t thread;
    covey_event_receiver *to_free; /* at the first event */
    unsigned yields;               /* before it returns: gives others the time to go wrong */
};

static void hear(const struct covey_event *event, void *user)
{
    struct heard *h = user;
    h->thread = pthread_self();
    atomic_store(&h->is_inside, true);
    while (atomic_load(&h->holds))
        sched_yield();
    if (event == NULL) {
        atomic_fetch_add(&h->ends, 1);
    } else if (atomic_load(&h->ends) == 0 && event->timestamp_ms == atomic_load(&h->next)) {
        atomic_fetch_add(&h->next, 1);
        atomic_fetch_add(&h->events, 1);
    }
    if (h->to_free != NULL)
        covey_event_receiver_free(h->to_free);
    h->to_free = NULL;
    for (unsigned i = 0; i < h->yields; i++)
        sched_yield();
    atomic_store(&h->is_inside, false);
}

static void a_handler_gets_each_event_and_the_end(void **state)
{
    (void)state;
    struct hub h = hub_new();
    static struct heard heard;
    struct covey_event event = {.size = sizeof event};
    memset(&heard, 0, sizeof heard);
    covey_event_receiver *r = subscribe(&h);
    publish(&h, 200); /* what waits comes too */
    assert_int_equal(covey_event_receiver_on_event(r, NULL, &heard), COVEY_ERR_INVALID_ARGUMENT);
    assert_int_equal(covey_event_receiver_on_event(r, hear, &heard), 0);
    assert_int_equal(covey_event_receiver_on_event(r, hear, &heard), COVEY_ERR_STATE);
    assert_int_equal(covey_event_receive(r, 0, &event), COVEY_ERR_STATE);
    AWAIT(atomic_load(&heard.events) == 200);
    assert_false(pthread_equal(heard.thread, pthread_self()));
    publish(&h, 300);
    AWAIT(atomic_load(&heard.events) == 500);
    assert_int_equal(counts_of(r).delivered, 500);
    publish(&h, 1);
    cv_event_hub_close(h.hub);
    AWAIT(atomic_load(&heard.ends) == 1);
    assert_int_equal(atomic_load(&heard.events), 501);
    covey_event_receiver_free(r);
    assert_int_equal(atomic_load(&heard.ends), 1);
    hub_free(&h);
}

/* One that blocks holds up nobody who receives, nor who publishes; and loses what is beyond the bound. */
static void a_handler_may_block(void **state)
{
    (void)state;
    struct hub h = hub_new();
    static struct heard heard;
    memset(&heard, 0, sizeof heard);
    atomic_store(&heard.holds, true);
    struct reader reader = {.r = subscribe(&h)};
    covey_event_receiver *r = subscribe(&h);
    assert_int_equal(covey_event_receiver_on_event(r, hear, &heard), 0);
    for (int i = 0; i < 20; i++) {
        publish(&h, 100);
        while (take(&reader) == 0)
            ;
    }
    assert_int_equal(reader.taken, 2000);
    AWAIT(atomic_load(&heard.is_inside));
    assert_true(counts_of(r).dropped >= 999);
    atomic_store(&heard.holds, false);
    AWAIT(counts_of(r).waiting == 0);
    covey_event_receiver_free(r);
    covey_event_receiver_free(reader.r);
    hub_free(&h);
}

static void *free_receiver(void *user)
{
    struct heard *heard = user;
    covey_event_receiver_free(heard->to_free);
    return atomic_load(&heard->is_inside) ? user : NULL;
}

/* Freed by another thread while its handler runs: not before it returned. */
static void freeing_waits_for_the_handler(void **state)
{
    (void)state;
    struct hub h = hub_new();
    static struct heard heard, freeing;
    pthread_t thread;
    void *too_early;
    memset(&heard, 0, sizeof heard);
    memset(&freeing, 0, sizeof freeing);
    atomic_store(&heard.holds, true);
    heard.yields = 20000;
    covey_event_receiver *r = subscribe(&h);
    assert_int_equal(covey_event_receiver_on_event(r, hear, &heard), 0);
    publish(&h, 3);
    AWAIT(atomic_load(&heard.is_inside));
    covey_event_receiver *queued = subscribe(&h); /* behind it: is not called any more */
    assert_int_equal(covey_event_receiver_on_event(queued, hear, &freeing), 0);
    publish(&h, 1);
    covey_event_receiver_free(queued);
    struct heard own = {.to_free = r};
    assert_int_equal(pthread_create(&thread, NULL, free_receiver, &own), 0);
    atomic_store(&heard.holds, false);
    pthread_join(thread, &too_early);
    assert_null(too_early);
    assert_false(atomic_load(&heard.is_inside));
    unsigned events = atomic_load(&heard.events);
    publish(&h, 10);
    assert_int_equal(atomic_load(&heard.events), events);
    assert_int_equal(atomic_load(&freeing.events), 0);
    hub_free(&h); /* nothing is left, of the one that waited in the queue either */
}

static void a_handler_may_free_its_receiver(void **state)
{
    (void)state;
    struct hub h = hub_new();
    static struct heard heard;
    memset(&heard, 0, sizeof heard);
    covey_event_receiver *r = subscribe(&h);
    heard.to_free = r;
    heard.yields = 20000;
    publish(&h, 5);
    assert_int_equal(covey_event_receiver_on_event(r, hear, &heard), 0);
    AWAIT(atomic_load(&heard.events) == 1);
    publish(&h, 5);
    hub_free(&h); /* waits for the handler */
    assert_false(atomic_load(&heard.is_inside));
    assert_int_equal(atomic_load(&heard.events), 1);
    assert_int_equal(atomic_load(&heard.ends), 0);
}

static void stop_from_inside(const struct covey_event *event, void *user)
{
    struct heard *h = user;
    if (event != NULL && covey_runtime_free(world.runtime) == COVEY_ERR_WRONG_THREAD)
        atomic_fetch_add(&h->events, 1);
}

static void a_handler_cannot_free_the_ground_it_stands_on(void **state)
{
    (void)state;
    struct hub h = hub_new();
    static struct heard heard;
    memset(&heard, 0, sizeof heard);
    covey_event_receiver *r = subscribe(&h);
    assert_int_equal(covey_event_receiver_on_event(r, stop_from_inside, &heard), 0);
    publish(&h, 1);
    AWAIT(atomic_load(&heard.events) == 1);
    covey_event_receiver_free(r);
    hub_free(&h);
}

/* On a user's loop handlers run in his turns. */
static void in_step_mode_the_user_runs_it(void **state)
{
    (void)state;
    struct hub h = {.w = &world};
    static struct heard heard;
    memset(&heard, 0, sizeof heard);
    world_init_mode(h.w, COVEY_RUN_STEP);
    assert_int_equal(cv_event_hub_new(h.w->runtime, &h.hub), 0);
    covey_event_receiver *r = subscribe(&h);
    assert_int_equal(covey_event_receiver_on_event(r, hear, &heard), 0);
    publish(&h, 100);
    assert_int_equal(atomic_load(&heard.events), 0);
    struct pollfd fd = {.fd = covey_runtime_fd(h.w->runtime), .events = POLLIN};
    assert_true(poll(&fd, 1, 0) == 1 || covey_runtime_timeout(h.w->runtime) == 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(covey_runtime_step(h.w->runtime), 0);
    assert_int_equal(atomic_load(&heard.events), 100);
    assert_true(pthread_equal(heard.thread, pthread_self()));
    publish(&h, 1);
    covey_event_receiver_free(r); /* its turn is still to come */
    hub_free(&h);
    assert_int_equal(atomic_load(&heard.events), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delivered_and_dropped_are_emitted),
        cmocka_unit_test(nothing_comes_before_it_is_shown),
        cmocka_unit_test(every_kind_has_its_fields),
        cmocka_unit_test(a_handler_gets_each_event_and_the_end),
        cmocka_unit_test(a_handler_may_block),
        cmocka_unit_test(freeing_waits_for_the_handler),
        cmocka_unit_test(a_handler_may_free_its_receiver),
        cmocka_unit_test(a_handler_cannot_free_the_ground_it_stands_on),
        cmocka_unit_test(in_step_mode_the_user_runs_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
