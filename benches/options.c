#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option flags[] = {
    {"connections", required_argument, NULL, 'c'},
    {"inflight", required_argument, NULL, 'i'},
    {"size", required_argument, NULL, 's'},
    {"reply-size", required_argument, NULL, 'r'},
    {"seconds", required_argument, NULL, 'S'},
    {"rate", required_argument, NULL, 'R'},
    {"loss", required_argument, NULL, 'l'},
    {"busy-poll", required_argument, NULL, 'p'},
    {"loops", required_argument, NULL, 'L'},
    {"blocking", no_argument, NULL, 'b'},
    {"json", no_argument, NULL, 'j'},
    {NULL, 0, NULL, 0},
};

static bool complain(char *reason, const char *what)
{
    snprintf(reason, OPTIONS_REASON_SIZE, "%s", what);
    return false;
}

static bool number(unsigned min, unsigned max, unsigned *out, char *reason)
{
    char *end;
    unsigned long value = strtoul(optarg, &end, 10);
    if (*optarg < '0' || *optarg > '9' || *end != 0 || value < min || value > max) {
        snprintf(reason, OPTIONS_REASON_SIZE, "%.32s is not a number from %u to %u", optarg, min,
                 max);
        return false;
    }
    *out = (unsigned)value;
    return true;
}

/* A percentage with decimals, kept as parts of a million. */
static bool percent(unsigned *ppm, char *reason)
{
    char *end;
    double value = strtod(optarg, &end);
    if (*optarg < '0' || *optarg > '9' || *end != 0 || !(value <= 50)) {
        snprintf(reason, OPTIONS_REASON_SIZE, "%.32s is not a percentage from 0 to 50", optarg);
        return false;
    }
    *ppm = (unsigned)(value * 1e4 + 0.5);
    return true;
}

static bool take(int flag, struct options *o, char *reason)
{
    switch (flag) {
    case 'c':
        return number(1, OPTIONS_CONNECTIONS_MAX, &o->connections, reason);
    case 'i':
        return number(1, OPTIONS_INFLIGHT_MAX, &o->inflight, reason);
    case 's':
        return number(0, OPTIONS_SIZE_MAX, &o->size, reason);
    case 'r':
        return number(1, OPTIONS_SIZE_MAX, &o->reply_size, reason);
    case 'S':
        return number(1, 600, &o->seconds, reason);
    case 'R':
        return number(1, 10000000, &o->rate, reason);
    case 'l':
        return percent(&o->loss_ppm, reason);
    case 'p':
        return number(0, 1000000, &o->busy_poll_us, reason);
    case 'L':
        return number(1, 64, &o->loops, reason);
    case 'b':
        o->blocking = true;
        return true;
    case 'j':
        o->json = true;
        return true;
    default:
        return complain(reason, "unknown flag, or one without its value");
    }
}

static bool fits(const struct options *o, char *reason)
{
    size_t lanes = (size_t)o->connections * o->inflight;
    size_t larger = o->size > o->reply_size ? o->size : o->reply_size;
    if (lanes > OPTIONS_LANES_MAX)
        return complain(reason, "more than 100,000 calls under way");
    if (lanes * larger > OPTIONS_BODIES_MAX)
        return complain(reason, "more than 1 GiB of bodies under way");
    if (o->blocking && lanes > OPTIONS_BLOCKING_MAX)
        return complain(reason, "more than 1,024 threads for blocking calls");
    if (o->loss_ppm > 0 && o->connections > OPTIONS_LOSSY_CONNECTIONS_MAX)
        return complain(reason, "more than 64 connections with loss");
    return true;
}

bool options_parse(int argc, char **argv, struct options *o, char *reason)
{
    int flag;
    *o = (struct options){.connections = 1, .inflight = 64, .size = 64, .seconds = 3, .loops = 1};
    opterr = 0;
    optind = 0; /* glibc's getopt begins anew */
    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1)
        if (!take(flag, o, reason))
            return false;
    if (optind < argc)
        return complain(reason, "there are flags only");
    return fits(o, reason);
}

unsigned options_reply_size(const struct options *o)
{
    return o->reply_size == 0 ? o->size : o->reply_size;
}
