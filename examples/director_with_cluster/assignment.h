#ifndef EXAMPLE_ASSIGNMENT_H
#define EXAMPLE_ASSIGNMENT_H

#include <covey/types.h>
#include <stdbool.h>

#define ASSIGNMENT_ADDRESS_SIZE 64
#define ASSIGNMENT_TEXT_SIZE    (COVEY_NODE_ID_TEXT_SIZE + ASSIGNMENT_ADDRESS_SIZE)

/* The worker that a client is sent to. On the wire "ID HOST:PORT". */
struct assignment {
    covey_node_id id;
    char address[ASSIGNMENT_ADDRESS_SIZE];
};

/* Writes the text into ASSIGNMENT_TEXT_SIZE bytes and returns its length. */
size_t assignment_write(const struct assignment *assignment, char *text);

/* Reads what a director answered. False when it is not of that form. */
bool assignment_read(struct assignment *assignment, const void *text, size_t size);

#endif
