#include "reception.h"

#include "clock.h"
#include "say.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

#define PROGRESS_EVERY 10

bool reception_init(struct reception *reception, const char *connection, unsigned first,
                    unsigned count, FILE *record)
{
    uint64_t number = 0;

    *reception = (struct reception){.record = record};
    token_count_init(&reception->tokens, first, count);
    if (connection == NULL) {
        if (getrandom(&number, sizeof number, 0) != sizeof number)
            return false;
        snprintf(reception->connection, sizeof reception->connection, "conn-%016" PRIx64, number);
        return true;
    }
    snprintf(reception->connection, sizeof reception->connection, "%s", connection);
    return connection_id_is_good(connection, strlen(connection));
}

bool reception_fini(struct reception *reception)
{
    if (reception->record == NULL)
        return true;
    const bool is_written = ferror(reception->record) == 0;
    return fclose(reception->record) == 0 && is_written;
}

struct token_request reception_begin_stream(struct reception *reception)
{
    struct token_request request = {.first = token_count_next(&reception->tokens),
                                    .count = token_count_missing(&reception->tokens)};

    memcpy(request.connection, reception->connection, sizeof request.connection);
    reception->is_first_of_stream = true;
    return request;
}

/* What the failover cost, and for how long of that the machine kept this program from running. */
static void say_wait(const struct reception *reception, covey_time late)
{
    const unsigned waited = (unsigned)(reception->tokens.last_wait / COVEY_MILLISECOND);

    if (reception->lateness == NULL)
        say("went on after %u ms", waited);
    else
        say("went on after %u ms, the machine was late by %u ms", waited,
            (unsigned)(late / COVEY_MILLISECOND));
}

static void note_first(struct reception *reception, const struct token *token, covey_time late)
{
    say("%s serves from token %u", token->worker, token->number);
    if (reception->was_cut)
        say_wait(reception, late);
    reception->failovers += reception->was_cut;
    reception->was_cut = false;
    reception->is_first_of_stream = false;
}

bool reception_take(struct reception *reception, const void *message, size_t size)
{
    struct token token;

    if (!token_read(&token, message, size) ||
        strcmp(token.connection, reception->connection) != 0) {
        say("got what is no token of this connection");
        return false;
    }
    if (reception->record != NULL)
        fprintf(reception->record, "%u\n", token.number);
    const enum token_kind kind = token_count_note(&reception->tokens, token.number, clock_now());
    if (kind != TOKEN_NEXT) {
        say("got token %u from %s, which is not its turn", token.number, token.worker);
        return false;
    }
    const covey_time late = reception->lateness == NULL ? 0 : lateness_total(reception->lateness);
    if (reception->is_first_of_stream)
        note_first(reception, &token, late - reception->late_at_last);
    reception->late_at_last = late;
    if (reception->tokens.received % PROGRESS_EVERY == 0)
        say("token %u from %s", token.number, token.worker);
    return true;
}

bool reception_end_stream(struct reception *reception)
{
    const bool brought_any = !reception->is_first_of_stream;

    if (brought_any && !reception_is_complete(reception))
        reception->was_cut = true;
    return brought_any;
}

bool reception_is_complete(const struct reception *reception)
{
    return token_count_missing(&reception->tokens) == 0;
}

bool reception_show(const struct reception *reception)
{
    const struct token_count *tokens = &reception->tokens;
    const unsigned lost = token_count_missing(tokens) + tokens->left_out;

    say("waited at most %u ms for a token", (unsigned)(tokens->longest_wait / COVEY_MILLISECOND));
    printf("%u tokens, %u failover%s, %u lost, %u repeated\n", tokens->received,
           reception->failovers, reception->failovers == 1 ? "" : "s", lost, tokens->repeated);
    return lost == 0 && tokens->repeated == 0;
}
