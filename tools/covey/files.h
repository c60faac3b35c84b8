#ifndef COVEY_TOOL_FILES_H
#define COVEY_TOOL_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Small files, read and written whole. What fails is reported in one line that names the file. */

/* DIRECTORY/NAME in `path`, which holds PATH_MAX bytes. */
bool join_path(const char *command, const char *directory, const char *name, char *path);

/* Makes a directory and those above it; one that is there already is fine. */
bool make_directories(const char *command, const char *path);

/* Reports and returns true when there is something at this path already. */
bool refuse_existing(const char *command, const char *path);

/* Writes a file that must not exist; with what it could not write it leaves no file behind. */
bool write_new_file(const char *command, const char *path, const char *text, mode_t mode);

/*
 * Reads all of a stream, at most size_max bytes, into memory for free(), with a NUL behind it.
 * `name` is for messages.
 */
bool read_stream(const char *command, FILE *stream, const char *name, size_t size_max, char **data,
                 size_t *size);
bool read_file(const char *command, const char *path, size_t size_max, char **data, size_t *size);

#endif
