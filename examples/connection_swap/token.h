#ifndef EXAMPLE_TOKEN_H
#define EXAMPLE_TOKEN_H

#include "assignment.h"

#include <covey/node.h>

/* What clients and workers say to each other in `tokens`. */

#define TOKEN_NUMBER_MAX 1000000000u
#define TOKEN_TEXT_SIZE  128

/* The question: these tokens, for this connection. On the wire "FIRST COUNT CONNECTION". */
struct token_request {
    unsigned first; /* both at least 1, and the last one below TOKEN_NUMBER_MAX */
    unsigned count;
    char connection[CONNECTION_ID_MAX + 1];
};

/* Both write into TOKEN_TEXT_SIZE bytes and return the length; both read without trust: false when it
 * is not of that form. */
size_t token_request_write(const struct token_request *request, char *text);
bool token_request_read(struct token_request *request, const void *text, size_t size);

/* One message of the answer. On the wire "NUMBER CONNECTION WORKER". */
struct token {
    unsigned number;
    char connection[CONNECTION_ID_MAX + 1];
    char worker[COVEY_NODE_NAME_MAX + 1];
};

size_t token_write(const struct token *token, char *text);
bool token_read(struct token *token, const void *text, size_t size);

#endif
