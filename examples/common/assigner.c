#include "assigner.h"

#include "retrier.h"
#include "say.h"

#include <stdlib.h>

struct assigner {
    struct assigner_config config;
    struct retrier *retrier;
};

/* A call that waits for a worker to appear. */
struct waiting {
    struct assigner *assigner;
    covey_call *call;
    struct assignment_request request;
};

static const char *name_of(covey_call *call, const struct assignment_request *request)
{
    return request->connection[0] != '\0' ? request->connection : covey_call_peer_name(call);
}

/* One try. True: the call is answered. */
static bool try_once(const struct assigner *assigner, covey_call *call,
                     const struct assignment_request *request)
{
    struct assignment worker;
    char text[ASSIGNMENT_TEXT_SIZE];

    if (!assigner->config.source(request, &worker, assigner->config.user))
        return false;
    if (!assigner->config.quiet)
        say("sends %s to the worker at %s", name_of(call, request), worker.address);
    covey_call_reply(call, text, assignment_write(&worker, text));
    return true;
}

static bool try_again(void *user, bool is_last)
{
    struct waiting *waiting = user;

    bool is_over = try_once(waiting->assigner, waiting->call, &waiting->request);
    if (!is_over && is_last) {
        waiting->request.avoid_count = 0;
        is_over = try_once(waiting->assigner, waiting->call, &waiting->request);
    }
    if (!is_over && is_last) {
        say("has no worker for %s", name_of(waiting->call, &waiting->request));
        covey_call_finish(waiting->call, COVEY_STATUS_UNAVAILABLE, "no worker is available");
    }
    if (is_over || is_last)
        free(waiting);
    return is_over;
}

void assigner_get_worker(covey_call *call, const void *request, size_t size, void *user)
{
    struct assigner *assigner = user;
    struct assignment_request wish;

    if (!assignment_request_read(&wish, request, size)) {
        covey_call_finish(call, COVEY_STATUS_INVALID_ARGUMENT, "the request is CONNECTION ID...");
        return;
    }
    if (try_once(assigner, call, &wish))
        return;
    struct waiting *waiting = malloc(sizeof *waiting);
    if (waiting != NULL)
        *waiting = (struct waiting){.assigner = assigner, .call = call, .request = wish};
    if (waiting == NULL || !retrier_add(assigner->retrier, try_again, waiting)) {
        free(waiting);
        covey_call_finish(call, COVEY_STATUS_UNAVAILABLE,
                          "no worker is available, and too many wait for one");
    }
}

struct assigner *assigner_new(const struct assigner_config *config)
{
    struct assigner *assigner = malloc(sizeof *assigner);

    if (assigner == NULL)
        return NULL;
    *assigner = (struct assigner){.config = *config, .retrier = retrier_new()};
    if (assigner->retrier != NULL)
        return assigner;
    free(assigner);
    return NULL;
}

void assigner_stop(struct assigner *assigner)
{
    retrier_stop(assigner->retrier);
}

void assigner_free(struct assigner *assigner)
{
    retrier_free(assigner->retrier);
    free(assigner);
}
