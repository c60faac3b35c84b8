/*
 * The director: a member that tells clients which worker to use. It keeps no list of its own: the
 * workers are the members that say role=worker and available=true.
 *
 *     director --tls DIR --listen HOST:PORT [--join HOST:PORT]... [--profile local|lan|wan]
 */
#include "assigner.h"
#include "member.h"
#include "say.h"
#include "turns.h"

#include <stdlib.h>

static bool next_worker(const struct assignment_request *request, struct assignment *out,
                        void *user)
{
    return turns_next(user, request, out);
}

int main(int argc, char **argv)
{
    static const struct covey_tag tags[] = {{"role", "director"}};
    struct text_list join = {.count = 0};
    enum covey_profile profile = COVEY_PROFILE_LAN;
    const char *tls = NULL;
    const char *listen = NULL;
    const struct argument known[] = {
        {.name = "tls", .text = &tls, .is_required = true},
        {.name = "listen", .text = &listen, .is_required = true},
        {.name = "join", .list = &join},
        {.name = "profile", .profile = &profile},
    };
    struct member member;
    struct turns turns;
    int status = EXIT_FAILURE;

    say_begin("director");
    if (!arguments_read(known, sizeof known / sizeof known[0], argc, argv) ||
        !member_identify(&member, tls))
        return EXIT_FAILURE;
    turns_init(&turns);
    const struct assigner_config config = {.source = next_worker, .user = &turns};
    struct assigner *assigner = assigner_new(&config);
    if (assigner == NULL)
        return complain("%s", covey_strerror(COVEY_ERR_NO_MEMORY));
    const struct covey_method get_worker = {
        .name = "get_worker", .handler = assigner_get_worker, .user = assigner, .read_only = true};
    if (member_serve(&member, listen, &get_worker, 1) &&
        member_join(&member, &join, profile, tags, 1) &&
        turns_open(&turns, covey_server_cluster(member.server))) {
        member_run(&member);
        status = EXIT_SUCCESS;
    }
    assigner_stop(assigner);
    member_stop(&member);
    assigner_free(assigner);
    turns_fini(&turns);
    member_close(&member);
    return status;
}
