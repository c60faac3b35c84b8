#include "rpc/frame.h"

#include "base/utf8.h"

#include <assert.h>
#include <covey/error.h>

enum header_tag { HEADER_TIMEOUT = 1, HEADER_METHOD = 2, HEADER_METADATA = 3 };
enum status_tag { STATUS_CODE = 1, STATUS_MESSAGE = 2, STATUS_DETAILS = 3 };

#define STATUS_CODE_LAST COVEY_STATUS_UNAUTHENTICATED

/* ---- The varint before the body ---- */

int cv_rpc_frame_head_read(struct cv_slice bytes, struct cv_rpc_frame_head *head)
{
    if (bytes.size == 0)
        return COVEY_ERR_WOULD_BLOCK;
    size_t size = (size_t)1 << (bytes.data[0] >> 6);
    if (bytes.size < size)
        return COVEY_ERR_WOULD_BLOCK;
    struct cv_reader r;
    cv_reader_init(&r, bytes);
    uint64_t value = cv_read_varint(&r);
    if (!cv_reader_ok(&r))
        return COVEY_ERR_MALFORMED;
    *head = (struct cv_rpc_frame_head){
        .type = (enum cv_rpc_frame_type)(value & 3), .length = value >> 2, .size = size};
    return 0;
}

static void write_head(struct cv_writer *w, enum cv_rpc_frame_type type, size_t length)
{
    cv_write_varint(w, (uint64_t)length << 2 | type);
}

static size_t frame_size(size_t length)
{
    return cv_varint_size((uint64_t)length << 2) + length;
}

void cv_rpc_message_head_write(struct cv_writer *w, size_t message_size)
{
    write_head(w, CV_RPC_FRAME_MESSAGE, message_size);
}

void cv_rpc_message_write(struct cv_writer *w, struct cv_slice message)
{
    cv_rpc_message_head_write(w, message.size);
    cv_write_bytes(w, message);
}

size_t cv_rpc_message_size(size_t message_size)
{
    return frame_size(message_size);
}

/* ---- Fields ---- */

/* Tags here are below 64: one byte. */
static size_t field_size(size_t size)
{
    return 1 + cv_varint_size(size) + size;
}

static size_t optional_size(size_t size)
{
    return size == 0 ? 0 : field_size(size);
}

static void write_field(struct cv_writer *w, uint64_t tag, struct cv_slice value)
{
    cv_write_varint(w, tag);
    cv_write_prefixed(w, value);
}

static void write_optional(struct cv_writer *w, uint64_t tag, struct cv_slice value)
{
    if (value.size > 0)
        write_field(w, tag, value);
}

static void write_number(struct cv_writer *w, uint64_t tag, uint64_t value)
{
    cv_write_varint(w, tag);
    cv_write_varint(w, cv_varint_size(value));
    cv_write_varint(w, value);
}

/* The next field; fails the reader when its tag is below `last`, the one before it. */
static uint64_t read_field(struct cv_reader *r, uint64_t last, struct cv_slice *value)
{
    uint64_t tag = cv_read_varint(r);
    *value = cv_read_prefixed(r, SIZE_MAX);
    if (tag < last)
        cv_reader_fail(r);
    return tag;
}

static uint64_t read_number(struct cv_reader *r, struct cv_slice value)
{
    struct cv_reader field;
    cv_reader_init(&field, value);
    uint64_t number = cv_read_varint(&field);
    if (!cv_reader_done(&field))
        cv_reader_fail(r);
    return number;
}

/* ---- HEADER ---- */

enum name_set { METHOD_SET = 1, KEY_SET = 2, BOTH_SETS = 3 };

/* A table, because every call's method name is looked at on both sides. */
static const uint8_t name_sets[256] = {
    ['-'] = BOTH_SETS,  ['.'] = BOTH_SETS,  ['_'] = BOTH_SETS,  ['/'] = METHOD_SET,
    ['0'] = BOTH_SETS,  ['1'] = BOTH_SETS,  ['2'] = BOTH_SETS,  ['3'] = BOTH_SETS,
    ['4'] = BOTH_SETS,  ['5'] = BOTH_SETS,  ['6'] = BOTH_SETS,  ['7'] = BOTH_SETS,
    ['8'] = BOTH_SETS,  ['9'] = BOTH_SETS,  ['a'] = BOTH_SETS,  ['b'] = BOTH_SETS,
    ['c'] = BOTH_SETS,  ['d'] = BOTH_SETS,  ['e'] = BOTH_SETS,  ['f'] = BOTH_SETS,
    ['g'] = BOTH_SETS,  ['h'] = BOTH_SETS,  ['i'] = BOTH_SETS,  ['j'] = BOTH_SETS,
    ['k'] = BOTH_SETS,  ['l'] = BOTH_SETS,  ['m'] = BOTH_SETS,  ['n'] = BOTH_SETS,
    ['o'] = BOTH_SETS,  ['p'] = BOTH_SETS,  ['q'] = BOTH_SETS,  ['r'] = BOTH_SETS,
    ['s'] = BOTH_SETS,  ['t'] = BOTH_SETS,  ['u'] = BOTH_SETS,  ['v'] = BOTH_SETS,
    ['w'] = BOTH_SETS,  ['x'] = BOTH_SETS,  ['y'] = BOTH_SETS,  ['z'] = BOTH_SETS,
    ['A'] = METHOD_SET, ['B'] = METHOD_SET, ['C'] = METHOD_SET, ['D'] = METHOD_SET,
    ['E'] = METHOD_SET, ['F'] = METHOD_SET, ['G'] = METHOD_SET, ['H'] = METHOD_SET,
    ['I'] = METHOD_SET, ['J'] = METHOD_SET, ['K'] = METHOD_SET, ['L'] = METHOD_SET,
    ['M'] = METHOD_SET, ['N'] = METHOD_SET, ['O'] = METHOD_SET, ['P'] = METHOD_SET,
    ['Q'] = METHOD_SET, ['R'] = METHOD_SET, ['S'] = METHOD_SET, ['T'] = METHOD_SET,
    ['U'] = METHOD_SET, ['V'] = METHOD_SET, ['W'] = METHOD_SET, ['X'] = METHOD_SET,
    ['Y'] = METHOD_SET, ['Z'] = METHOD_SET,
};

static bool name_valid(struct cv_slice name, size_t size_max, enum name_set set)
{
    if (name.size == 0 || name.size > size_max)
        return false;
    unsigned common = set;
    for (size_t i = 0; i < name.size; i++)
        common &= name_sets[name.data[i]];
    return common != 0;
}

bool cv_rpc_method_name_valid(struct cv_slice name)
{
    return name_valid(name, CV_RPC_METHOD_SIZE_MAX, METHOD_SET);
}

struct cv_slice cv_rpc_method_name(const char *text)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t size = 0;
    while ((name_sets[bytes[size]] & METHOD_SET) != 0) /* the NUL is in no set */
        size++;
    return cv_slice_of(bytes, bytes[size] == 0 && size <= CV_RPC_METHOD_SIZE_MAX ? size : 0);
}

static bool key_valid(struct cv_slice key)
{
    return name_valid(key, CV_RPC_METADATA_KEY_SIZE_MAX, KEY_SET);
}

static size_t entry_size(const struct cv_rpc_metadata *entry)
{
    return cv_varint_size(entry->key.size) + entry->key.size + entry->value.size;
}

static size_t timeout_size(uint64_t timeout_us)
{
    return field_size(cv_varint_size(timeout_us));
}

static size_t entries_size(const struct cv_rpc_metadata *metadata, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += field_size(entry_size(&metadata[i]));
    return size;
}

static size_t header_body_size(const struct cv_rpc_header *header)
{
    size_t size = field_size(header->method.size);
    if (header->has_timeout)
        size += timeout_size(header->timeout_us);
    return size + entries_size(header->metadata, header->metadata_count);
}

static int check_entries(const struct cv_rpc_metadata *metadata, size_t count, size_t size_max)
{
    if (count > CV_RPC_METADATA_COUNT_MAX)
        return COVEY_ERR_TOO_LARGE;
    for (size_t i = 0; i < count; i++) {
        if (!key_valid(metadata[i].key))
            return COVEY_ERR_INVALID_ARGUMENT;
        /* One by one first: the sum of sizes that a caller chose could wrap around. */
        if (metadata[i].value.size > size_max)
            return COVEY_ERR_TOO_LARGE;
    }
    return 0;
}

int cv_rpc_header_check(const struct cv_rpc_header *header, size_t size_max)
{
    if (!cv_rpc_method_name_valid(header->method))
        return COVEY_ERR_INVALID_ARGUMENT;
    int error = check_entries(header->metadata, header->metadata_count, size_max);
    if (error != 0)
        return error;
    return header_body_size(header) > size_max ? COVEY_ERR_TOO_LARGE : 0;
}

size_t cv_rpc_header_size(const struct cv_rpc_header *header)
{
    return frame_size(header_body_size(header));
}

static void write_entry(struct cv_writer *w, const struct cv_rpc_metadata *entry)
{
    cv_write_varint(w, HEADER_METADATA);
    cv_write_varint(w, entry_size(entry));
    cv_write_prefixed(w, entry->key);
    cv_write_bytes(w, entry->value);
}

static void write_header(struct cv_writer *w, const struct cv_rpc_header *header, size_t body_size)
{
    write_head(w, CV_RPC_FRAME_HEADER, body_size);
    if (header->has_timeout)
        write_number(w, HEADER_TIMEOUT, header->timeout_us);
    write_field(w, HEADER_METHOD, header->method);
    for (size_t i = 0; i < header->metadata_count; i++)
        write_entry(w, &header->metadata[i]);
}

void cv_rpc_header_write(struct cv_writer *w, const struct cv_rpc_header *header)
{
    write_header(w, header, header_body_size(header));
}

bool cv_rpc_request_write(struct cv_writer *w, const struct cv_rpc_header *header,
                          struct cv_slice message)
{
    size_t left = cv_writer_left(w);
    size_t body_size = header_body_size(header);
    size_t header_size = frame_size(body_size);
    if (header_size > left || message.size > left ||
        cv_rpc_message_size(message.size) > left - header_size)
        return false;
    write_header(w, header, body_size);
    cv_rpc_message_write(w, message);
    return true;
}

static void read_entry(struct cv_reader *r, struct cv_slice value, struct cv_rpc_metadata *metadata,
                       size_t *count)
{
    struct cv_reader field;
    cv_reader_init(&field, value);
    struct cv_slice key = cv_read_prefixed(&field, CV_RPC_METADATA_KEY_SIZE_MAX);
    struct cv_slice rest = cv_read_rest(&field);
    if (!cv_reader_ok(&field) || !key_valid(key) || *count == CV_RPC_METADATA_COUNT_MAX) {
        cv_reader_fail(r);
        return;
    }
    metadata[(*count)++] = (struct cv_rpc_metadata){.key = key, .value = rest};
}

int cv_rpc_header_read(struct cv_slice body, struct cv_rpc_metadata *metadata,
                       struct cv_rpc_header *header)
{
    struct cv_rpc_header read = {.metadata = metadata};
    struct cv_reader r;
    cv_reader_init(&r, body);
    uint64_t last = 0;
    while (cv_reader_left(&r) > 0) {
        struct cv_slice value;
        uint64_t tag = read_field(&r, last, &value);
        if (tag == HEADER_METADATA) {
            read_entry(&r, value, metadata, &read.metadata_count);
        } else if (tag == last && (tag == HEADER_TIMEOUT || tag == HEADER_METHOD)) {
            cv_reader_fail(&r);
        } else if (tag == HEADER_TIMEOUT) {
            read.has_timeout = true;
            read.timeout_us = read_number(&r, value);
        } else if (tag == HEADER_METHOD) {
            read.method = value;
        }
        last = tag;
    }
    if (!cv_reader_done(&r) || !cv_rpc_method_name_valid(read.method))
        return COVEY_ERR_MALFORMED;
    *header = read;
    return 0;
}

size_t cv_rpc_header_shorten(uint8_t *frame, size_t size, uint64_t timeout_us)
{
    struct cv_reader r;
    cv_reader_init(&r, cv_slice_of(frame, size));
    size_t length = (size_t)(cv_read_varint(&r) >> 2);
    struct cv_slice old;
    uint64_t tag = read_field(&r, 0, &old);
    assert(cv_reader_ok(&r) && tag == HEADER_TIMEOUT);
    size_t old_prefix = size - cv_reader_left(&r);
    size_t new_length = length - field_size(old.size) + timeout_size(timeout_us);
    size_t new_prefix = frame_size(new_length) - new_length + timeout_size(timeout_us);
    assert(new_prefix <= old_prefix);

    size_t saved = old_prefix - new_prefix;
    struct cv_writer w;
    cv_writer_init(&w, frame + saved, new_prefix);
    write_head(&w, CV_RPC_FRAME_HEADER, new_length);
    write_number(&w, HEADER_TIMEOUT, timeout_us);
    assert(cv_writer_ok(&w) && cv_writer_left(&w) == 0);
    return saved;
}

/* ---- HEADER of an answer ---- */

int cv_rpc_metadata_check(const struct cv_rpc_metadata *metadata, size_t count, size_t size_max)
{
    int error = check_entries(metadata, count, size_max);
    if (error != 0)
        return error;
    return entries_size(metadata, count) > size_max ? COVEY_ERR_TOO_LARGE : 0;
}

size_t cv_rpc_metadata_size(const struct cv_rpc_metadata *metadata, size_t count)
{
    return frame_size(entries_size(metadata, count));
}

void cv_rpc_metadata_write(struct cv_writer *w, const struct cv_rpc_metadata *metadata,
                           size_t count)
{
    write_head(w, CV_RPC_FRAME_HEADER, entries_size(metadata, count));
    for (size_t i = 0; i < count; i++)
        write_entry(w, &metadata[i]);
}

int cv_rpc_metadata_read(struct cv_slice body, struct cv_rpc_metadata *metadata, size_t *count)
{
    size_t read = 0;
    struct cv_reader r;
    cv_reader_init(&r, body);
    uint64_t last = 0;
    while (cv_reader_left(&r) > 0) {
        struct cv_slice value;
        uint64_t tag = read_field(&r, last, &value);
        if (tag == HEADER_METADATA)
            read_entry(&r, value, metadata, &read);
        else if (tag == HEADER_TIMEOUT || tag == HEADER_METHOD)
            cv_reader_fail(&r);
        last = tag;
    }
    if (!cv_reader_done(&r))
        return COVEY_ERR_MALFORMED;
    *count = read;
    return 0;
}

/* ---- STATUS ---- */

struct cv_slice cv_rpc_status_text(struct cv_slice message)
{
    if (message.size > CV_RPC_STATUS_TEXT_SIZE_MAX)
        message.size = CV_RPC_STATUS_TEXT_SIZE_MAX;
    message.size = cv_utf8_prefix(message);
    return message;
}

size_t cv_rpc_status_body_size(const struct cv_rpc_status *status)
{
    size_t code = status->code == COVEY_STATUS_OK ? 0 : field_size(1);
    return code + optional_size(status->message.size) + optional_size(status->details.size);
}

size_t cv_rpc_status_size(const struct cv_rpc_status *status)
{
    return frame_size(cv_rpc_status_body_size(status));
}

void cv_rpc_status_write(struct cv_writer *w, const struct cv_rpc_status *status)
{
    assert(status->code >= COVEY_STATUS_OK && status->code <= STATUS_CODE_LAST);
    write_head(w, CV_RPC_FRAME_STATUS, cv_rpc_status_body_size(status));
    if (status->code != COVEY_STATUS_OK)
        write_number(w, STATUS_CODE, (uint64_t)status->code);
    write_optional(w, STATUS_MESSAGE, status->message);
    write_optional(w, STATUS_DETAILS, status->details);
}

/* A code that is there is not OK: each status has one encoding. */
static enum covey_status_code read_code(struct cv_reader *r, struct cv_slice value)
{
    uint64_t code = read_number(r, value);
    if (code == COVEY_STATUS_OK)
        cv_reader_fail(r);
    return code > STATUS_CODE_LAST ? COVEY_STATUS_UNKNOWN : (enum covey_status_code)code;
}

static struct cv_slice read_text(struct cv_reader *r, struct cv_slice value)
{
    if (value.size == 0 || cv_rpc_status_text(value).size != value.size)
        cv_reader_fail(r);
    return value;
}

static struct cv_slice read_details(struct cv_reader *r, struct cv_slice value)
{
    if (value.size == 0)
        cv_reader_fail(r);
    return value;
}

int cv_rpc_status_read(struct cv_slice body, struct cv_rpc_status *status)
{
    struct cv_rpc_status read = {.code = COVEY_STATUS_OK};
    struct cv_reader r;
    cv_reader_init(&r, body);
    uint64_t last = 0;
    while (cv_reader_left(&r) > 0) {
        struct cv_slice value;
        uint64_t tag = read_field(&r, last, &value);
        if (tag == last && tag >= STATUS_CODE && tag <= STATUS_DETAILS)
            cv_reader_fail(&r);
        else if (tag == STATUS_CODE)
            read.code = read_code(&r, value);
        else if (tag == STATUS_MESSAGE)
            read.message = read_text(&r, value);
        else if (tag == STATUS_DETAILS)
            read.details = read_details(&r, value);
        last = tag;
    }
    if (!cv_reader_done(&r))
        return COVEY_ERR_MALFORMED;
    *status = read;
    return 0;
}
