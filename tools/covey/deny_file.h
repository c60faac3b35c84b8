#ifndef COVEY_TOOL_DENY_FILE_H
#define COVEY_TOOL_DENY_FILE_H

#include <covey/types.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The nodes that an agent denies: a file with one id a line, 32 hexadecimal digits. What follows '#' and
 * empty lines do not count. *ids is for free(). What is wrong is reported in one line that names the file.
 */
bool read_deny_file(const char *command, const char *path, covey_node_id **ids, size_t *count);

#endif
