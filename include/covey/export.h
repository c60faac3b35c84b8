#ifndef COVEY_EXPORT_H
#define COVEY_EXPORT_H

/* Marks of the public interface; nothing here concerns a user. */

#if defined(__GNUC__)
#define COVEY_API      __attribute__((visibility("default")))
#define COVEY_MUST_USE __attribute__((warn_unused_result))
#define COVEY_PRINTF(format_index, first_argument)                                                 \
    __attribute__((format(printf, format_index, first_argument)))
#else
#define COVEY_API
#define COVEY_MUST_USE
#define COVEY_PRINTF(format_index, first_argument)
#endif

#ifdef __cplusplus
#define COVEY_BEGIN extern "C" {
#define COVEY_END   }
#else
#define COVEY_BEGIN
#define COVEY_END
#endif

#endif
