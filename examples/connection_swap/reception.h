#ifndef EXAMPLE_RECEPTION_H
#define EXAMPLE_RECEPTION_H

#include "lateness.h"
#include "token.h"
#include "token_count.h"

#include <stdio.h>

/*
 * What a client has got so far, over all workers: its connection's name, which stays, and the sequence
 * of its tokens. A failover is a stream that had brought tokens, ended before its last one, and was
 * gone on with.
 */
struct reception {
    char connection[CONNECTION_ID_MAX + 1];
    struct token_count tokens;
    FILE *record;              /* every number that came, one a line; NULL: none */
    struct lateness *lateness; /* the machine's, told with each failover; NULL: not measured */
    covey_time late_at_last;   /* when the last token was taken */
    unsigned failovers;
    bool was_cut;
    bool is_first_of_stream;
};

/* Without a name, NULL, the connection gets a random one. Takes `record`, also when it fails: false
 * when the name is none. */
bool reception_init(struct reception *reception, const char *connection, unsigned first,
                    unsigned count, FILE *record);
/* False when the record could not be written. */
bool reception_fini(struct reception *reception);

/* Before each stream: what to ask the worker for. */
struct token_request reception_begin_stream(struct reception *reception);
/* One message of it. False after saying why: it is not what was asked for, and the worker is not to be
 * believed any more. */
bool reception_take(struct reception *reception, const void *message, size_t size);
/* After it: whether it brought anything. */
bool reception_end_stream(struct reception *reception);

bool reception_is_complete(const struct reception *reception);

/* Prints "N tokens, F failovers, L lost, R repeated"; true when none was lost or repeated. Lost are those that
 * never came, and those that a worker left out even if they came when they were asked for again. */
bool reception_show(const struct reception *reception);

#endif
