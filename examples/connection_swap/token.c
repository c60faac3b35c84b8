#include "token.h"

#include <stdio.h>
#include <string.h>

/* What is left to read of a message, as a string. */
struct rest {
    char text[TOKEN_TEXT_SIZE];
    size_t at;
};

static bool rest_init(struct rest *rest, const void *text, size_t size)
{
    *rest = (struct rest){.at = 0};
    if (size == 0 || size >= sizeof rest->text || memchr(text, '\0', size) != NULL)
        return false;
    memcpy(rest->text, text, size);
    return true;
}

/* One word of 1 to size - 1 characters, with the space behind it if there is one. */
static bool take_word(struct rest *rest, char *word, size_t size)
{
    const char *text = rest->text + rest->at;
    const size_t length = strcspn(text, " ");

    if (length == 0 || length >= size)
        return false;
    memcpy(word, text, length);
    word[length] = '\0';
    rest->at += length + (text[length] == ' ');
    return true;
}

/* A number of up to nine digits. */
static bool take_number(struct rest *rest, unsigned *out)
{
    char word[10];

    if (!take_word(rest, word, sizeof word) || word[strspn(word, "0123456789")] != '\0')
        return false;
    *out = 0;
    for (const char *digit = word; *digit != '\0'; digit++)
        *out = *out * 10 + (unsigned)(*digit - '0');
    return true;
}

static bool take_connection(struct rest *rest, char *connection)
{
    return take_word(rest, connection, CONNECTION_ID_MAX + 1) &&
           connection_id_is_good(connection, strlen(connection));
}

static bool is_at_end(const struct rest *rest)
{
    return rest->text[rest->at] == '\0';
}

size_t token_request_write(const struct token_request *request, char *text)
{
    return (size_t)snprintf(text, TOKEN_TEXT_SIZE, "%u %u %s", request->first, request->count,
                            request->connection);
}

bool token_request_read(struct token_request *request, const void *text, size_t size)
{
    struct rest rest;

    return rest_init(&rest, text, size) && take_number(&rest, &request->first) &&
           take_number(&rest, &request->count) && take_connection(&rest, request->connection) &&
           is_at_end(&rest) && request->first > 0 && request->count > 0 &&
           request->first + request->count <= TOKEN_NUMBER_MAX;
}

size_t token_write(const struct token *token, char *text)
{
    return (size_t)snprintf(text, TOKEN_TEXT_SIZE, "%u %s %s", token->number, token->connection,
                            token->worker);
}

bool token_read(struct token *token, const void *text, size_t size)
{
    struct rest rest;

    return rest_init(&rest, text, size) && take_number(&rest, &token->number) &&
           take_connection(&rest, token->connection) &&
           take_word(&rest, token->worker, sizeof token->worker) && is_at_end(&rest);
}
