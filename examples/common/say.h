#ifndef EXAMPLE_SAY_H
#define EXAMPLE_SAY_H

#include <covey/export.h>

/* The start of the program's time, and its name in what it says; the name is borrowed. */
void say_begin(const char *name);
void say_as(const char *name);

/* Prints one line to stdout, "   1.234 s  worker-1: text", with the time since say_begin(). May be
 * used by any thread. */
void say(const char *format, ...) COVEY_PRINTF(1, 2);

/* Prints "NAME: text" to stderr and returns EXIT_FAILURE. */
int complain(const char *format, ...) COVEY_PRINTF(1, 2);

#endif
