#ifndef COVEY_TOOL_VALUES_H
#define COVEY_TOOL_VALUES_H

#include <covey/node.h>
#include <stdbool.h>

/* Reading what is written in an argument. Each returns false when the text is not of that form. */

/* "2s", "500ms", "3m": a whole number with a unit. */
bool parse_duration(const char *text, covey_time *out);

/* A whole number from min to max in decimal digits. */
bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out);

/* Two such numbers with `separator` between them, as in "60-40". */
bool parse_pair(const char *text, char separator, unsigned max, unsigned *first, unsigned *second);

/* A percentage from 0 to 100 with at most one decimal, as in "5" or "0.5", in thousandths. */
bool parse_permille(const char *text, unsigned *out);

/* A tag as it was given: its key is a copy, its value points into the argument. */
struct tag_argument {
    char key[COVEY_TAG_KEY_MAX + 1];
    const char *value;
};

/*
 * "KEY=VALUE"; the value may be empty and may hold further '='. Reports in one line what is wrong,
 * limits of covey/node.h included.
 */
bool parse_tag(const char *command, const char *text, struct tag_argument *out);

#endif
