#ifndef COVEY_VERSION_H
#define COVEY_VERSION_H

#include <covey/export.h>

COVEY_BEGIN

#define COVEY_VERSION_MAJOR 0
#define COVEY_VERSION_MINOR 1
#define COVEY_VERSION_PATCH 0
#define COVEY_VERSION       "0.1.0"

/* The version of the library that runs, which may be newer than the headers. */
COVEY_API const char *covey_version(void);

COVEY_END

#endif
