#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE_SIZE 1024

static void replace_control_characters(char *line)
{
    for (char *c = line; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
}

void cv_log_line(const struct cv_log *log, enum cv_log_level level, const char *format, ...)
{
    char line[LINE_SIZE];
    if (log == NULL || log->write == NULL || level > log->level)
        return;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size < 0)
        return;
    replace_control_characters(line);
    log->write(log->user, level, line);
}

bool cv_log_limit_pass(struct cv_log_limit *limit, covey_time now, covey_time interval,
                       uint64_t *suppressed)
{
    if (now < limit->next) {
        limit->suppressed++;
        return false;
    }
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    limit->next = interval > COVEY_NEVER - now ? COVEY_NEVER : now + interval;
    return true;
}
