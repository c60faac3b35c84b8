#ifndef COVEY_TOOL_AGENT_OPTIONS_H
#define COVEY_TOOL_AGENT_OPTIONS_H

#include "options.h"
#include "values.h"

#include <covey/cluster.h>

/* What `covey agent` was told. Points into argv and into itself: it is not copied. */
struct agent_options {
    const char *tls;
    const char *listen;
    const char *advertise; /* NULL: the listen address */
    const char *deny;      /* NULL: nobody is denied */
    struct option_list seeds;
    enum covey_profile profile;
    struct covey_tag tags[COVEY_TAGS_MAX];
    size_t tag_count;
    bool echo;
    struct tag_argument tag_arguments[COVEY_TAGS_MAX]; /* what `tags` points at */
};

/* Reads and checks the arguments; what is wrong is reported in one line. */
enum options_result agent_options_read(struct agent_options *options, const char *command, int argc,
                                       char **argv);

#endif
