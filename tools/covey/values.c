#include "values.h"

#include "report.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Decimal digits only: strtoull alone would take signs and spaces too. */
static bool parse_digits(const char *text, uint64_t *value, const char **rest)
{
    char *end;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    *rest = end;
    return errno == 0;
}

bool parse_duration(const char *text, covey_time *out)
{
    static const struct {
        const char *name;
        covey_time length;
    } units[] = {
        {"ms", COVEY_MILLISECOND},
        {"s", COVEY_SECOND},
        {"m", 60 * COVEY_SECOND},
    };
    uint64_t number;
    const char *unit;

    if (!parse_digits(text, &number, &unit))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        if (number > (COVEY_NEVER - 1) / units[i].length)
            return false;
        *out = number * units[i].length;
        return true;
    }
    return false;
}

bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
    uint64_t number;
    const char *rest;

    if (!parse_digits(text, &number, &rest) || *rest != '\0')
        return false;
    if (number < min || number > max)
        return false;
    *out = (unsigned)number;
    return true;
}

bool parse_pair(const char *text, char separator, unsigned max, unsigned *first, unsigned *second)
{
    uint64_t number;
    const char *rest;

    if (!parse_digits(text, &number, &rest) || *rest != separator || number > max)
        return false;
    *first = (unsigned)number;
    return parse_number(rest + 1, 0, max, second);
}

bool parse_permille(const char *text, unsigned *out)
{
    uint64_t whole;
    uint64_t tenth = 0;
    const char *rest;

    if (!parse_digits(text, &whole, &rest) || whole > 100)
        return false;
    if (*rest == '.' && (!parse_digits(rest + 1, &tenth, &rest) || rest[-2] != '.'))
        return false;
    *out = (unsigned)(whole * 10 + tenth);
    return *rest == '\0' && *out <= 1000;
}

bool parse_tag(const char *command, const char *text, struct tag_argument *out)
{
    const char *equals = strchr(text, '=');

    if (equals == NULL || equals == text) {
        report_wrong_use(command, "'%s' is no tag: write KEY=VALUE", text);
        return false;
    }
    const size_t key_size = (size_t)(equals - text);
    if (key_size > COVEY_TAG_KEY_MAX) {
        report_wrong_use(command, "a tag's key has at most %d bytes", COVEY_TAG_KEY_MAX);
        return false;
    }
    if (strlen(equals + 1) > COVEY_TAG_VALUE_MAX) {
        report_wrong_use(command, "a tag's value has at most %d bytes", COVEY_TAG_VALUE_MAX);
        return false;
    }
    *out = (struct tag_argument){.value = equals + 1};
    memcpy(out->key, text, key_size);
    return true;
}
