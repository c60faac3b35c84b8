/*
 * The director: a member that tells clients which worker to use. It keeps no list of its own: the
 * workers are the members that say role=worker and available=true.
 *
 *     director --tls DIR --listen HOST:PORT [--join HOST:PORT]... [--profile local|lan|wan]
 */
#include "assigner.h"
#include "member.h"
#include "say.h"

#include <stdlib.h>

/* On the assigner's thread: the call was kept until now. */
static void answer(const struct assignment *worker, void *user)
{
    covey_call *call = user;
    char text[ASSIGNMENT_TEXT_SIZE];

    if (worker == NULL) {
        say("has no worker for %s", covey_call_peer_name(call));
        covey_call_finish(call, COVEY_STATUS_UNAVAILABLE, "no worker is available");
        return;
    }
    say("sends %s to the worker at %s", covey_call_peer_name(call), worker->address);
    covey_call_reply(call, text, assignment_write(worker, text));
}

/* On the library's thread: it must not wait for a worker to appear. */
static void get_worker(covey_call *call, const void *request, size_t size, void *user)
{
    (void)request;
    (void)size;
    if (!assigner_ask(user, answer, call))
        covey_call_finish(call, COVEY_STATUS_UNAVAILABLE, "too many wait for a worker");
}

int main(int argc, char **argv)
{
    static const struct covey_tag tags[] = {{"role", "director"}};
    struct arguments arguments;
    struct member member;
    int status = EXIT_FAILURE;

    say_begin("director");
    if (!arguments_read(&arguments, "tls listen join profile", argc, argv))
        return EXIT_FAILURE;
    if (!member_identify(&member, &arguments))
        return EXIT_FAILURE;
    struct assigner *assigner = assigner_new();
    if (assigner == NULL)
        return complain("%s", covey_strerror(COVEY_ERR_NO_MEMORY));
    const struct covey_method method = {
        .name = "get_worker", .handler = get_worker, .user = assigner};
    if (member_open(&member, &arguments, &method, tags, 1) &&
        assigner_start(assigner, member.cluster)) {
        member_run(&member);
        status = EXIT_SUCCESS;
    }
    assigner_stop(assigner);
    member_close(&member);
    assigner_free(assigner);
    return status;
}
