#include "base/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <covey/error.h>
#include <stdio.h>
#include <string.h>

#define FAMILY_4 4
#define FAMILY_6 6

/* An IPv6 address, "%", the largest scope and a NUL. */
#define HOST_SIZE (INET6_ADDRSTRLEN + 11)

static size_t ip_size(uint8_t family)
{
    return family == FAMILY_4 ? 4 : 16;
}

bool cv_address_equal(const struct cv_address *a, const struct cv_address *b)
{
    static_assert(sizeof *a == 24, "no padding, so that bytes can be compared");
    return memcmp(a, b, sizeof *a) == 0;
}

/* Decimal digits in their shortest form, at most `max`. */
static bool parse_number(const char *text, uint32_t max, uint32_t *number)
{
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    uint64_t value = 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > max)
            return false;
    }
    *number = (uint32_t)value;
    return true;
}

/* Locales do not matter here, so not isalnum(). */
static bool is_name(struct cv_slice text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    for (size_t i = 0; i < text.size; i++) {
        if (memchr(letters, text.data[i], sizeof letters - 1) == NULL)
            return false;
    }
    return text.size > 0;
}

/* An IPv6 address, with or without "%" and a scope that is a number or a name. */
static bool is_ipv6(struct cv_slice text)
{
    const uint8_t *percent = text.size == 0 ? NULL : memchr(text.data, '%', text.size);
    size_t size = percent == NULL ? text.size : (size_t)(percent - text.data);
    char digits[INET6_ADDRSTRLEN];
    struct in6_addr ignored;
    if (size >= sizeof digits)
        return false;
    memcpy(digits, text.data, size);
    digits[size] = '\0';
    if (inet_pton(AF_INET6, digits, &ignored) != 1)
        return false;
    return percent == NULL || is_name(cv_slice_of(percent + 1, text.size - size - 1));
}

int cv_address_split(const char *text, char *host, size_t host_size, uint16_t *port)
{
    uint32_t number;
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !parse_number(colon + 1, UINT16_MAX, &number))
        return COVEY_ERR_ADDRESS;

    struct cv_slice part = cv_slice_of(text, (size_t)(colon - text));
    bool in_brackets = part.size >= 2 && text[0] == '[' && colon[-1] == ']';
    if (in_brackets)
        part = cv_slice_of(text + 1, part.size - 2);
    if (part.size >= host_size || !(in_brackets ? is_ipv6(part) : is_name(part)))
        return COVEY_ERR_ADDRESS;

    memcpy(host, part.data, part.size);
    host[part.size] = '\0';
    *port = (uint16_t)number;
    return 0;
}

static bool is_link_local(const struct cv_address *address)
{
    return address->family == FAMILY_6 && address->ip[0] == 0xfe && (address->ip[1] & 0xc0) == 0x80;
}

/* Takes "%SCOPE" off the end of `host`. */
static bool parse_scope(char *host, uint32_t *scope)
{
    char *percent = strchr(host, '%');
    if (percent == NULL)
        return true;
    *percent = '\0';
    return parse_number(percent + 1, UINT32_MAX, scope) && *scope != 0;
}

static bool parse_ip(struct cv_address *address, char *host)
{
    if (!parse_scope(host, &address->scope))
        return false;
    int family = address->family == FAMILY_4 ? AF_INET : AF_INET6;
    if (inet_pton(family, host, address->ip) != 1)
        return false;
    return address->scope == 0 || is_link_local(address);
}

int cv_address_parse(struct cv_address *address, const char *text)
{
    char host[HOST_SIZE];
    struct cv_address parsed = {.family = text[0] == '[' ? FAMILY_6 : FAMILY_4};
    int error = cv_address_split(text, host, sizeof host, &parsed.port);
    if (error != 0)
        return error;
    if (!parse_ip(&parsed, host))
        return COVEY_ERR_ADDRESS;
    *address = parsed;
    return 0;
}

/* A decimal number; returns the place after it. */
static char *put_number(char *next, unsigned value)
{
    char digits[10];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0)
        *next++ = digits[--count];
    return next;
}

/* By hand, since there is one for each record that is heard of. */
static void put_ipv4(const struct cv_address *address, char *text)
{
    for (size_t i = 0; i < 4; i++) {
        text = put_number(text, address->ip[i]);
        *text++ = i < 3 ? '.' : ':';
    }
    *put_number(text, address->port) = '\0';
}

char *cv_address_text(const struct cv_address *address, char *text)
{
    char ip[INET6_ADDRSTRLEN];
    if (address->family == 0)
        return memcpy(text, "-", sizeof "-");
    if (address->family == FAMILY_4) {
        put_ipv4(address, text);
        return text;
    }
    inet_ntop(AF_INET6, address->ip, ip, sizeof ip);
    if (address->scope == 0)
        snprintf(text, CV_ADDRESS_TEXT_SIZE, "[%s]:%u", ip, address->port);
    else
        snprintf(text, CV_ADDRESS_TEXT_SIZE, "[%s%%%u]:%u", ip, address->scope, address->port);
    return text;
}

bool cv_address_is_wildcard(const struct cv_address *address)
{
    static const uint8_t zero[16];
    return address->family != 0 && memcmp(address->ip, zero, sizeof zero) == 0;
}

static bool is_ipv4_mapped(const struct cv_address *address)
{
    static const uint8_t prefix[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return address->family == FAMILY_6 && memcmp(address->ip, prefix, sizeof prefix) == 0;
}

static bool is_multicast(const struct cv_address *address)
{
    if (address->family == FAMILY_4)
        return (address->ip[0] & 0xf0) == 0xe0;
    return address->ip[0] == 0xff;
}

static bool is_broadcast(const struct cv_address *address)
{
    static const uint8_t broadcast[] = {255, 255, 255, 255};
    return address->family == FAMILY_4 && memcmp(address->ip, broadcast, sizeof broadcast) == 0;
}

bool cv_address_is_usable(const struct cv_address *address)
{
    if (address->family != FAMILY_4 && address->family != FAMILY_6)
        return false;
    return address->port != 0 && !cv_address_is_wildcard(address) && !is_multicast(address) &&
           !is_broadcast(address) && !is_ipv4_mapped(address);
}

void cv_address_write(struct cv_writer *w, const struct cv_address *address)
{
    assert(address->family == FAMILY_4 || address->family == FAMILY_6);
    cv_write_u8(w, address->family);
    cv_write_bytes(w, cv_slice_of(address->ip, ip_size(address->family)));
    cv_write_u16(w, address->port);
}

struct cv_address cv_address_read(struct cv_reader *r)
{
    struct cv_address address = {.family = cv_read_u8(r)};
    if (address.family != FAMILY_4 && address.family != FAMILY_6)
        cv_reader_fail(r);
    struct cv_slice ip = cv_read_bytes(r, ip_size(address.family));
    address.port = cv_read_u16(r);
    if (!cv_reader_ok(r) || ip.data == NULL)
        return (struct cv_address){0};
    memcpy(address.ip, ip.data, ip.size);
    if (!cv_address_is_usable(&address)) {
        cv_reader_fail(r);
        return (struct cv_address){0};
    }
    return address;
}
