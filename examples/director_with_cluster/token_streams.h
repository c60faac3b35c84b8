#ifndef EXAMPLE_TOKEN_STREAMS_H
#define EXAMPLE_TOKEN_STREAMS_H

#include <covey/call.h>
#include <pthread.h>
#include <stdbool.h>

/*
 * The streams of numbered tokens that a worker is sending, one thread each. The request is
 * "FIRST COUNT" in decimal; the answer is COUNT messages "NUMBER NAME", 5 ms apart.
 */
#define TOKEN_STREAMS_MAX 64
#define TOKEN_INTERVAL    (5 * COVEY_MILLISECOND)
#define TOKEN_NUMBER_MAX  1000000000u

struct token_streams {
    const char *worker_name;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned active;
    bool stopping;
};

/* The name is borrowed. */
void token_streams_init(struct token_streams *streams, const char *worker_name);

/* The handler of the method; `user` is the token_streams. */
void token_streams_serve(covey_call *call, const void *request, size_t size, void *user);

/* Ends every stream with UNAVAILABLE and waits for it; later calls get the same answer. */
void token_streams_stop(struct token_streams *streams);

/* After the stop, when no call can come any more. */
void token_streams_fini(struct token_streams *streams);

#endif
