#include "token_count.h"

void token_count_init(struct token_count *tokens, unsigned first, unsigned count)
{
    *tokens = (struct token_count){.first = first, .count = count};
}

enum token_kind token_count_note(struct token_count *tokens, unsigned number, covey_time now)
{
    const unsigned next = token_count_next(tokens);

    if (number >= tokens->first && number < next) {
        tokens->repeated++;
        return TOKEN_REPEATED;
    }
    if (number != next || token_count_missing(tokens) == 0) {
        if (number > next && number < tokens->first + tokens->count)
            tokens->left_out += number - next;
        tokens->refused++;
        return TOKEN_REFUSED;
    }
    tokens->last_wait = tokens->received > 0 ? now - tokens->last_at : 0;
    if (tokens->last_wait > tokens->longest_wait)
        tokens->longest_wait = tokens->last_wait;
    tokens->last_at = now;
    tokens->received++;
    return TOKEN_NEXT;
}

unsigned token_count_next(const struct token_count *tokens)
{
    return tokens->first + tokens->received;
}

unsigned token_count_missing(const struct token_count *tokens)
{
    return tokens->count - tokens->received;
}
