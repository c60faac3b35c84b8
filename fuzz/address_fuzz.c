/*
 * Addresses as text, as "HOST:PORT" and on the wire: writing what was accepted and reading that
 * again gives the same. The input is taken as each of the three.
 */
#include "base/address.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_wire_of(const struct cv_address *address)
{
    uint8_t memory[19];
    struct cv_writer w;
    struct cv_reader r;
    cv_writer_init(&w, memory, sizeof memory);
    cv_address_write(&w, address);
    assert(cv_writer_ok(&w));
    cv_reader_init(&r, cv_writer_bytes(&w));
    struct cv_address read = cv_address_read(&r);
    assert(cv_reader_done(&r) == cv_address_is_usable(address));
    if (cv_reader_ok(&r)) {
        read.scope = address->scope;
        assert(cv_address_equal(&read, address));
    }
}

static void check_text_of(const struct cv_address *address)
{
    char text[CV_ADDRESS_TEXT_SIZE], again[CV_ADDRESS_TEXT_SIZE], host[CV_ADDRESS_TEXT_SIZE];
    struct cv_address parsed;
    uint16_t port;
    cv_address_text(address, text);
    assert(cv_address_parse(&parsed, text) == 0);
    assert(cv_address_equal(&parsed, address));
    assert(strcmp(cv_address_text(&parsed, again), text) == 0);
    assert(cv_address_split(text, host, sizeof host, &port) == 0);
    assert(port == address->port);
}

static void check_parse(const char *text)
{
    struct cv_address address;
    if (cv_address_parse(&address, text) != 0)
        return;
    assert(address.family == 4 || address.family == 6);
    check_text_of(&address);
    check_wire_of(&address);
}

static void check_split(const char *text)
{
    char host[64], host_again[64], joined[80];
    uint16_t port, port_again;
    if (cv_address_split(text, host, sizeof host, &port) != 0)
        return;
    size_t host_size = strlen(host);
    assert(host_size > 0 && host_size < sizeof host);
    /* An exact fit is enough, one byte less is not. */
    assert(cv_address_split(text, host_again, host_size + 1, &port_again) == 0);
    assert(cv_address_split(text, host_again, host_size, &port_again) != 0);

    bool is_ipv6 = strchr(host, ':') != NULL;
    snprintf(joined, sizeof joined, is_ipv6 ? "[%s]:%u" : "%s:%u", host, port);
    assert(strcmp(joined, text) == 0);
    assert(cv_address_split(joined, host_again, sizeof host_again, &port_again) == 0);
    assert(strcmp(host, host_again) == 0 && port == port_again);
}

static void check_wire(struct cv_slice bytes)
{
    uint8_t memory[19];
    struct cv_writer w;
    struct cv_reader r;
    cv_reader_init(&r, bytes);
    struct cv_address address = cv_address_read(&r);
    if (!cv_reader_ok(&r)) {
        assert(cv_address_equal(&address, &(struct cv_address){0}));
        return;
    }
    assert(cv_address_is_usable(&address));
    cv_writer_init(&w, memory, sizeof memory);
    cv_address_write(&w, &address);
    struct cv_slice written = cv_writer_bytes(&w);
    assert(written.size == bytes.size - cv_reader_left(&r));
    assert(memcmp(written.data, bytes.data, written.size) == 0);
    check_text_of(&address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    assert(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_parse(text);
    check_split(text);
    check_wire(cv_slice_of(data, size));
    free(text);
    return 0;
}
