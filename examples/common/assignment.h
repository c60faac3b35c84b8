#ifndef EXAMPLE_ASSIGNMENT_H
#define EXAMPLE_ASSIGNMENT_H

#include <covey/balancer.h>
#include <stdbool.h>

/* What clients and directors say to each other in get_worker. */

#define CONNECTION_ID_MAX       32
#define AVOID_MAX               4
#define ASSIGNMENT_REQUEST_SIZE (CONNECTION_ID_MAX + AVOID_MAX * COVEY_NODE_ID_TEXT_SIZE + 1)
#define ASSIGNMENT_ADDRESS_SIZE COVEY_ADDRESS_TEXT_SIZE
#define ASSIGNMENT_TEXT_SIZE    (COVEY_NODE_ID_TEXT_SIZE + ASSIGNMENT_ADDRESS_SIZE)

/*
 * The question. On the wire "CONNECTION ID...": the name that the client keeps over all workers, and
 * those that it has just had no luck with. Both may be left out.
 */
struct assignment_request {
    char connection[CONNECTION_ID_MAX + 1]; /* a-z A-Z 0-9 . _ - */
    covey_node_id avoid[AVOID_MAX];
    size_t avoid_count;
};

/* Writes the text into ASSIGNMENT_REQUEST_SIZE bytes and returns its length. */
size_t assignment_request_write(const struct assignment_request *request, char *text);
/* False when it is not of that form. */
bool assignment_request_read(struct assignment_request *request, const void *text, size_t size);
bool assignment_request_avoids(const struct assignment_request *request, const covey_node_id *id);
/* One more to avoid; the oldest is forgotten for it when there are AVOID_MAX. */
void assignment_request_avoid(struct assignment_request *request, const covey_node_id *id);

/* The answer: the worker that the client is sent to. On the wire "ID HOST:PORT". */
struct assignment {
    covey_node_id id;
    char address[ASSIGNMENT_ADDRESS_SIZE];
};

/* Writes the text into ASSIGNMENT_TEXT_SIZE bytes and returns its length. */
size_t assignment_write(const struct assignment *assignment, char *text);

/* Reads what a director answered. False when it is not of that form. */
bool assignment_read(struct assignment *assignment, const void *text, size_t size);

/* Whether this is a connection's name. */
bool connection_id_is_good(const char *text, size_t size);

#endif
