/* One call to every member that matches: each is a routed call of its own, so many at the same time. */
#include "api/cluster_client.h"

struct all {
    struct cv_mail mail; /* first: it names this */
    covey_cluster_client *client;
    struct cv_routed *model; /* what each is like; never posted, and not counted as a call */
    struct covey_all_handler handler;
    unsigned at_once;
    unsigned running;
    bool is_starting; /* ends that come meanwhile start nothing */
    size_t count;
    size_t next;
    struct covey_pick picks[];
};

/* ---- the loop's thread ---- */

static void all_free(struct all *a)
{
    covey_runtime *runtime = a->client->runtime;
    cv_routed_drop(a->model);
    cv_release(&runtime->alloc, a);
}

static void start_more(struct all *a);

static void on_done(struct cv_routed *r, struct covey_reply *reply)
{
    struct all *a = r->user;
    a->handler.each(&r->pick.id, reply, a->handler.user);
    a->running--;
    start_more(a);
}

/* On an error the pick is the caller's still. */
static int start_one(struct all *a, const struct covey_pick *pick)
{
    struct cv_routed *r;
    struct covey_call_options options = a->model->options;
    options.timeout = cv_time_left(a->model->deadline);
    int error = cv_routed_new(a->client, &a->model->target, a->model->method, a->model->request,
                              &options, &r);
    if (error != 0)
        return error;
    r->is_fixed = r->has_pick = true;
    r->pick = *pick;
    r->node = pick->id;
    r->deadline = a->model->deadline;
    r->done = on_done;
    r->user = a;
    error = cv_cluster_client_post(a->client, &r->mail);
    if (error != 0) {
        r->has_pick = false;
        cv_routed_drop(r);
    }
    return error;
}

static void refuse_one(const struct all *a, const struct covey_pick *pick, int error)
{
    struct covey_reply reply;
    covey_balancer_done(a->model->target.balancer, pick);
    cv_reply_set_constant(&reply,
                          error == COVEY_ERR_CLOSED ? COVEY_STATUS_CANCELLED
                                                    : COVEY_STATUS_RESOURCE_EXHAUSTED,
                          covey_strerror(error));
    a->handler.each(&pick->id, &reply, a->handler.user);
}

/* Frees it with the last one. While others take all of calls_max it goes on when one of its own ends; one
 * that has none to wait for is refused. */
static void start_more(struct all *a)
{
    if (a->is_starting)
        return;
    a->is_starting = true;
    while (a->next < a->count && a->running < a->at_once) {
        const struct covey_pick *pick = &a->picks[a->next];
        const int error = start_one(a, pick);
        if (error == COVEY_ERR_BUSY && a->running > 0)
            break;
        a->next++;
        if (error == 0)
            a->running++;
        else
            refuse_one(a, pick, error);
    }
    a->is_starting = false;
    if (a->running > 0 || a->next < a->count)
        return;
    a->handler.end(a->count, a->handler.user);
    all_free(a);
}

static void run_start(struct cv_mail *mail, bool cancelled)
{
    (void)cancelled; /* then none can be posted */
    start_more((struct all *)(void *)mail);
}

/* ---- any thread ---- */

static void give_picks_back(struct all *a, covey_balancer *balancer)
{
    for (size_t i = 0; i < a->count; i++)
        covey_balancer_done(balancer, &a->picks[i]);
}

static struct all *all_of_room(covey_cluster_client *client, covey_balancer *balancer, size_t room)
{
    struct all *a = cv_allocate_zeroed(&client->runtime->alloc, 1,
                                       sizeof *a + room * sizeof(struct covey_pick));
    if (a == NULL)
        return NULL;
    a->client = client;
    a->mail.run = run_start;
    a->count = cv_balancer_table_pick_all(&balancer->table, a->picks, room);
    return a;
}

/* With all that are listed at one moment: once more when so many came meanwhile that not all may have
 * found room. */
static struct all *all_new(covey_cluster_client *client, covey_balancer *balancer)
{
    for (;;) {
        const size_t room = (size_t)cv_balancer_table_count(&balancer->table) + 1;
        struct all *a = all_of_room(client, balancer, room);
        if (a == NULL || a->count < room)
            return a;
        give_picks_back(a, balancer);
        cv_release(&client->runtime->alloc, a);
    }
}

static int post(struct all *a)
{
    const int error = cv_cluster_client_post(a->client, &a->mail);
    if (error == 0)
        return 0;
    give_picks_back(a, a->model->target.balancer);
    all_free(a);
    return error;
}

int covey_cluster_client_call_all(covey_cluster_client *client, covey_balancer *balancer,
                                  const char *method, const void *request, size_t size,
                                  const struct covey_call_options *options, unsigned at_once,
                                  const struct covey_all_handler *handler)
{
    struct cv_routed *model;
    struct covey_target target;
    if (balancer == NULL || at_once == 0 || handler == NULL || handler->each == NULL ||
        handler->end == NULL)
        return COVEY_ERR_INVALID_ARGUMENT;
    covey_target_init(&target);
    target.balancer = balancer;
    const int error =
        cv_routed_new(client, &target, method, cv_slice_of(request, size), options, &model);
    if (error != 0)
        return error;
    struct all *a = all_new(client, balancer);
    if (a == NULL) {
        cv_routed_drop(model);
        return COVEY_ERR_NO_MEMORY;
    }
    a->model = model;
    cv_routed_uncount(model);
    a->handler = *handler;
    const size_t peers_max = client->pool->peers_max;
    a->at_once = at_once < peers_max ? at_once : (unsigned)peers_max;
    return post(a);
}
