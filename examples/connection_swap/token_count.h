#ifndef EXAMPLE_TOKEN_COUNT_H
#define EXAMPLE_TOKEN_COUNT_H

#include <covey/types.h>
#include <stdbool.h>

/*
 * The tokens that came. Only the next one in the sequence is taken: one that came before is counted
 * as repeated, and one that leaves others out is refused and they are counted. They are asked for again, but
 * that a worker left them out is not forgotten for it.
 */
struct token_count {
    unsigned first;
    unsigned count;    /* wanted */
    unsigned received; /* so the next one is first + received */
    unsigned repeated;
    unsigned left_out;
    unsigned refused;
    covey_time last_at;   /* when the last one was taken */
    covey_time last_wait; /* for that one */
    covey_time longest_wait;
};

enum token_kind { TOKEN_NEXT, TOKEN_REPEATED, TOKEN_REFUSED };

void token_count_init(struct token_count *tokens, unsigned first, unsigned count);

/* Notes the token of this number, which came at `now`. */
enum token_kind token_count_note(struct token_count *tokens, unsigned number, covey_time now);

unsigned token_count_next(const struct token_count *tokens);
unsigned token_count_missing(const struct token_count *tokens);

#endif
