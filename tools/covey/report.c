#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_line(const char *command, const char *format, va_list arguments)
{
    char text[1024];

    vsnprintf(text, sizeof text, format, arguments);
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
    fprintf(stderr, "covey%s%s: %s\n", *command != '\0' ? " " : "", command, text);
}

int report(const char *command, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(command, format, arguments);
    va_end(arguments);
    return EXIT_FAILURE;
}

int report_wrong_use(const char *command, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(command, format, arguments);
    va_end(arguments);
    return EXIT_WRONG_USE;
}

int flush_output(const char *command)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    return report(command, "cannot write to stdout: %s", strerror(errno));
}
