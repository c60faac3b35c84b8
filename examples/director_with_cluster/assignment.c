#include "assignment.h"

#include <stdio.h>
#include <string.h>

size_t assignment_write(const struct assignment *assignment, char *text)
{
    char id[COVEY_NODE_ID_TEXT_SIZE];

    return (size_t)snprintf(text, ASSIGNMENT_TEXT_SIZE, "%s %s",
                            covey_node_id_text(&assignment->id, id), assignment->address);
}

static int digit_value(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = memchr(digits, digit, sizeof digits - 1);

    return found == NULL ? -1 : (int)(found - digits);
}

static bool read_id(covey_node_id *id, const char *text)
{
    for (size_t i = 0; i < COVEY_NODE_ID_SIZE; i++) {
        const int high = digit_value(text[2 * i]);
        const int low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        id->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool assignment_read(struct assignment *assignment, const void *text, size_t size)
{
    const char *bytes = text;
    const size_t id_size = COVEY_NODE_ID_TEXT_SIZE - 1;

    if (size < id_size + 2 || bytes[id_size] != ' ' || !read_id(&assignment->id, bytes))
        return false;
    const size_t address_size = size - id_size - 1;
    if (address_size >= sizeof assignment->address)
        return false;
    memcpy(assignment->address, bytes + id_size + 1, address_size);
    assignment->address[address_size] = '\0';
    return strlen(assignment->address) == address_size;
}
