#include "token_count.h"

#include <stdlib.h>

bool token_count_init(struct token_count *tokens, unsigned first, unsigned count)
{
    *tokens = (struct token_count){.first = first, .count = count};
    tokens->seen = calloc((size_t)count + 1, sizeof *tokens->seen);
    return tokens->seen != NULL;
}

void token_count_fini(struct token_count *tokens)
{
    free(tokens->seen);
}

bool token_count_note(struct token_count *tokens, unsigned number)
{
    if (number < tokens->first || number - tokens->first >= tokens->count)
        return false;
    bool *seen = &tokens->seen[number - tokens->first];
    if (*seen)
        tokens->repeated++;
    else
        tokens->received++;
    *seen = true;
    return true;
}

unsigned token_count_next(const struct token_count *tokens)
{
    unsigned index = 0;

    while (index < tokens->count && tokens->seen[index])
        index++;
    return tokens->first + index;
}
