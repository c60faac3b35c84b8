#ifndef CV_API_SERVER_STATUS_H
#define CV_API_SERVER_STATUS_H

#include <covey/call.h>

/* Handlers of built-in methods; `user` is the server. The last runs on a worker, for it asks each
 * loop. */
void cv_server_tell_partition(covey_call *call, const void *request, size_t size, void *user);
void cv_server_tell_health(covey_call *call, const void *request, size_t size, void *user);
void cv_server_tell_stats(covey_call *call, const void *request, size_t size, void *user);
void cv_server_tell_server_stats(covey_call *call, const void *request, size_t size, void *user);

#endif
