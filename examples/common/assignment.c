#include "assignment.h"

#include <stdio.h>
#include <string.h>

#define ID_SIZE (COVEY_NODE_ID_TEXT_SIZE - 1)

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

bool connection_id_is_good(const char *text, size_t size)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    for (size_t i = 0; i < size; i++) {
        if (memchr(good, text[i], sizeof good - 1) == NULL)
            return false;
    }
    return size > 0 && size <= CONNECTION_ID_MAX;
}

size_t assignment_request_write(const struct assignment_request *request, char *text)
{
    char id[COVEY_NODE_ID_TEXT_SIZE];
    size_t size = (size_t)snprintf(text, ASSIGNMENT_REQUEST_SIZE, "%s", request->connection);

    for (size_t i = 0; i < request->avoid_count; i++)
        size += (size_t)snprintf(text + size, ASSIGNMENT_REQUEST_SIZE - size, " %s",
                                 covey_node_id_text(&request->avoid[i], id));
    return size;
}

bool assignment_request_read(struct assignment_request *request, const void *text, size_t size)
{
    const char *at = text;

    *request = (struct assignment_request){0};
    if (size == 0)
        return true;
    const char *space = memchr(at, ' ', size);
    const size_t name_size = space == NULL ? size : (size_t)(space - at);
    if (!connection_id_is_good(at, name_size))
        return false;
    memcpy(request->connection, at, name_size);
    for (at += name_size, size -= name_size; size > 0; at += 1 + ID_SIZE, size -= 1 + ID_SIZE) {
        if (request->avoid_count == AVOID_MAX || size < 1 + ID_SIZE || *at != ' ' ||
            !read_id(&request->avoid[request->avoid_count], at + 1))
            return false;
        request->avoid_count++;
    }
    return true;
}

bool assignment_request_avoids(const struct assignment_request *request, const covey_node_id *id)
{
    for (size_t i = 0; i < request->avoid_count; i++) {
        if (covey_node_id_compare(&request->avoid[i], id) == 0)
            return true;
    }
    return false;
}

void assignment_request_avoid(struct assignment_request *request, const covey_node_id *id)
{
    if (assignment_request_avoids(request, id))
        return;
    if (request->avoid_count == AVOID_MAX) {
        request->avoid_count--;
        memmove(&request->avoid[0], &request->avoid[1],
                request->avoid_count * sizeof request->avoid[0]);
    }
    request->avoid[request->avoid_count++] = *id;
}

size_t assignment_write(const struct assignment *assignment, char *text)
{
    char id[COVEY_NODE_ID_TEXT_SIZE];

    return (size_t)snprintf(text, ASSIGNMENT_TEXT_SIZE, "%s %s",
                            covey_node_id_text(&assignment->id, id), assignment->address);
}

bool assignment_read(struct assignment *assignment, const void *text, size_t size)
{
    const char *bytes = text;

    if (size < ID_SIZE + 2 || bytes[ID_SIZE] != ' ' || !read_id(&assignment->id, bytes))
        return false;
    const size_t address_size = size - ID_SIZE - 1;
    if (address_size >= sizeof assignment->address)
        return false;
    memcpy(assignment->address, bytes + ID_SIZE + 1, address_size);
    assignment->address[address_size] = '\0';
    return strlen(assignment->address) == address_size;
}
