#ifndef EXAMPLE_TOKEN_COUNT_H
#define EXAMPLE_TOKEN_COUNT_H

#include <stdbool.h>

/* Which of the wanted tokens came, and how often. */
struct token_count {
    unsigned first;
    unsigned count;
    unsigned received; /* different ones */
    unsigned repeated;
    bool *seen;
};

/* False when memory is out. */
bool token_count_init(struct token_count *tokens, unsigned first, unsigned count);
void token_count_fini(struct token_count *tokens);

/* Notes one that came. False when it is none of the wanted ones. */
bool token_count_note(struct token_count *tokens, unsigned number);

/* The first one that is missing; first + count when none is. */
unsigned token_count_next(const struct token_count *tokens);

#endif
