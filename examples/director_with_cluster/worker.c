/*
 * A worker: a member with the tags role=worker and available=true that does what it is asked for:
 * it counts the letters of a text.
 *
 *     worker --tls DIR --listen HOST:PORT --join HOST:PORT [--profile local|lan|wan]
 */
#include "member.h"
#include "say.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_letter(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* Quick, so it may run on the library's thread. */
static void count_letters(covey_call *call, const void *request, size_t size, void *user)
{
    const unsigned char *text = request;
    const struct member *member = user;
    char answer[96];
    size_t letters = 0;

    for (size_t i = 0; i < size; i++)
        letters += is_letter(text[i]);
    const int length = snprintf(answer, sizeof answer, "%zu letters, counted by %s", letters,
                                covey_identity_name(member->identity));
    covey_call_reply(call, answer, (size_t)length);
}

int main(int argc, char **argv)
{
    static const struct covey_tag tags[] = {{"role", "worker"}, {"available", "true"}};
    struct text_list join = {.count = 0};
    enum covey_profile profile = COVEY_PROFILE_LAN;
    const char *tls = NULL;
    const char *listen = NULL;
    const struct argument known[] = {
        {.name = "tls", .text = &tls, .is_required = true},
        {.name = "listen", .text = &listen, .is_required = true},
        {.name = "join", .list = &join, .is_required = true},
        {.name = "profile", .profile = &profile},
    };
    struct member member;
    int status = EXIT_FAILURE;

    say_begin("worker");
    if (!arguments_read(known, sizeof known / sizeof known[0], argc, argv) ||
        !member_identify(&member, tls))
        return EXIT_FAILURE;
    const struct covey_method method = {
        .name = "count_letters", .handler = count_letters, .user = &member, .read_only = true};
    if (member_serve(&member, listen, &method, 1) &&
        member_join(&member, &join, profile, tags, 2)) {
        member_run(&member);
        status = EXIT_SUCCESS;
    }
    member_close(&member);
    return status;
}
