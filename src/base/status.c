#include <covey/status.h>

const char *covey_status_name(enum covey_status_code code)
{
    switch (code) {
#define X(name, number)                                                                            \
    case number:                                                                                   \
        return #name;
        COVEY_STATUSES(X)
#undef X
    default:
        return "UNKNOWN";
    }
}
