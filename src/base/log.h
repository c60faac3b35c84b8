#ifndef CV_BASE_LOG_H
#define CV_BASE_LOG_H

#include <covey/export.h>
#include <covey/types.h>
#include <stdbool.h>

enum cv_log_level { CV_LOG_ERROR, CV_LOG_WARNING, CV_LOG_INFO, CV_LOG_DEBUG };

/* Where log lines go: an argument, never a global. A logger without a function is silent. */
struct cv_log {
    void (*write)(void *user, enum cv_log_level level, const char *line);
    void *user;
    enum cv_log_level level; /* lines above this level are not made */
};

/* One line without a line end, cut at 1023 bytes. `log` may be NULL. Control characters (below 0x20
 * and 0x7f) in the result are replaced by '?': peers choose some of the text. */
void cv_log_line(const struct cv_log *log, enum cv_log_level level, const char *format, ...)
    COVEY_PRINTF(3, 4);

/*
 * At most one line in each `interval`, for what a peer can cause as often as it likes. Returns true
 * when the line may be written, with the number that was held back since the last one in
 * *suppressed; else *suppressed is unchanged. Starts as {0}.
 */
struct cv_log_limit {
    covey_time next;
    uint64_t suppressed;
};
bool cv_log_limit_pass(struct cv_log_limit *limit, covey_time now, covey_time interval,
                       uint64_t *suppressed);

#endif
