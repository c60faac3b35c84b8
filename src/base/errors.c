#include <covey/error.h>

const char *covey_strerror(int error)
{
    switch (error) {
    case COVEY_OK:
        return "no error";
#define X(name, number, text)                                                                      \
    case number:                                                                                   \
        return text;
        COVEY_ERRORS(X)
#undef X
    default:
        return "unknown error";
    }
}

const char *covey_error_name(int error)
{
    switch (error) {
    case COVEY_OK:
        return "COVEY_OK";
#define X(name, number, text)                                                                      \
    case number:                                                                                   \
        return "COVEY_ERR_" #name;
        COVEY_ERRORS(X)
#undef X
    default:
        return "COVEY_ERR_?";
    }
}
