#ifndef CONFORMANCE_PAIR_H
#define CONFORMANCE_PAIR_H

#include "conformance/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <covey/error.h>

/*
 * Two users joined by a transport. Each keeps a record of every call, and what a user may rely on is
 * checked at each event: the order of events, one outcome for each call, nothing after it.
 *
 * A call is named by its method, "NAME/NUMBER"; the number is its place among the client's records,
 * so that each end finds what the other knows.
 */
#define PAIR_DETAILS_MAX 9216

struct pair;

struct record {
    struct pair *pair;
    int side;
    size_t number;
    struct cv_rpc_call *call;
    bool is_client;
    char name[16];
    covey_time deadline; /* as the server was told; COVEY_NEVER: none */

    uint64_t messages, bytes, hash; /* that came, with their order and their cuts */
    uint64_t sent_messages, sent_hash;
    size_t last_size;
    uint8_t last[64]; /* the first bytes of the last message */
    uint64_t unread,
        unread_size; /* messages that were not given back, all of the last one's size */
    uint64_t metadatas, ends, cancels, writables, statuses;
    bool began, finished, released;

    size_t entry_count;
    struct cv_rpc_metadata *entries; /* a copy of what came */

    enum covey_status_code code;
    bool by_peer, not_started;
    char text[128];
    size_t details_size;
    uint8_t *details;

    int step; /* the test's */
};

struct pair_config {
    uint64_t seed;
    uint32_t streams_max;
    struct cv_rpc_limits limits[2];
};

struct pair {
    struct transport *transport;
    /* What both users do; told apart by r->is_client. Called before a message is given back. */
    void (*on_event)(struct record *r, const struct cv_rpc_output *event);
    struct record **records[2];
    size_t count[2], capacity[2];
    uint64_t calls, messages[2], statuses, cancels, ends;
    bool read_late[2];   /* the test gives messages back by record_read() */
    bool keep_cancelled; /* the test finishes cancelled calls */
    bool keep_answered;  /* the test releases answered calls */
};

void pair_config_init(struct pair_config *config, uint64_t seed);
void pair_init(struct pair *p, uint64_t seed,
               void (*handler)(struct record *r, const struct cv_rpc_output *event));
void pair_init_with(struct pair *p, const struct pair_config *config,
                    void (*handler)(struct record *r, const struct cv_rpc_output *event));
/* Without asking what became of the calls. */
void pair_free(struct pair *p);
/* Runs on, asserts that every call is over, released and forgotten at both ends, and frees. */
void pair_fini(struct pair *p);

/* Begins a call from `side`. `name` is what the record and the method say. */
struct record *pair_call(struct pair *p, int side, const char *name, covey_time timeout);
struct record *pair_call_with(struct pair *p, int side, const char *name, covey_time timeout,
                              const struct cv_rpc_metadata *entries, size_t count);
/* What the other end knows of a call; NULL when it never heard of it. */
struct record *pair_other(const struct record *r);

/* Until nothing is to happen for `length`, or for that long. */
void pair_run(struct pair *p, covey_time length);
/* Until a counter of the pair's or of a record's is there; fails the test when a minute did not
 * suffice. */
void pair_wait(struct pair *p, const uint64_t *counter, uint64_t target);

/* The user's inputs. */
int record_send(struct record *r, const void *bytes, size_t size, bool end);
int record_send_metadata(struct record *r, const struct cv_rpc_metadata *entries, size_t count);
int record_end(struct record *r);
int record_finish(struct record *r, enum covey_status_code code, const char *text);
int record_finish_details(struct record *r, enum covey_status_code code, const char *text,
                          const void *details, size_t size);
void record_cancel(struct record *r);
/* Gives all messages back that the user has. */
void record_read(struct record *r);
void record_release(struct record *r);

/* What came at one end is what the other sent, message by message. */
void record_assert_received_all(const struct record *r);

/* A user that sends back what comes and finishes at the end. */
void pair_echo(struct record *r, const struct cv_rpc_output *event);

#endif
