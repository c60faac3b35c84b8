/*
 * The reader against a reference that is too simple to be wrong, and the writer as its inverse.
 *
 * The input is  u8 operation count | operations, one byte each | the bytes to read.
 * An operation's low three bits say what to read, its high five bits how much.
 */
#include "base/reader.h"
#include "base/writer.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct model {
    const uint8_t *data;
    size_t size;
    size_t place;
    bool failed;
};

static bool model_has(struct model *m, uint64_t size)
{
    if (m->failed || m->size - m->place < size)
        m->failed = true;
    return !m->failed;
}

static uint64_t model_number(struct model *m, size_t size)
{
    uint64_t number = 0;
    if (!model_has(m, size))
        return 0;
    while (size-- > 0)
        number = number * 256 + m->data[m->place++];
    return number;
}

static uint64_t model_varint(struct model *m)
{
    static const uint64_t least[] = {0, 64, 16384, 1073741824};
    static const size_t sizes[] = {1, 2, 4, 8};
    if (!model_has(m, 1))
        return 0;
    unsigned kind = m->data[m->place] / 64;
    uint64_t number = model_number(m, sizes[kind]);
    if (!m->failed)
        number -= (uint64_t)kind << (sizes[kind] * 8 - 2);
    if (number < least[kind])
        m->failed = true;
    return m->failed ? 0 : number;
}

static struct cv_slice model_bytes(struct model *m, uint64_t size)
{
    if (!model_has(m, size))
        return (struct cv_slice){0};
    struct cv_slice bytes = cv_slice_of(m->data + m->place, (size_t)size);
    m->place += bytes.size;
    return bytes;
}

static struct cv_slice model_prefixed(struct model *m, size_t size_max)
{
    uint64_t size = model_varint(m);
    if (size > size_max)
        m->failed = true;
    return model_bytes(m, size);
}

static void assert_same_place(const struct cv_reader *r, const struct model *m)
{
    assert(cv_reader_ok(r) == !m->failed);
    assert(cv_reader_left(r) == (m->failed ? 0 : m->size - m->place));
    assert(cv_reader_done(r) == (!m->failed && m->place == m->size));
}

static void assert_same_bytes(struct cv_slice a, struct cv_slice b)
{
    assert(a.size == b.size);
    assert(a.size == 0 || a.data == b.data);
}

static uint64_t read_number(struct cv_reader *r, unsigned kind)
{
    switch (kind) {
    case 0:
        return cv_read_u8(r);
    case 1:
        return cv_read_u16(r);
    case 2:
        return cv_read_u32(r);
    default:
        return cv_read_u64(r);
    }
}

static void write_number(struct cv_writer *w, unsigned kind, uint64_t number)
{
    switch (kind) {
    case 0:
        cv_write_u8(w, (uint8_t)number);
        return;
    case 1:
        cv_write_u16(w, (uint16_t)number);
        return;
    case 2:
        cv_write_u32(w, (uint32_t)number);
        return;
    default:
        cv_write_u64(w, number);
    }
}

static void step_number(struct cv_reader *r, struct model *m, struct cv_writer *w, unsigned kind)
{
    uint64_t number = read_number(r, kind);
    assert(number == model_number(m, (size_t)1 << kind));
    if (cv_reader_ok(r))
        write_number(w, kind, number);
}

static void step_varint(struct cv_reader *r, struct model *m, struct cv_writer *w)
{
    uint64_t number = cv_read_varint(r);
    assert(number == model_varint(m));
    assert(number <= CV_VARINT_MAX);
    if (cv_reader_ok(r))
        cv_write_varint(w, number);
}

static void step_bytes(struct cv_reader *r, struct model *m, struct cv_writer *w, uint64_t size)
{
    /* The largest amount stands for one that no memory holds. */
    uint64_t wanted = size == 31 ? UINT64_MAX : size;
    struct cv_slice bytes = cv_read_bytes(r, wanted);
    assert_same_bytes(bytes, model_bytes(m, wanted));
    cv_write_bytes(w, bytes);
}

static void step_prefixed(struct cv_reader *r, struct model *m, struct cv_writer *w, size_t max)
{
    size_t size_max = max == 31 ? SIZE_MAX : max;
    struct cv_slice bytes = cv_read_prefixed(r, size_max);
    assert_same_bytes(bytes, model_prefixed(m, size_max));
    if (cv_reader_ok(r))
        cv_write_prefixed(w, bytes);
}

static void step_rest(struct cv_reader *r, struct model *m, struct cv_writer *w)
{
    struct cv_slice bytes = cv_read_rest(r);
    assert_same_bytes(bytes, model_bytes(m, m->failed ? 0 : m->size - m->place));
    cv_write_bytes(w, bytes);
}

static void step(struct cv_reader *r, struct model *m, struct cv_writer *w, uint8_t operation)
{
    unsigned kind = operation & 7, amount = operation >> 3;
    if (kind < 4)
        step_number(r, m, w, kind);
    else if (kind == 4)
        step_varint(r, m, w);
    else if (kind == 5)
        step_bytes(r, m, w, amount);
    else if (kind == 6)
        step_prefixed(r, m, w, amount);
    else
        step_rest(r, m, w);
}

/* All operations with `room` bytes for what is written back. Returns how much was read. */
static size_t run(struct cv_slice operations, struct cv_slice bytes, size_t room)
{
    uint8_t *memory = malloc(room + 1);
    assert(memory != NULL);
    memory[room] = 0xa5;
    struct model m = {.data = bytes.data, .size = bytes.size};
    struct cv_reader r;
    struct cv_writer w;
    cv_reader_init(&r, bytes);
    cv_writer_init(&w, memory, room);
    for (size_t i = 0; i < operations.size; i++) {
        step(&r, &m, &w, operations.data[i]);
        assert_same_place(&r, &m);
    }
    size_t written = cv_writer_size(&w);
    assert(written <= room && memory[room] == 0xa5);
    assert(written == 0 || memcmp(memory, bytes.data, written) == 0);
    if (cv_reader_ok(&r))
        assert(cv_writer_ok(&w) == (room >= m.place) && (room < m.place || written == m.place));
    free(memory);
    return cv_reader_ok(&r) ? m.place : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t count = data[0] < size - 1 ? data[0] : size - 1;
    struct cv_slice operations = cv_slice_of(data + 1, count);
    struct cv_slice bytes = cv_slice_of(data + 1 + count, size - 1 - count);
    size_t read = run(operations, bytes, bytes.size);
    if (read > 0)
        (void)run(operations, bytes, read - 1);
    return 0;
}
