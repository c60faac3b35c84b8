/*
 * A worker: a member with the tags role=worker and available=true that streams numbered tokens.
 *
 *     worker --tls DIR --listen HOST:PORT --join HOST:PORT [--profile local|lan|wan]
 */
#include "member.h"
#include "say.h"
#include "token_streams.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    static const struct covey_tag tags[] = {{"role", "worker"}, {"available", "true"}};
    struct arguments arguments;
    struct token_streams streams;
    struct member member;
    int status = EXIT_FAILURE;

    say_begin("worker");
    if (!arguments_read(&arguments, "tls listen join profile", argc, argv))
        return EXIT_FAILURE;
    if (!member_identify(&member, &arguments))
        return EXIT_FAILURE;
    token_streams_init(&streams, covey_identity_name(member.identity));
    const struct covey_method method = {
        .name = "tokens", .handler = token_streams_serve, .user = &streams};
    if (member_open(&member, &arguments, &method, tags, 2)) {
        member_run(&member);
        status = EXIT_SUCCESS;
    }
    token_streams_stop(&streams);
    member_close(&member);
    token_streams_fini(&streams);
    return status;
}
