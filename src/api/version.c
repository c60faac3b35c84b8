#include <covey/version.h>

const char *covey_version(void)
{
    return COVEY_VERSION;
}
