#ifndef CV_RPC_RPC_H
#define CV_RPC_RPC_H

#include "base/alloc.h"
#include "base/slice.h"
#include "base/writer.h"

#include <covey/export.h>
#include <covey/status.h>
#include <covey/types.h>
#include <stdbool.h>
#include <sys/queue.h>

/*
 * RPC on one connection, as a machine without a transport: bytes of streams, commands and the time
 * go in; bytes for streams and what happened to calls come out. One bidirectional stream carries
 * one call; whoever opens the stream is its client, so a connection serves both ways.
 *
 *   client                                                server
 *     HEADER(method, timeout, metadata) MESSAGE* FIN -->
 *                   <-- [HEADER(metadata)] MESSAGE* STATUS(code, message, details) FIN
 *
 * Every frame is a varint `length * 4 + type` and then `length` bytes: docs/PROTOCOL.md.
 *
 * A call is known to its transport as an opaque `stream`, and to the transport as a struct
 * cv_rpc_call. The order of use is step() for each thing that happened, then poll() until it
 * returns false, then, when the deadline has come, step() with CV_RPC_TIME. Between two poll()s
 * step() may be called, so an event can be answered on the spot; poll() must not be called from
 * inside step(). Not thread-safe.
 */
struct cv_rpc_conn;
struct cv_rpc_call;

/*
 * What connections of one thread and one allocator may share; cv_rpc_shared_init() before the first use.
 *
 * Objects of calls that are over, for the next ones.
 *
 * The tray: bytes lie there from when they come until poll(), those of all calls one behind the other. So they stay
 * in the processor's cache, which the buffers of hundreds of calls do not. What poll() leaves goes into
 * the call's own buffer, as does what does not fit here.
 */
LIST_HEAD(cv_rpc_call_list, cv_rpc_call);
struct cv_rpc_shared {
    struct cv_rpc_call_list calls;
    size_t call_count;
    size_t lent; /* calls that have something on the tray */
    size_t used; /* bytes of it */
    uint8_t tray[(size_t)32 << 10];
};
/* Does not touch the tray, whose pages come with the first bytes: a loop without calls has none. */
void cv_rpc_shared_init(struct cv_rpc_shared *shared);
/* After its last connection. */
void cv_rpc_shared_fini(struct cv_rpc_shared *shared, const struct cv_alloc *alloc);

struct cv_rpc_limits {
    uint32_t message_send_max;    /* 4 MiB: a longer one is not sent */
    uint32_t message_receive_max; /* 4 MiB: a longer one ends the call with RESOURCE_EXHAUSTED as
                                    soon as its length is there */
    uint32_t header_size_max;     /* every other frame, 8 KiB of metadata + 1 KiB */
    uint32_t calls_max;           /* calls of the peer's that the user holds, cancelled ones too,
                                    1024: those above are answered RESOURCE_EXHAUSTED */
    uint64_t receive_buffer_max;  /* bytes of messages that the user has of a call and did not READ,
                                    256 KiB: above it he gets no further message of the call, and
                                    the peer no window. A message counts 64 bytes more than it has.
                                    A status, an end or a cancel comes all the same, once it is the
                                    next thing on the stream */
    uint64_t receive_total_max;   /* the same for all calls of the connection together, 8 MiB */
    uint32_t receive_lag_max; /* what a user may have read of a call and tell of later, 4 KiB: so
                                     much more is allowed for each call that there is, else calls that
                                     were read would stop those that were not */
    uint64_t send_memory_max; /* what waits to be sent of all calls, 8 MiB: above it SEND is BUSY */
    uint64_t receive_memory_max; /* what was received of all calls and is no whole message yet, or
                                    waits for its user, 32 MiB: above it the call that receives
                                    more is ended with RESOURCE_EXHAUSTED. At least one largest
                                    frame always fits, in each direction */
    uint64_t receive_ahead_max; /* of it what is taken when a frame's length came, not only with its
                                   bytes, 0: nothing */
    struct cv_rpc_shared *shared; /* outlives the connection; or NULL */
    bool
        tells_whole; /* false: what comes in one small piece, a request or the end of an answer, is told
                         by one event (is_whole, has_message) */
    covey_time header_timeout;  /* for the header of a stream that the peer opened, 10 s */
    uint32_t glitch_burst;      /* calls that the peer cancels within a second of their begin, or
                                    gets wrong: 1000 at once ... */
    covey_time glitch_interval; /* ... and one more each 1/33 s, else the connection is closed */
};
void cv_rpc_limits_init(struct cv_rpc_limits *limits);

/* Name and value of one metadata entry; at most 64 entries a call in each direction. Keys may come
 * more than once; the order is kept. */
struct cv_rpc_metadata {
    struct cv_slice key;   /* 1..64 of a-z 0-9 . _ - */
    struct cv_slice value; /* any bytes */
};

struct cv_rpc_status {
    enum covey_status_code code;
    struct cv_slice message; /* UTF-8, at most 1 KiB; what is beyond or is no UTF-8 is cut off */
    struct cv_slice details; /* opaque */
};

/*
 * What a transport takes of a message without a copy in between, when nothing waits before it: `head`
 * and then `body`, the message's first bytes, which the transport has to write at once after the step.
 * What is beyond size_max follows as STREAM_WRITE. Nothing is to be written when head_size is 0.
 */
struct cv_rpc_direct {
    size_t size_max; /* in: what the transport surely takes */
    uint8_t head[8];
    size_t head_size;
    struct cv_slice body; /* of the message given */
};

enum cv_rpc_input_type {
    CV_RPC_TIME,
    /* From the transport */
    CV_RPC_STREAM_ACCEPTED, /* the peer opened `stream`; *call is set to the new call, or to NULL on
                               an error: then the transport resets the stream */
    CV_RPC_STREAM_DATA,     /* bytes in order, `fin` with the last */
    CV_RPC_STREAM_RESET,    /* the peer's side ended early */
    CV_RPC_STREAM_STOPPED,  /* the peer reads no more; the transport has reset our side */
    CV_RPC_STREAM_WRITABLE, /* bytes that could not be written may be tried again */
    CV_RPC_STREAM_CLOSED, /* the transport forgets the stream, or that it was this call's; the last
                               input of its that names the call. It gives back itself what was not
                               consumed by then */
    /* From the user; `call` as given by CV_RPC_EVENT_CALL or cv_rpc_conn_start() */
    CV_RPC_SEND_METADATA, /* server: the answer's metadata, once and before its first message; no
                      entry is allowed too */
    CV_RPC_SEND,   /* one message; `end`, client only: the last one. The message may be one that
                      the output just polled points to */
    CV_RPC_END,    /* client: no more messages */
    CV_RPC_FINISH, /* server: the status, no more messages */
    CV_RPC_REPLY,  /* server: SEND and, when that succeeds, FINISH with OK, in one */
    CV_RPC_CANCEL, /* client: gives up; the status becomes CANCELLED. Server: ends the call with
                      ABORTED. Nothing happens when the call is over */
    CV_RPC_READ,   /* the user took a message of `size` bytes: window may be given back */
    CV_RPC_RELEASE /* the user will not name the call again, and has its messages no more. A call
                      that still runs is cancelled */
};

struct cv_rpc_input {
    enum cv_rpc_input_type type;
    covey_time now;
    struct cv_rpc_call *call; /* set for all but TIME and STREAM_ACCEPTED */
    union {
        struct {
            void *stream;
            struct cv_rpc_call **call;
        } accepted;
        struct {
            struct cv_slice bytes;
            bool fin;
        } data;
        struct {
            uint64_t code;
        } reset, stopped;
        struct {
            const struct cv_rpc_metadata *entries;
            size_t count;
        } send_metadata;
        struct {
            struct cv_slice message;
            bool end;
            struct cv_rpc_direct *direct; /* or NULL */
        } send;
        struct cv_rpc_status finish;
        struct {
            struct cv_slice message;
            struct cv_writer *room; /* see struct cv_rpc_start */
        } reply;
        struct {
            size_t size;
        } read;
    };
};

/* Codes of RESET_STREAM and STOP_SENDING. */
#define CV_RPC_CODE_CANCELLED 1
#define CV_RPC_CODE_DEADLINE  2
#define CV_RPC_CODE_PROTOCOL  3
#define CV_RPC_CODE_DONE      4 /* the call is over, the rest of the bytes is not needed */
#define CV_RPC_CODE_REFUSED   5 /* the server drains; its user never hears of the call */

/* Why the connection is to be closed. */
enum cv_rpc_close_reason {
    CV_RPC_CLOSE_VIOLATION, /* a frame that the peer's role or the call's state does not allow */
    CV_RPC_CLOSE_FLOOD      /* cancelled or broken calls above glitch_burst */
};

enum cv_rpc_output_type {
    /* To the transport */
    CV_RPC_STREAM_WRITE,   /* at most 64 KiB, all or nothing: answer with cv_rpc_conn_written() at
                              once */
    CV_RPC_STREAM_CONSUME, /* window back to the peer: `size` bytes of the stream's, and `connection`
                              bytes of the connection's, so that one call that is not read does not
                              stop the others. One of them may be 0 */
    CV_RPC_STREAM_DO_RESET,
    CV_RPC_STREAM_DO_STOP,
    CV_RPC_DO_CLOSE, /* without a call: the connection is to be closed. At most once */
    /* To the user */
    CV_RPC_EVENT_CALL,     /* server: a call began; answer it sooner or later with FINISH */
    CV_RPC_EVENT_METADATA, /* client: the answer's metadata; at most once, before any message */
    CV_RPC_EVENT_MESSAGE,  /* a whole message; answer with READ when it is used up */
    CV_RPC_EVENT_END,      /* server: the client sends no more messages */
    CV_RPC_EVENT_WRITABLE, /* SEND said BUSY before and may be tried again */
    CV_RPC_EVENT_STATUS,   /* client: the outcome, exactly once for each call, its last event */
    CV_RPC_EVENT_CANCELLED /* server: the client is gone or the deadline passed; nothing that is
                              sent now arrives. At most once, and not after FINISH. FINISH, which
                              then does nothing, and RELEASE are still due */
};

/* Slices are valid until the next poll() or the next input of the transport's (of any connection that
 * shares with this one), so a message may be
 * answered while it is being looked at; a call's method and all metadata until the next step() or
 * poll(). */
struct cv_rpc_output {
    enum cv_rpc_output_type type;
    struct cv_rpc_call *call;
    void *stream; /* NULL when the call has none */
    union {
        struct {
            struct cv_slice bytes;
            bool fin;
        } write;
        struct {
            size_t size;
            size_t connection;
        } consume;
        struct {
            uint64_t code;
        } reset, stop;
        struct {
            enum cv_rpc_close_reason reason;
        } close;
        struct {
            struct cv_slice method;
            covey_time deadline; /* on our clock; COVEY_NEVER for none */
            const struct cv_rpc_metadata *metadata;
            size_t metadata_count;
            bool
                is_whole; /* the whole request is there, and is told by this: neither its MESSAGE nor
                              its END follows. Only with limits.tells_whole */
            struct cv_slice message; /* if so; to be READ as any other */
        } begin;
        struct {
            const struct cv_rpc_metadata *entries;
            size_t count;
        } metadata;
        struct cv_slice message;
        struct {
            struct cv_rpc_status status;
            bool has_message; /* the last message came with it and is told by this, with no MESSAGE
                                 before. Only with limits.tells_whole */
            struct cv_slice message; /* if so; to be READ as any other */
            bool by_peer;     /* it is the peer's STATUS; else a deadline, a cancel, a reset, a lost
                             connection or a broken answer ended the call */
            bool not_started; /* the server's user surely never hears of the call, so that it may be
                             made again elsewhere: the transport took nothing of it, or the server
                             drains and refused it, or said so with the end of the connection.
                             False when in doubt */
        } end;
    };
};

/* 0 or COVEY_ERR_NO_MEMORY. Borrows alloc; copies limits. */
COVEY_MUST_USE int cv_rpc_conn_new(const struct cv_alloc *alloc, const struct cv_rpc_limits *limits,
                                   struct cv_rpc_conn **out);
/* Frees it with all its calls, which may not be named again; NULL is allowed. Before that,
 * cv_rpc_conn_lost() and the last poll()s. */
void cv_rpc_conn_free(struct cv_rpc_conn *rc);

struct cv_rpc_start {
    struct cv_slice method; /* 1..255 bytes of a-z A-Z 0-9 . _ - / */
    covey_time deadline;    /* absolute; COVEY_NEVER for none. Travels as the time that remains */
    const struct cv_rpc_metadata *metadata;
    size_t metadata_count;
    void *stream; /* the transport's stream for this call, opened by the caller; NULL: given later
                     by cv_rpc_call_bind() */
    void *user;
    bool is_checked; /* method and metadata have passed cv_rpc_header_check() */
    /* The only message, as by SEND with `end`; NULL: none yet. While too much is waiting it is not
     * taken, and EVENT_WRITABLE follows: then SEND it. */
    const struct cv_slice *message;
    /* Memory from which the transport sends `stream`, or NULL: what the call has to say is written
     * there, if all of it fits, and the writer stays empty if not. Then it is sent, with the end of our
     * side, and no STREAM_WRITE comes. */
    struct cv_writer *room;
};

/*
 * Begins a call as client. 0 and *out; the outcome is EVENT_STATUS. Or
 *   COVEY_ERR_INVALID_ARGUMENT  method, metadata keys
 *   COVEY_ERR_TOO_LARGE         metadata, or a message above message_send_max
 *   COVEY_ERR_BUSY              too much is waiting on the connection for large metadata
 *   COVEY_ERR_CLOSED            after lost()
 *   COVEY_ERR_NO_MEMORY
 */
COVEY_MUST_USE int cv_rpc_conn_start(struct cv_rpc_conn *rc, const struct cv_rpc_start *start,
                                     covey_time now, struct cv_rpc_call **out);
/* The oldest call that was started without a stream, has none yet and is not over; NULL when there
 * is none. */
struct cv_rpc_call *cv_rpc_conn_unbound(const struct cv_rpc_conn *rc);
/* Ends a call that cannot be given a stream. `text` lives for ever. */
void cv_rpc_call_give_up(struct cv_rpc_call *call, enum covey_status_code code, const char *text);
/* Gives a call that was started without a stream its stream; what it has to send follows. A call
 * that is over meanwhile but was not released may be bound: its stream is then reset. Not after
 * lost(). */
void cv_rpc_call_bind(struct cv_rpc_call *call, void *stream, covey_time now);

/*
 * Takes one input; all of it or nothing. Peers' mistakes are answered on the stream and counted,
 * they are no error here. STREAM_* inputs return 0, or COVEY_ERR_NO_MEMORY: then the call was ended
 * with RESOURCE_EXHAUSTED; STREAM_ACCEPTED also COVEY_ERR_CLOSED after lost(). User inputs return 0
 * or
 *   COVEY_ERR_BUSY       SEND, SEND_METADATA, REPLY: too much is waiting; EVENT_WRITABLE follows
 *   COVEY_ERR_TOO_LARGE  SEND, REPLY: above message_send_max; FINISH: details above header_size_max;
 *                        SEND_METADATA: more than 64 entries, or above header_size_max
 *   COVEY_ERR_STATE      SEND, END, FINISH, REPLY, SEND_METADATA: the call is over or ended;
 *                        SEND_METADATA: metadata or a message was sent before
 *   COVEY_ERR_INVALID_ARGUMENT  SEND_METADATA: keys
 *   COVEY_ERR_NO_MEMORY  SEND, SEND_METADATA, REPLY
 * FINISH needs no memory: without any, the status travels without its message and details.
 */
int cv_rpc_conn_step(struct cv_rpc_conn *rc, const struct cv_rpc_input *input);
bool cv_rpc_conn_poll(struct cv_rpc_conn *rc, struct cv_rpc_output *output);
/* After an output STREAM_WRITE: whether the transport took the bytes. If not, they come again after
 * STREAM_WRITABLE. */
void cv_rpc_conn_written(struct cv_rpc_conn *rc, struct cv_rpc_call *call, bool taken);
/* When step() wants CV_RPC_TIME; COVEY_NEVER when no call has a deadline. */
covey_time cv_rpc_conn_deadline(const struct cv_rpc_conn *rc);
/* The connection is gone: every call ends, clients' with UNAVAILABLE and `text` unless their status
 * is there, servers' with EVENT_CANCELLED. No STREAM_ input may come any more. `text` lives for
 * ever. */
void cv_rpc_conn_lost(struct cv_rpc_conn *rc, const char *text);
/* Before lost(): the peer says that it begins none of the calls that it has not answered. */
void cv_rpc_conn_none_begun(struct cv_rpc_conn *rc);
/*
 * Takes no more calls: each stream that the peer opens from now on is ended with RESET and STOP,
 * CV_RPC_CODE_REFUSED, and no user hears of it. Calls that are under way go on, and so do those that
 * are started here. There is no way back; a second time does nothing.
 */
void cv_rpc_conn_drain(struct cv_rpc_conn *rc);
/* The peer drains: it refused a call (which ended with UNAVAILABLE and `not_started`), and will
 * refuse those that are started here from now on. True already when that call's EVENT_STATUS comes,
 * and for ever. */
bool cv_rpc_conn_peer_drains(const struct cv_rpc_conn *rc);

/*
 * After EVENT_MESSAGE, before anything else: the memory of its message changes hands, and the caller
 * releases it with the connection's allocator. The byte behind the message may be overwritten. NULL:
 * it is small or shares its memory, so it is to be copied as any other.
 */
void *cv_rpc_call_take_message(struct cv_rpc_call *call, struct cv_slice message);

void *cv_rpc_call_user(const struct cv_rpc_call *call);
void cv_rpc_call_set_user(struct cv_rpc_call *call, void *user);
/* NULL when it has none: not yet, or no more. */
void *cv_rpc_call_stream(const struct cv_rpc_call *call);
/* Server: it was answered, and its stream carries nothing more for it either way. The transport may then
 * give STREAM_CLOSED at once, and see to it by itself that what was said arrives. */
bool cv_rpc_call_is_carried(const struct cv_rpc_call *call);
covey_time cv_rpc_call_deadline(const struct cv_rpc_call *call);
bool cv_rpc_call_is_client(const struct cv_rpc_call *call);
/* How many calls exist: 0 means that nothing is under way. */
size_t cv_rpc_conn_count(const struct cv_rpc_conn *rc);

struct cv_rpc_stats {
    uint64_t calls_started;
    uint64_t calls_accepted;
    uint64_t calls_refused;  /* for calls_max */
    uint64_t calls_rejected; /* because this end drains; not among those accepted */
    uint64_t calls_cancelled;
    uint64_t deadlines_exceeded;
    uint64_t messages_sent;
    uint64_t messages_received;
    uint64_t protocol_errors;  /* frames that a peer got wrong */
    uint64_t glitches;         /* calls that count against glitch_burst */
    uint64_t frames_too_large; /* above message_receive_max or header_size_max */
    uint64_t
        memory_refused; /* calls ended because the peer's bytes were above receive_memory_max */
};
/* Adds one connection's to others'. */
void cv_rpc_stats_add(struct cv_rpc_stats *sum, const struct cv_rpc_stats *stats);
void cv_rpc_conn_stats(const struct cv_rpc_conn *rc, struct cv_rpc_stats *out);

#endif
