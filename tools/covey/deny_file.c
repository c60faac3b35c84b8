#include "deny_file.h"

#include "files.h"
#include "report.h"

#include <covey/error.h>
#include <covey/server.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Of 16,384 ids, with room for a word about each. */
#define FILE_SIZE_MAX ((size_t)4 << 20)

static int digit_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c == '\0' ? NULL : strchr(digits, tolower((unsigned char)c));
    return found == NULL ? -1 : (int)(found - digits);
}

static bool parse_id(const char *text, size_t size, covey_node_id *out)
{
    if (size != 2 * COVEY_NODE_ID_SIZE)
        return false;
    for (size_t i = 0; i < COVEY_NODE_ID_SIZE; i++) {
        int high = digit_value(text[2 * i]);
        int low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out->bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

/* What counts of the line that begins here, without spaces around it. */
static const char *trim(const char *line, size_t *size)
{
    *size = strcspn(line, "#\n");
    while (*size > 0 && isspace((unsigned char)*line)) {
        line++;
        --*size;
    }
    while (*size > 0 && isspace((unsigned char)line[*size - 1]))
        --*size;
    return line;
}

static bool parse(const char *command, const char *path, const char *text, covey_node_id *ids,
                  size_t *count)
{
    size_t number = 1;
    for (const char *line = text; *line != '\0'; number++) {
        size_t size;
        const char *word = trim(line, &size);
        line += strcspn(line, "\n");
        line += *line == '\n';
        if (size == 0)
            continue;
        if (*count == COVEY_DENIED_MAX) {
            report(command, "%s: more than %d ids", path, COVEY_DENIED_MAX);
            return false;
        }
        if (!parse_id(word, size, &ids[*count])) {
            report(command, "%s: line %zu is no node's id, 32 hexadecimal digits", path, number);
            return false;
        }
        ++*count;
    }
    return true;
}

bool read_deny_file(const char *command, const char *path, covey_node_id **ids, size_t *count)
{
    char *text;
    size_t size;

    *count = 0;
    if (!read_file(command, path, FILE_SIZE_MAX, &text, &size))
        return false;
    *ids = calloc(COVEY_DENIED_MAX, sizeof **ids);
    if (*ids == NULL)
        report(command, "%s", covey_strerror(COVEY_ERR_NO_MEMORY));
    else if (strlen(text) != size) /* half written: not a shorter list */
        report(command, "%s: it has a byte that is zero", path);
    bool is_good = *ids != NULL && strlen(text) == size && parse(command, path, text, *ids, count);
    free(text);
    if (!is_good)
        free(*ids);
    return is_good;
}
