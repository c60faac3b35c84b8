/*
 * The director: a member that tells clients which worker to use. It keeps no list of its own: the
 * workers are the members that say role=worker and available=true. With --v1-compat also those that
 * call register_worker, as in v1; --v1-management serves that on a second port, as v1 did.
 *
 *     director --tls DIR --listen HOST:PORT [--join HOST:PORT]... [--profile local|lan|wan]
 *              [--v1-compat] [--v1-management HOST:PORT] [--quiet]
 */
#include "assigner.h"
#include "member.h"
#include "say.h"
#include "v1_compat.h"

#include <stdlib.h>

struct options {
    const char *tls;
    const char *listen;
    const char *management;
    struct text_list join;
    enum covey_profile profile;
    bool v1_compat;
    bool quiet;
};

struct director {
    struct member member;
    struct turns turns;
    struct v1_compat v1;
    struct assigner *assigner;
    covey_server *management; /* NULL: no second port */
};

static bool read_options(struct options *options, int argc, char **argv)
{
    const struct argument known[] = {
        {.name = "tls", .text = &options->tls, .is_required = true},
        {.name = "listen", .text = &options->listen, .is_required = true},
        {.name = "join", .list = &options->join},
        {.name = "profile", .profile = &options->profile},
        {.name = "v1-compat", .flag = &options->v1_compat},
        {.name = "v1-management", .text = &options->management},
        {.name = "quiet", .flag = &options->quiet},
    };

    *options = (struct options){.profile = COVEY_PROFILE_LAN};
    if (!arguments_read(known, sizeof known / sizeof known[0], argc, argv))
        return false;
    options->v1_compat = options->v1_compat || options->management != NULL;
    return true;
}

static bool next_of_cluster(const struct assignment_request *request, struct assignment *out,
                            void *user)
{
    return turns_next(user, request, out);
}

static bool make_assigner(struct director *director, const struct options *options)
{
    struct assigner_config config = {
        .source = next_of_cluster, .user = &director->turns, .quiet = options->quiet};

    if (options->v1_compat) {
        config.source = v1_compat_next;
        config.user = &director->v1;
    }
    director->assigner = assigner_new(&config);
    if (director->assigner == NULL)
        complain("%s", covey_strerror(COVEY_ERR_NO_MEMORY));
    return director->assigner != NULL;
}

/* The second port, for nothing but register_worker. */
static bool serve_management(struct director *director, const char *listen,
                             const struct covey_method *register_worker)
{
    int error =
        member_new_server(&director->member, listen, register_worker, 1, &director->management);
    if (error == 0)
        error = covey_server_start(director->management);
    if (error != 0)
        complain("cannot serve at %s: %s", listen, covey_strerror(error));
    else
        say("workers register at %s", covey_server_address(director->management));
    return error == 0;
}

static bool run(struct director *director, const struct options *options)
{
    static const struct covey_tag tags[] = {{"role", "director"}};
    const struct covey_method methods[] = {
        {.name = "get_worker",
         .handler = assigner_get_worker,
         .user = director->assigner,
         .read_only = true},
        {.name = "register_worker",
         .handler = v1_compat_register,
         .user = &director->v1,
         .allow = COVEY_ALLOW_MEMBER,
         .read_only = true},
    };
    struct member *member = &director->member;

    if (options->management != NULL &&
        !serve_management(director, options->management, &methods[1]))
        return false;
    if (!member_serve(member, options->listen, methods, options->v1_compat ? 2 : 1) ||
        !member_join(member, &options->join, options->profile, tags, 1) ||
        !turns_open(&director->turns, covey_server_cluster(member->server)))
        return false;
    atomic_store(&director->v1.cluster, covey_server_cluster(member->server));
    member_run(member);
    return true;
}

int main(int argc, char **argv)
{
    static struct director director;
    struct options options;
    bool ran = false;

    say_begin("director");
    if (!read_options(&options, argc, argv) || !member_identify(&director.member, options.tls))
        return EXIT_FAILURE;
    turns_init(&director.turns);
    v1_compat_init(&director.v1, &director.turns);
    if (make_assigner(&director, &options)) {
        ran = run(&director, &options);
        assigner_stop(director.assigner);
        covey_server_free(director.management);
        member_stop(&director.member);
        assigner_free(director.assigner);
    }
    v1_compat_fini(&director.v1);
    turns_fini(&director.turns);
    member_close(&director.member);
    return ran ? EXIT_SUCCESS : EXIT_FAILURE;
}
