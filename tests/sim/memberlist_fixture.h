#ifndef TESTS_SIM_MEMBERLIST_FIXTURE_H
#define TESTS_SIM_MEMBERLIST_FIXTURE_H

#include "sim/memberlist.h"

/* cmocka.h needs these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define MS COVEY_MILLISECOND
#define S  COVEY_SECOND

/* One node of the model, its inputs made by hand, its outputs as text. */
struct one {
    struct sim_memberlist_config config;
    struct sim_memberlist *m;
    char text[4096];
    size_t size;
};

static inline void say(struct one *o, const char *format, ...) COVEY_PRINTF(2, 3);

static inline void say(struct one *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(o->text + o->size, sizeof(o->text) - o->size, format, args);
    va_end(args);
    assert_true(size >= 0 && o->size + (size_t)size < sizeof(o->text));
    o->size += (size_t)size;
}

static const char *const kinds[] = {"ping",  "indirect", "ack",  "nack", "suspect",
                                    "alive", "dead",     "push", "pull", "record"};
static const char *const states[] = {"unknown", "alive", "suspect", "dead", "left"};

static inline void say_item(struct one *o, const struct sim_memberlist_item *i)
{
    switch (i->kind) {
    case SIM_MEMBERLIST_SUSPECT_MESSAGE:
    case SIM_MEMBERLIST_DEAD_MESSAGE:
        say(o, " %s %u.%u by %u", kinds[i->kind], i->subject, i->incarnation, i->from);
        break;
    case SIM_MEMBERLIST_ALIVE_MESSAGE:
        say(o, " alive %u.%u", i->subject, i->incarnation);
        break;
    case SIM_MEMBERLIST_RECORD:
        say(o, " %u.%u %s", i->subject, i->incarnation, states[i->state]);
        break;
    case SIM_MEMBERLIST_INDIRECT_PING:
        say(o, " indirect %u", i->subject);
        break;
    default:
        say(o, " %s", kinds[i->kind]);
        break;
    }
}

static inline void drain(struct one *o)
{
    struct sim_memberlist_output out;
    while (sim_memberlist_poll(o->m, &out)) {
        if (out.type == SIM_MEMBERLIST_OUTPUT_CHANGE) {
            say(o, "%u is %s.%u\n", out.subject, states[out.state], out.incarnation);
            continue;
        }
        say(o, "%s %u:", out.is_stream ? "stream" : "to", out.peer);
        for (size_t i = 0; i < out.count; i++)
            say_item(o, &out.items[i]);
        say(o, "\n");
    }
}

static inline void step(struct one *o, struct sim_memberlist_input input)
{
    o->size = 0;
    o->text[0] = '\0';
    sim_memberlist_step(o->m, &input);
    drain(o);
}

static inline void at(struct one *o, covey_time now)
{
    step(o, (struct sim_memberlist_input){.now = now, .type = SIM_MEMBERLIST_INPUT_TIME});
}

static inline void hear(struct one *o, covey_time now, uint16_t peer,
                        struct sim_memberlist_item item)
{
    step(o, (struct sim_memberlist_input){.now = now,
                                          .type = SIM_MEMBERLIST_INPUT_MESSAGE,
                                          .peer = peer,
                                          .items = &item,
                                          .count = 1});
}

static inline struct sim_memberlist_item about(enum sim_memberlist_kind kind, uint16_t subject,
                                               uint16_t incarnation, uint16_t from)
{
    return (struct sim_memberlist_item){
        .kind = (uint8_t)kind, .subject = subject, .incarnation = incarnation, .from = from};
}

static inline struct sim_memberlist_item answer(enum sim_memberlist_kind kind, uint32_t seq)
{
    return (struct sim_memberlist_item){.kind = (uint8_t)kind, .seq = seq};
}

/* Node 0 of `count`, all known. */
static inline void begin(struct one *o, uint32_t count)
{
    *o = (struct one){.config = sim_memberlist_config_lan(count)};
    o->m = sim_memberlist_new(&o->config, 0, 0, 1);
    sim_memberlist_assume(o->m, count);
}

static inline void end(struct one *o)
{
    sim_memberlist_free(o->m);
}

/* The peer of the first line, "to 3: ...". */
static inline uint16_t first_peer(const struct one *o)
{
    unsigned peer = 0;
    assert_int_equal(sscanf(o->text, "to %u:", &peer), 1);
    return (uint16_t)peer;
}

static inline size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *found = text; (found = strstr(found, part)) != NULL; found++)
        count++;
    return count;
}

#endif
