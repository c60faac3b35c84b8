#ifndef CV_BASE_ADDRESS_H
#define CV_BASE_ADDRESS_H

#include "base/reader.h"
#include "base/writer.h"

#include <covey/export.h>
#include <stdbool.h>
#include <stdint.h>

/* An IPv4 or IPv6 address with a UDP port. Bytes that are not used are zero, so that two addresses
 * are equal exactly when their bytes are. {0} is no address. */
struct cv_address {
    uint8_t ip[16]; /* IPv4: the first four */
    uint16_t port;
    uint8_t family; /* 0, 4 or 6 */
    uint8_t zero;
    uint32_t scope; /* IPv6 link-local: the interface */
};

/* "[" 45 characters of IPv6 "%" a scope "]:" a port and a NUL. */
#define CV_ADDRESS_TEXT_SIZE 80

bool cv_address_equal(const struct cv_address *a, const struct cv_address *b);

/*
 * Reads "192.0.2.1:4433", "[2001:db8::1]:4433" or "[fe80::1%2]:4433": numbers only, no names. Only
 * a link-local address has a scope. Returns 0 or COVEY_ERR_ADDRESS; *address is unchanged on error.
 */
COVEY_MUST_USE int cv_address_parse(struct cv_address *address, const char *text);

/* Writes the text form into `text` of CV_ADDRESS_TEXT_SIZE bytes; "-" for no address. Returns text.
 */
char *cv_address_text(const struct cv_address *address, char *text);

/*
 * Splits "HOST:PORT" where HOST is a name (letters, digits, '-', '.', '_'), an IPv4 address or an
 * IPv6 address in brackets, there with or without "%SCOPE" (an interface's number or name). `host`
 * gets the NUL-terminated host without the brackets (host_size bytes of room). Returns 0 or
 * COVEY_ERR_ADDRESS; *host and *port are unchanged on error.
 */
COVEY_MUST_USE int cv_address_split(const char *text, char *host, size_t host_size, uint16_t *port);

/* 0.0.0.0 and ::, which can be listened on but never told to anybody. */
bool cv_address_is_wildcard(const struct cv_address *address);
/* True for what a peer may tell us to connect to: not multicast, not broadcast, not a wildcard, a
 * port that is not 0, and not an IPv4 address mapped into IPv6 (::ffff:a.b.c.d), which would be a
 * second form of one address and a way around these rules. */
bool cv_address_is_usable(const struct cv_address *address);

/* The wire form of an address that is one: u8 family, 4 or 16 bytes, u16 port. A scope is local and
 * does not travel. */
void cv_address_write(struct cv_writer *w, const struct cv_address *address);
/* Fails the reader for an unknown family or an address that is not usable. */
struct cv_address cv_address_read(struct cv_reader *r);

#endif
