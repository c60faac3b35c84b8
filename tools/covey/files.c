#include "files.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool join_path(const char *command, const char *directory, const char *name, char *path)
{
    const int length = snprintf(path, PATH_MAX, "%s/%s", directory, name);

    if (length >= 0 && length < PATH_MAX)
        return true;
    report(command, "%s: the path is too long", directory);
    return false;
}

static bool make_directory(const char *command, const char *path)
{
    struct stat status;

    if (mkdir(path, 0755) == 0)
        return true;
    const int error = errno;
    if (error == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return true;
    report(command, "cannot make the directory %s: %s", path, strerror(error));
    return false;
}

bool make_directories(const char *command, const char *path)
{
    char part[PATH_MAX];
    const size_t length = strlen(path);

    if (length == 0 || length >= sizeof part) {
        report(command, "'%s' is no name for a directory", path);
        return false;
    }
    memcpy(part, path, length + 1);
    for (size_t i = 1; i < length; i++) {
        if (part[i] != '/')
            continue;
        part[i] = '\0';
        if (!make_directory(command, part))
            return false;
        part[i] = '/';
    }
    return make_directory(command, part);
}

bool refuse_existing(const char *command, const char *path)
{
    struct stat status;

    if (lstat(path, &status) != 0 && errno == ENOENT)
        return false;
    report(command, "%s exists already and is not overwritten", path);
    return true;
}

static bool write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        const ssize_t written = write(fd, text, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        text += written;
        size -= (size_t)written;
    }
    return true;
}

bool write_new_file(const char *command, const char *path, const char *text, mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd < 0) {
        report(command, "cannot write %s: %s", path, strerror(errno));
        return false;
    }
    bool done = write_all(fd, text, strlen(text)) && fsync(fd) == 0;
    int error = errno;
    if (close(fd) != 0 && done) {
        done = false;
        error = errno;
    }
    if (!done) {
        unlink(path);
        report(command, "cannot write %s: %s", path, strerror(error));
    }
    return done;
}

/* Makes room for more and the NUL behind it. */
static bool grow(char **data, size_t *capacity)
{
    const size_t larger = *capacity == 0 ? 4096 : *capacity * 2;
    char *moved = realloc(*data, larger);

    if (moved == NULL)
        return false;
    *data = moved;
    *capacity = larger;
    return true;
}

/* NULL when all was read, else why not. */
static const char *read_all(FILE *stream, size_t size_max, char **data, size_t *size)
{
    size_t capacity = 0;

    while (!feof(stream)) {
        if (*size + 1 >= capacity && !grow(data, &capacity))
            return strerror(ENOMEM);
        *size += fread(*data + *size, 1, capacity - *size - 1, stream);
        if (ferror(stream))
            return strerror(errno);
        if (*size > size_max)
            return "it is too large";
        (*data)[*size] = '\0';
    }
    return NULL;
}

bool read_stream(const char *command, FILE *stream, const char *name, size_t size_max, char **data,
                 size_t *size)
{
    *data = NULL;
    *size = 0;
    clearerr(stream); /* an end met before is no answer */
    const char *wrong = read_all(stream, size_max, data, size);
    if (wrong == NULL)
        return true;
    report(command, "cannot read %s: %s", name, wrong);
    free(*data);
    *data = NULL;
    return false;
}

bool read_file(const char *command, const char *path, size_t size_max, char **data, size_t *size)
{
    FILE *stream = fopen(path, "re");

    if (stream == NULL) {
        report(command, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    const bool done = read_stream(command, stream, path, size_max, data, size);
    fclose(stream);
    return done;
}
