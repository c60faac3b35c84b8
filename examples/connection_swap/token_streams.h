#ifndef EXAMPLE_TOKEN_STREAMS_H
#define EXAMPLE_TOKEN_STREAMS_H

#include "availability.h"

#include <covey/call.h>
#include <pthread.h>
#include <stdbool.h>

/*
 * The streams of numbered tokens that a worker is sending, one thread each: see token.h. A stream waits
 * for a client that is slow, stops when it is gone, and ends with UNAVAILABLE when the worker fails.
 */
#define TOKEN_STREAMS_MAX 64

struct token_streams {
    const char *worker_name;
    covey_time interval; /* between two tokens */
    struct availability *availability;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned active;
    bool stopping;
    unsigned sent; /* tokens in all */
    /* What no worker should do, once, so that it can be seen who notices; 0: never. */
    unsigned skip_at;   /* this one of all is not sent */
    unsigned repeat_at; /* this one is sent twice */
};

/* The name and the availability are borrowed. */
void token_streams_init(struct token_streams *streams, const char *worker_name, covey_time interval,
                        struct availability *availability);

/* The handler of the method; `user` is the token_streams. */
void token_streams_serve(covey_call *call, const void *request, size_t size, void *user);

/* Ends every stream with UNAVAILABLE and waits for it; later calls get the same answer. */
void token_streams_stop(struct token_streams *streams);

/* After the stop, when no call can come any more. */
void token_streams_fini(struct token_streams *streams);

#endif
