#include "sim_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define FNV_PRIME UINT64_C(1099511628211)

static void append(struct sim *s, const char *text, size_t size)
{
    if (s->trace_size + size + 1 > s->trace_capacity) {
        size_t capacity = (s->trace_size + size + 1) * 2;
        s->trace = realloc(s->trace, capacity);
        assert(s->trace != NULL);
        s->trace_capacity = capacity;
    }
    memcpy(s->trace + s->trace_size, text, size);
    s->trace_size += size;
    s->trace[s->trace_size] = '\0';
}

void sim_trace_line(struct sim *s, const char *format, ...)
{
    char line[256];
    if (!sim_is_small(s))
        return;
    covey_time now = s->clock.now;
    int head = snprintf(line, sizeof(line), "%5" PRIu64 ".%03" PRIu64 "  ", now / COVEY_SECOND,
                        now / COVEY_MILLISECOND % 1000);
    va_list args;
    va_start(args, format);
    int tail = vsnprintf(line + head, sizeof(line) - (size_t)head, format, args);
    va_end(args);
    assert(head > 0 && tail >= 0 && (size_t)(head + tail) < sizeof(line));
    append(s, line, (size_t)(head + tail));
    append(s, "\n", 1);
}

const char *sim_trace(const struct sim *s)
{
    return s->trace == NULL ? "" : s->trace;
}

static void hash_bytes(struct sim *s, const void *bytes, size_t size)
{
    const uint8_t *b = bytes;
    for (size_t i = 0; i < size; i++)
        s->hash = (s->hash ^ b[i]) * FNV_PRIME;
}

static void hash_u64(struct sim *s, uint64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    hash_bytes(s, bytes, sizeof(bytes));
}

void sim_hash_input(struct sim *s, uint32_t node, const struct cv_input *input)
{
    hash_u64(s, input->now);
    hash_u64(s, node);
    hash_u64(s, (uint64_t)input->type);
    switch (input->type) {
    case CV_INPUT_MESSAGE:
        hash_bytes(s, input->message.from.bytes, sizeof(input->message.from.bytes));
        hash_bytes(s, input->message.bytes.data, input->message.bytes.size);
        break;
    case CV_INPUT_CONNECTED:
        hash_bytes(s, input->connected.peer.bytes, sizeof(input->connected.peer.bytes));
        hash_u64(s, input->connected.dial);
        break;
    case CV_INPUT_DISCONNECTED:
        hash_bytes(s, input->disconnected.peer.bytes, sizeof(input->disconnected.peer.bytes));
        break;
    case CV_INPUT_DIAL_FAILED:
        hash_u64(s, input->dial_failed.dial);
        break;
    case CV_INPUT_RESOLVED:
        hash_u64(s, input->resolved.resolve);
        break;
    case CV_INPUT_COMMAND:
        hash_u64(s, (uint64_t)input->command.type);
        break;
    case CV_INPUT_CHECK_RESULT:
        hash_u64(s, input->check_result.run);
        break;
    case CV_INPUT_TIME:
        break;
    }
}

uint64_t sim_hash(const struct sim *s)
{
    return s->hash;
}
