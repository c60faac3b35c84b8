#ifndef COVEY_TOOL_REPORT_H
#define COVEY_TOOL_REPORT_H

#include <covey/export.h>

/* Exit statuses. `covey call` has its own beside them: 64 + the status code. */
#define EXIT_WRONG_USE 2

/*
 * Prints "covey COMMAND: text" to stderr as exactly one line: control characters, which may come
 * from a peer, become spaces. Returns EXIT_FAILURE, so that a command can `return report(...)`.
 */
int report(const char *command, const char *format, ...) COVEY_PRINTF(2, 3);

/* The same for a command line that makes no sense; returns EXIT_WRONG_USE. */
int report_wrong_use(const char *command, const char *format, ...) COVEY_PRINTF(2, 3);

/* Writes what is buffered for stdout. 0, or EXIT_FAILURE after a report. */
int flush_output(const char *command);

#endif
